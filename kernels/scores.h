/* What stands between a raw score and its exponential: softcap, ALiBi, masks, the range of visible keys; and the sink.
 * Written once for all kernels; each object file compiles it for its own ISA.
 *
 * Scores are in log2 units. A hidden key's score becomes -inf, by selection, never by arithmetic: a NaN score of a
 * hidden key vanishes with it. */
#ifndef ATTN_SCORES_H
#define ATTN_SCORES_H

#include "kernel.h"
#include "reference/exp2.h"
#include "reference/half.h"

#include <float.h>
#include <math.h>

#define ATTN_LOG2E 1.44269504088896340736f

/* What a score's edit needs to know of its row; looked up once a row, not once a tile. */
struct attn_row {
  int64_t first, limit;  /* keys [first, limit) may be visible */
  int64_t position;      /* key position of the query */
  float slope;           /* ALiBi, in log2 units */
  const void *mask;      /* mask element of key 0 */
  const uint8_t *blocks; /* its row of the block mask; NULL: none */
};

static inline struct attn_row attn_row_get(const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  const int64_t i = attn_row_query(p, r), h = attn_row_head(p, u->hkv, r);
  const int64_t length = p->kv_lengths ? u->kv_lengths[u->b] : p->Skv;
  const int64_t at = u->b * p->mask.b + h * p->mask.h + i * p->mask.s;
  const struct attn_range range = attn_query_range(p, length, i);
  struct attn_row row = {.first = range.first, .limit = range.limit, .position = attn_row_position(u, r)};
  if (p->alibi) row.slope = ATTN_LOG2E * u->alibi_slopes[h];
  if (p->mask_kind != ATTN_MASK_NONE) row.mask = (const char *)u->mask + (size_t)at * attn_mask_element(p->mask_kind);
  if (p->block_keys) row.blocks = u->blocks + u->b * p->block_b + h * p->block_h + i / p->block_queries * p->block_row;
  return row;
}

/* Whether what attn_row_get() says is the same of all rows, but for the position, which only ALiBi needs. */
static inline bool attn_rows_alike(const struct attn_problem *p)
{
  return !p->causal && p->window_left < 0 && p->window_right < 0 && !p->alibi && !attn_has_mask(p);
}

/* Whether visible scores change, apart from being hidden. */
static inline bool attn_edits_scores(const struct attn_problem *p)
{
  return p->softcap != 0 || p->alibi || attn_mask_adds(p->mask_kind);
}

static inline bool attn_block_visible(const uint8_t *blocks, int64_t x) { return blocks[x / 8] >> x % 8 & 1; }

/* What a mask says of several keys. */
enum { ATTN_SOME_HIDDEN = 1, ATTN_SOME_VISIBLE = 2, ATTN_SOME_EACH = 3 };

/* What the block mask says of keys [j, j + n) of a row, n >= 1. */
static inline int attn_blocks_say(const struct attn_problem *p, const struct attn_row *row, int64_t j, int64_t n)
{
  int says = 0;
  for (int64_t x = j / p->block_keys; x <= (j + n - 1) / p->block_keys; x++)
    says |= attn_block_visible(row->blocks, x) ? ATTN_SOME_VISIBLE : ATTN_SOME_HIDDEN;
  return says;
}

/* An additive mask hides all of them? Nearly always the first element says no. */
static inline bool attn_bias_hides(const struct attn_problem *p, const struct attn_row *row, int64_t j, int64_t n)
{
  if (p->mask_kind == ATTN_MASK_ADDITIVE_F16) {
    const uint16_t *m = (const uint16_t *)row->mask + j;
    if (m[0] != 0xfc00) return false;
    for (int64_t x = 1; x < n; x++)
      if (m[x] != 0xfc00) return false;
    return true;
  }
  const float *m = (const float *)row->mask + j;
  if (m[0] != -INFINITY) return false;
  for (int64_t x = 1; x < n; x++)
    if (m[x] != -INFINITY) return false;
  return true;
}

/* Whether the row sees none of keys [j, j + n), by any rule. May miss some for which that would be costly to tell. */
static inline bool attn_all_hidden(const struct attn_problem *p, const struct attn_row *row, int64_t j, int64_t n)
{
  if (j < row->first) {
    n -= row->first - j;
    j = row->first;
  }
  if (n > row->limit - j) n = row->limit - j;
  if (n <= 0) return true;
  if (row->blocks && attn_blocks_say(p, row, j, n) == ATTN_SOME_HIDDEN) return true;
  if (p->mask_kind == ATTN_MASK_NONE || p->mask.d != 1) return false;
  if (p->mask_kind != ATTN_MASK_BOOL) return attn_bias_hides(p, row, j, n);
  const uint8_t *m = (const uint8_t *)row->mask + j;
  uint8_t any = 0;
  for (int64_t x = 0; x < n; x++) any |= m[x];
  return !any;
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

/* to[0..n) = from[0..n), which is f16. */
static inline void attn_widen_f16(float *restrict to, const uint16_t *restrict from, int64_t n)
{
  int64_t j = 0;
#ifdef ATTN_VEC
  for (; j + VL <= n; j += VL) vf_store(to + j, vf_load_f16(from + j));
#endif
  for (; j < n; j++) to[j] = attn_f16_to_f32(from[j]);
}

/* Adds mask elements [from, to) of an additive mask in f16, from element m on. */
static inline void attn_add_f16(const uint16_t *m, int64_t step, int64_t from, int64_t to, float *restrict s)
{
  enum { AT_A_TIME = 64 };
  float wide[AT_A_TIME];
  for (; from < to; from += AT_A_TIME) {
    const int64_t n = to - from < AT_A_TIME ? to - from : AT_A_TIME;
    if (step == 1)
      attn_widen_f16(wide, m + from, n);
    else
      for (int64_t j = 0; j < n; j++) wide[j] = attn_f16_to_f32(m[(from + j) * step]);
    for (int64_t j = 0; j < n; j++) s[from + j] = attn_add_bias(s[from + j], wide[j]);
  }
}

static inline void attn_hide_blocks(const struct attn_problem *p, const uint8_t *blocks, int64_t j0, int64_t from,
                                    int64_t to, float *restrict s)
{
  while (from < to) {
    const int64_t x = (j0 + from) / p->block_keys, end = (x + 1) * p->block_keys - j0, stop = end < to ? end : to;
    if (attn_block_visible(blocks, x))
      from = stop;
    else
      for (; from < stop; from++) s[from] = -INFINITY;
  }
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
  } else if (p->mask_kind == ATTN_MASK_ADDITIVE_F16) {
    attn_add_f16((const uint16_t *)row->mask + j0 * step, step, from, to, s);
  }
  if (row->blocks) attn_hide_blocks(p, row->blocks, j0, from, to, s);
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
