/* The verbs of products_amx.h: AVX-512 with BF16, tile registers, and what its softmax needs besides. */
#ifndef ATTN_VEC_AMX_H
#define ATTN_VEC_AMX_H

#include "vec_avx512bf16.h"

#include "tiles_amx.h"

static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }

/* Pairs of bf16, lane by lane: the upper halves of numbers in f32. */
static inline vf vf_pair_uppers(vf first, vf second)
{
  const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(first), 16), mask = _mm512_set1_epi32((int)0xffff0000u);
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(low, _mm512_castps_si512(second), mask, 0xf8)); /* a | b & c */
}

/* x with the upper half of the nearest bf16; no finite number gets that of Inf, and NaN stays NaN. */
static inline vf vf_near_bf16(vf x)
{
  const __mmask16 rounds = _mm512_cmp_ps_mask(_mm512_abs_ps(x), vf_set(0x1.fep127f), _CMP_LE_OQ);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  __m512i bits = _mm512_castps_si512(x);
  bits = _mm512_mask_add_epi32(bits, rounds, bits, _mm512_set1_epi32(0x8000));
  return _mm512_castsi512_ps(_mm512_mask_or_epi32(bits, nan, bits, _mm512_set1_epi32(0x400000)));
}
/* The same of smaller numbers, and of NaN that have no other bits than the one that makes them quiet. */
static inline vf vf_near_bf16_plain(vf x)
{
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000)));
}

#endif
