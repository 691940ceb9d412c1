/* Runs a function on several threads at once, each on a core of its own: for roofs, first touch and checking. Kernels
 * bring their own threads. */
#ifndef BENCH_TEAM_H
#define BENCH_TEAM_H

#include <stdbool.h>

typedef void (*bench_team_function)(void *context, int thread, int threads);

/* The members start together, after a barrier, and are bound like the threads of a plan (thread t on core t). Returns
 * when all are done. Returns false if threads could not be started; nothing was run then. */
bool bench_team_run(int threads, bench_team_function function, void *context);

#endif
