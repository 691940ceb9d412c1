/* O += P V by the register tiles (tile_*.h), for the loops around them. */
#ifndef ATTN_VALUE_TILE_H
#define ATTN_VALUE_TILE_H

#include "edge.h"
#include "unroll.h"

/* Whether all panels of keys [0, keys) are live. */
static inline bool all_live(uint32_t live, int64_t keys)
{
  return !(~live & (uint32_t)(((uint64_t)1 << (keys + NR - 1) / NR) - 1));
}

/* O += P V over the live panels (bit j / NR: that of key j) of keys [0, keys), `rows` rows and one value panel of nv
 * vectors. The sum of the block starts at zero and stays in registers from one run of live panels to the next. Nearly
 * always all are live; then the first loads need not wait until a run is found (1.5 % of a tile of 256 keys). */
#define DEFINE_ADD_VALUES(name, pv, rows)                                                                                  \
  ALWAYS_INLINE void name(float *restrict o, const float *restrict p, int64_t p_stride, const float *restrict v,           \
                          uint32_t live, int64_t keys, const int nv)                                                       \
  {                                                                                                                        \
    vf acc[MR][NV];                                                                                                        \
    ZERO_TILE(acc, rows, NV);                                                                                              \
    if (all_live(live, keys)) {                                                                                            \
      pv(acc, p + weights_at(0), p_stride, v, packed(keys), nv);                                                           \
      live = 0;                                                                                                            \
    }                                                                                                                      \
    while (live) {                                                                                                         \
      int64_t from, to;                                                                                                    \
      live = next_run(live, keys, &from, &to);                                                                             \
      pv(acc, p + weights_at(from), p_stride, v + packed(from) * nv * VL, packed(to - from), nv);                          \
    }                                                                                                                      \
    UNROLLED_FOR (i, rows)                                                                                                 \
      UNROLLED_FOR (j, nv) {                                                                                               \
        float *at = o + (i * nv + j) * VL;                                                                                 \
        vf_store(at, vf_add(vf_load(at), acc[i][j]));                                                                      \
      }                                                                                                                    \
  }
DEFINE_ADD_VALUES(add_value_tile, pv_tile, MR)
DEFINE_ADD_VALUES(add_half_value_tile, pv_half_tile, HALF_MR)
DEFINE_ADD_VALUES(add_thirds_value_tile, pv_thirds_tile, THIRDS_MR)

#endif
