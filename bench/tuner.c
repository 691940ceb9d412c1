#include "tuner.h"

#include "bound.h"
#include "clock.h"
#include "expect.h"
#include "timing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 5, ROUNDS_TO_WIN = 4, LAST_ROUNDS = 9, LAST_ROUNDS_TO_WIN = 8 };
static const double least_gain = 0.005, round_s = 0.02, most_multiply_adds = 2e8;
static const double reserve = 0.25; /* of the budget, for the last comparison */

struct tuner {
  const struct bench_case *c;
  const struct attn_kernel *kernel;
  const struct bench_tuner_settings *settings;
  struct bench_tensors tensors;
  struct bench_expectation expected;
  struct bench_tuned *tuned;
  double began;
};

static bool stopped(const struct tuner *t) { return t->settings->stop && *t->settings->stop; }
static double left_s(const struct tuner *t) { return t->settings->budget_s - (bench_clock() - t->began); }

/* With one thread its processor time, which neighbours on the machine disturb less. */
static double now(const struct tuner *t)
{
  struct timespec time;
  if (t->c->threads > 1) return bench_clock();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static attn_plan *make_plan(struct tuner *t, const struct attn_blocking *blocking)
{
  const attn_options options = {.kernel = t->c->kernel, .threads = t->c->threads};
  attn_plan *plan;
  if (!attn_plan_create_blocked(&plan, &t->tensors.desc, &options, blocking)) return plan;
  t->tuned->state = BENCH_TUNER_FAILED;
  snprintf(t->tuned->note, sizeof t->tuned->note, "%s", attn_error_message());
  return NULL;
}

static bool is_right(struct tuner *t, attn_plan *plan)
{
  bench_tensors_poison(&t->tensors);
  if (attn_run(plan, &t->tensors.args)) {
    t->tuned->state = BENCH_TUNER_FAILED;
    snprintf(t->tuned->note, sizeof t->tuned->note, "%s", attn_error_message());
    return false;
  }
  const struct bench_verdict verdict =
      bench_expect_check(&t->expected, bench_error_bound(t->tensors.problem.dtype, t->kernel), &t->tensors);
  if (verdict.right) return true;
  t->tuned->state = BENCH_TUNER_WRONG;
  snprintf(t->tuned->note, sizeof t->tuned->note, "%s", verdict.why);
  return false;
}

static double time_calls(struct tuner *t, attn_plan *plan, int calls)
{
  const double start = now(t);
  for (int i = 0; i < calls; i++) (void)attn_run(plan, &t->tensors.args);
  return now(t) - start;
}

/* Median of the rounds' time(b) / time(a), and in *wins how many rounds b won. In a round each runs twice: a b b a. NaN:
 * stopped. */
static double compare(struct tuner *t, attn_plan *a, attn_plan *b, int rounds, int *wins)
{
  double ratio[LAST_ROUNDS];
  const double once = time_calls(t, a, 1) + 1e-9;
  const int calls = once < round_s ? (int)ceil(round_s / once) : 1;
  *wins = 0;
  for (int r = 0; r < rounds; r++) {
    if (stopped(t)) return NAN;
    double of_a = time_calls(t, a, calls), of_b = time_calls(t, b, calls);
    of_b += time_calls(t, b, calls);
    of_a += time_calls(t, a, calls);
    ratio[r] = of_b / of_a;
    *wins += ratio[r] < 1;
  }
  return bench_median(ratio, rounds);
}

/* Distinct values of a field that can make a difference for the case, ascending. */
enum { VALUES = 10 };
static int values_of(const struct tuner *t, int field, int64_t value[VALUES])
{
  static const double parts[ATTN_BLOCKING_FIELDS][VALUES] = {{0.125, 0.25, 0.375, 0.5, 0.75, 1},
                                                             {0.0625, 0.125, 0.25, 0.375, 0.5, 1},
                                                             {0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 1}};
  const struct attn_problem *p = &t->tensors.problem;
  const int64_t useful = field == 0 ? p->Skv : p->G * p->Sq;
  int64_t step, most;
  int n = 0;
  attn_blocking_allows(t->kernel, field, 0, &step, &most);
  for (int i = 0; i < VALUES && parts[field][i] > 0; i++) {
    int64_t v = (int64_t)(parts[field][i] * (double)most) / step * step;
    if (v < step) v = step;
    if (n && (v == value[n - 1] || value[n - 1] >= useful)) continue;
    value[n++] = v;
  }
  return n;
}

/* Whether that value of the field is better than *best, whose plan is *plan; then both become it. False: give up. */
static bool try_value(struct tuner *t, int field, int64_t value, struct attn_blocking *best, attn_plan **plan)
{
  struct attn_blocking trial = *best;
  int wins;
  if (*attn_blocking_field(&trial, field) == value) return true;
  *attn_blocking_field(&trial, field) = value;
  const struct bench_tuner_settings *s = t->settings;
  if (s->progress) s->progress(s->context, &trial, t->tuned->gain, left_s(t));
  attn_plan *other = make_plan(t, &trial);
  if (!other) return false;
  t->tuned->tried++;
  if (!is_right(t, other)) {
    if (t->tuned->state == BENCH_TUNER_WRONG) t->tuned->best = trial;
    attn_plan_destroy(other);
    return false;
  }
  const double ratio = compare(t, *plan, other, ROUNDS, &wins);
  if (ratio < 1 - least_gain && wins >= ROUNDS_TO_WIN) {
    attn_plan *loser = *plan;
    *plan = other;
    *best = trial;
    t->tuned->gain = (1 + t->tuned->gain) / ratio - 1;
    other = loser;
  }
  attn_plan_destroy(other);
  return true;
}

static void search(struct tuner *t)
{
  struct attn_blocking best = t->tuned->usual, before;
  attn_plan *plan = make_plan(t, &best), *usual;
  const double last = reserve * t->settings->budget_s;
  int wins;
  if (!plan) return;
  if (!is_right(t, plan)) {
    attn_plan_destroy(plan);
    return;
  }
  do {
    before = best;
    for (int field = 0; field < ATTN_BLOCKING_FIELDS; field++) {
      int64_t value[VALUES];
      const int n = values_of(t, field, value);
      for (int i = n - 1; i >= 0 && left_s(t) > last && !stopped(t); i--)
        if (!try_value(t, field, value[i], &best, &plan)) goto out;
    }
  } while (memcmp(&best, &before, sizeof best) && left_s(t) > last && !stopped(t));
  if (!memcmp(&best, &t->tuned->usual, sizeof best)) goto out;
  t->tuned->best = best;
  t->tuned->state = BENCH_TUNER_UNCONFIRMED;
  if (stopped(t) || !(usual = make_plan(t, &t->tuned->usual))) goto out;
  const double ratio = compare(t, usual, plan, LAST_ROUNDS, &wins);
  attn_plan_destroy(usual);
  if (!(ratio > 0)) goto out;
  const bool better = ratio < 1 - least_gain && wins >= LAST_ROUNDS_TO_WIN;
  t->tuned->state = better ? BENCH_TUNER_BETTER : BENCH_TUNER_KEPT;
  t->tuned->gain = better ? 1 / ratio - 1 : 0;
  if (!better) t->tuned->best = t->tuned->usual;
out:
  attn_plan_destroy(plan);
}

/* What the kernel chooses where the plan says nothing, said outright. */
static struct attn_blocking usual_blocking(const struct tuner *t)
{
  struct attn_blocking blocking = attn_blocking_default(t->kernel, &t->tensors.problem);
  if (!blocking.unit_rows) blocking.unit_rows = t->kernel->unit_rows;
  return blocking;
}

void bench_tune(struct bench_tuned *tuned, const struct bench_case *c, const struct bench_tuner_settings *settings)
{
  struct tuner t = {
      .c = c, .kernel = attn_kernel_find(c->kernel), .settings = settings, .tuned = tuned, .began = bench_clock()};
  *tuned = (struct bench_tuned){.state = BENCH_TUNER_FAILED};
  if (!bench_tensors_create(&t.tensors, &c->shape, settings->seed, c->threads, tuned->note, sizeof tuned->note)) return;
  if (bench_expect_create(&t.expected, &t.tensors, most_multiply_adds, settings->seed, c->threads)) {
    tuned->state = BENCH_TUNER_KEPT;
    tuned->usual = tuned->best = usual_blocking(&t);
    search(&t);
    bench_expect_destroy(&t.expected);
  } else {
    snprintf(tuned->note, sizeof tuned->note, "no memory for the oracle's rows");
  }
  bench_tensors_destroy(&t.tensors);
}
