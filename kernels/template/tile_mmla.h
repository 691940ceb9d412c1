/* The two register tiles of attention, for ISAs that multiply 2x4 by 4x2 elements in one instruction (BFMMLA): the same
 * functions as tile_broadcast.h on what pack_pairs.h packs with two pairs together, so that a vector is an operand of two
 * rows (or columns) as it lies.
 *
 * Inside, an accumulator is a block of 2x2 sums; MR/2 x NR/2 of them and the operands of one side fill the registers. */
#ifndef ATTN_TILE_MMLA_H
#define ATTN_TILE_MMLA_H

#include "../kernel.h"
#include "unroll.h"

enum {
  NR = NV * VL,
  HALF_MR = 0 /* there is none */,
  THIRDS_MR = 0 /* nor of these */,
  BLOCK_COLUMNS = VL / 2,
  QUERY_CHUNK = 2,
  QK_DIVIDES = 0,
};
_Static_assert(VL == 4 && MR % 2 == 0, "blocks of 2x2");

/* Blocks [MR/2][nv * BLOCK_COLUMNS] of the sums acc, and back. */
#define BLOCKS_OF_ROWS(block, acc, nv)                                                                                     \
  UNROLLED_FOR (i_, MR / 2)                                                                                                \
    UNROLLED_FOR (n_, nv) {                                                                                                \
      (block)[i_][2 * n_] = vf_upper_row((acc)[2 * i_][n_], (acc)[2 * i_ + 1][n_]);                                        \
      (block)[i_][2 * n_ + 1] = vf_lower_row((acc)[2 * i_][n_], (acc)[2 * i_ + 1][n_]);                                    \
    }
#define ROWS_OF_BLOCKS(acc, block, nv)                                                                                     \
  UNROLLED_FOR (i_, MR / 2)                                                                                                \
    UNROLLED_FOR (n_, nv) {                                                                                                \
      (acc)[2 * i_][n_] = vf_upper_row((block)[i_][2 * n_], (block)[i_][2 * n_ + 1]);                                      \
      (acc)[2 * i_ + 1][n_] = vf_lower_row((block)[i_][2 * n_], (block)[i_][2 * n_ + 1]);                                  \
    }

/* acc += Q K^T over `depth` pairs of the heads; nv vectors of columns of k are used. */
ALWAYS_INLINE void qk_tile(vf acc[MR][NV], const float *restrict q, const float *restrict k, int64_t depth, const int nv)
{
  vf block[MR / 2][NV * BLOCK_COLUMNS];
  BLOCKS_OF_ROWS(block, acc, nv);
  for (int64_t d = 0; d < depth; d += 2) {
    vf right[NV * BLOCK_COLUMNS];
    UNROLLED_FOR (j, nv * BLOCK_COLUMNS) right[j] = vf_load(k + j * VL);
    UNROLLED_FOR (i, MR / 2) {
      const vf left = vf_load(q + i * VL);
      UNROLLED_FOR (j, nv * BLOCK_COLUMNS) block[i][j] = vf_dot_mmla(left, right[j], block[i][j]);
    }
    q += 2 * MR;
    k += 2 * NR;
  }
  ROWS_OF_BLOCKS(acc, block, nv);
}

/* acc += P V over `pairs` pairs of keys. p: rows p_stride apart; nv vectors of columns of v are used. */
ALWAYS_INLINE void pv_tile(vf acc[MR][NV], const float *restrict p, int64_t p_stride, const float *restrict v,
                           int64_t pairs, const int nv)
{
  vf block[MR / 2][NV * BLOCK_COLUMNS];
  BLOCKS_OF_ROWS(block, acc, nv);
  for (int64_t j = 0; j < pairs; j += 2) {
    vf right[NV * BLOCK_COLUMNS];
    UNROLLED_FOR (n, nv * BLOCK_COLUMNS) right[n] = vf_load(v + n * VL);
    UNROLLED_FOR (i, MR / 2) {
      const vf left = vf_load(p + 2 * i * p_stride); /* two rows, side by side: pack_weights() */
      UNROLLED_FOR (n, nv * BLOCK_COLUMNS) block[i][n] = vf_dot_mmla(left, right[n], block[i][n]);
    }
    p += VL;
    v += 2 * nv * VL;
  }
  ROWS_OF_BLOCKS(acc, block, nv);
}

#define qk_all         qk_tile
#define qk_half_all    qk_tile
#define pv_half_tile   pv_tile
#define qk_thirds_all  qk_tile
#define pv_thirds_tile pv_tile

#endif
