/* Packing for tiles that multiply pairs of bf16, of elements that have more bits than these: each number is two digits, the
 * nearest bf16 and the one nearest to what that lacks. The functions of pack.h; a packed float is a pair of digits, and 32
 * numbers are 16 pairs of first digits and then 16 of second ones:
 *
 *   Q  [row tile][packed(Dqk) / 32][2][MR][16]       neighbours of a row; not scaled: f16 has no more than two digits hold
 *   K  [key panel][packed(Dqk) / 32][2][16][NR]      neighbours of a row
 *   V  [value panel][packed(keys) / 32][2][16][NR]   neighbouring keys; the last panel may be narrower
 *   P  [row][packed(keys) / 32][2][16]               as V, in the place of the scores
 *
 * Inf and NaN have NaN for a second digit, so that no product with them passes for a number: mend_scores() does those of Q
 * and K again, value_tile_careful() those of V. */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "edge.h"

#include <float.h>

enum { PACKED = 1, ALL_CAREFUL = 1, TOGETHER = 2 * VL /* numbers */ };
_Static_assert((int)TB == (int)VL && (int)NR == (int)TOGETHER, "neighbouring panels leave no gap");

static inline int64_t packed(int64_t n) { return round_up(n, TOGETHER); }

/* Turned queries would have to be rounded. */
static inline bool digits_support(const struct attn_problem *p) { return !p->rope; }

/* Pairs of the 2 VL numbers low, high: first digits at `at`, second ones `second` floats on. */
static inline void put_digits(float *at, int64_t second, vf low, vf high)
{
  const vf first = vf_pairs_of(low, high);
  vf_store(at, first);
  vf_store(at + second, vf_pairs_of(vf_sub(low, vf_pairs_low(first)), vf_sub(high, vf_pairs_high(first))));
}

/* load_edge() of a row, or of none, that may have ended already; *far follows what is farthest from 0. */
static inline vf load_beyond(const element *row, int64_t step, int64_t d, int64_t width, vf *far)
{
  if (!row || d >= width) return vf_zero();
  const vf x = load_edge(row, step, d, width);
  *far = vf_farthest(*far, x);
  return x;
}

static inline bool pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  const struct attn_problem *p = u->problem;
  vf far = vf_zero();
  for (int64_t i = 0; i < MR; i++) {
    const element *src = row + i < row_end ? (const element *)u->q + attn_q_at(u, row + i) : NULL;
    for (int64_t d = 0; d < packed(p->Dqk); d += TOGETHER) {
      const vf low = load_beyond(src, p->q.d, d, p->Dqk, &far), high = load_beyond(src, p->q.d, d + VL, p->Dqk, &far);
      put_digits(dst + d * MR + i * VL, MR * VL, low, high);
    }
  }
  return !vf_any_beyond(far, FLT_MAX);
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

static inline bool pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t keys, int64_t width)
{
  vf far = vf_zero();
  for (int64_t j = 0; j < packed(n); j += 2)
    for (int64_t d = 0; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      float *at = dst + left * packed(keys) + (j / TOGETHER * TOGETHER + j % TOGETHER / 2) * padded + d - left;
      vf value[2];
      UNROLLED_FOR (y, 2) value[y] = load_beyond(j + y < n ? src + (j + y) * stride->s : NULL, stride->d, d, width, &far);
      const vf first = vf_pair_up(value[0], value[1]);
      vf_store(at, first);
      vf_store(at + VL * padded,
               vf_pair_up(vf_sub(value[0], vf_pair_first(first)), vf_sub(value[1], vf_pair_second(first))));
    }
  return !vf_any_beyond(far, FLT_MAX);
}

#endif
