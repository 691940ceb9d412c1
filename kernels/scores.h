/* What stands between a raw score and its exponential: the additive mask, the boolean mask, the limit of visible
 * keys. Written once for all kernels; each object file compiles it for its own ISA.
 *
 * Scores are in log2 units. A hidden key's score becomes -inf, by selection, never by arithmetic: a NaN score of a
 * hidden key vanishes with it. */
#ifndef ATTN_SCORES_H
#define ATTN_SCORES_H

#include "kernel.h"

#include <float.h>
#include <math.h>

#define ATTN_LOG2E 1.44269504088896340736f

/* What a score's edit needs to know of its row; looked up once a row, not once a tile. */
struct attn_row {
  int64_t limit;    /* keys [0, limit) may be visible */
  const void *mask; /* mask element of key 0 */
};

static inline struct attn_row attn_row_get(const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  const int64_t i = attn_row_query(p, r), h = attn_row_head(p, u->hkv, r);
  const int64_t at = u->b * p->mask.b + h * p->mask.h + i * p->mask.s;
  struct attn_row row = {.limit = attn_query_limit(p, i)};
  if (p->mask_kind == ATTN_MASK_BOOL) row.mask = (const uint8_t *)u->mask + at;
  if (p->mask_kind == ATTN_MASK_ADDITIVE) row.mask = (const float *)u->mask + at;
  return row;
}

/* A finite bias stays finite: -FLT_MAX, which some write for "hidden", would otherwise become -inf in log2 units. */
static inline float attn_add_bias(float s, float bias)
{
  const float t = ATTN_LOG2E * bias;
  return bias == -INFINITY ? -INFINITY : s + (t < -FLT_MAX ? -FLT_MAX : t);
}

/* Edits scores s[0..n) of keys j0.. of the row; those at or beyond its limit are hidden. */
static inline void attn_edit_scores(const struct attn_problem *p, const struct attn_row *row, int64_t j0, int64_t n,
                                    float *restrict s)
{
  const int64_t step = p->mask.d;
  int64_t visible = row->limit - j0;
  if (visible > n) visible = n;
  if (visible < 0) visible = 0;
  if (p->mask_kind == ATTN_MASK_BOOL) {
    const uint8_t *restrict m = (const uint8_t *)row->mask + j0 * step;
    if (step == 1)
      for (int64_t j = 0; j < visible; j++) s[j] = m[j] ? s[j] : -INFINITY;
    else
      for (int64_t j = 0; j < visible; j++) s[j] = m[j * step] ? s[j] : -INFINITY;
  } else if (p->mask_kind == ATTN_MASK_ADDITIVE) {
    const float *restrict m = (const float *)row->mask + j0 * step;
    if (step == 1)
      for (int64_t j = 0; j < visible; j++) s[j] = attn_add_bias(s[j], m[j]);
    else
      for (int64_t j = 0; j < visible; j++) s[j] = attn_add_bias(s[j], m[j * step]);
  }
  for (int64_t j = visible; j < n; j++) s[j] = -INFINITY;
}

#endif
