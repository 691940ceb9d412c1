/* Packing for tiles that multiply numbers in digits (digits.h). The functions of pack.h:
 *
 *   Q  [row tile][filled(Dqk) / 32][DIGITS][MR][16]       not scaled: digits hold no more than Q has
 *   K  [key panel][filled(Dqk) / 32][DIGITS][16][NR]
 *   V  [value panel][filled(keys) / 32][DIGITS][16][NR]   the last panel may be narrower
 *   P  [row][filled(keys) / 32][2][16]                    in the place of the scores; third digits stand behind them
 *
 * Inf and NaN have no number for a second digit, so that no product with them passes for one: mend_scores() does those of Q
 * and K again, value_tile_careful() those of V. */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "care.h"
#include "digits.h"
#include "edge.h"
#include "load_as.h"

#include <float.h>

enum {
  PACKED = 1,
  ALL_CAREFUL = 1,
  READS_CACHES = 1,
  BEHIND_P = DIGITS > 2 ? 128 : 0, /* third digits of weights */
};
_Static_assert((int)TB == (int)VL && (int)NR == (int)TOGETHER, "neighbouring panels leave no gap");
_Static_assert((int)VL == (int)ATTN_KEY_STRETCH, "a vector of a cache's K");

static inline int64_t behind_q(const struct attn_problem *p) { return filled(p->Dqk); } /* a row before it is packed */

/* load_edge() of a row, or of none, that may have ended already; *far follows what is farthest from 0. */
static inline vf load_beyond(const element *row, int64_t step, int64_t d, int64_t width, vf *far)
{
  if (!row || d >= width) return vf_zero();
  const vf x = load_edge(row, step, d, width);
  *far = vf_farthest(*far, x);
  return x;
}

/* Row r of Q in f32, turned if the problem has a rope, and 0 up to filled(Dqk). */
static inline void query_row(float *restrict to, const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  const int64_t at = attn_q_at(u, r), whole = p->q.d == 1 ? p->Dqk / VL * VL : 0;
  for (int64_t d = 0; d < whole; d += VL) vf_store(to + d, load_as(p->dtype, u->q, at + d));
  for (int64_t d = whole; d < filled(p->Dqk); d++)
    to[d] = d < p->Dqk ? attn_element_get(p->dtype, u->q, at + d * p->q.d) : 0;
  if (p->rope) attn_rope_turn(p->rope, attn_row_position(u, r), to, 1);
}

/* The row goes through the memory behind the tile, where the next one will be, or what behind_q() asked for. */
static inline unsigned pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  const int64_t depth = packed(u->problem->Dqk);
  float *const numbers = dst + MR * depth;
  vf far = vf_zero();
  for (int64_t i = 0; i < MR; i++) {
    if (row + i < row_end) query_row(numbers, u, row + i);
    for (int64_t d = 0; d < filled(u->problem->Dqk); d += TOGETHER) {
      vf half[2];
      UNROLLED_FOR (x, 2) {
        half[x] = row + i < row_end ? vf_load(numbers + d + x * VL) : vf_zero();
        far = vf_farthest(far, half[x]);
      }
      float *at = dst + packed(d) * MR + i * VL;
      put_digits(at, MR * VL, at + 2 * MR * VL, half[0], half[1], TO_NEAREST);
    }
  }
  return vf_any_beyond(far, FLT_MAX) ? CARE_SCORES : 0;
}

static inline unsigned pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                              int64_t depth)
{
  vf far = vf_zero();
  for (int64_t j = 0; j < round_up(n, NR); j += TB) {
    float *panel = dst + j / NR * NR * packed(depth) + j % NR;
    for (int64_t d = 0; d < filled(depth); d += TOGETHER) {
      float rows[2][TB][TB];
      for (int64_t r = 0; r < TB; r++) {
        const element *row = j + r < n ? src + (j + r) * stride->s : NULL;
        if (j + r + TB < n) __builtin_prefetch(row + TB * stride->s + d * stride->d);
        UNROLLED_FOR (x, 2) vf_store(rows[x][r], load_beyond(row, stride->d, d + x * VL, depth, &far));
      }
      put_rows_as_columns(panel + packed(d) * NR, rows);
    }
  }
  return vf_any_beyond(far, FLT_MAX) ? CARE_SCORES : 0;
}

static inline vf scaled_score(vf score, float factor) { return vf_mul(score, vf_set(factor)); }

static inline int64_t weights_at(int64_t key) { return key; }
static inline float *packed_row(float *p, int64_t i, int64_t stride) { return p + i * stride; }

/* Where in a row the third digits of weights [j, j + 2 VL) stand, rows `stride` floats apart. */
static inline int64_t third_at(int64_t stride, int64_t j) { return stride - BEHIND_P + j / 2; }

/* Weights [j, j + 2 VL) of a row, rows `stride` floats apart. Of three digits the first two are cut off: by those that are
 * left out (multiply_digits_amx.h) a value loses no more than by its sums. */
ALWAYS_INLINE void put_weights(float *row, int64_t stride, int64_t j, vf low, vf high, enum rounding rounding)
{
  put_digits(row + j, VL, row + third_at(stride, j), low, high, DIGITS == 2 ? rounding : TOWARDS_0);
}

