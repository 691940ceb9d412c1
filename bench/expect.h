/* What the oracle says about a set of buffers, and how far a kernel's output is from it. Computed once per shape, then
 * used for every kernel that runs on the same buffers. */
#ifndef BENCH_EXPECT_H
#define BENCH_EXPECT_H

#include "tensors.h"

struct bench_expectation {
  int64_t rows;   /* checked; of B*Hq*Sq */
  int64_t *row;   /* [rows] (b*Hq + h)*Sq + i, ascending */
  double *o;      /* [rows][width] */
  double *lse;    /* [rows] */
  int64_t width;  /* Dv */
  double max_abs; /* max |o| of these rows */
  bool all;
};

/* Computes row n of e->o, and its lse; scores: scratch of Skv doubles. False: no memory. */
typedef bool bench_expect_row(const void *context, struct bench_expectation *e, int64_t n, double *scores);

/* All rows if that takes less than about most_multiply_adds, otherwise as many as that allows (32 at least): one at random
 * from each of as many equal stretches, the first and the last always. False: no memory or threads. */
bool bench_expect_create(struct bench_expectation *e, const struct bench_tensors *t, double most_multiply_adds,
                         uint64_t seed, int threads);

/* The same of rows of width elements, total of them, that row() computes in about multiply_adds each. */
bool bench_expect_create_by(struct bench_expectation *e, bench_expect_row *row, const void *context, int64_t total,
                            int64_t width, int64_t Skv, double multiply_adds, double most_multiply_adds, uint64_t seed,
                            int threads);
void bench_expect_destroy(struct bench_expectation *e);

struct bench_verdict {
  bool right;
  double error;  /* max |o - oracle| / max|oracle| over the checked rows; NaN if one is NaN */
  char why[160]; /* if wrong: where and by how much */
};

/* Compares the checked rows of the tensors' output with the bound and looks at every element for NaN and Inf. */
struct bench_verdict bench_expect_check(const struct bench_expectation *e, double bound, const struct bench_tensors *t);

#endif
