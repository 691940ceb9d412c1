/* Runs cases: allocate, check against the oracle on the very buffers, then time. A wrong result is never timed.
 *
 * Method (version BENCH_METHOD_VERSION, docs/methodology.md): real time of whole attn_run() calls on a plan made once;
 * repetitions of at least min_time_s each, their median is the result; roofs as in roofs.h; the scalar reference and
 * what the compiler vectorised are timed once per shape and thread count, on the same buffers, for large shapes on a
 * slice of the problem, and compared by GFLOP/s. */
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include "case.h"
#include "counters.h"
#include "doctor.h"
#include "gbench_shim.h"
#include "roofs.h"

#include <math.h>

#define BENCH_METHOD_VERSION "3"

struct bench_settings {
  int repetitions;
  double min_time_s;
  uint64_t seed;
  bool times_only;             /* no roofs, no references, fewer rows of the oracle: a short process of many */
  int threads;                 /* of roofs, oracle and first touch */
  struct counters *counters;   /* NULL: none */
  const struct doctor *doctor; /* whose findings go into the report; NULL: none */
  const volatile int *stop;    /* non-zero: end as soon as the running call is done; NULL: never */
};

enum bench_state {
  BENCH_TIMED,
  BENCH_WRONG,      /* differs from the oracle; not timed */
  BENCH_LEFT_OUT,   /* cannot run here: note says why */
  BENCH_INTERRUPTED /* not finished */
};

struct bench_row {
  struct bench_case c;
  char name[BENCH_CASE_NAME_BYTES], label[64], note[256];
  char kernels[96]; /* of a layer: that of the projections, too; "" otherwise */
  enum bench_state state;
  enum attn_isa isa;
  int threads; /* that the plan really uses */
  int repetitions;
  struct gbench_repetition *repetition; /* [repetitions] if timed */
  double flops, bytes;                  /* of one call: useful multiply-adds counted as two; Q, K, V, mask and O once; of a
                                           layer inputs, weights, mask and output */
  double median_s, cv;                  /* of the repetitions; coefficient of variation */
  double fma_roof, read_roof;           /* beside this case, per second; NaN: none */
  bool caches_hold;                     /* all that the case reads: the read roof is of the caches then */
  double scalar_flops, autovec_flops;   /* per second, of the same shape and threads; NaN: none */
  bool scalar_sliced, autovec_sliced;
  double x_plain, x_share; /* of a variant: its time relative to the plain case of the run, and that relative to its share
                              of the useful FLOPs; NaN: there is none */
  double max_error;
  int64_t checked_rows, rows;
  double counted[COUNTERS_MAX]; /* of a call, in the order of the settings' counters; NaN: not to be had */
};

/* Derived figures of a repetition or of the median. NaN where the roof or the reference is missing. */
static inline double bench_row_rate(const struct bench_row *r, double seconds) { return r->flops / seconds; }
static inline double bench_row_roof_fraction(const struct bench_row *r, double seconds)
{
  return r->flops / seconds / r->fma_roof;
}
static inline double bench_row_bandwidth(const struct bench_row *r, double seconds) { return r->bytes / seconds; }
static inline double bench_row_bandwidth_fraction(const struct bench_row *r, double seconds)
{
  return r->bytes / seconds / r->read_roof;
}
/* Of the time that the higher of the two roofs allows: 1 where memory or the FMAs are kept busy all the time. */
static inline double bench_row_roofline_fraction(const struct bench_row *r, double seconds)
{
  const double compute_s = r->flops / r->fma_roof, memory_s = r->bytes / r->read_roof;
  return (compute_s > memory_s || isnan(compute_s) ? compute_s : memory_s) / seconds;
}
/* Decoding: a call makes one token, or Sq speculative ones, of each sequence. Sequences of different lengths: all queries,
 * new tokens and those of prompts. NaN otherwise. */
enum { BENCH_DECODE_QUERIES = 8 };
static inline double bench_row_tokens(const struct bench_row *r, double seconds)
{
  const struct bench_shape *s = &r->c.shape;
  if (bench_shape_has_sequences(s)) return (double)bench_sequences_total(&s->seqs).queries / seconds;
  return s->Sq <= BENCH_DECODE_QUERIES && s->Sq < s->Skv ? (double)(s->B * s->Sq) / seconds : NAN;
}
static inline double bench_row_x_scalar(const struct bench_row *r, double seconds)
{
  return r->flops / seconds / r->scalar_flops;
}
static inline double bench_row_x_autovec(const struct bench_row *r, double seconds)
{
  return r->flops / seconds / r->autovec_flops;
}

struct bench_runner;

/* Measures the roofs, unless only times are wanted. NULL, after a message on stderr: no memory. */
struct bench_runner *bench_runner_create(const struct bench_settings *settings);
void bench_runner_destroy(struct bench_runner *runner);
struct bench_roofs *bench_runner_roofs(struct bench_runner *runner); /* NULL: times only */

/* Buffers, oracle and references are kept until a case of another shape comes. */
void bench_runner_run(struct bench_runner *runner, const struct bench_case *c, struct bench_row *row);
/* Sets x_plain and x_share of all rows of a run: against the row that differs in the mask only, which is none. */
void bench_rows_relate(struct bench_row *rows, int count);
void bench_row_free(struct bench_row *row);

#endif
