/* The type of the elements of Q, K, V and O of the kernel that includes this: f32. One of element_*.h; the loops, which
 * compute in f32, read and write elements only through these functions. */
#ifndef ATTN_ELEMENT_H
#define ATTN_ELEMENT_H

#include "../reference/half.h"

typedef float element;
#define ELEMENT_DTYPE ATTN_F32

static inline float el_get(element x) { return x; }
static inline element el_put(float x) { return x; }

#ifdef ATTN_VEC /* the ISA's vector verbs are at hand */
static inline vf el_load(const element *p) { return vf_load(p); }
static inline void el_store(element *p, vf x) { vf_store(p, x); }
static inline vf el_load_n(const element *p, int n) { return vf_load_n(p, n); }
static inline void el_store_n(element *p, int n, vf x) { vf_store_n(p, n, x); }
static inline void el_transpose_block(float *dst, int64_t dst_stride, const element *src, int64_t src_stride)
{
  vf_transpose_block(dst, dst_stride, src, src_stride);
}
#endif

#endif
