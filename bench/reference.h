/* What a case is compared with: the scalar reference and the best that the compiler makes of the same source. */
#ifndef BENCH_REFERENCE_H
#define BENCH_REFERENCE_H

#include "layer.h"
#include "runner.h"

enum bench_reference_kind { BENCH_REFERENCE_SCALAR, BENCH_REFERENCE_AUTOVEC, BENCH_REFERENCE_COUNT };

struct bench_reference {
  int threads;  /* 0: slot is free */
  double flops; /* per second; NaN: no such kernel here, or it was wrong */
  bool sliced;  /* timed on a part of the problem */
};

/* Of one shape. */
enum { BENCH_REFERENCE_THREADS = 16 };
struct bench_reference_cache {
  struct bench_reference slot[BENCH_REFERENCE_COUNT][BENCH_REFERENCE_THREADS];
};

/* Times it at the first call for this number of threads. It is checked against the oracle as well. */
const struct bench_reference *bench_reference_get(struct bench_reference_cache *cache, const struct bench_tensors *whole,
                                                  enum bench_reference_kind kind, int threads,
                                                  const struct bench_settings *settings, struct bench_roofs *roofs);

/* The same of a whole layer of so many FLOPs a call, on the buffers that were checked; none where that takes too long. No
 * projection is left to the compiler's vectoriser, so there is no such reference. */
const struct bench_reference *bench_reference_of_layer(struct bench_reference_cache *cache, struct bench_layer *layer,
                                                       const struct bench_expectation *expected, double flops,
                                                       enum bench_reference_kind kind, int threads,
                                                       const struct bench_settings *settings, struct bench_roofs *roofs);

/* Compiled from the scalar source with the vectoriser on. */
bool bench_kernel_is_autovec(const struct attn_kernel *kernel);

#endif
