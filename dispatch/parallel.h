/* Work in pieces on the library's threads, for what is not a plan's run. */
#ifndef ATTN_PARALLEL_H
#define ATTN_PARALLEL_H

#include "attn.h"

/* What options and environment say: at least 1. */
attn_status attn_choose_threads(int *threads, const attn_options *options);

/* Calls piece(context, i, thread) for each i of [0, count), thread within [0, threads). Pieces are handed out as threads
 * become free; placement and a lost pool (after fork) are treated as in attn_run(). */
void attn_parallel_for(int threads, attn_placement placement, int64_t count,
                       void (*piece)(void *context, int64_t i, int thread), void *context);

#endif
