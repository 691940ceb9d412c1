/* What A and B are: builds, kernels, ISAs, thread counts or environments, and the cases that both have. */
#ifndef ATTNBENCH_AB_SIDES_H
#define ATTNBENCH_AB_SIDES_H

#include "rounds_options.h"

enum ab_sort { SORT_BUILD, SORT_KERNEL, SORT_ISA, SORT_THREADS, SORT_ENV };

struct ab_sides {
  enum ab_sort sort;
  const char *value[2];
  struct rounds_side side[2];
  char *names[2]; /* [cases] of a fixed size */
  const char *name[2][ROUNDS_MAX_CASES];
  int cases;
};

/* From what the user wrote for A and B. Cases that one side lacks are told on standard error. False: the complaint says
 * why. */
bool ab_sides_make(struct ab_sides *sides, const char *const side[2], struct rounds_options *options,
                   struct complaint *why);
void ab_sides_free(struct ab_sides *sides);

#endif
