/* y = x W^T + bias with the register tile of Q K^T (tile_*.h), which is just that product. The rows of a unit are packed
 * once and stay in L2 while the panels of weights pass over them. */
#ifndef ATTN_LINEAR_TEMPLATE_H
#define ATTN_LINEAR_TEMPLATE_H

#include "../linear.h"

#include <string.h>

_Static_assert(QUERY_CHUNK == 1, "pack_rows() packs columns");

/* [tile][depth][MR]; rows beyond the last become 0. */
static inline void pack_rows(float *restrict dst, const struct attn_linear_unit *u)
{
  for (int64_t r = 0; r < u->rows; r += MR, dst += MR * u->depth)
    for (int64_t i = 0; i < MR; i++) {
      const float *row = u->x + (r + i) * u->x_stride;
      const bool there = r + i < u->rows;
      for (int64_t d = 0; d < u->depth; d++) dst[d * MR + i] = there ? row[d] : 0;
    }
}

/* A function of its own, so that its loop has all registers for itself. to: [MR][NR]. */
__attribute__((noinline)) static void multiply_tile(float *restrict to, const float *restrict x, const float *restrict w,
                                                    const float *restrict bias, int64_t depth)
{
  vf acc[MR][NV];
  ZERO_TILE(acc, MR, NV);
  qk_all(acc, x, w, depth, NV);
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (l, NV) vf_store(to + i * NR + l * VL, vf_add(acc[i][l], vf_load(bias + l * VL)));
}

static inline void linear_run(const struct attn_linear_unit *u)
{
  float tile[MR * NR];
  pack_rows(u->scratch, u);
  for (int64_t panel = u->panel0; panel < u->panel1; panel++) {
    const int64_t left = u->outputs - panel * NR, width = left < NR ? left : NR;
    for (int64_t r = 0; r < u->rows; r += MR) {
      multiply_tile(tile, u->scratch + r * u->depth, u->weights + panel * NR * u->depth, u->bias + panel * NR, u->depth);
      for (int64_t i = 0; i < MR && r + i < u->rows; i++)
        memcpy(u->y + (r + i) * u->y_stride + panel * NR, tile + i * NR, (size_t)width * sizeof *tile);
    }
  }
}

#endif
