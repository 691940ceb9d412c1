#include "runner.h"

#include "bound.h"
#include "clock.h"
#include "keys.h"
#include "layer.h"
#include "memory.h"
#include "presets.h"
#include "reference.h"
#include "timing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* About a quarter of a second on one core; a process that is one of many takes a hundredth. */
static const double oracle_multiply_adds = 4.5e8, oracle_multiply_adds_times_only = 2e7;

struct bench_runner {
  struct bench_settings settings;
  struct bench_roofs *roofs;
  bool have_shape;
  struct bench_shape shape;
  struct bench_tensors tensors;
  struct bench_layer layer; /* {0}: attention alone */
  struct bench_expectation expected;
  struct bench_reference_cache references;
};

struct bench_runner *bench_runner_create(const struct bench_settings *settings)
{
  struct bench_runner *runner = calloc(1, sizeof *runner);
  if (!runner) {
    fprintf(stderr, "attnbench: no memory\n");
    return NULL;
  }
  runner->settings = *settings;
  if (settings->times_only) return runner;
  runner->roofs = bench_roofs_create(settings->threads);
  if (runner->roofs) return runner;
  free(runner);
  return NULL;
}

static void drop_shape(struct bench_runner *runner)
{
  if (!runner->have_shape) return;
  bench_expect_destroy(&runner->expected);
  bench_layer_destroy(&runner->layer);
  bench_tensors_destroy(&runner->tensors);
  runner->references = (struct bench_reference_cache){0};
  runner->have_shape = false;
}

void bench_runner_destroy(struct bench_runner *runner)
{
  if (!runner) return;
  drop_shape(runner);
  bench_roofs_destroy(runner->roofs);
  free(runner);
}

struct bench_roofs *bench_runner_roofs(struct bench_runner *runner) { return runner->roofs; }

static bool take_shape(struct bench_runner *runner, const struct bench_shape *shape, struct bench_row *row)
{
  if (runner->have_shape && bench_shape_equal(shape, &runner->shape)) return true;
  drop_shape(runner);
  const bool is_layer = bench_shape_is_layer(shape);
  const double needed = (double)bench_tensors_bytes(shape) + (is_layer ? bench_layer_memory(shape) : 0);
  const size_t available = bench_memory_available();
  if (needed > (double)(available / 10 * 9)) {
    snprintf(row->note, sizeof row->note, "its tensors take %.1f GiB, %.1f GiB are available", needed / 0x1p30,
             (double)available / 0x1p30);
    return false;
  }
  const struct bench_settings *s = &runner->settings;
  const double most = s->times_only ? oracle_multiply_adds_times_only : oracle_multiply_adds;
  struct bench_tensors *t = &runner->tensors;
  if (!bench_tensors_create(t, shape, s->seed, s->threads, row->note, sizeof row->note)) return false;
  if (is_layer && !bench_layer_create(&runner->layer, shape, t, s->seed, s->threads, row->note, sizeof row->note)) {
    bench_tensors_destroy(t);
    return false;
  }
  if (!(is_layer ? bench_layer_expect(&runner->expected, &runner->layer, t, most, s->seed, s->threads)
                 : bench_expect_create(&runner->expected, t, most, s->seed, s->threads))) {
    snprintf(row->note, sizeof row->note, "no memory for the oracle's rows");
    bench_layer_destroy(&runner->layer);
    bench_tensors_destroy(t);
    return false;
  }
  runner->shape = *shape;
  runner->have_shape = true;
  return true;
}

static bool summarise(struct bench_row *row)
{
  const int n = row->repetitions;
  double *times = malloc((size_t)n * sizeof *times), sum = 0, squares = 0;
  if (!times) return false;
  for (int i = 0; i < n; i++) sum += times[i] = row->repetition[i].real_s;
  for (int i = 0; i < n; i++) squares += (times[i] - sum / n) * (times[i] - sum / n);
  row->cv = n > 1 ? sqrt(squares / (n - 1)) / (sum / n) : 0;
  row->median_s = bench_median(times, n);
  free(times);
  return true;
}

