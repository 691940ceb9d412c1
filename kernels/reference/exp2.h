/* 2^x in f32 without libm: x = n + f with n the nearest integer, 2^f by a degree-5 polynomial (minimax relative error
 * 8.7e-8 on [-0.5, 0.5], fitted by linear programming with p(0) = 1), 2^n by exponent bits. The coefficients serve
 * every ISA.
 *
 * Domain of all versions: x in [-inf, 127]; below -126 the result is 2^-126 (the caller replaces hidden keys by 0
 * itself); NaN gives NaN. Error: docs/numerics.md, proven over every float by tests/test_exp2.c. */
#ifndef ATTN_EXP2_H
#define ATTN_EXP2_H

#include <stdint.h>
#include <string.h>

#define ATTN_EXP2_C1  0.693146944f
#define ATTN_EXP2_C2  0.240222320f
#define ATTN_EXP2_C3  0.0555077940f
#define ATTN_EXP2_C4  0.00967199914f
#define ATTN_EXP2_C5  0.00132546027f
#define ATTN_EXP2_MIN -126.0f
/* So far below its row's reference, in log2 units, a weight is as good as nothing, and not made smaller: weigh.h. */
#define ATTN_DEPTH 100.0f
/* 1.5 * 2^23: adding it rounds to an integer; + 127 puts the biased exponent into the low bits of the sum. */
#define ATTN_EXP2_ROUND          12583039.0f
#define ATTN_EXP2_ROUND_UNBIASED 12582912.0f
/* Either of them less a whole number up to this is exact, and a sum with it rounds to an integer as well. */
#define ATTN_EXP2_MOST_WHOLE 0x1p21f

static inline float attn_exp2(float x)
{
  x = x < ATTN_EXP2_MIN ? ATTN_EXP2_MIN : x;
  float t = x + ATTN_EXP2_ROUND;
  float f = x - (t - ATTN_EXP2_ROUND);
  float p = ATTN_EXP2_C5;
  p = p * f + ATTN_EXP2_C4;
  p = p * f + ATTN_EXP2_C3;
  p = p * f + ATTN_EXP2_C2;
  p = p * f + ATTN_EXP2_C1;
  p = p * f + 1.0f;
  uint32_t bits;
  float scale;
  memcpy(&bits, &t, sizeof bits);
  bits <<= 23;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale; /* by multiplication, so that a NaN stays one */
}

#endif
