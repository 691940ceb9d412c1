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

/* Of a panel's columns, NR beside each other: number d of VL of them, and number d + VL, whose pairs begin at `at`. */
ALWAYS_INLINE void put_columns(float *at, vf first, vf second)
{
  put_digits(at, VL * NR, at + 2 * VL * NR, first, second, TO_NEAREST);
}

/* The same of TOGETHER numbers of TB columns that come as rows, in two blocks. */
ALWAYS_INLINE void put_rows_as_columns(float *at, float (*rows)[TB][TB])
{
  float columns[2][TB][TB];
  UNROLLED_FOR (x, 2) vf_transpose_block(columns[x][0], TB, rows[x][0], TB);
  for (int64_t x = 0; x < TB; x++) put_columns(at + x * NR, vf_load(columns[0][x]), vf_load(columns[1][x]));
}

#endif
