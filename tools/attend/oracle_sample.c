#include "oracle_sample.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

struct row {
  int64_t b, h, i;
  double *o, lse, *weight; /* of the oracle */
};

/* What rounding in f32 can do to this row, as a share of the largest visible |v|, and to its LSE. An error of a score,
 * at most (Dqk + 8) roundings of sum |q k| (plus the bias), becomes a relative error of its weight; numerator and
 * denominator double it. Sums over keys add like a random walk. */
static double score_error(const struct attn_problem *p, const attn_args *a, const struct row *r, double *max_v)
{
  const int64_t hkv = r->h / p->G;
  double largest = 0;
  *max_v = 0;
  for (int64_t j = 0; j < p->Skv; j++) {
    if (!(r->weight[j] > 0)) continue;
    double sum = 0;
    for (int64_t d = 0; d < p->Dqk; d++)
      sum += fabs((double)attn_element_get(p->dtype, a->q, r->b * p->q.b + r->h * p->q.h + r->i * p->q.s + d * p->q.d) *
                  (double)attn_element_get(p->dtype, a->k, r->b * p->k.b + hkv * p->k.h + j * p->k.s + d * p->k.d));
    sum *= fabs(p->scale);
    if (attn_mask_adds(p->mask_kind))
      sum += fabs((double)attn_bias_get(p->mask_kind, a->mask,
                                        r->b * p->mask.b + r->h * p->mask.h + r->i * p->mask.s + j * p->mask.d));
    if (sum > largest) largest = sum;
    for (int64_t d = 0; d < p->Dv; d++) {
      const double v =
          fabs((double)attn_element_get(p->dtype, a->v, r->b * p->v.b + hkv * p->v.h + j * p->v.s + d * p->v.d));
      if (v > *max_v) *max_v = v;
    }
  }
  return FLT_EPSILON / 2 * (double)(p->Dqk + 8) * largest;
}

/* Where the definition gives NaN or Inf, or f32 overflows on the way (a limit that is not finite), any such will do. */
static bool close_enough(double got, double wanted, double limit)
{
  if (!isfinite(wanted)) return wanted == -INFINITY ? got == wanted || isnan(got) : !isfinite(got);
  return !isfinite(limit) || fabs(got - wanted) <= limit;
}

static void note(struct oracle_sample *s, const struct row *r, double got, double wanted, double limit)
{
  if (!s->correct || close_enough(got, wanted, limit)) return;
  s->correct = false;
  s->b = r->b, s->h = r->h, s->i = r->i;
  s->got = got, s->wanted = wanted, s->limit = limit;
}

static void compare_row(struct oracle_sample *s, const struct attn_problem *p, const attn_args *a, struct row *r)
{
  attn_oracle_row(p, a, r->b, r->h, r->i, r->o, &r->lse, r->weight);
  double max_v;
  const double score = score_error(p, a, r, &max_v);
  const double sums = 2e-6 + FLT_EPSILON * sqrt((double)p->Skv);
  const double output_rounding = p->dtype == ATTN_F32 ? 0 : p->dtype == ATTN_F16 ? 0x1p-11 : 0x1p-8;
  for (int64_t d = 0; d < p->Dv; d++) {
    const double got = (double)attn_element_get(p->dtype, a->o, r->b * p->o.b + r->h * p->o.h + r->i * p->o.s + d * p->o.d);
    const double limit = max_v * (sums + 2 * score) + fabs(r->o[d]) * output_rounding + 0x1p-25;
    note(s, r, got, r->o[d], limit);
    if (fabs(got - r->o[d]) > s->max_error) s->max_error = fabs(got - r->o[d]);
    if (fabs(r->o[d]) > s->max_output) s->max_output = fabs(r->o[d]);
  }
  if (a->lse)
    note(s, r, (double)a->lse[r->b * p->lse.b + r->h * p->lse.h + r->i * p->lse.s], r->lse,
         sums + score + FLT_EPSILON * fabs(r->lse));
}

bool oracle_sample(struct oracle_sample *s, const struct attn_problem *p, const attn_args *args)
{
  const double budget = 2e8, row_cost = 2 * (double)p->Skv * (double)(p->Dqk + p->Dv) + 1;
  const int64_t all = p->B * p->Hq * p->Sq;
  int64_t rows = budget / row_cost > 256 ? 256 : (int64_t)(budget / row_cost);
  if (rows < 2) rows = 2;
  if (rows > all) rows = all;
  *s = (struct oracle_sample){.rows = rows, .correct = true};
  struct row r = {.o = malloc(((size_t)p->Dv + (size_t)p->Skv + 1) * sizeof *r.o)};
  if (!r.o) return false;
  r.weight = r.o + p->Dv;
  for (int64_t n = 0; n < rows; n++) {
    const int64_t row = rows == 1 ? 0 : (int64_t)((double)(all - 1) * (double)n / (double)(rows - 1));
    r.i = row % p->Sq;
    r.h = row / p->Sq % p->Hq;
    r.b = row / p->Sq / p->Hq;
    compare_row(s, p, args, &r);
  }
  free(r.o);
  return true;
}
