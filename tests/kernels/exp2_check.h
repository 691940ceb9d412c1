/* 2^x of each ISA against float64, over every float of its domain.
 *
 * exp2_<isa>.c compiles the version that the kernels of that ISA use, with their flags, and exports it over arrays. */
#ifndef TESTS_EXP2_CHECK_H
#define TESTS_EXP2_CHECK_H

#include "../../kernels/kernel.h"

struct exp2_version {
  const char *name;
  uint32_t needs;
  double bound_ulp; /* claimed in docs/numerics.md */
  float lowest;     /* of its domain; -inf: any number and NaN, clamped at -126 */
  void (*run)(float *restrict y, const float *restrict x, int64_t n); /* n a multiple of 16 */
};

/* Those of this architecture, NULL at the end. */
extern const struct exp2_version *const exp2_versions[];

struct exp2_result {
  uint64_t floats;  /* compared */
  double worst_ulp; /* of them */
  float worst_x;
  char wrong[160]; /* first thing that is wrong beyond ulps (NaN, clamps); empty: nothing */
};

/* Compares all versions in one pass over the floats of [-126, 127] (or from `lowest` on): of the bit patterns, in order,
 * every stride-th, and in any case all of the neighbourhoods of integers and halves, where the range reduction switches. */
void exp2_check(const struct exp2_version *const *versions, int n, uint64_t stride, struct exp2_result *results);

#endif
