/* The type of the elements of Q, K, V and O of the kernel that includes this: bf16. One of element_*.h; the loops, which
 * compute in f32, read and write elements only through these functions. */
#ifndef ATTN_ELEMENT_H
#define ATTN_ELEMENT_H

#include "../reference/half.h"

typedef uint16_t element;
#define ELEMENT_DTYPE      ATTN_BF16
#define ATTN_ELEMENT_PAIRS /* in caches */

static inline float el_get(element x) { return attn_bf16_to_f32(x); }
static inline element el_put(float x) { return attn_f32_to_bf16(x); }

#ifdef ATTN_VEC /* the ISA's vector verbs are at hand */
static inline vf el_load(const element *p) { return vf_load_bf16(p); }
static inline vf el_load_of_pairs(const element *p, const int which)
{
  return which ? vf_load_bf16_second(p) : vf_load_bf16_first(p);
}
static inline void el_store(element *p, vf x) { vf_store_bf16(p, x); }
#include "element_16bit.h"
#endif

#endif
