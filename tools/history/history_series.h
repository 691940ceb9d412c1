/* How a case went on a machine: a series for each case, machine and version of the method, by date. What trend shows, and
 * what a page may draw. */
#ifndef ATTNBENCH_HISTORY_SERIES_H
#define ATTNBENCH_HISTORY_SERIES_H

#include "history.h"

#include "../../bench/edivisive.h"

struct history_point {
  int64_t run, time_s;
  char *date, *commit, *binary;
  double ns, low, high; /* median of the repetitions and its 95 % interval; NaN: too few for one */
  int n;
};

/* Where a series changed for good. */
struct history_change {
  int at;          /* index of the first point after it: the commits are those after point[at - 1], up to point[at] */
  double ratio, p; /* time after / time before; of Welch's t-test of the logarithms */
  double before_ns, after_ns;
  bool binary_unchanged; /* the same program ran before and after: something else changed, and no alarm is due */
};

struct history_series {
  char *name, *machine, *method; /* machine: "name, CPU", for a person */
  struct history_point *point;
  int points;
  struct history_change *change; /* by place */
  int changes;
  double noise; /* relative: what a point differs from the next by without any change; the least that counts as one */
};

struct history_trend {
  struct history_series *series; /* by name, then machine */
  int count;
};

struct history_trend_options {
  struct history_filter runs;
  const regex_t *name; /* which cases; NULL: all */
  double noise;        /* the least change that counts, relative; 0: each series' own noise */
};

/* Series and their changes. False: the complaint says why. */
bool history_trend_read(struct history *history, const struct history_trend_options *options, struct history_trend *trend,
                        struct complaint *why);
void history_trend_free(struct history_trend *trend);

/* The trend for a page or a program:
 * [{"name", "machine", "method_version", "noise", "points": [{"run", "date", "commit", "binary", "median_ns", "low_ns",
 *   "high_ns", "repetitions"}], "changes": [{"at", "ratio", "p", "before_ns", "after_ns", "commit_before", "commit_after",
 *   "binary_unchanged"}]}]
 * A reference to give back. NULL: no memory. */
struct json_t *history_trend_json(const struct history_trend *trend);

#endif
