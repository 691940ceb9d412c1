/* Some rows of a finished attention against the float64 oracle, on the very buffers, for any data a user brings. */
#ifndef ATTNBENCH_ORACLE_SAMPLE_H
#define ATTNBENCH_ORACLE_SAMPLE_H

#include "../../dispatch/internal.h"

struct oracle_sample {
  int64_t rows;              /* compared */
  double max_error;          /* of O, absolute */
  double max_output;         /* largest |O| of these rows */
  bool correct;              /* every element of O and LSE within its bound */
  int64_t b, h, i;           /* if not: where the first wrong element stands */
  double got, wanted, limit; /* and what it is */
};

/* Rows spread evenly over the problem, the first and the last among them; as many as about a second of oracle allows.
 * False: no memory. */
bool oracle_sample(struct oracle_sample *sample, const struct attn_problem *problem, const attn_args *args);

#endif
