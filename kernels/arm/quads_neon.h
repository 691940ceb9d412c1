/* NEON verbs of kernels/template/decode_quads.h. Without instructions for dot products integers are no faster than floats:
 * quads are parted as they are loaded, and sums of rounded rows and weights are f32. */
#ifndef ATTN_QUADS_NEON_H
#define ATTN_QUADS_NEON_H

#include "vec_neon.h"

#include <stdint.h>

typedef struct {
  vf low, high;
} vi;
typedef struct {
  vi of[4]; /* elements 0 to 3 of 8 quads */
} vq;
typedef vf vb;
enum {
  MOST_ROWS = 4,
  IL = 8,
  KEY_VI = 2, /* of a tile: 16 sums of 4 rows, 4 registers of rows, 8 of quads */
  VALUE_VI = 2,
  VQ_REGISTERS = 8,
  VB_REGISTERS = 1,
};

static inline vi vi_zero(void) { return (vi){vf_zero(), vf_zero()}; }

static inline vq vq_load(const int8_t *p)
{
  const int8x8x4_t x = vld4_s8(p);
  vq quads;
  for (int i = 0; i < 4; i++) {
    const int16x8_t wide = vmovl_s8(x.val[i]);
    quads.of[i].low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
    quads.of[i].high = vcvtq_f32_s32(vmovl_high_s16(wide));
  }
  return quads;
}

static inline vb vb_load(const int16_t *p) { return vcvtq_f32_s32(vmovl_s16(vld1_s16(p))); }

static inline __attribute__((always_inline)) vi vi_dot(vi sum, vb a, vq b)
{
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    sum.low = vf_fma_lane(b.of[i].low, a, i, sum.low);
    sum.high = vf_fma_lane(b.of[i].high, a, i, sum.high);
  }
  return sum;
}

static inline void vq_round(int16_t *to, vf x) { vst1_s16(to, vqmovn_s32(vcvtnq_s32_f32(x))); }

static inline void vi_scaled(float *to, vi x, float step, const float *scale)
{
  vf_store(to, vf_mul(x.low, vf_mul(vf_set(step), vf_load(scale))));
  vf_store(to + 4, vf_mul(x.high, vf_mul(vf_set(step), vf_load(scale + 4))));
}
static inline void vi_add_scaled(float *o, vi x, float step)
{
  vf_store(o, vf_fma(x.low, vf_set(step), vf_load(o)));
  vf_store(o + 4, vf_fma(x.high, vf_set(step), vf_load(o + 4)));
}

#endif
