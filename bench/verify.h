/* Kernels against the oracle over the grid of odd problems. */
#ifndef BENCH_VERIFY_H
#define BENCH_VERIFY_H

#include "grid.h"

/* What the oracle says about a problem of the grid. */
struct verify_truth {
  double *o;   /* [B][Hq][Sq][Dv] */
  double *lse; /* [B][Hq][Sq] */
  /* Errors of O are taken relative to max|o|. Of a problem with few elements all may be small by cancellation, which no
   * summation in f32 can follow: then an eighth of the largest sum of p|v| stands in. Among N(0, 1) values with any number
   * of independent elements max|o| is the larger one. */
  double unit;
  double weight; /* the largest sum of p|v|, among the first and last queries */
};
bool bench_truth_create(struct verify_truth *truth, const struct grid_case *c);
void bench_truth_destroy(struct verify_truth *truth);

/* Of one kernel, over all problems so far. */
struct verify_tally {
  int cases, failures, unsupported;
  int on_two_threads; /* cases that really used two: small problems do not */
  int blind_rows;     /* rows without a visible key */
  double o_error, lse_error;
};

/* Runs the kernel on one and on two threads and compares O with the truth (|o - oracle| / truth->unit within the bound;
 * NaN exactly where the oracle has it; zero rows where no key is visible), LSE likewise, the two runs bit by bit, and what
 * lies between the rows of O and LSE with what was there before. False: why says what is wrong. */
bool bench_verify_case(const struct attn_kernel *kernel, const struct grid_case *c, const struct verify_truth *truth,
                       struct verify_tally *tally, char *why, size_t why_bytes);

#endif
