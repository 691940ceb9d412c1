#include "timing.h"

#include "clock.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static const double warm_up_below_s = 0.05;

attn_status bench_call_run(const struct bench_call *call)
{
  return call->layer ? attn_layer_run(call->layer, call->layer_args) : attn_run(call->plan, call->args);
}

static void sample_roofs(struct bench_timing *t)
{
  if (!t->roofs) return;
  if (t->threads > 1) /* idle threads of the OpenMP pool spin a few milliseconds before they sleep */
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  const double read = t->bytes > 0 ? bench_roofs_read(t->roofs, t->bytes, t->threads) : 0;
  const double fma = bench_roofs_fma(t->roofs, t->isa, t->threads);
  if (read > t->read_roof) t->read_roof = read;
  if (fma > t->fma_roof) t->fma_roof = fma;
}

static bool call_next(struct bench_timing *t)
{
  const struct bench_call *call = &t->call[t->turn];
  t->turn = (t->turn + 1) % t->calls;
  return !bench_call_run(call);
}

/* Brings back to the caches what the samples took from them: as long as that makes calls faster, as the samples do. */
static bool warm_up(struct bench_timing *t)
{
  enum { MOST_CALLS = 10 };
  double last, seconds = INFINITY;
  int calls = 0;
  do {
    const double start = bench_clock();
    if (!call_next(t)) return false;
    last = seconds;
    seconds = bench_clock() - start;
  } while (seconds < 0.95 * last && ++calls < MOST_CALLS && !(t->stop && *t->stop));
  return true;
}

static bool before(void *context)
{
  struct bench_timing *t = context;
  if (t->counters) counters_stop(t->counters); /* of the batch before */
  if (t->stop && *t->stop) return false;
  sample_roofs(t);
  if (t->expected_s <= warm_up_below_s && !warm_up(t)) return false;
  if (t->counters) counters_start(t->counters);
  return true;
}

static bool step(void *context)
{
  struct bench_timing *t = context;
  t->counted_calls++;
  return call_next(t) && !(t->stop && *t->stop);
}

bool bench_time(const char *name, struct bench_timing *t, struct gbench_repetition *repetition)
{
  const struct gbench_job job = {
      .context = t, .before = before, .step = step, .min_time_s = t->min_time_s, .repetitions = t->repetitions};
  t->fma_roof = t->read_roof = 0;
  t->counted_calls = 0;
  if (t->counters) counters_reset(t->counters);
  const bool complete = gbench_time(name, &job, repetition);
  if (t->counters) counters_stop(t->counters);
  if (complete) sample_roofs(t);
  return complete;
}

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double bench_median(double *values, int n)
{
  qsort(values, (size_t)n, sizeof *values, by_value);
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