/* Packs weights [j, j + 2 VL) of a row that keeps them at `at`; of NaN only such as instructions make. */
static inline vf pack_two_vectors(float *at, int64_t stride, int64_t j, vf low, vf high, vf sum)
{
  put_weights(at, stride, j, low, high, PLAIN_TO_NEAREST);
  return sum;
}

static inline vf pack_weights(float *p, int64_t i, int64_t stride, int64_t from, int64_t to)
{
  float *row = p + i * stride;
  for (int64_t j = from; j < to; j += TOGETHER)
    put_weights(row, stride, j, vf_load(row + j), vf_load(row + j + VL), TO_NEAREST);
  return vf_zero();
}

static inline void scale_weights(float *p, int64_t i, int64_t stride, int64_t n, float factor)
{
  float *row = p + i * stride;
  for (int64_t j = 0; j < n; j += TOGETHER) {
    const vf pairs = vf_load(row + j), first[2] = {vf_pair_first(pairs), vf_pair_second(pairs)};
    vf low = first[0], high = first[1];
    UNROLLED_FOR (digit, DIGITS - 1) {
      const vf more = vf_load(digit == 0 ? row + j + VL : row + third_at(stride, j));
      low = vf_add(low, vf_pair_first(more));
      high = vf_add(high, vf_pair_second(more));
    }
    put_weights(row, stride, j, vf_rescaled(low, first[0], factor), vf_rescaled(high, first[1], factor), TO_NEAREST);
  }
}

/* Values of keys [j, j + 2 VL) of a block of n, 0 behind these. half: where the first VL and the others begin. */
static inline void pack_values(float *restrict dst, const element *const half[2], const attn_strides *stride, int64_t j,
                               int64_t n, int64_t keys, int64_t width, vf *far)
{
  for (int64_t x = 0; x < VL; x++)
    for (int64_t d = 0; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      vf value[2];
      UNROLLED_FOR (y, 2)
        value[y] = load_beyond(j + y * VL + x < n ? half[y] + x * stride->s : NULL, stride->d, d, width, far);
      float *at = dst + left * packed(keys) + (packed(j) + x) * padded + d - left;
      put_digits(at, VL * padded, at + 2 * VL * padded, value[0], value[1], TO_NEAREST);
    }
}

static inline unsigned pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                              int64_t keys, int64_t width)
{
  vf far = vf_zero();
  for (int64_t j = 0; j < n; j += TOGETHER) {
    const element *const half[2] = {src + j * stride->s, n - j > VL ? src + (j + VL) * stride->s : NULL};
    pack_values(dst, half, stride, j, n, keys, width, &far);
  }
  return vf_any_beyond(far, FLT_MAX) ? CARE_VALUES : 0;
}

/* Where key j of the unit's K begins, in a cache or a tensor; and its values. */
static inline const element *key_at(const struct attn_unit *u, int64_t j)
{
  const struct attn_problem *p = u->problem;
  return (const element *)u->k + attn_k_at(u) + attn_key_page(u, j) * p->k_page + attn_k_element(p, attn_key_at(u, j), 0);
}
static inline const element *values_at(const struct attn_unit *u, int64_t j)
{
  const struct attn_problem *p = u->problem;
  return (const element *)u->v + attn_v_at(u) + attn_key_page(u, j) * p->v_page + attn_v_element(p, attn_key_at(u, j), 0);
}

/* Keys [j0, j0 + n) of a cache (pack_cached.h), whose K has an element of 16 keys beside each other. A stretch is whole and
 * can be read beyond the last key. */
static inline unsigned pack_stored(float *restrict k, float *restrict v, const struct attn_unit *u, int64_t j0, int64_t n,
                                   int64_t keys)
{
  const struct attn_problem *p = u->problem;
  vf far_k = vf_zero(), far_v = vf_zero();
  for (int64_t j = 0; j < round_up(n, NR); j += VL) {
    float *panel = k + j / NR * NR * packed(p->Dqk) + j % NR;
    const element *from = j < n ? key_at(u, j0 + j) : NULL;
    for (int64_t pair = 0; pair < filled(p->Dqk) / 2; pair++) {
      const int64_t d = pair / VL * TOGETHER, x = pair % VL;
      vf of_keys[2];
      UNROLLED_FOR (y, 2) {
        const int64_t at = d + x + y * VL;
        of_keys[y] = from && at < p->Dqk ? el_load(from + at * p->k.d) : vf_zero();
        if (n - j < VL) of_keys[y] = vf_join(of_keys[y], vf_zero(), n > j ? (int)(n - j) : 0);
        far_k = vf_farthest(far_k, of_keys[y]);
      }
      put_columns(panel + (packed(d) + x) * NR, of_keys[0], of_keys[1]);
    }
  }
  for (int64_t j = 0; j < n; j += TOGETHER) {
    const element *const half[2] = {values_at(u, j0 + j), n - j > VL ? values_at(u, j0 + j + VL) : NULL};
    pack_values(v, half, &p->v, j, n, keys, p->Dv, &far_v);
  }
  return (vf_any_beyond(far_k, FLT_MAX) ? CARE_SCORES : 0) | (vf_any_beyond(far_v, FLT_MAX) ? CARE_VALUES : 0);
}

#endif
