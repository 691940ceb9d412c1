/* Packing: whatever the caller's strides, the tiles read contiguous, zero-padded panels.
 *
 *   Q  [row tile][Dqk][MR]        scaled, so that scores come out in log2 units
 *   K  [key panel][Dqk][NR]       transposed
 *   V  [value panel][keys][NR]    the last panel may be narrower: whole vectors only */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "../kernel.h"

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

/* Keys [0, n) of a block, n <= keys of the block; the last panel is filled up with 0. */
static inline void pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t depth)
{
  for (int64_t panel = 0; panel < n; panel += NR, dst += depth * NR) {
    const element *rows = src + panel * stride->s;
    const int64_t have = n - panel < NR ? n - panel : NR;
    const int64_t whole_rows = stride->d == 1 ? have / TB * TB : 0, whole_depth = depth / TB * TB;
    for (int64_t d = 0; d < whole_depth; d += TB)
      for (int64_t j = 0; j < whole_rows; j += TB)
        el_transpose_block(dst + d * NR + j, NR, rows + j * stride->s + d, stride->s);
    for (int64_t j = 0; j < have; j++)
      for (int64_t d = j < whole_rows ? whole_depth : 0; d < depth; d++)

        dst[d * NR + j] = el_get(rows[j * stride->s + d * stride->d]);
    for (int64_t d = 0; d < depth && have < NR; d++)
      for (int64_t j = have; j < NR; j++) dst[d * NR + j] = 0;
  }
}

/* Values of keys [0, n), written for a block of `keys`. Returns whether all of them are finite. */
static inline bool pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                          int64_t keys, int64_t width)
{
  vf poison = vf_zero(); /* 0 * x summed: NaN as soon as one x is not finite */
  for (int64_t left = 0; left < width; left += NR) {
    const int64_t have = width - left < NR ? width - left : NR, padded = round_up(have, VL);
    float *panel = dst + left * keys;
    for (int64_t j = 0; j < n; j++) {
      const element *row = src + j * stride->s + left * stride->d;
      for (int64_t d = 0; d < have; d += VL) {
        vf x;
        if (stride->d != 1) {
          float gathered[VL] = {0};
          for (int64_t l = 0; l < VL && d + l < have; l++) gathered[l] = el_get(row[(d + l) * stride->d]);
          x = vf_load(gathered);
        } else {
          x = have - d >= VL ? el_load(row + d) : el_load_n(row + d, (int)(have - d));
        }
        poison = vf_fma(x, vf_zero(), poison);
        vf_store(panel + j * padded + d, x);
      }
    }
  }
  return vf_hsum(poison) == 0;
}

#endif
