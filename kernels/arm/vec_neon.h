/* NEON (AArch64 Advanced SIMD, in every 64-bit Arm core) verbs: a vf is 4 floats. The same verbs as vec_avx2.h, which
 * explains them, and the FMA by lane that tile_lane.h is made of. */
#ifndef ATTN_VEC_NEON_H
#define ATTN_VEC_NEON_H
#define ATTN_VEC

#include "../reference/exp2.h"

#include <arm_neon.h>
#include <math.h>
#include <stdbool.h>

typedef float32x4_t vf;
enum { VL = 4 };

static inline vf vf_zero(void) { return vdupq_n_f32(0); }
static inline vf vf_set(float x) { return vdupq_n_f32(x); }
static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf x) { vst1q_f32(p, x); }
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf vf_max(vf a, vf b) { return vmaxnmq_f32(a, b); }        /* the other one if one is NaN */
static inline vf vf_at_least(vf low, vf x) { return vmaxq_f32(low, x); } /* NaN stays one */

/* x, in a register from here on: else gcc folds its load into every use of it, and loads become the limit. */
static inline __attribute__((always_inline)) vf vf_keep(vf x)
{
  __asm__("" : "+w"(x));
  return x;
}

static inline vf vf_load_n(const float *p, int n)
{
  vf x = vf_zero();
  if (n > 0) x = vld1q_lane_f32(p, x, 0);
  if (n > 1) x = vld1q_lane_f32(p + 1, x, 1);
  if (n > 2) x = vld1q_lane_f32(p + 2, x, 2);
  if (n > 3) x = vld1q_lane_f32(p + 3, x, 3);
  return x;
}

static inline void vf_store_n(float *p, int n, vf x)
{
  if (n > 0) vst1q_lane_f32(p, x, 0);
  if (n > 1) vst1q_lane_f32(p + 1, x, 1);
  if (n > 2) vst1q_lane_f32(p + 2, x, 2);
  if (n > 3) vst1q_lane_f32(p + 3, x, 3);
}

static inline vf vf_join(vf a, vf b, int n)
{
  const uint32x4_t lanes = {0, 1, 2, 3};
  return vbslq_f32(vcltq_u32(lanes, vdupq_n_u32((uint32_t)n)), a, b);
}

static inline vf vf_load_f16(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline void vf_store_f16(uint16_t *p, vf x) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x))); }
static inline vf vf_load_bf16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
static inline vf vf_load_bf16_first(const uint16_t *p)
{
  return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u16(vld1q_u16(p)), 16));
}
static inline vf vf_load_bf16_second(const uint16_t *p)
{
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u16(vld1q_u16(p)), vdupq_n_u32(0xffff0000u)));
}
static inline void vf_store_bf16(uint16_t *p, vf x)
{
  const uint32x4_t bits = vreinterpretq_u32_f32(x), odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  vst1_u16(p, vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet), 16));
}

static inline bool vf_any_above(vf x, float limit) { return vmaxvq_u32(vcgtq_f32(x, vf_set(limit))) != 0; }

static inline vf vf_farthest(vf far, vf x)
{
  return vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(far), vreinterpretq_u32_f32(vabsq_f32(x))));
}
static inline vf vf_max_bits(vf a, vf b)
{
  return vreinterpretq_f32_u32(vmaxq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)));
}
static inline vf vf_mark(vf marks, vf x, vf y)
{
  const uint32x4_t over = vsubq_u32(vreinterpretq_u32_f32(x), vreinterpretq_u32_f32(y));
  return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(marks), over));
}
static inline bool vf_any_beyond(vf x, float limit)
{
  return vmaxvq_u32(vcgtq_u32(vreinterpretq_u32_f32(x), vreinterpretq_u32_f32(vf_set(limit)))) != 0;
}

static inline vf vf_hide(vf p, vf score) { return vbslq_f32(vceqq_f32(score, vf_set(-INFINITY)), vf_set(-0.0f), p); }

static inline float vf_hsum(vf x) { return vaddvq_f32(x); }
static inline float vf_hmax(vf x) { return vmaxvq_f32(x); }

/* out[i] = sum of the lanes of x[i], i in 0..7. */
static inline __attribute__((always_inline)) void vf_hsum8(float *out, const vf x[8])
{
  vf_store(out, vpaddq_f32(vpaddq_f32(x[0], x[1]), vpaddq_f32(x[2], x[3])));
  vf_store(out + 4, vpaddq_f32(vpaddq_f32(x[4], x[5]), vpaddq_f32(x[6], x[7])));
}

#define VF_EXP2_ROUND ATTN_EXP2_ROUND

