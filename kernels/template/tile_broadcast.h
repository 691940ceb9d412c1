/* The two register tiles of attention, for ISAs that broadcast one element to all lanes (AVX2, AVX-512).
 *
 * Both are rank-1 updates of MR x NV accumulators: MR broadcasts of the left operand times NV loads of the right one.
 * The ISA file defines MR and NV so that MR*NV accumulators cover the FMA latency and everything fits the
 * registers. A packed float is one element, or a pair of 16-bit ones where the packing says so (pack_pairs.h); then the
 * depth and the keys count pairs, and vf_step() is a dot product of pairs. */
#ifndef ATTN_TILE_BROADCAST_H
#define ATTN_TILE_BROADCAST_H

#include "../kernel.h"
#include "unroll.h"

enum {
  NR = NV * VL,
  SHORT_MR = MR / 2,
  QK_DIVIDES = 1 /* sums stay where they are: qk_tile() may be called for parts of the depth */,
};
#ifndef ATTN_PAIRS
#define vf_step vf_fma
#endif

/* Functions of `rows` rows: MR, or SHORT_MR for the few that the last tile of a unit may have. Made by a macro, for clang
 * keeps sums in registers only if the bounds of its loops are constants from the start.
 *
 * qk: acc += Q K^T over `depth` elements of the heads. q: packed [depth][MR], k: packed [depth][NR], of which nv vectors
 * are used. pv: acc += P V over keys [0, keys). p: rows p_stride apart; v: packed [keys][NR], of which nv vectors are used.
 */
#define DEFINE_TILES(qk, pv, rows)                                                                                         \
  ALWAYS_INLINE void qk(vf acc[MR][NV], const float *restrict q, const float *restrict k, int64_t depth, const int nv)     \
  {                                                                                                                        \
    for (int64_t d = 0; d < depth; d++) {                                                                                  \
      vf right[NV];                                                                                                        \
      UNROLLED_FOR (j, NV) right[j] = j < nv ? vf_load(k + j * VL) : vf_zero();                                            \
      UNROLLED_FOR (i, rows) {                                                                                             \
        const vf left = vf_set(q[i]);                                                                                      \
        UNROLLED_FOR (j, NV) acc[i][j] = j < nv ? vf_step(left, right[j], acc[i][j]) : acc[i][j];                          \
      }                                                                                                                    \
      q += MR;                                                                                                             \
      k += NR;                                                                                                             \
    }                                                                                                                      \
  }                                                                                                                        \
  ALWAYS_INLINE void pv(vf acc[MR][NV], const float *restrict p, int64_t p_stride, const float *restrict v, int64_t keys,  \
                        const int nv)                                                                                      \
  {                                                                                                                        \
    for (int64_t j = 0; j < keys; j++) {                                                                                   \
      vf right[NV];                                                                                                        \
      UNROLLED_FOR (n, NV) right[n] = n < nv ? vf_load(v + n * VL) : vf_zero();                                            \
      UNROLLED_FOR (i, rows) {                                                                                             \
        const vf left = vf_set(p[i * p_stride]);                                                                           \
        UNROLLED_FOR (n, NV) acc[i][n] = n < nv ? vf_step(left, right[n], acc[i][n]) : acc[i][n];                          \
      }                                                                                                                    \
      p++;                                                                                                                 \
      v += nv * VL;                                                                                                        \
    }                                                                                                                      \
  }
DEFINE_TILES(qk_tile, pv_tile, MR)
DEFINE_TILES(qk_short_tile, pv_short_tile, SHORT_MR)

#endif
