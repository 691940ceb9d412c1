/* AVX-512 (F, BW, DQ, VL) verbs: a vf is 16 floats. The same verbs as vec_avx2.h, which explains them. */
#ifndef ATTN_VEC_AVX512_H
#define ATTN_VEC_AVX512_H
#define ATTN_VEC

#include "../reference/exp2.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

typedef __m512 vf;
enum { VL = 16 };

static inline vf vf_zero(void) { return _mm512_setzero_ps(); }
static inline vf vf_set(float x) { return _mm512_set1_ps(x); }
static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_at_least(vf low, vf x) { return _mm512_max_ps(low, x); } /* NaN stays one */

/* x, in a register from here on: else gcc folds its load into every use of it, and loads become the limit. */
static inline __attribute__((always_inline)) vf vf_keep(vf x)
{
  __asm__("" : "+v"(x));
  return x;
}

static inline __mmask16 vf_first(int n) { return (__mmask16)((1u << n) - 1); }
static inline vf vf_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(vf_first(n), p); }
static inline void vf_store_n(float *p, int n, vf x) { _mm512_mask_storeu_ps(p, vf_first(n), x); }
static inline vf vf_join(vf a, vf b, int n) { return _mm512_mask_blend_ps(vf_first(n), b, a); }

static inline vf vf_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline void vf_store_f16(uint16_t *p, vf x)
{
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
static inline vf vf_load_bf16_first(const uint16_t *p)
{
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
static inline vf vf_load_bf16_second(const uint16_t *p)
{
  return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000u)));
}
static inline void vf_store_bf16(uint16_t *p, vf x)
{
  const __m512i bits = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  const __m512i kept = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16)));
}

static inline bool vf_any_above(vf x, float limit) { return _mm512_cmp_ps_mask(x, vf_set(limit), _CMP_GT_OQ) != 0; }

static inline vf vf_farthest(vf far, vf x)
{
  const __m512i magnitude = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
  return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_castps_si512(far), magnitude));
}
static inline vf vf_max_bits(vf a, vf b)
{
  return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
static inline vf vf_mark(vf marks, vf x, vf y)
{
  const __m512i over = _mm512_sub_epi32(_mm512_castps_si512(x), _mm512_castps_si512(y));
  return _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(marks), over));
}
static inline bool vf_any_beyond(vf x, float limit)
{
  return _mm512_cmpgt_epu32_mask(_mm512_castps_si512(x), _mm512_castps_si512(vf_set(limit))) != 0;
}

static inline vf vf_hide(vf p, vf score)
{
  return _mm512_mask_mov_ps(p, _mm512_cmp_ps_mask(score, vf_set(-INFINITY), _CMP_EQ_OQ), vf_set(-0.0f));
}

static inline float vf_hsum(vf x) { return _mm512_reduce_add_ps(x); }
static inline float vf_hmax(vf x) { return _mm512_reduce_max_ps(x); }

/* Halves of a and b added: of the register, of each 128-bit lane, and neighbours there (of P = (a0 a1 b0 b1) and
 * Q = (c0 c1 d0 d1) a c b d). Blends go to any port, shuffles share one with the FMAs. */
static inline vf vf_fold_register(vf a, vf b)
{
  return _mm512_add_ps(_mm512_mask_blend_ps(0xff00, a, b), _mm512_shuffle_f32x4(a, b, 0x4e));
}
static inline vf vf_fold_halves(vf a, vf b)
{
  return _mm512_add_ps(_mm512_mask_blend_ps(0xcccc, a, b), _mm512_shuffle_ps(a, b, 0x4e));
}
static inline vf vf_fold_neighbours(vf p, vf q)
{
  return _mm512_add_ps(_mm512_mask_blend_ps(0xaaaa, p, q), _mm512_permute_ps(_mm512_mask_blend_ps(0x5555, p, q), 0xb1));
}
/* out[i] = sum of the lanes of x[i], i in 0..7: 9 shuffles in all. */
static inline __attribute__((always_inline)) void vf_hsum8(float *out, const vf x[8])
{
  const vf even = vf_fold_halves(vf_fold_register(x[0], x[4]), vf_fold_register(x[2], x[6]));
  const vf odd = vf_fold_halves(vf_fold_register(x[1], x[5]), vf_fold_register(x[3], x[7]));
  const vf parts = vf_fold_neighbours(even, odd); /* x[0..3] twice, then x[4..7] twice */
  const vf sums = _mm512_add_ps(parts, _mm512_shuffle_f32x4(parts, parts, 0xb1));
  _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_shuffle_f32x4(sums, sums, 0x08)));
}

static inline vf vf_exp2_fraction(vf f)
{
  vf p = vf_fma(vf_set(ATTN_EXP2_C5), f, vf_set(ATTN_EXP2_C4));
  p = vf_fma(p, f, vf_set(ATTN_EXP2_C3));
  p = vf_fma(p, f, vf_set(ATTN_EXP2_C2));
  p = vf_fma(p, f, vf_set(ATTN_EXP2_C1));
  return vf_fma(p, f, vf_set(1.0f));
}

/* roundscale and scalef replace the exponent arithmetic: x - round(x) in one step, no clamp needed for the scaling. */
static inline vf vf_exp2(vf x)
{
  x = _mm512_max_ps(vf_set(ATTN_EXP2_MIN), x);
  const vf f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const vf n = _mm512_sub_ps(x, f);
  return _mm512_scalef_ps(vf_exp2_fraction(f), n);
}

/* p * 2^n, n in the low bits of t. */
static inline vf vf_exponent_added(vf p, vf t)
{
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), n));
}

#include "../template/exp2_in_range.h"

/* The same bits, and NaN of NaN. */
static inline vf vf_exp2_any_over(vf x, vf round)
{
  const vf t = vf_add(x, round);
  return _mm512_scalef_ps(vf_exp2_fraction(vf_sub(x, vf_sub(t, round))), vf_sub(t, vf_set(VF_EXP2_ROUND)));
}

enum { TB = 16 };

/* dst[c * dst_stride + r] = src[r * src_stride + c], r and c in 0..15. Quarters of four rows are joined by the load,
 * which leaves two steps of shuffles within 128-bit lanes. */
static inline void vf_transpose_block(float *restrict dst, int64_t dst_stride, const float *restrict src,
                                      int64_t src_stride)
{
  for (int c = 0; c < 16; c += 4) {
    __m512 r[4], t[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      r[i] = _mm512_castps128_ps512(_mm_loadu_ps(src + i * src_stride + c));
      r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(src + (i + 4) * src_stride + c), 1);
      r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(src + (i + 8) * src_stride + c), 2);
      r[i] = _mm512_insertf32x4(r[i], _mm_loadu_ps(src + (i + 12) * src_stride + c), 3);
    }
    t[0] = _mm512_unpacklo_ps(r[0], r[1]);
    t[1] = _mm512_unpackhi_ps(r[0], r[1]);
    t[2] = _mm512_unpacklo_ps(r[2], r[3]);
    t[3] = _mm512_unpackhi_ps(r[2], r[3]);
    vf_store(dst + (c + 0) * dst_stride, _mm512_shuffle_ps(t[0], t[2], 0x44));
    vf_store(dst + (c + 1) * dst_stride, _mm512_shuffle_ps(t[0], t[2], 0xee));
    vf_store(dst + (c + 2) * dst_stride, _mm512_shuffle_ps(t[1], t[3], 0x44));
    vf_store(dst + (c + 3) * dst_stride, _mm512_shuffle_ps(t[1], t[3], 0xee));
  }
}

#endif
