/* AVX2 verbs of kernels/template/decode_quads.h. vpmaddwd adds two products of 16 bits: a quad is multiplied as its even
 * and its odd elements, so a quad of a row is stored as 0 2 1 3. With AVX-VNNI the products are added to the sum by the
 * instruction that multiplies. Sums of integers: the same bits either way. */
#ifndef ATTN_QUADS_AVX2_H
#define ATTN_QUADS_AVX2_H

#include "vec_avx2.h"

#include <string.h>

/* Not __m256i, whose lanes have 64 bits: gcc 12 keeps each sum twice then, as lanes of 64 bits and of 32. */
typedef int vi __attribute__((vector_size(32)));
typedef struct {
  __m256i even, odd;
} vq, vb;
enum {
  MOST_ROWS = 4,
  IL = 8,
  KEY_VI = 2, /* of a tile: 8 sums of 4 rows, 4 registers of quads, 2 of a row */
  VALUE_VI = 2,
  VQ_REGISTERS = 2,
  VB_REGISTERS = 2,
};

static inline vi vi_zero(void) { return (vi){0}; }

static inline vq vq_load(const int8_t *p)
{
  const __m256i x = _mm256_loadu_si256((const __m256i *)p);
  return (vq){_mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8), _mm256_srai_epi16(x, 8)};
}

static inline vb vb_load(const int16_t *p)
{
  int32_t even, odd;
  memcpy(&even, p, sizeof even);
  memcpy(&odd, p + 2, sizeof odd);
  return (vb){_mm256_set1_epi32(even), _mm256_set1_epi32(odd)};
}

static inline vi vi_add_pairs(vi sum, __m256i a, __m256i b)
{
#ifdef __AVXVNNI__
  return (vi)_mm256_dpwssd_avx_epi32((__m256i)sum, a, b);
#else
  return (vi)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16(a, b)); /* beyond the last key it may wrap */
#endif
}
static inline vi vi_dot(vi sum, vb a, vq b) { return vi_add_pairs(vi_add_pairs(sum, a.even, b.even), a.odd, b.odd); }

/* VL numbers rounded to nearest, in the order of vb_load(). */
static inline void vq_round(int16_t *to, vf x)
{
  const __m256i n = _mm256_shuffle_epi32(_mm256_cvtps_epi32(x), 0xd8);
  const __m256i halves = _mm256_permute4x64_epi64(_mm256_packs_epi32(n, n), 0x08);
  _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(halves));
}

/* to[l] = x[l] * (step * scale[l]); o[l] += x[l] * step */
static inline void vi_scaled(float *to, vi x, float step, const float *scale)
{
  vf_store(to, vf_mul(_mm256_cvtepi32_ps((__m256i)x), vf_mul(vf_set(step), vf_load(scale))));
}
static inline void vi_add_scaled(float *o, vi x, float step)
{
  vf_store(o, vf_fma(_mm256_cvtepi32_ps((__m256i)x), vf_set(step), vf_load(o)));
}

/* weight * scale, but 0 where the weight is 0: the scale of a hidden key may be NaN. */
static inline vf vf_mul_live(vf weight, vf scale)
{
  return _mm256_and_ps(vf_mul(weight, scale), _mm256_cmp_ps(weight, vf_zero(), _CMP_NEQ_UQ));
}

#endif
