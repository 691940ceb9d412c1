/* The output while it is being summed up: tile by tile, as the PV tiles read and write it, [row tile][value
 * panel][MR][width]. A value panel is NR wide; the last one as many whole vectors as are left. */
#ifndef ATTN_OUTPUT_H
#define ATTN_OUTPUT_H

#include "edge.h" /* and after pack.h or pack_pairs.h */
#include "unroll.h"

/* Where row i of tile t begins in the panel at value column `left`. values: Dv rounded up to whole vectors. */
static inline int64_t tile_row_at(int64_t t, int64_t i, int64_t left, int64_t values)
{
  const int64_t width = values - left < NR ? values - left : NR;
  return t * MR * values + left * MR + i * width;
}

/* O is of the kernel's type, or over a cache of any. */
static inline bool output_is_own(const struct attn_problem *p) { return !READS_CACHES || p->dtype == ELEMENT_DTYPE; }

/* Elements [at, at + n) of O, n <= VL. */
static inline void store_output(const struct attn_unit *u, int64_t at, int64_t n, int64_t step, vf x)
{
  const attn_dtype dtype = u->problem->dtype;
  const bool own = output_is_own(u->problem);
  if (own && step == 1 && n >= VL) {
    el_store((element *)u->o + at, x);
  } else if (own && step == 1) {
    el_store_n((element *)u->o + at, (int)n, x);
  } else if (step == 1 && n >= VL && dtype == ATTN_F32) {
    vf_store((float *)u->o + at, x);
  } else if (step == 1 && n >= VL) {
    (dtype == ATTN_F16 ? vf_store_f16 : vf_store_bf16)((uint16_t *)u->o + at, x);
  } else {
    float lanes[VL];
    vf_store(lanes, x);
    for (int64_t l = 0; l < VL && l < n; l++) attn_element_put(dtype, u->o, at + l * step, lanes[l]);
  }
}

/* Whether rows of O are what el_store() writes. */
static inline bool output_is_plain(const struct attn_problem *p) { return p->o.d == 1 && output_is_own(p); }

/* Row r of the unit: O = factor * o. */
static inline void write_row(const struct attn_unit *u, int64_t r, const float *o, int64_t values, float factor)
{
  const struct attn_problem *p = u->problem;
  const int64_t out = attn_o_at(u, u->row0 + r), whole = output_is_plain(p) ? p->Dv / NR * NR : 0;
  const vf norm = vf_set(factor);
  const float *panel = o + tile_row_at(r / MR, r % MR, 0, values);
  for (int64_t left = 0; left < whole; left += NR, panel += MR * NR)
    UNROLLED_FOR (l, NV) el_store((element *)u->o + out + left + l * VL, vf_mul(vf_load(panel + l * VL), norm));
  for (int64_t left = whole; left < p->Dv; left += NR) {
    const float *row = o + tile_row_at(r / MR, r % MR, left, values);
    for (int64_t d = 0; d < NR && left + d < p->Dv; d += VL)
      store_output(u, out + (left + d) * p->o.d, p->Dv - left - d, p->o.d, vf_mul(vf_load(row + d), norm));
  }
}

#endif
