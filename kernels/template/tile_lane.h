/* The two register tiles of attention, for ISAs whose FMA multiplies by one lane of a register (NEON): the same functions
 * and packed layouts as tile_broadcast.h, but the left operand is loaded as whole vectors and never broadcast.
 *
 * QK^T: one step of depth is MR/VL + NV loads for MR*NV FMAs. PV: P lies in rows, so that a row's vector holds weights of
 * neighbouring keys. Two keys at a time: four would need 4*NV registers of V beside the accumulators. */
#ifndef ATTN_TILE_LANE_H
#define ATTN_TILE_LANE_H

#include "../kernel.h"
#include "unroll.h"

enum {
  NR = NV * VL,
  HALF_MR = 0 /* there is none */,
  THIRDS_MR = 0 /* nor of these */,
  QUERY_CHUNK = 1,
  QK_DIVIDES = 0,
};
_Static_assert(MR % VL == 0, "a column of Q is whole vectors");

/* acc += Q K^T over `depth` elements of the heads. q: packed [depth][MR], k: packed [depth][NR], of which nv vectors are
 * used. */
ALWAYS_INLINE void qk_tile(vf acc[MR][NV], const float *restrict q, const float *restrict k, int64_t depth, const int nv)
{
#pragma GCC unroll 4
  for (int64_t d = 0; d < depth; d++) {
    vf left[MR / VL], right[NV];
    UNROLLED_FOR (j, nv) right[j] = vf_load(k + j * VL);
    UNROLLED_FOR (i, MR / VL) left[i] = vf_load(q + i * VL);
    UNROLLED_FOR (i, MR)
      UNROLLED_FOR (j, nv) acc[i][j] = vf_fma_lane(right[j], left[i / VL], i % VL, acc[i][j]);
    q += MR;
    k += NR;
  }
}

/* acc += P V over keys [0, keys). p: rows p_stride apart; v: packed [keys][NR], of which nv vectors are used. */
ALWAYS_INLINE void pv_tile(vf acc[MR][NV], const float *restrict p, int64_t p_stride, const float *restrict v, int64_t keys,
                           const int nv)
{
  int64_t j = 0;
  for (; j + 2 <= keys; j += 2) {
    vf even[NV], odd[NV];
    UNROLLED_FOR (n, nv) even[n] = vf_load(v + n * VL);
    UNROLLED_FOR (n, nv) odd[n] = vf_load(v + (nv + n) * VL);
    UNROLLED_FOR (i, MR) {
      const vf_pair left = vf_load_pair(p + i * p_stride);
      UNROLLED_FOR (n, nv) acc[i][n] = vf_fma_pair(even[n], left, 0, acc[i][n]);
      UNROLLED_FOR (n, nv) acc[i][n] = vf_fma_pair(odd[n], left, 1, acc[i][n]);
    }
    p += 2;
    v += 2 * nv * VL;
  }
  if (j < keys) {
    UNROLLED_FOR (i, MR)
      UNROLLED_FOR (n, nv) acc[i][n] = vf_fma(vf_set(p[i * p_stride]), vf_load(v + n * VL), acc[i][n]);
  }
}

#define qk_all         qk_tile
#define qk_half_all    qk_tile
#define pv_half_tile   pv_tile
#define qk_thirds_all  qk_tile
#define pv_thirds_tile pv_tile

#endif
