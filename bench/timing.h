/* Times a plan or a layer that was checked, with samples of the roofs in between. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include "counters.h"
#include "gbench_shim.h"
#include "roofs.h"

struct bench_call {
  attn_plan *plan;
  const attn_args *args;
  attn_layer *layer; /* NULL: it is the plan that is called */
  const attn_layer_args *layer_args;
};
attn_status bench_call_run(const struct bench_call *call);

struct bench_timing {
  const struct bench_call *call; /* [calls], which take turns */
  int calls, turn;               /* turn: whose it is */
  struct bench_roofs *roofs;     /* NULL: no samples */
  enum attn_isa isa;
  int threads;
  double bytes; /* that the calls read in turn before they begin again: the read roof is of so many; 0: no samples of it */
  double expected_s; /* of a call: short ones are run, untimed, after the samples took their data from the caches */
  double min_time_s;
  int repetitions;
  struct counters *counters;  /* over the timed calls; may be NULL */
  int64_t counted_calls;      /* out */
  const volatile int *stop;   /* may be NULL */
  double fma_roof, read_roof; /* out: the largest of the samples; 0: none */
};

/* Fills repetition[timing->repetitions]. False: stopped, or the call failed. */
bool bench_time(const char *name, struct bench_timing *timing, struct gbench_repetition *repetition);

double bench_median(double *values, int n); /* sorts values */

#endif
