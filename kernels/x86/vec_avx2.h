/* AVX2 + FMA verbs: a vf is 8 floats. The same verbs stand in vec_avx512.h and vec_neon.h; the loops of
 * kernels/template/ are written in them. */
#ifndef ATTN_VEC_AVX2_H
#define ATTN_VEC_AVX2_H
#define ATTN_VEC

#include "../reference/exp2.h"

#include <immintrin.h>
#include <math.h>
#include <stdbool.h>

typedef __m256 vf;
enum { VL = 8 }; /* lanes of a vf */

static inline vf vf_zero(void) { return _mm256_setzero_ps(); }
static inline vf vf_set(float x) { return _mm256_set1_ps(x); }
static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf x) { _mm256_storeu_ps(p, x); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); } /* a*b + c */
/* The same, in the register of c: where tiles need all 16, gcc would overwrite a or b and run out of them. */
static inline __attribute__((always_inline)) vf vf_fma_into(vf c, vf a, vf b)
{
  __asm__("vfmadd231ps %2, %1, %0" : "+x"(c) : "x"(a), "x"(b));
  return c;
}
#define vf_fma_into vf_fma_into
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }          /* b if a is NaN */
static inline vf vf_at_least(vf low, vf x) { return _mm256_max_ps(low, x); } /* NaN stays one */

/* x, in a register from here on: else gcc folds its load into every use of it, and loads become the limit. */
static inline __attribute__((always_inline)) vf vf_keep(vf x)
{
  __asm__("" : "+x"(x));
  return x;
}

static inline __m256i vf_first(int n) /* lanes 0..n-1 */
{
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/* The first n lanes, 0 <= n <= VL; touches no memory beyond them; the others are 0. */
static inline vf vf_load_n(const float *p, int n) { return _mm256_maskload_ps(p, vf_first(n)); }
static inline void vf_store_n(float *p, int n, vf x) { _mm256_maskstore_ps(p, vf_first(n), x); }
/* The first n lanes of a, the others of b. */
static inline vf vf_join(vf a, vf b, int n) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(vf_first(n))); }

/* 16-bit elements: f16 by F16C, bf16 by shifts; stores round to nearest even. */
static inline vf vf_load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline void vf_store_f16(uint16_t *p, vf x)
{
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
/* The first, or the second, of VL pairs. */
static inline vf vf_load_bf16_first(const uint16_t *p)
{
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16));
}
static inline vf vf_load_bf16_second(const uint16_t *p)
{
  static const uint32_t upper[VL] __attribute__((aligned(32))) = {0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u,
                                                                  0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u};
  vf x = vf_load((const float *)p);
  __asm__("vandps %1, %0, %0" : "+x"(x) : "m"(upper)); /* in memory: tiles have no register left */
  return x;
}
static inline void vf_store_bf16(uint16_t *p, vf x)
{
  const __m256i bits = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i upper = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
  _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(halves));
}

/* Whether any lane is greater than limit; NaN is not. */
static inline bool vf_any_above(vf x, float limit)
{
  return _mm256_movemask_ps(_mm256_cmp_ps(x, vf_set(limit), _CMP_GT_OQ)) != 0;
}

/* For "is any x of many outside [-limit, limit], or NaN": the largest magnitude so far, as an integer, which orders NaN
 * last. Logic and integer ports are free where FMAs are the limit. */
