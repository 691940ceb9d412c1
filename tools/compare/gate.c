#include "gate.h"

#include "../case_text.h"
#include "../command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct series {
  struct gate *gate;
  struct rounds rounds;
  struct gate_case *c;
  int look[ROUNDS_MAX_LOOKS], looks;
};

static void show(const struct rounds *r, int c, void *context)
{
  const struct series *s = context;
  char name[200], left[64] = "";
  int open = 0;
  const int round = r->done[c], most = s->gate->options->most_rounds;
  for (int i = 0; i < r->cases; i++) open += !r->skip[i];
  if (round) snprintf(left, sizeof left, ", at most %.0f s left", r->spent_s / round * (most - round));
  fprintf(stderr, "\r\033[K%s: round %d of at most %d, %d of %d cases open%s  %.80s", s->gate->phase, round + 1, most, open,
          r->cases, left, case_short(s->c[c].name, name, sizeof name));
}

static double by_quantile(const double *values, int n, double share)
{
  double largest = 0; /* the smallest value that at least this share does not exceed */
  for (int i = 0; i < n; i++) {
    int below = 0;
    for (int j = 0; j < n; j++) below += fabs(values[j]) <= fabs(values[i]);
    if (below >= share * n && (largest == 0 || fabs(values[i]) < largest)) largest = fabs(values[i]);
  }
  return largest;
}

static void judge(struct gate_case *c, double threshold)
{
  if (c->change.high < log1p(threshold))
    c->verdict = GATE_FINE;
  else if (c->change.low > c->detectable)
    c->verdict = GATE_SLOWER;
}

/* Baseline twice, candidate once. */
static bool look_at_builds(struct series *s, int index, double level)
{
  struct gate_case *c = &s->c[index];
  double change[ROUNDS_MAX], noise[ROUNDS_MAX], a[ROUNDS_MAX], b[ROUNDS_MAX];
  const int n = s->rounds.done[index];
  for (int i = 0; i < n; i++) {
    const double first = rounds_value(&s->rounds, index, i, 0), again = rounds_value(&s->rounds, index, i, 1);
    b[i] = rounds_value(&s->rounds, index, i, 2);
    a[i] = (first + again) / 2;
    change[i] = b[i] - a[i];
    noise[i] = again - first;
  }
  c->n = n;
  c->change = stats_median_interval(change, n, level);
  c->noise = stats_median_interval(noise, n, level);
  c->detectable = fmax(fabs(c->noise.low), fabs(c->noise.high));
  c->baseline_ns = exp(stats_median(a, n));
  c->candidate_ns = exp(stats_median(b, n));
  return !isnan(c->change.estimate) && !isnan(c->noise.estimate) && !isnan(c->baseline_ns) && !isnan(c->candidate_ns);
}

/* Candidate twice; the baseline's repetitions stand in the file. */
static bool look_at_file(struct series *s, int index, double level)
{
  struct gate_case *c = &s->c[index];
  const struct results_case *old = results_find(&s->gate->baseline->results, c->name);
  const double *ns = rounds_on_cpu_time(s->gate->options->clock, c->name) ? old->cpu_ns : old->time_ns;
  double *before = malloc((size_t)old->times * sizeof *before), now[2 * ROUNDS_MAX], noise[ROUNDS_MAX];
  const int n = s->rounds.done[index];
  if (!before) return false;
  for (int i = 0; i < old->times; i++) before[i] = log(ns[i]);
  for (int i = 0; i < n; i++) {
    now[2 * i] = rounds_value(&s->rounds, index, i, 0);
    now[2 * i + 1] = rounds_value(&s->rounds, index, i, 1);
    noise[i] = now[2 * i + 1] - now[2 * i];
  }
  c->n = n;
  c->change = stats_shift(before, old->times, now, 2 * n, level);
  c->noise = stats_median_interval(noise, n, level);
  c->detectable = by_quantile(noise, n, 0.95);
  c->baseline_ns = exp(stats_median(before, old->times));
  c->candidate_ns = exp(stats_median(now, 2 * n));
  free(before);
  return !isnan(c->change.estimate) && !isnan(c->noise.estimate) && !isnan(c->candidate_ns);
}

static bool run_series(struct series *s, struct complaint *why)
{
  struct rounds *r = &s->rounds;
  const struct rounds_options *o = s->gate->options;
  const bool progress = !o->quiet && isatty(STDERR_FILENO);
  const double level = 1 - o->alpha / (s->looks * r->cases);
  bool ok = true, open = true;
  for (int l = 0, round = 0; l < s->looks && ok && open; l++) {
    for (; round < s->look[l] && ok; round++) ok = rounds_one_more(r, progress ? show : NULL, s, why);
    open = false;
    for (int c = 0; c < r->cases && ok; c++) {
      if (r->skip[c]) continue;
      ok = (r->sides == 3 ? look_at_builds : look_at_file)(s, c, level) || complain(why, "no memory");
      judge(&s->c[c], s->gate->threshold);
      r->skip[c] = s->c[c].verdict != GATE_OPEN;
      open |= !r->skip[c];
    }
  }
  if (progress) fputs("\r\033[K", stderr);
  return ok;
}

bool gate_series(struct gate *g, struct gate_case *c, int cases, uint64_t seed, struct complaint *why)
{
  const char **name = calloc((size_t)cases, sizeof *name);
  struct rounds_side side[ROUNDS_MAX_SIDES] = {{0}};
  const int sides = g->baseline->program >= 0 ? 3 : 2;
  bool ok = name != NULL;
  g->exit_code = EXIT_USAGE;
  for (int i = 0; i < cases && ok; i++) {
    name[i] = c[i].name;
    c[i] = (struct gate_case){.name = c[i].name, .verdict = GATE_OPEN};
  }
  for (int i = 0; i < sides; i++) {
    const bool old = sides == 3 && i < 2;
    side[i] = (struct rounds_side){.label = old ? g->baseline->label : "candidate",
                                   .program = old ? g->baseline->program : g->candidate,
                                   .name = name};
    side[i].whole = old && !rounds_knows_times_only(side[i].program);
  }
  struct series s = {.gate = g,
                     .rounds = {.sides = sides,
                                .cases = cases,
                                .side = side,
                                .min_time_s = g->options->min_time_s,
                                .repetitions = g->options->repetitions,
                                .clock = g->options->clock,
                                /* a file's repetitions are all its repetitions: against them stands the usual one */
                                .figure = sides == 3 ? g->options->figure : ROUNDS_MEDIAN,
                                .random = seed,
                                .stop = g->stop},
                     .c = c};
  s.looks = rounds_options_looks(g->options, cases, s.look);
  if (!ok || !rounds_prepare(&s.rounds))
    ok = complain(why, "no memory");
  else
    ok = run_series(&s, why);
  if (ok) g->exit_code = 0;
  if (s.rounds.failure) g->exit_code = s.rounds.failure;
  free(g->context);
  g->context = s.rounds.context;
  s.rounds.context = NULL;
  rounds_free(&s.rounds);
  free(name);
  return ok;
}
