/* Packing for tiles that multiply pairs of bf16, of elements that have more bits than these: each number is two digits, the
 * nearest bf16 and the one nearest to what that lacks. The functions of pack.h; a packed float is a pair of digits, and 32
 * numbers are 16 pairs of first digits and then 16 of second ones:
 *
 *   Q  [row tile][packed(Dqk) / 32][2][MR][16]       neighbours of a row; not scaled: f16 has no more than two digits hold
 *   K  [key panel][packed(Dqk) / 32][2][16][NR]      neighbours of a row
 *   V  [value panel][packed(keys) / 32][2][16][NR]   neighbouring keys; the last panel may be narrower
 *   P  [row][packed(keys) / 32][2][16]               as V, in the place of the scores
 *
 * Inf and NaN have no number for a second digit, so that no product with them passes for one: mend_scores() does those of Q
 * and K again, value_tile_careful() those of V. */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "edge.h"
#include "load_as.h"

#include <float.h>

enum { PACKED = 1, ALL_CAREFUL = 1, READS_CACHES = 1, TOGETHER = 2 * VL /* numbers */ };
_Static_assert((int)TB == (int)VL && (int)NR == (int)TOGETHER, "neighbouring panels leave no gap");
_Static_assert((int)VL == (int)ATTN_KEY_STRETCH, "a vector of a cache's K");

#define LARGEST_BF16 0x1.fep127f /* a larger float has Inf for a first digit */

static inline int64_t packed(int64_t n) { return round_up(n, TOGETHER); }
static inline int64_t behind_q(const struct attn_problem *p) { return packed(p->Dqk); } /* a row before it is packed */

/* Pairs of the 2 VL numbers low, high: first digits at `at`, second ones `second` floats on. */
static inline void put_digits(float *at, int64_t second, vf low, vf high)
{
  const vf first = vf_pairs_of(low, high);
  vf_store(at, first);
  vf_store(at + second, vf_pairs_of(vf_sub(low, vf_pairs_low(first)), vf_sub(high, vf_pairs_high(first))));
}

/* The same of VL pairs, lane by lane. */
static inline void put_pairs(float *at, int64_t second, const vf value[2])
{
  const vf first = vf_pair_up(value[0], value[1]);
  vf_store(at, first);
  vf_store(at + second, vf_pair_up(vf_sub(value[0], vf_pair_first(first)), vf_sub(value[1], vf_pair_second(first))));
}

/* Where pair n / 2 stands among first digits that are `width` floats each. */
static inline int64_t pair_at(int64_t n, int64_t width) { return (n / TOGETHER * TOGETHER + n % TOGETHER / 2) * width; }

/* load_edge() of a row, or of none, that may have ended already; *far follows what is farthest from 0. */
static inline vf load_beyond(const element *row, int64_t step, int64_t d, int64_t width, vf *far)
{
  if (!row || d >= width) return vf_zero();
  const vf x = load_edge(row, step, d, width);
  *far = vf_farthest(*far, x);
  return x;
}

/* Row r of Q in f32, turned if the problem has a rope, and 0 up to packed(Dqk). */
static inline void query_row(float *restrict to, const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  const int64_t at = attn_q_at(u, r), whole = p->q.d == 1 ? p->Dqk / VL * VL : 0;
  for (int64_t d = 0; d < whole; d += VL) vf_store(to + d, load_as(p->dtype, u->q, at + d));
  for (int64_t d = whole; d < packed(p->Dqk); d++)
    to[d] = d < p->Dqk ? attn_element_get(p->dtype, u->q, at + d * p->q.d) : 0;
  if (p->rope) attn_rope_turn(p->rope, attn_row_position(u, r), to, 1);
}

/* The row goes through the memory behind the tile, where the next one will be, or what behind_q() asked for. */
static inline bool pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  const int64_t depth = packed(u->problem->Dqk);
  float *const numbers = dst + MR * depth;
  vf far = vf_zero();
  for (int64_t i = 0; i < MR; i++) {
    if (row + i < row_end) query_row(numbers, u, row + i);
    for (int64_t d = 0; d < depth; d += TOGETHER) {
      vf half[2];
      UNROLLED_FOR (x, 2) {
        half[x] = row + i < row_end ? vf_load(numbers + d + x * VL) : vf_zero();
        far = vf_farthest(far, half[x]);
      }
      put_digits(dst + d * MR + i * VL, MR * VL, half[0], half[1]);
    }
  }
  return !vf_any_beyond(far, LARGEST_BF16);
}

