/* What stands between a raw score and its exponential: softcap, ALiBi, masks, the range of visible keys; and the sink.
 * Written once for all kernels; each object file compiles it for its own ISA.
 *
 * Scores are in log2 units. A hidden key's score becomes -inf, by selection, never by arithmetic: a NaN score of a
 * hidden key vanishes with it. */
#ifndef ATTN_SCORES_H
#define ATTN_SCORES_H

#include "kernel.h"
#include "reference/exp2.h"

#include <float.h>
#include <math.h>

#define ATTN_LOG2E 1.44269504088896340736f

/* What a score's edit needs to know of its row; looked up once a row, not once a tile. */
struct attn_row {
  int64_t first, limit; /* keys [first, limit) may be visible */
  int64_t position;     /* key position of the query */
  float slope;          /* ALiBi, in log2 units */
  const void *mask;     /* mask element of key 0 */
};

static inline struct attn_row attn_row_get(const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  const int64_t i = attn_row_query(p, r), h = attn_row_head(p, u->hkv, r);
  const int64_t length = p->kv_lengths ? u->kv_lengths[u->b] : p->Skv;
  const int64_t at = u->b * p->mask.b + h * p->mask.h + i * p->mask.s;
  const struct attn_range range = attn_query_range(p, length, i);
  struct attn_row row = {.first = range.first, .limit = range.limit, .position = i + p->diagonal + length - p->Skv};
  if (p->alibi) row.slope = ATTN_LOG2E * u->alibi_slopes[h];
  if (p->mask_kind == ATTN_MASK_BOOL) row.mask = (const uint8_t *)u->mask + at;
  if (p->mask_kind == ATTN_MASK_ADDITIVE) row.mask = (const float *)u->mask + at;
  return row;
}

/* Whether visible scores change, apart from being hidden. */
static inline bool attn_edits_scores(const struct attn_problem *p)
{
  return p->softcap != 0 || p->alibi || p->mask_kind == ATTN_MASK_ADDITIVE;
}

/* x P(x^2) / Q(x^2) of degrees 4 and 4, minimax in the relative error on [-9, 9] (fitted by weighted least squares);
 * beyond, tanh is 1 to within f32. One division and no exponential. All terms have one sign, so nothing cancels: relative
 * error below 4e-7. NaN stays NaN. */
static inline float attn_tanh(float x)
{
  const float z = x > 9 ? 9 : x < -9 ? -9 : x, y = z * z;
  const float p = 0.999999979f + y * (0.133810249f + y * (3.49558736e-3f + y * (2.06090714e-5f + y * 1.33546492e-8f)));
  const float q = 1 + y * (0.467143405f + y * (2.58769791e-2f + y * (3.28563364e-4f + y * 7.77655268e-7f)));
  return z * p / q;
}

/* A finite bias stays finite: -FLT_MAX, which some write for "hidden", would otherwise become -inf in log2 units. */
static inline float attn_add_bias(float s, float bias)
{
  const float t = ATTN_LOG2E * bias;
  return bias == -INFINITY ? -INFINITY : s + (t < -FLT_MAX ? -FLT_MAX : t);
}

/* Edits scores s[0..n) of keys j0.. of the row; those outside [first, limit) are hidden. */
static inline void attn_edit_scores(const struct attn_problem *p, const struct attn_row *row, int64_t j0, int64_t n,
                                    float *restrict s)
{
  const int64_t step = p->mask.d;
  int64_t from = row->first - j0, to = row->limit - j0;
  if (from < 0) from = 0;
  if (to > n) to = n;
  if (from > to) from = to = n;
  if (p->softcap != 0) {
    const float cap = ATTN_LOG2E * p->softcap;
    for (int64_t j = from; j < to; j++) s[j] = cap * attn_tanh(s[j]);
  }
  if (p->alibi) {
    const int32_t ahead = (int32_t)(j0 - row->position); /* the plan limits positions to 2^30 */
    const float slope = row->slope;
    for (int32_t j = (int32_t)from; j < (int32_t)to; j++) {
      const int32_t distance = ahead + j;
      s[j] -= slope * (float)(distance < 0 ? -distance : distance);
    }
  }
  if (p->mask_kind == ATTN_MASK_BOOL) {
    const uint8_t *restrict m = (const uint8_t *)row->mask + j0 * step;
    if (step == 1)
      for (int64_t j = from; j < to; j++) s[j] = m[j] ? s[j] : -INFINITY;
    else
      for (int64_t j = from; j < to; j++) s[j] = m[j * step] ? s[j] : -INFINITY;
  } else if (p->mask_kind == ATTN_MASK_ADDITIVE) {
    const float *restrict m = (const float *)row->mask + j0 * step;
    if (step == 1)
      for (int64_t j = from; j < to; j++) s[j] = attn_add_bias(s[j], m[j]);
    else
      for (int64_t j = from; j < to; j++) s[j] = attn_add_bias(s[j], m[j * step]);
  }
  for (int64_t j = 0; j < from; j++) s[j] = -INFINITY;
  for (int64_t j = to; j < n; j++) s[j] = -INFINITY;
}

/* The end of a row: lets the sink join *max and *sum, and returns the factor that makes O of the weighted sum of values. */
static inline float attn_finish_row(const struct attn_unit *u, int64_t r, float *max, float *sum)
{
  const struct attn_problem *p = u->problem;
  const float sink = p->sinks ? ATTN_LOG2E * u->sinks[attn_row_head(p, u->hkv, r)] : -INFINITY;
  if (sink == -INFINITY) return *sum == 0 ? 0 : 1 / *sum;
  float rescale = 1;
  if (sink > *max) {
    rescale = attn_exp2(*max - sink);
    *max = sink;
  }
  *sum = *sum * rescale + attn_exp2(sink - *max);
  return rescale / *sum;
}

#endif
