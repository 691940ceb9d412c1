/* What a gate compares with: a file of results, a build, or a revision that is built for it. */
#ifndef ATTNBENCH_BASELINE_H
#define ATTNBENCH_BASELINE_H

#include "../complaint.h"

#include "../../bench/results.h"

struct baseline {
  char label[256];
  int program; /* of a build or a revision; -1: a file */
  struct results results;
};

/* text is an executable or a folder with one (a build), another file that exists (results), or a revision of the git
 * repository of the working directory: it is checked out and built below build/baseline/ of its top folder. */
bool baseline_open(struct baseline *baseline, const char *text, struct complaint *why);
void baseline_close(struct baseline *baseline);

#endif
