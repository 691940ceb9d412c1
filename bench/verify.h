/* Kernels against the oracle over the grid of odd problems. */
#ifndef BENCH_VERIFY_H
#define BENCH_VERIFY_H

#include "grid.h"

/* What the oracle says about a problem of the grid. */
struct verify_truth {
  double *o;      /* [B][Hq][Sq][Dv] */
  double *lse;    /* [B][Hq][Sq] */
  double max_abs; /* of the finite elements of o */
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

/* Runs the kernel on one and on two threads and compares O with the truth (max|o - oracle|/max|oracle| within the bound;
 * NaN exactly where the oracle has it; zero rows where no key is visible), LSE likewise, the two runs bit by bit, and what
 * lies between the rows of O and LSE with what was there before. False: why says what is wrong. */
bool bench_verify_case(const struct attn_kernel *kernel, const struct grid_case *c, const struct verify_truth *truth,
                       struct verify_tally *tally, char *why, size_t why_bytes);

#endif