/* What exists has reserved its workspace, but the pages are only taken when it runs. */
static bool fits_memory(size_t needed, struct bench_row *row)
{
  const size_t available = bench_memory_available();
  if (needed <= available / 10 * 9) return true;
  snprintf(row->note, sizeof row->note, "its workspace takes %.1f GiB, %.1f GiB are available", (double)needed / 0x1p30,
           (double)available / 0x1p30);
  return false;
}

static double total_bytes(const struct bench_shape *shape, const struct attn_extents *e)
{
  return (double)e->q + bench_keys_bytes(shape, e) + (double)e->mask + (double)e->o;
}

static void relate_to_references(struct bench_runner *runner, struct bench_row *row)
{
  const struct bench_settings *s = &runner->settings;
  const struct bench_reference *reference[BENCH_REFERENCE_COUNT];
  for (int kind = 0; kind < BENCH_REFERENCE_COUNT; kind++)
    reference[kind] = runner->layer.memory
                          ? bench_reference_of_layer(&runner->references, &runner->layer, &runner->expected, row->flops,
                                                     (enum bench_reference_kind)kind, row->threads, s, runner->roofs)
                          : bench_reference_get(&runner->references, &runner->tensors, (enum bench_reference_kind)kind,
                                                row->threads, s, runner->roofs);
  row->scalar_flops = reference[BENCH_REFERENCE_SCALAR]->flops;
  row->scalar_sliced = reference[BENCH_REFERENCE_SCALAR]->sliced;
  row->autovec_flops = reference[BENCH_REFERENCE_AUTOVEC]->flops;
  row->autovec_sliced = reference[BENCH_REFERENCE_AUTOVEC]->sliced;
}

static void check_and_time(struct bench_runner *runner, const struct bench_call *call, int calls, double bound,
                           struct bench_row *row)
{
  const struct bench_settings *s = &runner->settings;
  struct bench_tensors *out = call->layer ? &runner->layer.output : &runner->tensors;
  bench_tensors_poison(out);
  const double start = bench_clock();
  if (bench_call_run(call)) {
    snprintf(row->note, sizeof row->note, "%s", attn_error_message());
    return;
  }
  const double once_s = bench_clock() - start;
  const struct bench_verdict verdict = bench_expect_check(&runner->expected, bound, out);
  row->max_error = verdict.error;
  if (!verdict.right) {
    row->state = BENCH_WRONG;
    memcpy(row->note, verdict.why, sizeof verdict.why);
    return;
  }
  row->state = BENCH_INTERRUPTED;
  struct bench_timing timing = {.call = call,
                                .calls = calls,
                                .roofs = runner->roofs,
                                .isa = row->isa,
                                .threads = row->threads,
                                .bytes = row->bytes * calls,
                                .expected_s = once_s,
                                .min_time_s = s->min_time_s,
                                .repetitions = s->repetitions,
                                .counters = s->counters,
                                .stop = s->stop};
  row->repetition = calloc((size_t)s->repetitions, sizeof *row->repetition);
  row->repetitions = s->repetitions;
  if (!row->repetition || !bench_time(row->name, &timing, row->repetition) || !summarise(row)) return;
  for (int i = 0; s->counters && i < s->counters->count; i++) {
    const struct counter_event *c = &s->counters->counter[i];
    row->counted[i] = c->fd >= 0 && c->share > 0 ? c->total / (double)timing.counted_calls : NAN;
  }
  row->fma_roof = timing.fma_roof > 0 ? timing.fma_roof : NAN;
  row->read_roof = timing.read_roof > 0 ? timing.read_roof : NAN;
  row->caches_hold = bench_roofs_cached(timing.bytes, row->threads);
  if (s->times_only) {
    if (!s->stop || !*s->stop) row->state = BENCH_TIMED;
    return;
  }
  relate_to_references(runner, row);
  if (!s->stop || !*s->stop) row->state = BENCH_TIMED;
}

