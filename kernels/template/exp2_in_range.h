/* The fast exponentials of AVX2 and AVX-512, in the verbs of the vec_<isa>.h that includes this where it has defined
 * vf_exp2_fraction() and vf_exponent_added(). */
#ifndef ATTN_EXP2_IN_RANGE_H
#define ATTN_EXP2_IN_RANGE_H

/* 2^x for x within [-125, 127]: the exponent is added as an integer, off the FMA ports. */
static inline vf vf_exp2_in_range(vf x)
{
  const vf t = vf_add(x, vf_set(ATTN_EXP2_ROUND_UNBIASED));
  return vf_exponent_added(vf_exp2_fraction(vf_sub(x, vf_sub(t, vf_set(ATTN_EXP2_ROUND_UNBIASED)))), t);
}

/* The same bits, for loops that have few registers to spare: all constants are memory operands. The address comes from
 * vf_exp2_constants() anew each time, or the compiler keeps what stands there in registers that it does not have. */
static inline const float *vf_exp2_constants(void)
{
#define ALL_LANES(x)                                                                                                       \
  {                                                                                                                        \
    [0 ... VL - 1] = (x)                                                                                                   \
  }
  static const float constants[7][VL] __attribute__((aligned(64))) = {ALL_LANES(ATTN_EXP2_ROUND_UNBIASED),
                                                                      ALL_LANES(ATTN_EXP2_C5),
                                                                      ALL_LANES(ATTN_EXP2_C4),
                                                                      ALL_LANES(ATTN_EXP2_C3),
                                                                      ALL_LANES(ATTN_EXP2_C2),
                                                                      ALL_LANES(ATTN_EXP2_C1),
                                                                      ALL_LANES(1.0f)};
#undef ALL_LANES
  const float *c = constants[0];
  __asm__ volatile("" : "+r"(c));
  return c;
}
static inline vf vf_exp2_lean(vf x, const float *constants)
{
  const vf t = vf_add(x, vf_load(constants)), f = vf_sub(x, vf_sub(t, vf_load(constants)));
  vf p = vf_load(constants + VL);
#pragma GCC unroll 5
  for (int i = 2; i < 7; i++) p = vf_fma(p, f, vf_load(constants + i * VL));
  return vf_exponent_added(p, t);
}

#endif
