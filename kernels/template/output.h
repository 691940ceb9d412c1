/* The output while it is being summed up: tile by tile, as the PV tiles read and write it, [row tile][value
 * panel][MR][width]. A value panel is NR wide; the last one as many whole vectors as are left. */
#ifndef ATTN_OUTPUT_H
#define ATTN_OUTPUT_H

#include "edge.h" /* and after pack.h or pack_pairs.h */

/* Where row i of tile t begins in the panel at value column `left`. values: Dv rounded up to whole vectors. */
static inline int64_t tile_row_at(int64_t t, int64_t i, int64_t left, int64_t values)
{
  const int64_t width = values - left < NR ? values - left : NR;
  return t * MR * values + left * MR + i * width;
}

/* O += P V over the live panels (bit j / NR: that of key j) of keys [0, keys), `rows` rows and one value panel of nv
 * vectors. The sum of the block starts at zero and stays in registers from one run of live panels to the next. */
#define DEFINE_ADD_VALUES(name, pv, rows)                                                                                  \
  ALWAYS_INLINE void name(float *restrict o, const float *restrict p, int64_t p_stride, const float *restrict v,           \
                          uint32_t live, int64_t keys, const int nv)                                                       \
  {                                                                                                                        \
    vf acc[MR][NV];                                                                                                        \
    ZERO_TILE(acc, rows, NV);                                                                                              \
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
DEFINE_ADD_VALUES(add_short_value_tile, pv_short_tile, SHORT_MR)

/* Row r of the unit: O = factor * o. */
static inline void write_row(const struct attn_unit *u, int64_t r, const float *o, int64_t values, float factor)
{
  const struct attn_problem *p = u->problem;
  const vf norm = vf_set(factor);
  element *out = (element *)u->o + attn_o_at(u, u->row0 + r);
  for (int64_t left = 0; left < p->Dv; left += NR) {
    const float *row = o + tile_row_at(r / MR, r % MR, left, values);
    for (int64_t d = 0; d < NR && left + d < p->Dv; d += VL) {
      const vf x = vf_mul(vf_load(row + d), norm);
      const int64_t have = p->Dv - left - d;
      if (p->o.d == 1 && have >= VL) {
        el_store(out + left + d, x);
      } else if (p->o.d == 1) {
        el_store_n(out + left + d, (int)have, x);
      } else {
        float lanes[VL];
        vf_store(lanes, x);
        for (int64_t l = 0; l < VL && l < have; l++) out[(left + d + l) * p->o.d] = el_put(lanes[l]);
      }
    }
  }
}

#endif
