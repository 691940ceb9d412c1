/* Runs one case on one kernel in several ways and compares with the oracle. */
#ifndef TESTS_VERIFY_H
#define TESTS_VERIFY_H

#include "case.h"

struct verdict {
  bool ok, skipped; /* skipped: the kernel does not support the shape */
  char why[512];
  double error; /* largest, relative to max|O|; of ordinary f32 data only, otherwise 0 */
};

struct verdict verify_case(const struct attn_kernel *kernel, const struct check_case *c, uint64_t seed);

#endif
