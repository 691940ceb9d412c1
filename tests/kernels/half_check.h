/* The conversions between f32 and the 16-bit element types, of each ISA, against their definition in float64.
 *
 * half_<isa>.c compiles the versions that the kernels of that ISA use, with their flags, and exports them over arrays. */
#ifndef TESTS_HALF_CHECK_H
#define TESTS_HALF_CHECK_H

#include "../../kernels/kernel.h"

struct half_version {
  const char *name;
  uint32_t needs;
  /* n a multiple of 16 */
  void (*load_f16)(float *restrict y, const uint16_t *restrict x, int64_t n);
  void (*load_bf16)(float *restrict y, const uint16_t *restrict x, int64_t n);
  void (*store_f16)(uint16_t *restrict y, const float *restrict x, int64_t n);
  void (*store_bf16)(uint16_t *restrict y, const float *restrict x, int64_t n);
};

/* Those of this architecture, NULL at the end. */
extern const struct half_version *const half_versions[];

struct half_result {
  uint64_t values;
  char wrong[160]; /* the first conversion that is wrong; empty: none */
};

/* To f32: all 65536 values of both types. From f32: every value of the type, every midpoint between two of them, and the
 * floats next to those, where rounding turns; the ends of the range; NaNs of all kinds of payload. loose_f16_ties: a
 * midpoint may become either f16 neighbour (an emulator's fault; the error is the same). */
void half_check(const struct half_version *version, bool loose_f16_ties, struct half_result *result);

#endif
