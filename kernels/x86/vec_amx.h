/* The verbs of products_amx.h: AVX-512 with BF16, tile registers, and what its softmax needs besides. */
#ifndef ATTN_VEC_AMX_H
#define ATTN_VEC_AMX_H

#include "vec_avx512bf16.h"

#include "tiles_amx.h"

static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }

/* The bits of vf_exp2_in_range(), and NaN of NaN. These CPUs add exponents on the ports of the multiply-adds in any case.
 */
static inline vf vf_exp2_scaled(vf x)
{
  const vf n = vf_sub(vf_add(x, vf_set(ATTN_EXP2_ROUND_UNBIASED)), vf_set(ATTN_EXP2_ROUND_UNBIASED));
  return _mm512_scalef_ps(vf_exp2_fraction(vf_sub(x, n)), n);
}

#endif
