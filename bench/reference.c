#include "reference.h"

#include "bound.h"
#include "clock.h"
#include "timing.h"

#include <math.h>
#include <string.h>

/* A tenth of a second of scalar code; three repetitions of it cost less than the case they are compared with. */
static const double most_flops_per_thread = 4e8;
/* A layer is not cut, for its weights are of one piece, nor are sequences of different lengths: up to a second of scalar
 * code.
 */
static const double most_whole_flops_per_thread = 4e9;
static const double check_multiply_adds = 2e7, min_time_s = 0.02;
enum { REPETITIONS = 3 };

bool bench_kernel_is_autovec(const struct attn_kernel *kernel) { return strstr(kernel->name, "_autovec_") != NULL; }

static bool is_reference(const struct attn_kernel *kernel, enum bench_reference_kind kind, attn_dtype dtype)
{
  if (kernel->dtype != dtype || strncmp(kernel->name, "fwd_", 4)) return false;
  return kind == BENCH_REFERENCE_AUTOVEC ? bench_kernel_is_autovec(kernel) : kernel->isa == ATTN_ISA_SCALAR;
}

/* Seconds of a call; NaN if it fails, is wrong or was interrupted. */
static double time_call(const struct attn_kernel *kernel, const struct bench_call *call, struct bench_tensors *out,
                        const struct bench_expectation *expected, double bound, int threads,
                        const struct bench_settings *settings, struct bench_roofs *roofs)
{
  double seconds = NAN;
  struct gbench_repetition repetition[REPETITIONS];
  const double start = bench_clock();
  bench_tensors_poison(out);
  if (!bench_call_run(call) && bench_expect_check(expected, bound, out).right) {
    struct bench_timing timing = {.call = call,
                                  .calls = 1,
                                  .roofs = roofs,
                                  .isa = kernel->isa,
                                  .threads = threads,
                                  .expected_s = bench_clock() - start,
                                  .min_time_s = min_time_s,
                                  .repetitions = REPETITIONS,
                                  .stop = settings->stop};
    if (bench_time(kernel->name, &timing, repetition)) {
      double times[REPETITIONS];
      for (int i = 0; i < REPETITIONS; i++) times[i] = repetition[i].real_s;
      seconds = bench_median(times, REPETITIONS);
    }
  }
  return seconds;
}

/* Flops a second; NaN if the kernel cannot run here, is wrong or was interrupted. */
static double measure(const struct attn_kernel *kernel, struct bench_tensors *t, const struct bench_expectation *expected,
                      int threads, const struct bench_settings *settings, struct bench_roofs *roofs)
{
  const attn_options options = {.kernel = kernel->name, .threads = threads};
  attn_plan *plan;
  if (attn_plan_create(&plan, &t->desc, &options)) return NAN;
  const struct bench_call call = {.plan = plan, .args = &t->args};
  const double seconds = time_call(kernel, &call, t, expected, bench_error_bound(t->problem.dtype, kernel),
                                   attn_plan_threads(plan), settings, roofs);
  attn_plan_destroy(plan);
  return t->flops / seconds;
}

/* *found: whether it is there already. More thread counts than slots: measured again when needed again. */
static struct bench_reference *slot_of(struct bench_reference_cache *cache, enum bench_reference_kind kind, int threads,
                                       bool *found)
{
  struct bench_reference *slot = NULL;
  *found = false;
  for (int i = 0; i < BENCH_REFERENCE_THREADS && !slot; i++) {
    struct bench_reference *s = &cache->slot[kind][i];
    *found = s->threads == threads;
    if (*found || !s->threads) slot = s;
  }
  if (!slot) slot = &cache->slot[kind][0];
  if (!*found) *slot = (struct bench_reference){.threads = threads, .flops = NAN};
  return slot;
}

const struct bench_reference *bench_reference_get(struct bench_reference_cache *cache, const struct bench_tensors *whole,
                                                  enum bench_reference_kind kind, int threads,
                                                  const struct bench_settings *settings, struct bench_roofs *roofs)
{
  static const struct bench_reference none = {.flops = NAN};
  bool found;
  struct bench_reference *slot = slot_of(cache, kind, threads, &found);
  if (found || (whole->starts && whole->flops > most_whole_flops_per_thread * threads)) return slot;
  struct bench_tensors slice;
  struct bench_expectation expected;
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

const struct bench_reference *bench_reference_of_layer(struct bench_reference_cache *cache, struct bench_layer *layer,
                                                       const struct bench_expectation *expected, double flops,
                                                       enum bench_reference_kind kind, int threads,
                                                       const struct bench_settings *settings, struct bench_roofs *roofs)
{
  bool found;
  struct bench_reference *slot = slot_of(cache, kind, threads, &found);
  attn_layer *scalar;
  if (found || kind != BENCH_REFERENCE_SCALAR || flops > most_whole_flops_per_thread * threads) return slot;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    if (!is_reference(*k, kind, layer->shape.dtype) || bench_layer_open(&scalar, layer, *k, threads)) continue;
    const struct bench_call call = {.layer = scalar, .layer_args = &layer->args};
    slot->flops = flops / time_call(*k, &call, &layer->output, expected, bench_layer_error_bound(&layer->shape), threads,
                                    settings, roofs);
    attn_layer_destroy(scalar);
  }
  return slot;
}
