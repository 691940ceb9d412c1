/* Packing for tiles whose step is a dot product of pairs (vf_step: c + a0 b0 + a1 b1 of 16-bit elements, summed in f32):
 * the functions of pack.h, where a packed float is the bits of two elements, the first in the lower half.
 *
 *   Q  [row tile][packed(Dqk)][MR]      neighbours of a row; not scaled, for that would round it: the scores are
 *   K  [key panel][packed(Dqk)][NR]     neighbours of a row
 *   V  [value panel][packed(keys)][NR]  neighbouring keys
 *   P  as V: weights rounded to the 16-bit type, to nearest even
 *
 * An odd one out is paired with 0. */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "edge.h"

#include <float.h>
#include <string.h>

enum { PACKED = 2 };
static inline int64_t packed(int64_t n) { return (n + 1) / 2; }
_Static_assert(NR % (2 * VL) == 0, "a panel's weights are packed two vectors at a time");

static inline float pair_of(element first, element second)
{
  const element both[2] = {first, second};
  float bits;
  memcpy(&bits, both, sizeof bits);
  return bits;
}

/* Elements 2 d and 2 d + 1 of a row of `depth`. */
static inline float pair_at(const element *row, int64_t step, int64_t d, int64_t depth)
{
  return pair_of(row[2 * d * step], 2 * d + 1 < depth ? row[(2 * d + 1) * step] : 0);
}

static inline void pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  const struct attn_problem *p = u->problem;
  for (int64_t i = 0; i < MR; i++) {
    const element *src = row + i < row_end ? (const element *)u->q + attn_q_at(u, row + i) : NULL;
    for (int64_t d = 0; d < packed(p->Dqk); d++) dst[d * MR + i] = src ? pair_at(src, p->q.d, d, p->Dqk) : 0;
  }
}

static inline void pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t depth)
{
  const int64_t whole_rows = stride->d == 1 ? n / TB * TB : 0, whole = depth / 2 / TB * TB, pairs = packed(depth);
  for (int64_t j = 0; j < whole_rows; j += TB) {
    const element *rows = src + j * stride->s;
    float *panel = dst + j / NR * NR * pairs + j % NR;
    for (int64_t d = 0; d < whole; d += TB) {
      float block[TB][TB];
      for (int64_t r = 0; r < TB; r++) {
        if (j + 2 * TB <= n) __builtin_prefetch(rows + (r + TB) * stride->s + 2 * d);
        memcpy(block[r], rows + r * stride->s + 2 * d, sizeof block[r]);
      }
      vf_transpose_block(panel + d * NR, NR, block[0], TB);
    }
  }
  for (int64_t j = 0; j < n; j++) {
    float *column = dst + j / NR * NR * pairs + j % NR;
    for (int64_t d = j < whole_rows ? whole : 0; d < pairs; d++)
      column[d * NR] = pair_at(src + j * stride->s, stride->d, d, depth);
  }
  for (int64_t j = n; j % NR; j++)
    for (int64_t d = 0; d < pairs; d++) dst[j / NR * NR * pairs + d * NR + j % NR] = 0;
}

static inline vf scaled_score(vf score, float factor) { return vf_mul(score, vf_set(factor)); }

static inline vf pack_weights(float *p, int64_t from, int64_t to)
{
  const vf ones = vf_set(pair_of(el_put(1.0f), el_put(1.0f)));
  vf sum = vf_zero();
  for (int64_t j = from; j < to; j += 2 * VL) {
    const vf pairs = vf_pairs_of(vf_load(p + j), vf_load(p + j + VL));
    vf_store(p + j / 2, pairs);
    sum = vf_step(pairs, ones, sum);
  }
  return sum;
}

static inline void scale_weights(float *p, int64_t n, float factor)
{
  for (int64_t j = 0; j < n / 2; j += VL) {
    const vf pairs = vf_load(p + j), by = vf_set(factor);
    vf_store(p + j, vf_pair_up(vf_mul(vf_pair_first(pairs), by), vf_mul(vf_pair_second(pairs), by)));
  }
}

static inline bool pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t keys, int64_t width)
{
  vf far = vf_zero();
  for (int64_t j = 0; j < n; j += 2) {
    const element *row = src + j * stride->s;
    for (int64_t d = 0; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      const vf first = load_edge(row, stride->d, d, width);
      const vf second = j + 1 < n ? load_edge(row + stride->s, stride->d, d, width) : vf_zero();
      far = vf_farthest(vf_farthest(far, first), second);
      vf_store(dst + left * packed(keys) + j / 2 * padded + d - left, vf_pair_up(first, second));
    }
  }
  return !vf_any_beyond(far, FLT_MAX);
}

/* See pack.h. The value of a hidden key (weight -0) is taken for 0, which changes no bit of finite ones. */
__attribute__((noinline, cold)) static void value_tile_careful(float *o, const float *p, int64_t p_stride, const float *v,
                                                               uint32_t live, int64_t keys, int64_t width)
{
  for (int64_t i = 0; i < MR; i++)
    for (int64_t d = 0; d < width; d += VL) {
      float *at = o + i * width + d;
      vf acc = vf_zero();
      for (uint32_t rest = live; rest;) {
        int64_t from, to;
        rest = next_run(rest, keys, &from, &to);
        for (int64_t j = from / 2; j < packed(to); j++) {
          const vf weights = vf_set(p[i * p_stride + j]);
          acc = vf_step(weights, vf_hide_pairs(vf_load(v + j * width + d), weights), acc);
        }
      }
      vf_store(at, vf_add(vf_load(at), acc));
    }
}

#endif
