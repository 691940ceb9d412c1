/* The decision of a gate: is the candidate slower than the baseline, by more than this machine's noise?
 *
 * Against a build, every round visits the baseline twice and the candidate once, in random order. The two visits of the
 * baseline give the noise of the very rounds that the verdict rests on: an A/A difference whose truth is zero. The
 * smallest detectable change is how far from zero its interval reaches. Slower: the whole interval of the change lies
 * beyond it. Fine: the whole interval lies below the threshold. Otherwise more rounds; at last, inconclusive.
 *
 * Against a file there is nothing to visit but the candidate, twice a round. One process made the file, so the smallest
 * detectable change is what single processes differ by here: the 95 % quantile of |A/A|. */
#ifndef ATTNBENCH_GATE_H
#define ATTNBENCH_GATE_H

#include "baseline.h"
#include "rounds_options.h"

#include "../../bench/stats.h"

enum gate_verdict { GATE_OPEN, GATE_FINE, GATE_SLOWER };

struct gate_case {
  const char *name;
  struct stats_interval change, noise; /* ln ratios: candidate / baseline; baseline / baseline again */
  double detectable;                   /* ln */
  double baseline_ns, candidate_ns;    /* medians */
  int n;
  enum gate_verdict verdict;
};

struct gate {
  const struct rounds_options *options;
  const struct baseline *baseline;
  int candidate; /* program */
  double threshold;
  const volatile int *stop;
  const char *phase; /* for the progress */
  char *context;     /* JSON of a visit of the candidate */
  int exit_code;     /* after a failure */
};

/* One series of rounds over the cases whose names are set. False: the complaint says why, exit_code is set. */
bool gate_series(struct gate *gate, struct gate_case *c, int cases, uint64_t seed, struct complaint *why);

#endif
