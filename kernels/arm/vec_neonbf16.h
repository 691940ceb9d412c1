/* NEON with BF16: the verbs of vec_neon.h, and those of pairs of bf16 elements (pack_pairs.h, tile_mmla.h).
 *
 * BFDOT and BFMMLA take denormal elements for 0, flush denormal sums, and round sums to odd. */
#ifndef ATTN_VEC_NEONBF16_H
#define ATTN_VEC_NEONBF16_H
#define ATTN_PAIRS 2 /* of a row stand together in a tile's operand */

#include "vec_neon.h"

/* c + a0 b0 + a1 b1 in each lane. */
static inline vf vf_dot_pairs(vf a, vf b, vf c)
{
  return vbfdotq_f32(c, vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b));
}
#define vf_step vf_dot_pairs

/* c + a b^T of a, b: two rows of four elements; c: [row of a][row of b]. Element by element the bits of two vf_step()s. */
static inline vf vf_dot_mmla(vf a, vf b, vf c)
{
  return vbfmmlaq_f32(c, vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b));
}

/* The 2x4 elements of two products side by side as two rows, and back. */
static inline vf vf_upper_row(vf left, vf right)
{
  return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(left), vreinterpretq_f64_f32(right)));
}
static inline vf vf_lower_row(vf left, vf right)
{
  return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(left), vreinterpretq_f64_f32(right)));
}

static inline vf vf_pairs_of_ones(void)
{
  uint32_t ones = 0x3f803f80;
  __asm__("" : "+r"(ones)); /* gcc 12 would write it as a constant of f16 elements, which the assembler refuses here */
  return vreinterpretq_f32_u32(vdupq_n_u32(ones));
}

/* Pairs of neighbours of the 2 VL numbers low, high; rounded to nearest even. */
static inline vf vf_pairs_of(vf low, vf high)
{
  return vreinterpretq_f32_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(low), high));
}

static inline vf vf_pair_first(vf pairs) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs), 16)); }
static inline vf vf_pair_second(vf pairs)
{
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs), vdupq_n_u32(0xffff0000u)));
}

/* Lane by lane, rounded to nearest even; exact for numbers that are bf16 already. */
static inline vf vf_pair_up(vf first, vf second)
{
  const uint32x4_t low = vmovl_u16(vreinterpret_u16_bf16(vcvt_bf16_f32(first)));
  return vreinterpretq_f32_u32(vorrq_u32(low, vshll_n_u16(vreinterpret_u16_bf16(vcvt_bf16_f32(second)), 16)));
}

/* Two times two pairs of a row; between and after them stand those of its neighbour. */
static inline void vf_store_weights(float *p, vf pairs)
{
  vst1_f32(p, vget_low_f32(pairs));
  vst1_f32(p + 4, vget_high_f32(pairs));
}
static inline vf vf_load_weights(const float *p) { return vcombine_f32(vld1_f32(p), vld1_f32(p + 4)); }

/* Pairs of VL columns: those of a column stand together. */
static inline void vf_store_pairs(float *p, const vf pairs[ATTN_PAIRS])
{
  vst2q_f32(p, (float32x4x2_t){{pairs[0], pairs[1]}});
}
static inline void vf_load_pairs(vf pairs[ATTN_PAIRS], const float *p)
{
  const float32x4x2_t both = vld2q_f32(p);
  pairs[0] = both.val[0];
  pairs[1] = both.val[1];
}

/* x, but 0 in place of each element whose weight is -0. */
static inline vf vf_hide_pairs(vf x, vf weights)
{
  const uint16x8_t hidden = vceqq_u16(vreinterpretq_u16_f32(weights), vdupq_n_u16(0x8000));
  return vreinterpretq_f32_u16(vbicq_u16(vreinterpretq_u16_f32(x), hidden));
}

#endif