/* As in template/exp2_in_range.h; NaN stays one. FMLA overwrites its accumulator, so Horner's rule
 * would copy a constant at each of five steps; the upper half of the polynomial in two chains copies three, and the scaling
 * by 2^n is part of the last FMA. */
static inline vf vf_exp2_over(vf x, vf round)
{
  const vf t = vf_add(x, round);
  const vf f = vf_sub(x, vf_sub(t, round)), f2 = vf_mul(f, f);
  const vf scale = vreinterpretq_f32_s32(vshlq_n_s32(vreinterpretq_s32_f32(t), 23));
  const vf low = vf_fma(vf_set(ATTN_EXP2_C3), f, vf_set(ATTN_EXP2_C2));
  const vf high = vf_fma(vf_set(ATTN_EXP2_C5), f, vf_set(ATTN_EXP2_C4));
  const vf p = vf_fma(vf_fma(high, f2, low), f, vf_set(ATTN_EXP2_C1));
  return vf_fma(vf_mul(f, scale), p, scale);
}

static inline vf vf_exp2_any_over(vf x, vf round) { return vf_exp2_over(x, round); }

/* Arm's instructions take no constant from memory: see vec_avx2.h. */
static inline const float *vf_exp2_constants(void) { return NULL; }
static inline vf vf_exp2_lean_round(const float *constants)
{
  (void)constants;
  return vf_set(VF_EXP2_ROUND);
}
static inline vf vf_exp2_lean(vf x, vf round, const float *constants)
{
  (void)constants;
  return vf_exp2_over(x, round);
}

/* The same for any x. FMAX, not FMAXNM: a NaN stays one. */
static inline vf vf_exp2(vf x) { return vf_exp2_over(vmaxq_f32(vf_set(ATTN_EXP2_MIN), x), vf_set(VF_EXP2_ROUND)); }

/* a * b[lane] + c. The instruction wants a literal; the switch is decided when the caller's loop is unrolled. */
static inline __attribute__((always_inline)) vf vf_fma_lane(vf a, vf b, int lane, vf c)
{
  switch (lane) {
  case 0: return vfmaq_laneq_f32(c, a, b, 0);
  case 1: return vfmaq_laneq_f32(c, a, b, 1);
  case 2: return vfmaq_laneq_f32(c, a, b, 2);
  default: return vfmaq_laneq_f32(c, a, b, 3);
  }
}

typedef float32x2_t vf_pair;
static inline vf_pair vf_load_pair(const float *p)
{
  vf_pair x = vld1_f32(p);
  __asm__("" : "+w"(x)); /* else gcc makes two scalar loads of it and runs out of registers */
  return x;
}
static inline __attribute__((always_inline)) vf vf_fma_pair(vf a, vf_pair b, int lane, vf c)
{
  return lane == 0 ? vfmaq_lane_f32(c, a, b, 0) : vfmaq_lane_f32(c, a, b, 1);
}

enum { TB = 4 };

/* dst[c * dst_stride + r] = src[r * src_stride + c], r and c in 0..3. */
static inline void vf_transpose_block(float *restrict dst, int64_t dst_stride, const float *restrict src,
                                      int64_t src_stride)
{
  const float32x4_t r0 = vld1q_f32(src), r1 = vld1q_f32(src + src_stride), r2 = vld1q_f32(src + 2 * src_stride),
                    r3 = vld1q_f32(src + 3 * src_stride);
  const float64x2_t low01 = vreinterpretq_f64_f32(vtrn1q_f32(r0, r1)), high01 = vreinterpretq_f64_f32(vtrn2q_f32(r0, r1));
  const float64x2_t low23 = vreinterpretq_f64_f32(vtrn1q_f32(r2, r3)), high23 = vreinterpretq_f64_f32(vtrn2q_f32(r2, r3));
  vf_store(dst, vreinterpretq_f32_f64(vtrn1q_f64(low01, low23)));
  vf_store(dst + dst_stride, vreinterpretq_f32_f64(vtrn1q_f64(high01, high23)));
  vf_store(dst + 2 * dst_stride, vreinterpretq_f32_f64(vtrn2q_f64(low01, low23)));
  vf_store(dst + 3 * dst_stride, vreinterpretq_f32_f64(vtrn2q_f64(high01, high23)));
}

/* weight * scale, but 0 where the weight is 0: the scale of a hidden key may be NaN. */
static inline vf vf_mul_live(vf weight, vf scale)
{
  const uint32x4_t none = vceqzq_f32(weight);
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(vf_mul(weight, scale)), none));
}

#endif
