/* VL elements of a type that is known at run time, or only after inlining. */
#ifndef ATTN_LOAD_AS_H
#define ATTN_LOAD_AS_H

#include "../kernel.h"
#include "unroll.h"

ALWAYS_INLINE vf load_as(attn_dtype dtype, const void *base, int64_t at)
{
  if (dtype == ATTN_F32) return vf_load((const float *)base + at);
  return dtype == ATTN_F16 ? vf_load_f16((const uint16_t *)base + at) : vf_load_bf16((const uint16_t *)base + at);
}

#endif
