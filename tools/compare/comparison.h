/* Files of results side by side: rows by name, each file against the first. */
#ifndef ATTNBENCH_COMPARISON_H
#define ATTNBENCH_COMPARISON_H

#include "../../bench/results.h"
#include "../../bench/verdict.h"

enum { COMPARISON_MAX_FILES = 32 };

struct comparison_cell {
  const struct results_case *c; /* NULL: the file does not have the case */
  struct stats_interval effect; /* ln of time / time in the first file; only if both have it */
  double p, p_family;           /* of this row; corrected for the family. NaN: no test */
  enum stats_method method;
  enum verdict verdict;
};

struct comparison_row {
  const char *name, *label;
  struct comparison_cell cell[COMPARISON_MAX_FILES];
};

struct comparison {
  const struct results *file[COMPARISON_MAX_FILES];
  int files, rows, tests, common; /* tests: the family; common: rows that every file has */
  struct comparison_row *row;
  double alpha, margin;
  double mean_ratio[COMPARISON_MAX_FILES]; /* geometric, over the common rows; NaN: there are none */
};

/* Files, alpha and margin are set by the caller. wanted (may be NULL) says which names take part. False: no memory. */
bool comparison_make(struct comparison *c, bool (*wanted)(const char *name, void *context), void *context);
void comparison_free(struct comparison *c);

#endif
