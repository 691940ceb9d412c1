/* Verbs of kernels/template/decode_quads.h for Arm's dot products: `sdot` adds four products of 8 bits to each of four
 * sums. A number of a row has 16 bits, two signed digits of 8: x = 256 * high + low. A quad of a row is stored as its four
 * high digits and then its four low ones, each of which has sums of its own. */
#ifndef ATTN_QUADS_DOTPROD_H
#define ATTN_QUADS_DOTPROD_H

#include "vec_neon.h"

#include <stdint.h>

typedef struct {
  int32x4_t high[2], low[2];
} vi;
typedef struct {
  int8x16_t of[2];
} vq;
typedef int8x8_t vb;
enum {
  MOST_ROWS = 2,
  IL = 8,
  KEY_VI = 2, /* of a tile: 16 registers of sums, 2 of rows, 4 of quads; of 4 rows 32 of sums */
  VALUE_VI = 2,
  VQ_REGISTERS = 2,
  VB_REGISTERS = 1,
};

static inline vi vi_zero(void)
{
  const int32x4_t zero = vdupq_n_s32(0);
  return (vi){{zero, zero}, {zero, zero}};
}

static inline vq vq_load(const int8_t *p) { return (vq){{vld1q_s8(p), vld1q_s8(p + 16)}}; }
static inline vb vb_load(const int16_t *p) { return vld1_s8((const int8_t *)p); }

static inline __attribute__((always_inline)) vi vi_dot(vi sum, vb a, vq b)
{
#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    sum.high[i] = vdotq_lane_s32(sum.high[i], b.of[i], a, 0);
    sum.low[i] = vdotq_lane_s32(sum.low[i], b.of[i], a, 1);
  }
  return sum;
}

/* VL numbers of at most LEVELS, rounded to nearest. */
static inline void vq_round(int16_t *to, vf x)
{
  const int16x4_t n = vqmovn_s32(vcvtnq_s32_f32(x));
  const int16x4_t high = vshr_n_s16(vadd_s16(n, vdup_n_s16(128)), 8); /* to nearest: what is left is signed */
  vst1_s8((int8_t *)to, vmovn_s16(vcombine_s16(high, n)));            /* the low digit: its lower 8 bits */
}

static inline vf vi_get(vi x, int i) { return vcvtq_f32_s32(vaddq_s32(vshlq_n_s32(x.high[i], 8), x.low[i])); }

static inline void vi_scaled(float *to, vi x, float step, const float *scale)
{
  vf_store(to, vf_mul(vi_get(x, 0), vf_mul(vf_set(step), vf_load(scale))));
  vf_store(to + 4, vf_mul(vi_get(x, 1), vf_mul(vf_set(step), vf_load(scale + 4))));
}
static inline void vi_add_scaled(float *o, vi x, float step)
{
  vf_store(o, vf_fma(vi_get(x, 0), vf_set(step), vf_load(o)));
  vf_store(o + 4, vf_fma(vi_get(x, 1), vf_set(step), vf_load(o + 4)));
}

#endif
