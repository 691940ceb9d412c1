/* Results read back: the JSON of `attnbench run` and that of any Google Benchmark program (schema 1). Nothing in a file is
 * trusted: sizes are bounded, names are printable, times are finite and positive; whatever is not so is an error that names
 * the file and the field. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A thousand cases of seven repetitions are 12 MiB. */
enum { RESULTS_MAX_FILE_BYTES = 256 << 20, RESULTS_MAX_ROWS = 200000, RESULTS_MAX_TEXT = 1024, RESULTS_MAX_COUNTERS = 64 };

/* A number beyond the times: gflops, max_error, cycles, iterations ... */
struct results_counter {
  char *name;
  double *value; /* [times]; NaN: that repetition does not have it */
  int room;
};

/* What a call of attnbench's cases does, and what stands beside it. NaN: the file does not say. */
struct results_work {
  double flops, bytes, tokens;        /* of one call */
  double fma_roof, read_roof;         /* a second */
  double scalar_flops, autovec_flops; /* a second, of the reference on the same shape and threads */
  double max_error;
};

struct results_case {
  char *name;               /* run_name: without the suffix of an aggregate */
  char *label;              /* "" if it has none */
  double *time_ns, *cpu_ns; /* cpu_ns: of all threads of the process; NaN where the file has none */
  int times;                /* repetitions, in the order of the file */
  struct results_work work; /* as the first row of it says */
  struct results_counter *counter;
  int counters;
  bool only_aggregate; /* the file has no repetitions of it; its median (or mean) is the one time */
};

struct results {
  char *path;
  /* Of the context; "" where the file does not say. */
  char *date, *host, *cpu, *features, *method, *version, *commit, *compiler, *binary;
  int64_t cpus;           /* 0: it does not say */
  struct results_case *c; /* in the order of the file */
  int *by_name;           /* [count]: their order by name */
  int count, left_out;    /* left_out: rows without a time (errors, kernels that were wrong or cannot run) */
  struct json_t *rest;    /* the document without benchmarks[]: as it stands in the file, of any content */
};

/* The whole file as terminated text to free(); path "-" is standard input. NULL: error says why. */
char *results_read_text(const char *path, size_t *bytes, char *error, size_t error_bytes);

/* path "-" is standard input. False: error says why; results is empty then. */
bool results_read(struct results *results, const char *path, char *error, size_t error_bytes);

/* The same from memory; path is for messages. */
bool results_parse(struct results *results, const char *path, const char *text, size_t bytes, char *error,
                   size_t error_bytes);
void results_free(struct results *results); /* {0} is allowed */

const struct results_case *results_find(const struct results *results, const char *name); /* NULL: none */

/* What speaks against the two being of one machine, in words; NULL: nothing. */
const char *results_machine_differs(const struct results *a, const struct results *b, char *text, size_t bytes);

#endif
