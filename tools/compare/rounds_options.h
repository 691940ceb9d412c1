/* What ab and gate share on the command line: which cases, and how they are measured and decided. A child of their argp;
 * the parent's parser gives its input at ARGP_KEY_INIT. */
#ifndef ATTNBENCH_ROUNDS_OPTIONS_H
#define ATTNBENCH_ROUNDS_OPTIONS_H

#include "rounds.h"

#include <argp.h>

enum { ROUNDS_OPTIONS_MAX_ARGUMENTS = 1024, ROUNDS_MAX_LOOKS = 16 };

struct rounds_options {
  const char *argument[2 * ROUNDS_OPTIONS_MAX_ARGUMENTS + 8]; /* selection, for `run --list` */
  int arguments;
  double min_time_s, alpha;
  int repetitions, most_rounds;
  enum rounds_clock clock;
  enum rounds_figure figure;
  uint64_t seed;
  bool quiet;
};

extern const struct rounds_options rounds_options_defaults;
extern const struct argp rounds_options_argp;

double rounds_options_number(struct argp_state *state, const char *option, const char *text, double least, double most);

/* The names to measure as `program` lists them; without a selection the quick preset with one kernel for each shape, the
 * first of the list, on all cores. Names in *text, pointers to them in name. Number of names; 0: the complaint says why. */
int rounds_options_names(const struct rounds_options *o, int program, char **text, const char *name[ROUNDS_MAX_CASES],
                         struct complaint *why);

/* The rounds after which is looked: the first has the power to decide, then a third more each time, up to most_rounds. Each
 * look spends alpha / looks (Bonferroni), so that however early it ends, alpha holds in all. Number of looks. */
int rounds_options_looks(const struct rounds_options *o, int cases, int look[ROUNDS_MAX_LOOKS]);

#endif