static inline bool pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t depth)
{
  vf far = vf_zero();
  for (int64_t j = 0; j < round_up(n, NR); j += TB) {
    float *panel = dst + j / NR * NR * packed(depth) + j % NR;
    for (int64_t d = 0; d < packed(depth); d += TOGETHER) {
      float block[2][TB][TB];
      for (int64_t r = 0; r < TB; r++) {
        const element *row = j + r < n ? src + (j + r) * stride->s : NULL;
        if (j + r + TB < n) __builtin_prefetch(row + TB * stride->s + d * stride->d);
        const vf low = load_beyond(row, stride->d, d, depth, &far);
        put_digits(block[0][r], TB * TB, low, load_beyond(row, stride->d, d + VL, depth, &far));
      }
      UNROLLED_FOR (digit, 2) vf_transpose_block(panel + (d + digit * TB) * NR, NR, block[digit][0], TB);
    }
  }
  return !vf_any_beyond(far, FLT_MAX);
}

static inline vf scaled_score(vf score, float factor) { return vf_mul(score, vf_set(factor)); }

static inline int64_t weights_at(int64_t key) { return key; }
static inline float *packed_row(float *p, int64_t i, int64_t stride) { return p + i * stride; }

/* Packs weights [j, j + 2 VL) of a row that keeps them at `at`. */
static inline vf pack_two_vectors(float *at, int64_t j, vf low, vf high, vf sum)
{
  put_digits(at + j, VL, low, high);
  return sum;
}

static inline vf pack_weights(float *p, int64_t i, int64_t stride, int64_t from, int64_t to)
{
  float *row = p + i * stride;
  for (int64_t j = from; j < to; j += TOGETHER) put_digits(row + j, VL, vf_load(row + j), vf_load(row + j + VL));
  return vf_zero();
}

static inline void scale_weights(float *p, int64_t i, int64_t stride, int64_t n, float factor)
{
  float *row = p + i * stride;
  for (int64_t j = 0; j < n; j += TOGETHER) {
    const vf first = vf_load(row + j), second = vf_load(row + j + VL);
    const vf low = vf_pairs_low(first), high = vf_pairs_high(first);
    put_digits(row + j, VL, vf_rescaled(vf_add(low, vf_pairs_low(second)), low, factor),
               vf_rescaled(vf_add(high, vf_pairs_high(second)), high, factor));
  }
}

/* Values of keys [from, end) of a block, whose rows begin at src, and 0 for [end, to). */
static inline void pack_values(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t from,
                               int64_t end, int64_t to, int64_t keys, int64_t width, vf *far)
{
  for (int64_t j = from; j < to; j += 2)
    for (int64_t d = 0; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      vf value[2];
      UNROLLED_FOR (y, 2)
        value[y] = load_beyond(j + y < end ? src + (j + y - from) * stride->s : NULL, stride->d, d, width, far);
      put_pairs(dst + left * packed(keys) + pair_at(j, padded) + d - left, VL * padded, value);
    }
}

static inline bool pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t keys, int64_t width)
{
  vf far = vf_zero();
  pack_values(dst, src, stride, 0, n, packed(n), keys, width, &far);
  return !vf_any_beyond(far, FLT_MAX);
}

/* Where key j of the unit's K begins, in a cache or a tensor. */
static inline const element *key_at(const struct attn_unit *u, int64_t j)
{
  const struct attn_problem *p = u->problem;
  return (const element *)u->k + attn_k_at(u) + attn_key_page(u, j) * p->k_page + attn_k_element(p, attn_key_at(u, j), 0);
}

/* The same of a cache (pack_cached.h), whose K has an element of 16 keys beside each other. A stretch is whole and can be
 * read beyond the last key. */
static inline bool pack_stored(float *restrict k, float *restrict v, const struct attn_unit *u, int64_t j0, int64_t n,
                               int64_t keys, bool *mends)
{
  const struct attn_problem *p = u->problem;
  const element *values = (const element *)u->v + attn_v_at(u);
  vf far_k = vf_zero(), far_v = vf_zero();
  for (int64_t j = 0; j < round_up(n, NR); j += VL) {
    float *panel = k + j / NR * NR * packed(p->Dqk) + j % NR;
    const element *from = j < n ? key_at(u, j0 + j) : NULL;
    for (int64_t d = 0; d < packed(p->Dqk); d += 2) {
      vf of_keys[2];
      UNROLLED_FOR (y, 2) {
        of_keys[y] = from && d + y < p->Dqk ? el_load(from + (d + y) * p->k.d) : vf_zero();
        if (n - j < VL) of_keys[y] = vf_join(of_keys[y], vf_zero(), n > j ? (int)(n - j) : 0);
        far_k = vf_farthest(far_k, of_keys[y]);
      }
      put_pairs(panel + pair_at(d, NR), VL * NR, of_keys);
    }
  }
  for (int64_t j = 0; j < n; j += VL) {
    const int64_t end = n - j < VL ? n : j + VL;
    const element *rows = values + attn_key_page(u, j0 + j) * p->v_page + attn_v_element(p, attn_key_at(u, j0 + j), 0);
    pack_values(v, rows, &p->v, j, end, end == n ? packed(n) : end, keys, p->Dv, &far_v);
  }
  *mends |= vf_any_beyond(far_k, FLT_MAX);
  return !vf_any_beyond(far_v, FLT_MAX);
}

#endif