static inline vf vf_farthest(vf far, vf x)
{
  const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7fffffff));
  return _mm256_castsi256_ps(_mm256_max_epu32(_mm256_castps_si256(far), magnitude));
}
/* The larger as unsigned integers: NaN and everything negative above all positive numbers. */
static inline vf vf_max_bits(vf a, vf b)
{
  return _mm256_castsi256_ps(_mm256_max_epu32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
/* `marks` and the bits of x less those of y, as integers. */
static inline vf vf_mark(vf marks, vf x, vf y)
{
  const __m256i over = _mm256_sub_epi32(_mm256_castps_si256(x), _mm256_castps_si256(y));
  return _mm256_castsi256_ps(_mm256_or_si256(_mm256_castps_si256(marks), over));
}
/* Whether any lane is not within [0, limit]; NaN is not. */
static inline bool vf_any_beyond(vf x, float limit)
{
  const __m256i most = _mm256_castps_si256(vf_set(limit));
  const __m256i within = _mm256_cmpeq_epi32(_mm256_max_epu32(_mm256_castps_si256(x), most), most);
  return _mm256_movemask_epi8(within) != -1;
}

/* p where score is not -inf, else -0: no weight, and recognisably hidden. */
static inline vf vf_hide(vf p, vf score)
{
  return _mm256_blendv_ps(p, vf_set(-0.0f), _mm256_cmp_ps(score, vf_set(-INFINITY), _CMP_EQ_OQ));
}

static inline float vf_hsum(vf x)
{
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float vf_hmax(vf x) /* none of the lanes is NaN */
{
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* The lower half of each 128-bit lane of a plus the upper one, beside the same of b; and neighbours likewise, in turns: of
 * P = (a0 a1 b0 b1) and Q = (c0 c1 d0 d1) a c b d. Blends go to any port, shuffles share one with the FMAs. */
static inline vf vf_fold_halves(vf a, vf b)
{
  return _mm256_add_ps(_mm256_blend_ps(a, b, 0xcc), _mm256_shuffle_ps(a, b, 0x4e));
}
static inline vf vf_fold_neighbours(vf p, vf q)
{
  return _mm256_add_ps(_mm256_blend_ps(p, q, 0xaa), _mm256_permute_ps(_mm256_blend_ps(p, q, 0x55), 0xb1));
}
/* out[i] = sum of the lanes of x[i], i in 0..7: 7 shuffles in all. */
static inline __attribute__((always_inline)) void vf_hsum8(float *out, const vf x[8])
{
  const vf low = vf_fold_neighbours(vf_fold_halves(x[0], x[2]), vf_fold_halves(x[1], x[3]));
  const vf high = vf_fold_neighbours(vf_fold_halves(x[4], x[6]), vf_fold_halves(x[5], x[7]));
  vf_store(out, _mm256_add_ps(_mm256_blend_ps(low, high, 0xf0), _mm256_permute2f128_ps(low, high, 0x21)));
}

static inline vf vf_exp2_fraction(vf f) /* 2^f, f in [-0.5, 0.5] */
{
  vf p = vf_fma(vf_set(ATTN_EXP2_C5), f, vf_set(ATTN_EXP2_C4));
  p = vf_fma(p, f, vf_set(ATTN_EXP2_C3));
  p = vf_fma(p, f, vf_set(ATTN_EXP2_C2));
  p = vf_fma(p, f, vf_set(ATTN_EXP2_C1));
  return vf_fma(p, f, vf_set(1.0f)); /* Estrin's scheme would be 4 % faster, but 2.1 ulp instead of 2 */
}

/* 2^x as in kernels/reference/exp2.h. The clamp returns its second operand for NaN, and the last step multiplies: a
 * NaN stays one. */
static inline vf vf_exp2(vf x)
{
  x = _mm256_max_ps(vf_set(ATTN_EXP2_MIN), x);
  const vf t = _mm256_add_ps(x, vf_set(ATTN_EXP2_ROUND));
  const vf f = _mm256_sub_ps(x, _mm256_sub_ps(t, vf_set(ATTN_EXP2_ROUND)));
  return _mm256_mul_ps(vf_exp2_fraction(f), _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}

/* p * 2^n, n in the low bits of t. */
static inline vf vf_exponent_added(vf p, vf t)
{
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), n));
}

#include "../template/exp2_in_range.h"

/* The same bits, and NaN of NaN, for the last step multiplies. */
static inline vf vf_exp2_any_over(vf x, vf round)
{
  const vf t = vf_add(x, round);
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
  const vf scale = _mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_castps_si256(vf_set(1.0f))));
  return _mm256_mul_ps(vf_exp2_fraction(vf_sub(x, vf_sub(t, round))), scale);
}

enum { TB = 8 }; /* edge of the block that vf_transpose_block turns */

/* dst[c * dst_stride + r] = src[r * src_stride + c], r and c in 0..TB-1. */
static inline void vf_transpose_block(float *restrict dst, int64_t dst_stride, const float *restrict src,
                                      int64_t src_stride)
{
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 4; i++) { /* rows i and i+4 in one register: the last exchange of 128-bit halves is the load */
    r[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(src + i * src_stride)),
                                _mm_loadu_ps(src + (i + 4) * src_stride), 1);
    r[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(src + i * src_stride + 4)),
                                    _mm_loadu_ps(src + (i + 4) * src_stride + 4), 1);
  }
#pragma GCC unroll 2
  for (int h = 0; h < 8; h += 4) {
    t[h + 0] = _mm256_unpacklo_ps(r[h + 0], r[h + 1]);
    t[h + 1] = _mm256_unpackhi_ps(r[h + 0], r[h + 1]);
    t[h + 2] = _mm256_unpacklo_ps(r[h + 2], r[h + 3]);
    t[h + 3] = _mm256_unpackhi_ps(r[h + 2], r[h + 3]);
    vf_store(dst + (h + 0) * dst_stride, _mm256_shuffle_ps(t[h + 0], t[h + 2], 0x44));
    vf_store(dst + (h + 1) * dst_stride, _mm256_shuffle_ps(t[h + 0], t[h + 2], 0xee));
    vf_store(dst + (h + 2) * dst_stride, _mm256_shuffle_ps(t[h + 1], t[h + 3], 0x44));
    vf_store(dst + (h + 3) * dst_stride, _mm256_shuffle_ps(t[h + 1], t[h + 3], 0xee));
  }
}

#endif
