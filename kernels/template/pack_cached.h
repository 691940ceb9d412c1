/* Packing for streaming kernels in f32 whose K and V are in a KV cache of f32, f16 or bf16: the layouts of pack.h. A cache
 * has 16 keys of an element beside each other, so that K is copied into panels and not transposed. Pages change nothing but
 * the addresses, and no bit. (Over int8 the decode kernels, which multiply integers, are faster for any number of rows.) */
#ifndef ATTN_PACK_CACHED_H
#define ATTN_PACK_CACHED_H

#include "../reference/half.h"
#include "care.h"
#include "edge.h"

#include <float.h>

/* VL elements; of pairs the second ones, or the first. */
ALWAYS_INLINE vf load_stored(const attn_dtype dtype, const void *base, int64_t at, bool second)
{
  if (dtype == ATTN_F32) return vf_load((const float *)base + at);
  if (dtype == ATTN_F16) return vf_load_f16((const uint16_t *)base + at);
  return second ? vf_load_bf16_second((const uint16_t *)base + at) : vf_load_bf16_first((const uint16_t *)base + at);
}

/* A stretch of keys is whole in any cache: it can be read beyond the last key, whose lanes become 0. */
ALWAYS_INLINE void pack_stored_k(const attn_dtype dtype, float *restrict dst, const struct attn_unit *u, int64_t j0,
                                 int64_t n, int64_t depth)
{
  const struct attn_problem *p = u->problem;
  for (int64_t j = 0; j < round_up(n, NR); j += VL) {
    float *panel = dst + j / NR * NR * depth + j % NR;
    if (j >= n) {
      for (int64_t d = 0; d < depth; d++) vf_store(panel + d * NR, vf_zero());
      continue;
    }
    const int64_t page = attn_key_page(u, j0 + j) * p->k_page, at = attn_key_at(u, j0 + j);
    const int64_t from = attn_k_at(u) + page + attn_k_element(p, at, 0);
    for (int64_t d = 0; d < depth; d++) {
      const int64_t within = d % ATTN_INTERLEAVE(dtype);
      vf_store(panel + d * NR, load_stored(dtype, u->k, from + (d - within) * p->k.d, within == 1));
    }
    for (int64_t l = n - j; l < VL; l++)
      for (int64_t d = 0; d < depth; d++) panel[d * NR + l] = 0;
  }
}

ALWAYS_INLINE unsigned pack_stored_v(const attn_dtype dtype, float *restrict dst, const struct attn_unit *u, int64_t j0,
                                     int64_t n, int64_t keys, int64_t width)
{
  const struct attn_problem *p = u->problem;
  vf far = vf_zero();
  for (int64_t j = 0; j < n; j++) {
    const int64_t page = attn_key_page(u, j0 + j) * p->v_page, at = attn_key_at(u, j0 + j);
    const int64_t beside = ATTN_INTERLEAVE(dtype), within = at % beside;
    const int64_t from = attn_v_at(u) + page + attn_v_element(p, at, 0) - within;
    for (int64_t d = 0; d < width; d += VL) {
      const int64_t left = d / NR * NR, padded = width - left < NR ? round_up(width - left, VL) : NR;
      const bool whole = width - d >= VL || beside > 1; /* rows of pairs are filled up with 0 */
      float last[VL] = {0};
      for (int64_t l = 0; !whole && l < width - d; l++) last[l] = attn_element_get(dtype, u->v, from + d + l);
      const vf x = whole ? load_stored(dtype, u->v, from + d * beside, within == 1) : vf_load(last);
      far = vf_farthest(far, x);
      vf_store(dst + left * keys + j * padded + d - left, x);
    }
  }
  return vf_any_beyond(far, FLT_MAX) ? CARE_VALUES : 0;
}

/* Keys [j0, j0 + n) of the unit's sequence and head; V is written for a block of `keys`. A function of its own for each
 * type. */
#define DEFINE_PACK_STORED(name, dtype)                                                                                    \
  __attribute__((noinline)) static unsigned name(float *restrict k, float *restrict v, const struct attn_unit *u,          \
                                                 int64_t j0, int64_t n, int64_t keys)                                      \
  {                                                                                                                        \
    pack_stored_k(dtype, k, u, j0, n, u->problem->Dqk);                                                                    \
    return pack_stored_v(dtype, v, u, j0, n, keys, u->problem->Dv);                                                        \
  }
DEFINE_PACK_STORED(pack_stored_f32, ATTN_F32)
DEFINE_PACK_STORED(pack_stored_f16, ATTN_F16)
DEFINE_PACK_STORED(pack_stored_bf16, ATTN_BF16)

static inline unsigned pack_stored(float *restrict k, float *restrict v, const struct attn_unit *u, int64_t j0, int64_t n,
                                   int64_t keys)
{
  const attn_dtype dtype = u->problem->kv_dtype;
  return (dtype == ATTN_F32   ? pack_stored_f32
          : dtype == ATTN_F16 ? pack_stored_f16
                              : pack_stored_bf16)(k, v, u, j0, n, keys);
}

#endif
