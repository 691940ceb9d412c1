/* The slice that the references are timed on: small, a part of the whole, and enough for all of the threads. */
#include "../../bench/tensors.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/plan.h"
#include "../../kernels/reference/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* of a shape: no layer */

static const struct bench_shape shapes[] = {
    {ATTN_F32, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_NONE},
    {ATTN_F32, 1, 20, 20, 448, 1500, 64, 64, BENCH_MASK_NONE},
    {ATTN_F32, 1, 32, 8, 2048, 2048, 128, 128, BENCH_MASK_CAUSAL},
    {ATTN_F32, 1, 1, 1, 16384, 16384, 16, 16, BENCH_MASK_NONE},
    {ATTN_F32, 3, 8, 2, 300, 3000, 64, 64, BENCH_MASK_CAUSAL},
    {ATTN_F32, 16, 32, 8, 1, 1024, 128, 128, BENCH_MASK_NONE},
    {ATTN_F32, 1, 1024, 1, 1, 2048, 128, 128, BENCH_MASK_NONE},
    {ATTN_F32, 1, 4, 4, 1000, 1000, 64, 64, BENCH_MASK_BLOCKS},
};

static void keeps_all_threads_busy(void **state)
{
  (void)state;
  enum { ROWS_PER_THREAD = 256 };
  char error[256];
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    struct bench_tensors whole, slice;
    if (!bench_tensors_create(&whole, &shapes[i], 1, 2, error, sizeof error)) fail_msg("%s", error);
    for (int threads = 1; threads <= 96; threads = threads * 3 / 2 + 1) {
      const double most = 4e8 * threads;
      const bool cut = bench_tensors_slice(&slice, &whole, most, threads);
      const struct attn_problem *p = &whole.problem, *s = &slice.problem;
      const attn_options options = {.kernel = "fwd_f32_scalar", .threads = threads};
      const int64_t rows = s->B * s->Hq * s->Sq;
      attn_plan *of_whole, *of_slice;
      assert_int_equal(attn_plan_create(&of_whole, &whole.desc, &options), ATTN_OK);
      assert_int_equal(attn_plan_create(&of_slice, &slice.desc, &options), ATTN_OK);
      if (attn_plan_threads(of_slice) != attn_plan_threads(of_whole))
        fail_msg("shape %zu, %d threads: the slice uses %d, the whole %d", i, threads, attn_plan_threads(of_slice),
                 attn_plan_threads(of_whole));
      assert_int_equal(cut, s->B != p->B || s->Hkv != p->Hkv || s->Sq != p->Sq);
      assert_true(s->B <= p->B && s->Hkv <= p->Hkv && s->Sq <= p->Sq && s->Skv == p->Skv && s->G == p->G);
      /* Small, or as small as the threads allow. */
      assert_true(attn_problem_flops(s) <= most || rows / 2 < threads * ROWS_PER_THREAD || s->Sq == 1);
      attn_plan_destroy(of_whole);
      attn_plan_destroy(of_slice);
    }
    bench_tensors_destroy(&whole);
  }
}

/* The flops of the slice are those of its own heads, so that it is not cut further than need be. */
static void is_not_cut_too_far(void **state)
{
  (void)state;
  char error[256];
  struct bench_tensors whole, slice;
  assert_true(bench_tensors_create(&whole, &shapes[2], 1, 2, error, sizeof error));
  assert_true(bench_tensors_slice(&slice, &whole, 8e8, 2));
  assert_true(attn_problem_flops(&slice.problem) > 3e8 && attn_problem_flops(&slice.problem) <= 8e8);
  assert_false(bench_tensors_slice(&slice, &whole, 1e12, 2));
  bench_tensors_destroy(&whole);
}

/* Masks of bytes and of bits lie with the queries of the slice: its rows are rows of the whole. */
static void masks_go_with_the_queries(void **state)
{
  (void)state;
  enum { SQ = 1000, SKV = 170, D = 16 };
  const bench_mask masks[] = {BENCH_MASK_BOOL_BLOCKS, BENCH_MASK_BLOCKS, BENCH_MASK_ADDITIVE_F16};
  double o[2][D], lse[2], scores[SKV];
  char error[256];
  for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
    const struct bench_shape shape = {ATTN_F32, 1, 2, 1, SQ, SKV, D, D, masks[m]};
    struct bench_tensors whole, slice;
    if (!bench_tensors_create(&whole, &shape, 1, 2, error, sizeof error)) fail_msg("%s", error);
    assert_true(bench_tensors_slice(&slice, &whole, attn_problem_flops(&whole.problem) / 3, 1));
    const int64_t n = slice.problem.Sq;
    assert_true(n < SQ);
    for (int64_t i = 0; i < n; i += n - 1) {
      attn_oracle_row(&whole.problem, &whole.args, 0, 0, SQ - n + i, o[0], &lse[0], scores);
      attn_oracle_row(&slice.problem, &slice.args, 0, 0, i, o[1], &lse[1], scores);
      assert_true(lse[0] == lse[1]);
      for (int d = 0; d < D; d++) assert_true(o[0][d] == o[1][d]);
    }
    bench_tensors_destroy(&whole);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_all_threads_busy), cmocka_unit_test(is_not_cut_too_far),
                                     cmocka_unit_test(masks_go_with_the_queries)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
