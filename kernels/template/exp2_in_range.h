/* The fast exponentials of AVX2 and AVX-512, in the verbs of the vec_<isa>.h that includes this where it has defined
 * vf_exp2_fraction() and vf_exponent_added(). */
#ifndef ATTN_EXP2_IN_RANGE_H
#define ATTN_EXP2_IN_RANGE_H

#define VF_EXP2_ROUND ATTN_EXP2_ROUND_UNBIASED

/* 2^(x - r) for x - r within [-125, 127], r a whole number up to ATTN_EXP2_MOST_WHOLE and round = VF_EXP2_ROUND - r: what
 * rounds x takes r from its exponent, so that no subtraction is left. The exponent is added as an integer, off the FMA
 * ports.
 */
static inline vf vf_exp2_over(vf x, vf round)
{
  const vf t = vf_add(x, round);
  return vf_exponent_added(vf_exp2_fraction(vf_sub(x, vf_sub(t, round))), t);
}

/* The same bits, for loops that have few registers to spare: all constants are memory operands. The address comes from
 * vf_exp2_constants() anew each time, or the compiler keeps what stands there in registers that it does not have. */
static inline const float *vf_exp2_constants(void)
{
#define ALL_LANES(x)                                                                                                       \
  {                                                                                                                        \
    [0 ... VL - 1] = (x)                                                                                                   \
  }
  static const float constants[7][VL] __attribute__((aligned(64))) = {
      ALL_LANES(ATTN_EXP2_C5), ALL_LANES(ATTN_EXP2_C4), ALL_LANES(ATTN_EXP2_C3), ALL_LANES(ATTN_EXP2_C2),
      ALL_LANES(ATTN_EXP2_C1), ALL_LANES(1.0f),         ALL_LANES(VF_EXP2_ROUND)};
#undef ALL_LANES
  const float *c = constants[0];
  __asm__ volatile("" : "+r"(c));
  return c;
}
static inline vf vf_exp2_lean_round(const float *constants) { return vf_load(constants + 6 * VL); }
static inline vf vf_exp2_lean(vf x, vf round, const float *constants)
{
  const vf t = vf_add(x, round), f = vf_sub(x, vf_sub(t, round));
  vf p = vf_load(constants);
#pragma GCC unroll 5
  for (int i = 1; i < 6; i++) p = vf_fma(p, f, vf_load(constants + i * VL));
  return vf_exponent_added(p, t);
}

#endif
