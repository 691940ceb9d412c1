/* Numbers of more bits than bf16 for tiles that multiply pairs of bf16: each is ATTN_DIGITS digits, the nearest bf16, the
 * one nearest to what that lacks, and so on. Two hold an f16, three a float. A packed float is a pair of digits, of numbers
 * 16 apart; 32 numbers are 16 pairs of first digits, then 16 of second ones ... */
#ifndef ATTN_DIGITS_H
#define ATTN_DIGITS_H

#include "../kernel.h"
#include "unroll.h"

enum {
  DIGITS = ATTN_DIGITS,
  TOGETHER = 2 * VL, /* numbers */
  STEP = VL * DIGITS /* packed floats of those */
};
_Static_assert(DIGITS == 2 || DIGITS == 3, "as score_digits_amx.h has them");

static inline int64_t filled(int64_t n) { return (n + TOGETHER - 1) / TOGETHER * TOGETHER; } /* 0 behind the last number */
static inline int64_t packed(int64_t n) { return filled(n) / TOGETHER * STEP; }

/* How the digits before the last one are made of what is left. */
enum rounding {
  TO_NEAREST,       /* of anything: NaN and Inf stay such */
  PLAIN_TO_NEAREST, /* the same in fewer instructions, of numbers and of such NaN as instructions make, not of others */
  TOWARDS_0         /* in fewer still */
};

ALWAYS_INLINE vf rounded(vf x, int digit, enum rounding rounding)
{
  if (digit == 2 || rounding == TOWARDS_0) return x; /* a third digit has no bits to round */
  return rounding == TO_NEAREST && digit == 0 ? vf_near_bf16(x) : vf_near_bf16_plain(x);
}

/* Digits of the pairs of first and second, lane by lane: the first ones at `at`, the second ones `apart` floats on, third
 * ones at `third`. */
ALWAYS_INLINE void put_digits(float *at, int64_t apart, float *third, vf first, vf second, enum rounding rounding)
{
  UNROLLED_FOR (digit, DIGITS) {
    const vf upper[2] = {rounded(first, digit, rounding), rounded(second, digit, rounding)};
    vf_store(digit == 2 ? third : at + digit * apart, vf_pair_uppers(upper[0], upper[1]));
    first = vf_sub(first, vf_pair_second(upper[0]));
    second = vf_sub(second, vf_pair_second(upper[1]));
  }
}

#endif
