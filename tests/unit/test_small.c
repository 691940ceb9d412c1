/* Small calls: what attn_run() costs beyond the kernel's own work, in processor time of this thread. Both are timed in
 * turns, and the least of many batches counts: whatever disturbs a batch lengthens it. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <stdio.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { CALLS = 200, BATCHES = 200 };
static const double most_overhead_s = 1e-6;

/* On a machine that is slow or busy the times say nothing: they are judged where somebody asks for it (make test-times). */
static bool judged(void) { return getenv("TEST_TIMES") && !SANITIZED; }

static double processor_time(void)
{
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void reuse_of_a_plan(void **state)
{
  (void)state;
  const attn_desc desc = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = 16, .Skv = 16, .Dqk = 64, .Dv = 64};
  attn_plan *plan;
  struct attn_problem problem;
  struct buffers b = make_buffers(&desc);
  b.args.lse = NULL; /* not what the kernel alone gives */
  assert_int_equal(attn_plan_create(&plan, &desc, NULL), ATTN_OK);
  assert_int_equal(attn_plan_threads(plan), 1); /* so little work is not worth a second thread */
  assert_int_equal(attn_problem_resolve(&problem, &desc), ATTN_OK);
  problem.blocking = attn_plan_blocking(plan);
  const struct attn_kernel *kernel = attn_kernel_find(attn_plan_kernel(plan));
  void *scratch = NULL;
  assert_int_equal(posix_memalign(&scratch, 64, kernel->scratch_bytes(&problem, 16) + 64), 0);
  float row_max[16], row_sum[16];
  const struct attn_unit unit = {.problem = &problem,
                                 .q = b.q,
                                 .k = b.k,
                                 .v = b.v,
                                 .o = b.o,
                                 .row1 = 16,
                                 .key1 = 16,
                                 .row_max = row_max,
                                 .row_sum = row_sum,
                                 .scratch = scratch};
  double of_kernel = 1, of_run = 1;
  for (int batch = 0; batch < BATCHES; batch++) {
    double start = processor_time();
    for (int i = 0; i < CALLS; i++) kernel->run(&unit);
    const double direct = (processor_time() - start) / CALLS;
    start = processor_time();
    for (int i = 0; i < CALLS; i++) assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
    const double whole = (processor_time() - start) / CALLS;
    if (direct < of_kernel) of_kernel = direct;
    if (whole < of_run) of_run = whole;
  }
  printf("%s, Sq = Skv = 16, D = 64: %.0f ns the kernel, %.0f ns attn_run\n", kernel->name, of_kernel * 1e9, of_run * 1e9);
  if (judged() && of_run - of_kernel >= most_overhead_s)
    fail_msg("attn_run costs %.0f ns more than its kernel, %.0f are allowed", (of_run - of_kernel) * 1e9,
             most_overhead_s * 1e9);
  free(scratch);
  free_buffers(&b);
  attn_plan_destroy(plan);
}

/* From one size to the next, at most 7 rows and keys more, the time rises to 2.5 times and 1 us at most: no cliff at the
 * edges of tiles and blocks, nor where another kernel takes over. */
static void no_cliff(void **state)
{
  (void)state;
  double before = 0;
  for (int64_t s = 1; s <= 64; s += s < 16 ? 1 : 7) {
    const attn_desc desc = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = s, .Skv = s, .Dqk = 64, .Dv = 64};
    attn_plan *plan;
    struct buffers b = make_buffers(&desc);
    assert_int_equal(attn_plan_create(&plan, &desc, &(attn_options){.threads = 1}), ATTN_OK);
    double best = 1;
    for (int batch = 0; batch < BATCHES / 2; batch++) {
      const double start = processor_time();
      for (int i = 0; i < CALLS / 4; i++) assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
      const double one = (processor_time() - start) / (CALLS / 4);
      if (one < best) best = one;
    }
    printf("S = %-2lld %8.0f ns %s\n", (long long)s, best * 1e9, attn_plan_kernel(plan));
    if (judged() && before > 0 && best > 2.5 * before + most_overhead_s)
      fail_msg("S = %lld takes %.0f ns, the size before it %.0f", (long long)s, best * 1e9, before * 1e9);
    before = best;
    attn_plan_destroy(plan);
    free_buffers(&b);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(reuse_of_a_plan), cmocka_unit_test(no_cliff)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
