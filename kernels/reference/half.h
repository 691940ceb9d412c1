/* f16 (IEEE binary16) and bf16 (the upper half of binary32) <-> f32, by integer arithmetic: for the scalar kernels, the
 * oracle and everything outside the vector loops. To f32 is exact; from f32 rounds to nearest, ties to even; NaN stays
 * NaN (quiet), overflow becomes infinity. */
#ifndef ATTN_HALF_H
#define ATTN_HALF_H

#include "attn.h"

#include <string.h>

static inline uint32_t attn_f32_bits(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float attn_f32_from_bits(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float attn_bf16_to_f32(uint16_t x) { return attn_f32_from_bits((uint32_t)x << 16); }

static inline uint16_t attn_f32_to_bf16(float x)
{
  const uint32_t bits = attn_f32_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static inline float attn_f16_to_f32(uint16_t x)
{
  const uint32_t sign = (uint32_t)(x & 0x8000) << 16, magnitude = x & 0x7fff;
  if (magnitude >= 0x7c00) return attn_f32_from_bits(sign | 0x7f800000u | (magnitude & 0x3ff) << 13); /* Inf, NaN */
  if (magnitude >= 0x0400) return attn_f32_from_bits(sign | ((magnitude << 13) + (112u << 23)));      /* 127 - 15 */
  return attn_f32_from_bits(sign | attn_f32_bits((float)magnitude * 0x1p-24f));                       /* subnormal: exact */
}

static inline uint16_t attn_f32_to_f16(float x)
{
  const uint32_t bits = attn_f32_bits(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00); /* 65520 and above round to infinity */
  if (magnitude < 0x38800000u) {                                  /* below 2^-14: adding 0.5 leaves units of 2^-24 */
    const uint32_t rounded = attn_f32_bits(attn_f32_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    return (uint16_t)(sign | rounded);
  }
  return (uint16_t)(sign | ((magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1)) >> 13));
}

static inline size_t attn_element_bytes(attn_dtype dtype) { return dtype == ATTN_F32 ? 4 : dtype == ATTN_I8 ? 1 : 2; }

static inline float attn_element_get(attn_dtype dtype, const void *base, int64_t at)
{
  switch (dtype) {
  case ATTN_F32: return ((const float *)base)[at];
  case ATTN_F16: return attn_f16_to_f32(((const uint16_t *)base)[at]);
  case ATTN_BF16: return attn_bf16_to_f32(((const uint16_t *)base)[at]);
  case ATTN_I8: return ((const int8_t *)base)[at]; /* without its scale */
  }
  return 0;
}

/* An element of an additive mask. */
static inline float attn_bias_get(attn_mask_kind kind, const void *mask, int64_t at)
{
  return kind == ATTN_MASK_ADDITIVE_F16 ? attn_f16_to_f32(((const uint16_t *)mask)[at]) : ((const float *)mask)[at];
}

static inline void attn_element_put(attn_dtype dtype, void *base, int64_t at, float x)
{
  switch (dtype) {
  case ATTN_F32: ((float *)base)[at] = x; break;
  case ATTN_F16: ((uint16_t *)base)[at] = attn_f32_to_f16(x); break;
  case ATTN_BF16: ((uint16_t *)base)[at] = attn_f32_to_bf16(x); break;
  case ATTN_I8: break; /* no output has this type: a cache quantises whole rows (dispatch/cache.c) */
  }
}

#endif
