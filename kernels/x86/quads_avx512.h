/* AVX-512 verbs of kernels/template/decode_quads.h, as in quads_avx2.h, with VNNI and without. */
#ifndef ATTN_QUADS_AVX512_H
#define ATTN_QUADS_AVX512_H

#include "vec_avx512.h"

#include <string.h>

/* Not __m512i, whose lanes have 64 bits: gcc 12 keeps each sum twice then, as lanes of 64 bits and of 32. */
typedef int vi __attribute__((vector_size(64)));
typedef struct {
  __m512i even, odd;
} vq, vb;
enum {
  MOST_ROWS = 4,
  IL = 16,
  KEY_VI = 3,
  VALUE_VI = 4, /* 16 sums of 4 rows, 8 registers of quads, 2 of a row */
  VQ_REGISTERS = 2,
  VB_REGISTERS = 2,
};

static inline vi vi_zero(void) { return (vi){0}; }

static inline vq vq_load(const int8_t *p)
{
  const __m512i x = _mm512_loadu_si512(p);
  return (vq){_mm512_srai_epi16(_mm512_slli_epi16(x, 8), 8), _mm512_srai_epi16(x, 8)};
}

static inline vb vb_load(const int16_t *p)
{
  int32_t even, odd;
  memcpy(&even, p, sizeof even);
  memcpy(&odd, p + 2, sizeof odd);
  return (vb){_mm512_set1_epi32(even), _mm512_set1_epi32(odd)};
}

static inline vi vi_add_pairs(vi sum, __m512i a, __m512i b)
{
#ifdef __AVX512VNNI__
  return (vi)_mm512_dpwssd_epi32((__m512i)sum, a, b);
#else
  return (vi)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16(a, b)); /* beyond the last key it may wrap */
#endif
}
static inline vi vi_dot(vi sum, vb a, vq b) { return vi_add_pairs(vi_add_pairs(sum, a.even, b.even), a.odd, b.odd); }

static inline void vq_round(int16_t *to, vf x)
{
  const __m512i n = _mm512_shuffle_epi32(_mm512_cvtps_epi32(x), 0xd8);
  _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(n));
}

static inline void vi_scaled(float *to, vi x, float step, const float *scale)
{
  vf_store(to, vf_mul(_mm512_cvtepi32_ps((__m512i)x), vf_mul(vf_set(step), vf_load(scale))));
}
static inline void vi_add_scaled(float *o, vi x, float step)
{
  vf_store(o, vf_fma(_mm512_cvtepi32_ps((__m512i)x), vf_set(step), vf_load(o)));
}

static inline vf vf_mul_live(vf weight, vf scale)
{
  return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(weight, vf_zero(), _CMP_NEQ_UQ), weight, scale);
}

#endif
