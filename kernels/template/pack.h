/* Packing: whatever the caller's strides, the tiles read contiguous, zero-padded panels.
 *
 *   Q  [row tile][Dqk][MR]        scaled, so that scores come out in log2 units
 *   K  [key panel][Dqk][NR]       transposed
 *   V  [value panel][keys][NR]    the last panel may be narrower: whole vectors only */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "../kernel.h"

#include <float.h>

static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Rows [row, row + MR) of the unit's head; those at or beyond row_end become 0. */
static inline void pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  const struct attn_problem *p = u->problem;
  for (int64_t i = 0; i < MR; i++) {
    if (row + i < row_end) {
      const element *src = (const element *)u->q + attn_q_at(u, row + i);
      for (int64_t d = 0; d < p->Dqk; d++) dst[d * MR + i] = el_get(src[d * p->q.d]) * p->q_factor;
    } else {
      for (int64_t d = 0; d < p->Dqk; d++) dst[d * MR + i] = 0;
    }
  }
}

/* Keys [0, n) of a block; the last panel is filled up with 0. TB rows at a time, which are read from end to end, while the
 * next TB are asked for: too many short streams for the hardware's prefetcher. */
static inline void pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t depth)
{
  enum { LINE = 64 / sizeof(element) };
  const int64_t whole_rows = stride->d == 1 ? n / TB * TB : 0, whole_depth = depth / TB * TB;
  for (int64_t j = 0; j < whole_rows; j += TB) {
    const element *rows = src + j * stride->s;
    float *panel = dst + j / NR * NR * depth + j % NR;
    for (int64_t d = 0; d < whole_depth; d += TB) {
      if (d % LINE == 0 && j + 2 * TB <= n)
        for (int64_t r = TB; r < 2 * TB; r++) __builtin_prefetch(rows + r * stride->s + d);
      el_transpose_block(panel + d * NR, NR, rows + d, stride->s);
    }
  }
  for (int64_t j = 0; j < n; j++) {
    float *column = dst + j / NR * NR * depth + j % NR;
    for (int64_t d = j < whole_rows ? whole_depth : 0; d < depth; d++)
      column[d * NR] = el_get(src[j * stride->s + d * stride->d]);
  }
  for (int64_t j = n; j % NR; j++)
    for (int64_t d = 0; d < depth; d++) dst[j / NR * NR * depth + d * NR + j % NR] = 0;
}

/* Up to VL values of a row from element d on, whatever their stride. */
static inline vf load_edge(const element *row, int64_t step, int64_t d, int64_t width)
{
  const int64_t have = width - d < VL ? width - d : VL;
  if (step == 1) return el_load_n(row + d, (int)have);
  float gathered[VL] = {0};
  for (int64_t l = 0; l < have; l++) gathered[l] = el_get(row[(d + l) * step]);
  return vf_load(gathered);
}

/* Values of keys [0, n), written for a block of `keys`. Returns whether all of them are finite. */
static inline bool pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t keys, int64_t width)
{
  const int64_t whole = stride->d == 1 ? width / NR * NR : 0; /* columns that need no care */
  vf far = vf_zero();
  for (int64_t j = 0; j < n; j++) {
    const element *row = src + j * stride->s;
    for (int64_t left = 0; left < whole; left += NR)
      UNROLLED_FOR (l, NV) {
        const vf x = el_load(row + left + l * VL);
        far = vf_farthest(far, x);
        vf_store(dst + left * keys + j * NR + l * VL, x);
      }
    for (int64_t d = whole; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      const vf x = load_edge(row, stride->d, d, width);
      far = vf_farthest(far, x);
      vf_store(dst + left * keys + j * padded + d - left, x);
    }
  }
  return !vf_any_beyond(far, FLT_MAX);
}

#endif
