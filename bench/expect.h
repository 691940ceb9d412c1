/* What the oracle says about a set of buffers, and how far a kernel's output is from it. Computed once per shape, then
 * used for every kernel that runs on the same buffers. */
#ifndef BENCH_EXPECT_H
#define BENCH_EXPECT_H

#include "tensors.h"

struct bench_expectation {
  int64_t rows;   /* checked; of B*Hq*Sq */
  int64_t *row;   /* [rows] (b*Hq + h)*Sq + i, ascending */
  double *o;      /* [rows][Dv] */
  double *lse;    /* [rows] */
  double max_abs; /* max |o| of these rows */
  bool all;
};

/* All rows if that takes less than about most_multiply_adds, otherwise as many as that allows (32 at least): one at random
 * from each of as many equal stretches, the first and the last always. False: no memory or threads. */
bool bench_expect_create(struct bench_expectation *e, const struct bench_tensors *t, double most_multiply_adds,
                         uint64_t seed, int threads);
void bench_expect_destroy(struct bench_expectation *e);

struct bench_verdict {
  bool right;
  double error;  /* max |o - oracle| / max|oracle| over the checked rows; NaN if one is NaN */
  char why[160]; /* if wrong: where and by how much */
};

/* Compares the checked rows with the bound of that kernel and looks at every element for NaN and Inf. */
struct bench_verdict bench_expect_check(const struct bench_expectation *e, const struct attn_kernel *kernel,
                                        const struct bench_tensors *t);

#endif
