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

/* Rows of queries need not be transposed: broadcasts read them as well far apart, as they do P, where the tile stays in L1.
 * Rows of projections do not stay there. */
#ifndef ATTN_QUERY_CHUNK
#define ATTN_QUERY_CHUNK 64
#endif

enum {
  NR = NV * VL,
  HALF_MR = MR / 2,
  THIRDS_MR = MR * 2 / 3,                /* two of them */
  QUERY_CHUNK = ATTN_QUERY_CHUNK,        /* query.h */
  DEPTH_STEP = QUERY_CHUNK > 1 ? 1 : MR, /* from an element of a row to the next */
  QK_DIVIDES = 1                         /* sums stay where they are: qk_tile() may be called for parts of a chunk */
};
#ifndef ATTN_PAIRS
#define vf_step vf_fma
#endif

/* Steps of a tile at a time: where vectors and counters share ports, as on Intel, fewer counters leave more to the FMAs.
 * Two steps of 24 FMAs brought AVX-512 nothing with long sequences, and are slower by LLVM's model of Skylake. */
enum { TURN = MR * NV < 24 ? 2 : 1 };

/* Functions of `rows` rows: MR, or HALF_MR or THIRDS_MR for the few that the last tile of a unit may have. Made by a macro,
 * for clang keeps sums in registers only if the bounds of its loops are constants from the start.
 *
 * step: acc += left x right, `rows` numbers `stride` apart times nv vectors. qk_all: acc += Q K^T over `depth` elements of
 * the heads; qk: of one chunk of them or less. q: packed (query.h), k: packed [depth][NR], of which nv vectors are used.
 * pv: acc += P V over keys [0, keys). p: rows p_stride apart; v: packed [keys][NR], of which nv vectors are used. */
#define DEFINE_TILES(step, qk, qk_all, pv, rows)                                                                           \
  ALWAYS_INLINE void step(vf acc[MR][NV], const float *restrict left, int64_t stride, const float *restrict right,         \
                          const int nv)                                                                                    \
  {                                                                                                                        \
    vf vector[NV];                                                                                                         \
    UNROLLED_FOR (j, NV) vector[j] = j < nv ? vf_load(right + j * VL) : vf_zero();                                         \
    UNROLLED_FOR (i, rows) {                                                                                               \
      const vf number = vf_set(left[i * stride]);                                                                          \
      UNROLLED_FOR (j, NV) acc[i][j] = j < nv ? vf_step(number, vector[j], acc[i][j]) : acc[i][j];                         \
    }                                                                                                                      \
  }                                                                                                                        \
  ALWAYS_INLINE void qk(vf acc[MR][NV], const float *restrict q, const float *restrict k, int64_t depth, const int nv)     \
  {                                                                                                                        \
    for (; depth >= TURN; depth -= TURN, q += TURN * DEPTH_STEP, k += TURN * NR)                                           \
      UNROLLED_FOR (d, TURN) step(acc, q + d * DEPTH_STEP, QUERY_CHUNK, k + d * NR, nv);                                   \
    for (; depth > 0; depth--, q += DEPTH_STEP, k += NR) step(acc, q, QUERY_CHUNK, k, nv);                                 \
  }                                                                                                                        \
  ALWAYS_INLINE void qk_all(vf acc[MR][NV], const float *restrict q, const float *restrict k, int64_t depth, const int nv) \
  {                                                                                                                        \
    for (; QUERY_CHUNK > 1 && depth > QUERY_CHUNK; depth -= QUERY_CHUNK, q += MR * QUERY_CHUNK, k += QUERY_CHUNK * NR)     \
      qk(acc, q, k, QUERY_CHUNK, nv);                                                                                      \
    qk(acc, q, k, depth, nv);                                                                                              \
  }                                                                                                                        \
  ALWAYS_INLINE void pv(vf acc[MR][NV], const float *restrict p, int64_t p_stride, const float *restrict v, int64_t keys,  \
                        const int nv)                                                                                      \
  {                                                                                                                        \
    for (; keys >= TURN; keys -= TURN, p += TURN, v += TURN * nv * VL)                                                     \
      UNROLLED_FOR (j, TURN) step(acc, p + j, p_stride, v + j * nv * VL, nv);                                              \
    for (; keys > 0; keys--, p++, v += nv * VL) step(acc, p, p_stride, v, nv);                                             \
  }
DEFINE_TILES(tile_step, qk_tile, qk_all, pv_tile, MR)
DEFINE_TILES(half_step, qk_half_tile, qk_half_all, pv_half_tile, HALF_MR)
DEFINE_TILES(thirds_step, qk_thirds_tile, qk_thirds_all, pv_thirds_tile, THIRDS_MR)

#endif
