/* A history as what a gate compares with: how this machine has run each case since it last changed for good. */
#ifndef ATTNBENCH_BASELINE_HISTORY_H
#define ATTNBENCH_BASELINE_HISTORY_H

#include "baseline.h"

struct baseline_history {
  const char *db;      /* NULL: the default */
  const char *machine; /* the name it was given in the history; NULL: the host's */
  bool any_machine;    /* of whatever machine the latest run is */
};

/* Of the latest BASELINE_HISTORY_RUNS runs of this machine and of the latest one's method. A case that has
 * BASELINE_HISTORY_LEAST of them since its last change point is the medians of these runs, so that what differs from run to
 * run is part of its spread; one that has fewer is the repetitions of its latest run. */
enum { BASELINE_HISTORY_RUNS = 50, BASELINE_HISTORY_LEAST = 6, BASELINE_HISTORY_MOST = 20 };
bool baseline_open_history(struct baseline *baseline, const struct baseline_history *options, struct complaint *why);

#endif
