#include "expect.h"

#include "team.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct position {
  int64_t b, h, i;
};

static struct position position_of(const struct attn_problem *p, int64_t row)
{
  return (struct position){row / p->Sq / p->Hq, row / p->Sq % p->Hq, row % p->Sq};
}

struct job {
  struct bench_expectation *e;
  bench_expect_row *row;
  const void *context;
  int64_t Skv;
  atomic_llong next;
  atomic_bool failed;
};

static void compute(void *context, int thread, int threads)
{
  struct job *job = context;
  (void)thread, (void)threads;
  double *scores = malloc((size_t)job->Skv * sizeof *scores);
  if (!scores) {
    atomic_store(&job->failed, true);
    return;
  }
  for (int64_t n; (n = atomic_fetch_add(&job->next, 1)) < job->e->rows;)
    if (!job->row(job->context, job->e, n, scores)) atomic_store(&job->failed, true);
  free(scores);
}

static void choose_rows(struct bench_expectation *e, int64_t total, uint64_t seed)
{
  uint64_t state = seed ^ 0x726f7773;
  for (int64_t n = 0; n < e->rows; n++) {
    if (e->all) {
      e->row[n] = n;
      continue;
    }
    const int64_t begin = (int64_t)((double)total * (double)n / (double)e->rows);
    const int64_t end = (int64_t)((double)total * (double)(n + 1) / (double)e->rows);
    e->row[n] = begin + (int64_t)(bench_random(&state) % (uint64_t)(end - begin));
  }
  e->row[0] = 0;
  e->row[e->rows - 1] = total - 1;
}

bool bench_expect_create_by(struct bench_expectation *e, bench_expect_row *row, const void *context, int64_t total,
                            int64_t width, int64_t Skv, double multiply_adds, double most_multiply_adds, uint64_t seed,
                            int threads)
{
  enum { FEWEST_ROWS = 32 };
  const double affordable = most_multiply_adds / multiply_adds;
  *e = (struct bench_expectation){.rows = affordable < FEWEST_ROWS ? FEWEST_ROWS : total, .width = width};
  if (affordable >= FEWEST_ROWS && affordable < (double)total) e->rows = (int64_t)affordable;
  if (e->rows >= total) {
    e->rows = total;
    e->all = true;
  }
  e->row = malloc((size_t)e->rows * sizeof *e->row);
  e->o = malloc((size_t)e->rows * (size_t)width * sizeof *e->o);
  e->lse = malloc((size_t)e->rows * sizeof *e->lse);
  struct job job = {.e = e, .row = row, .context = context, .Skv = Skv};
  bool ok = e->row && e->o && e->lse;
  if (ok) {
    choose_rows(e, total, seed);
    ok = bench_team_run(threads, compute, &job) && !atomic_load(&job.failed);
  }
  if (!ok) {
    bench_expect_destroy(e);
    return false;
  }
  for (int64_t n = 0; n < e->rows * width; n++)
    if (fabs(e->o[n]) > e->max_abs) e->max_abs = fabs(e->o[n]);
  return true;
}

static bool attention_row(const void *context, struct bench_expectation *e, int64_t n, double *scores)
{
  const struct bench_tensors *t = context;
  const struct position at = position_of(&t->problem, e->row[n]);
  attn_args args;
  int64_t b = 0;
  if (!t->starts) {
    attn_oracle_row(&t->problem, &t->args, at.b, at.h, at.i, e->o + n * e->width, &e->lse[n], scores);
    return true;
  }
  while (t->args.q_starts[b + 1] <= at.i) b++;
  const struct attn_problem own = bench_tensors_sequence(t, b, &args);
  attn_oracle_row(&own, &args, 0, at.h, at.i - t->args.q_starts[b], e->o + n * e->width, &e->lse[n], scores);
  return true;
}

bool bench_expect_create(struct bench_expectation *e, const struct bench_tensors *t, double most_multiply_adds,
                         uint64_t seed, int threads)
{
  const struct attn_problem *p = &t->problem;
  const int64_t rows = bench_tensors_batches(t) * p->Hq * p->Sq;
  const double of_row = t->starts ? t->flops / 2 / (double)rows : (double)p->Skv * (double)(p->Dqk + p->Dv);
  return bench_expect_create_by(e, attention_row, t, rows, p->Dv, p->Skv, of_row, most_multiply_adds, seed, threads);
}

void bench_expect_destroy(struct bench_expectation *e)
{
  free(e->row);
  free(e->o);
  free(e->lse);
  *e = (struct bench_expectation){0};
}

/* The first element of the whole output that is not finite; inputs of the bench are, and so must be the result. */
static bool find_not_finite(const struct bench_tensors *t, char *why, size_t bytes)
{
  const struct attn_problem *p = &t->problem;
  for (int64_t b = 0; b < bench_tensors_batches(t); b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++)
        for (int64_t d = 0; d < p->Dv; d++) {
          const float value = attn_element_get(p->dtype, t->args.o, b * p->o.b + h * p->o.h + i * p->o.s + d * p->o.d);
          if (isfinite(value)) continue;
          snprintf(why, bytes, "o[b %lld][h %lld][i %lld][d %lld] is %f or was never written", (long long)b, (long long)h,
                   (long long)i, (long long)d, (double)value);
          return true;
        }
  return false;
}

struct bench_verdict bench_expect_check(const struct bench_expectation *e, double bound, const struct bench_tensors *t)
{
  const struct attn_problem *p = &t->problem;
  const double unit = e->max_abs > 0 ? e->max_abs : 1;
  struct bench_verdict verdict = {.right = false};
  if (find_not_finite(t, verdict.why, sizeof verdict.why)) {
    verdict.error = NAN;
    return verdict;
  }
  for (int64_t n = 0; n < e->rows; n++) {
    const struct position at = position_of(p, e->row[n]);
    const int64_t row = at.b * p->o.b + at.h * p->o.h + at.i * p->o.s;
    for (int64_t d = 0; d < p->Dv; d++) {
      const double expected = e->o[n * p->Dv + d];
      const double got = (double)attn_element_get(p->dtype, t->args.o, row + d * p->o.d);
      const double error = fabs(got - expected) / unit;
      if (error <= verdict.error) continue;
      verdict.error = error;
      if (error > bound)
        snprintf(verdict.why, sizeof verdict.why, "o[b %lld][h %lld][i %lld][d %lld] is %.9g, the oracle says %.9g",
                 (long long)at.b, (long long)at.h, (long long)at.i, (long long)d, got, expected);
    }
  }
  verdict.right = verdict.error <= bound;
  return verdict;
}
