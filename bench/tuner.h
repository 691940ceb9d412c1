/* Searches the blocking of a kernel for a case: one field after the other, each value timed in turns with the best so far.
 * A value must compute the oracle's result before it is timed, and win most of its rounds before it is taken; what is left
 * at the end is held against the default once more, since the luckiest of many is not the best. */
#ifndef BENCH_TUNER_H
#define BENCH_TUNER_H

#include "case.h"

#include "../dispatch/internal.h"

struct bench_tuner_settings {
  double budget_s; /* of one case */
  uint64_t seed;
  const volatile int *stop;
  /* Called before each value; may be NULL. gain: of the best so far over the default, e.g. 0.02. */
  void (*progress)(void *context, const struct attn_blocking *tried, double gain, double left_s);
  void *context;
};

enum bench_tuner_state {
  BENCH_TUNER_KEPT,        /* the default is best, or nothing was surely better */
  BENCH_TUNER_BETTER,      /* .best is surely better */
  BENCH_TUNER_UNCONFIRMED, /* stopped: .best won its rounds, but was not held against the default again */
  BENCH_TUNER_WRONG,       /* a blocking gave a wrong result; .best is that one, note says where */
  BENCH_TUNER_FAILED       /* note says why */
};

struct bench_tuned {
  enum bench_tuner_state state;
  struct attn_blocking usual, best; /* every field filled in */
  double gain;                      /* throughput of best over the default's, less 1 */
  int tried;
  char note[256];
};

void bench_tune(struct bench_tuned *tuned, const struct bench_case *c, const struct bench_tuner_settings *settings);

#endif
