/* The type of the elements of K and V of the kernel that includes this: int8, times a scale per key and head. Read only:
 * Q and O of such a problem have another type. */
#ifndef ATTN_ELEMENT_H
#define ATTN_ELEMENT_H

#include "../reference/half.h"

typedef int8_t element;
#define ELEMENT_DTYPE ATTN_I8

static inline float el_get(element x) { return x; }

#ifdef ATTN_VEC /* the ISA's vector verbs are at hand */
static inline vf el_load(const element *p) { return vf_load_i8(p); }
static inline vf el_load_n(const element *p, int n)
{
  element whole[VL] = {0};
  memcpy(whole, p, (size_t)n * sizeof *p);
  return el_load(whole);
}
#endif

#endif