static void run_plan(struct bench_runner *runner, const struct bench_case *c, struct bench_row *row)
{
  const attn_options options = {.kernel = c->kernel, .threads = c->threads};
  struct bench_keys keys;
  if (!bench_keys_create(&keys, &c->shape, &runner->tensors, &options, row->note, sizeof row->note)) return;
  const attn_plan *plan = keys.call[0].plan;
  const struct attn_kernel *kernel = attn_kernel_find(attn_plan_kernel(plan));
  row->isa = kernel->isa;
  row->threads = attn_plan_threads(plan);
  row->rows = bench_tensors_batches(&runner->tensors) * c->shape.Hq * runner->tensors.problem.Sq;
  if (fits_memory(attn_plan_workspace_bytes(plan), row))
    check_and_time(runner, keys.call, keys.count, bench_error_bound(c->shape.dtype, kernel), row);
  bench_keys_destroy(&keys);
}

static void run_layer(struct bench_runner *runner, const struct bench_case *c, struct bench_row *row)
{
  const struct attn_kernel *kernel = attn_kernel_find(c->kernel);
  const struct bench_layer *l = &runner->layer;
  attn_layer *layer;
  if (bench_layer_open(&layer, l, kernel, c->threads)) {
    snprintf(row->note, sizeof row->note, "%s", attn_error_message());
    return;
  }
  const struct bench_call call = {.layer = layer, .layer_args = &l->args};
  row->isa = kernel->isa;
  row->flops += bench_layer_flops(&c->shape);
  row->bytes = bench_layer_bytes(&c->shape) + (double)runner->tensors.extents.mask;
  row->rows = c->shape.B * c->shape.Sq;
  snprintf(row->kernels, sizeof row->kernels, "%s", attn_layer_kernels(layer));
  if (fits_memory(attn_layer_workspace_bytes(layer), row))
    check_and_time(runner, &call, 1, bench_layer_error_bound(&c->shape), row);
  attn_layer_destroy(layer);
}

void bench_runner_run(struct bench_runner *runner, const struct bench_case *c, struct bench_row *row)
{
  *row = (struct bench_row){.c = *c,
                            .state = BENCH_LEFT_OUT,
                            .threads = c->threads,
                            .median_s = NAN,
                            .fma_roof = NAN,
                            .read_roof = NAN,
                            .scalar_flops = NAN,
                            .autovec_flops = NAN,
                            .x_plain = NAN,
                            .x_share = NAN,
                            .max_error = NAN};
  bench_case_print(c, row->name);
  const char *label = bench_preset_label(&c->shape);
  if (label)
    snprintf(row->label, sizeof row->label, "%s", label);
  else
    bench_shape_describe(&c->shape, row->label, sizeof row->label);
  if (!take_shape(runner, &c->shape, row)) return;
  row->flops = runner->tensors.flops;
  row->bytes = total_bytes(&c->shape, &runner->tensors.extents);
  row->checked_rows = runner->expected.rows;
  if (bench_shape_is_layer(&c->shape))
    run_layer(runner, c, row);
  else
    run_plan(runner, c, row);
}

void bench_rows_relate(struct bench_row *rows, int count)
{
  for (int i = 0; i < count; i++) {
    struct bench_row *r = &rows[i];
    struct bench_case plain = r->c;
    plain.shape.mask = BENCH_MASK_NONE;
    if (r->state != BENCH_TIMED || r->c.shape.mask == BENCH_MASK_NONE) continue;
    for (int j = 0; j < count; j++) {
      if (rows[j].state != BENCH_TIMED || !bench_case_equal(&rows[j].c, &plain)) continue;
      r->x_plain = r->median_s / rows[j].median_s;
      r->x_share = r->x_plain * rows[j].flops / r->flops;
    }
  }
}

void bench_row_free(struct bench_row *row)
{
  free(row->repetition);
  row->repetition = NULL;
}
