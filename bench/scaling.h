/* How throughput grows with threads: the sweep and its closing table. */
#ifndef BENCH_SCALING_H
#define BENCH_SCALING_H

#include "runner.h"

#include <stdio.h>

enum { BENCH_SCALING_LIST_BYTES = 256 };

/* The thread counts of the sweep, as --threads takes them: every one up to 8, then steps of a quarter to a third, the cores
 * themselves, and twice the cores. Returns list. */
char *bench_scaling_threads(int cores, char list[BENCH_SCALING_LIST_BYTES]);

/* For each case that was timed on one thread, its throughput and parallel efficiency on each number of threads.
 * cpus: what the process may use, cores within the cgroup's quota (a fraction, possibly). */
void bench_scaling_print(FILE *out, bool markdown, const struct bench_row *rows, int count, double cpus);

#endif
