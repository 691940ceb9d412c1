#include "reference.h"

#include "clock.h"
#include "expect.h"
#include "timing.h"

#include <math.h>
#include <string.h>

/* A tenth of a second of scalar code; three repetitions of it cost less than the case they are compared with. */
static const double most_flops_per_thread = 4e8;
static const double check_multiply_adds = 2e7, min_time_s = 0.02;
enum { REPETITIONS = 3 };

bool bench_kernel_is_autovec(const struct attn_kernel *kernel) { return strstr(kernel->name, "_autovec_") != NULL; }

static bool is_reference(const struct attn_kernel *kernel, enum bench_reference_kind kind, attn_dtype dtype)
{
  if (kernel->dtype != dtype || strncmp(kernel->name, "fwd_", 4)) return false;
  return kind == BENCH_REFERENCE_AUTOVEC ? bench_kernel_is_autovec(kernel) : kernel->isa == ATTN_ISA_SCALAR;
}

/* Flops a second; NaN if the kernel cannot run here, is wrong or was interrupted. */
static double measure(const struct attn_kernel *kernel, struct bench_tensors *t, const struct bench_expectation *expected,
                      int threads, const struct bench_settings *settings, struct bench_roofs *roofs)
{
  const attn_options options = {.kernel = kernel->name, .threads = threads};
  attn_plan *plan;
  double rate = NAN;
  if (attn_plan_create(&plan, &t->desc, &options)) return rate;
  struct gbench_repetition repetition[REPETITIONS];
  const double start = bench_clock();
  bench_tensors_poison(t);
  if (!attn_run(plan, &t->args) && bench_expect_check(expected, kernel, t).right) {
    struct bench_timing timing = {.plan = plan,
                                  .args = &t->args,
                                  .roofs = roofs,
                                  .isa = kernel->isa,
                                  .threads = attn_plan_threads(plan),
                                  .expected_s = bench_clock() - start,
                                  .min_time_s = min_time_s,
                                  .repetitions = REPETITIONS,
                                  .stop = settings->stop};
    if (bench_time(kernel->name, &timing, repetition)) {
      double times[REPETITIONS];
      for (int i = 0; i < REPETITIONS; i++) times[i] = repetition[i].real_s;
      rate = attn_problem_flops(&t->problem) / bench_median(times, REPETITIONS);
    }
  }
  attn_plan_destroy(plan);
  return rate;
}

const struct bench_reference *bench_reference_get(struct bench_reference_cache *cache, const struct bench_tensors *whole,
                                                  enum bench_reference_kind kind, int threads,
                                                  const struct bench_settings *settings, struct bench_roofs *roofs)
{
  static const struct bench_reference none = {.flops = NAN};
  struct bench_reference *slot = NULL;
  for (int i = 0; i < BENCH_REFERENCE_THREADS && !slot; i++) {
    struct bench_reference *s = &cache->slot[kind][i];
    if (s->threads == threads) return s;
    if (!s->threads) slot = s;
  }
  if (!slot) slot = &cache->slot[kind][0]; /* more thread counts than slots: measured again when needed again */
  struct bench_tensors slice;
  struct bench_expectation expected;
  *slot = (struct bench_reference){.threads = threads, .flops = NAN};
  slot->sliced = bench_tensors_slice(&slice, whole, most_flops_per_thread * threads, threads);
  if (!bench_expect_create(&expected, &slice, check_multiply_adds, settings->seed, settings->threads)) {
    slot->threads = 0;
    return &none;
  }
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    if (!is_reference(*k, kind, whole->problem.dtype)) continue;
    const double rate = measure(*k, &slice, &expected, threads, settings, roofs);
    if (!isnan(rate) && !(rate <= slot->flops)) slot->flops = rate;
  }
  bench_expect_destroy(&expected);
  return slot;
}
