/* AVX-512 with BF16: the verbs of vec_avx512.h, and those of pairs of bf16 elements (pack_pairs.h).
 *
 * vdpbf16ps takes denormal elements for 0 and flushes denormal sums, whatever MXCSR says. */
#ifndef ATTN_VEC_AVX512BF16_H
#define ATTN_VEC_AVX512BF16_H
#define ATTN_PAIRS 1 /* of a row stand together in a tile's operand */

#include "vec_avx512.h"

/* c + a0 b0 + a1 b1 in each lane. */
static inline vf vf_dot_pairs(vf a, vf b, vf c) { return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b); }

#define vf_step vf_dot_pairs

static inline vf vf_pairs_of_ones(void) { return _mm512_castsi512_ps(_mm512_set1_epi32(0x3f803f80)); }

/* Pairs of neighbours of the 2 VL numbers low, high; rounded to nearest even. */
static inline vf vf_pairs_of(vf low, vf high) { return (vf)_mm512_cvtne2ps_pbh(high, low); }

static inline vf vf_pair_first(vf pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16)); }
static inline vf vf_pair_second(vf pairs)
{
  return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32((int)0xffff0000u)));
}

/* Lane by lane, rounded to nearest even; exact for numbers that are bf16 already. */
static inline vf vf_pair_up(vf first, vf second)
{
  const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(first));
  const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(second));
  return _mm512_castsi512_ps(_mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

static inline void vf_store_weights(float *p, vf pairs) { vf_store(p, pairs); }
static inline vf vf_load_weights(const float *p) { return vf_load(p); }

static inline void vf_store_pairs(float *p, const vf pairs[ATTN_PAIRS]) { vf_store(p, pairs[0]); }
static inline void vf_load_pairs(vf pairs[ATTN_PAIRS], const float *p) { pairs[0] = vf_load(p); }

/* x, but 0 in place of each element whose weight is -0. */
static inline vf vf_hide_pairs(vf x, vf weights)
{
  const __mmask32 hidden = _mm512_cmpeq_epi16_mask(_mm512_castps_si512(weights), _mm512_set1_epi16((short)0x8000));
  return _mm512_castsi512_ps(_mm512_mask_mov_epi16(_mm512_castps_si512(x), hidden, _mm512_setzero_si512()));
}

static inline __mmask32 finite_elements(vf pairs)
{
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  return _mm512_cmpneq_epi16_mask(_mm512_and_si512(_mm512_castps_si512(pairs), exponent), exponent);
}
static inline bool vf_are_finite_pairs(vf pairs) { return finite_elements(pairs) == UINT32_MAX; }

/* The same, but 0 in place of each element that is not finite. */
static inline vf vf_finite_pairs(vf pairs)
{
  return _mm512_castsi512_ps(_mm512_maskz_mov_epi16(finite_elements(pairs), _mm512_castps_si512(pairs)));
}

/* Weights times factor, but -0 where `first`, their bf16, is -0: hidden keys. No other becomes denormal, which a product
 * would take for 0, and 0 times Inf is NaN. */
static inline vf vf_rescaled(vf weights, vf first, float factor)
{
  const __mmask16 seen = _mm512_cmpneq_epi32_mask(_mm512_castps_si512(first), _mm512_set1_epi32(INT32_MIN));
  return _mm512_mask_max_ps(first, seen, _mm512_mul_ps(weights, vf_set(factor)), vf_set(0x1p-126f));
}

#endif
