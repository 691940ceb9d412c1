/* Memory for what kernels read and write all along: caches, workspaces, packed weights. */
#ifndef ATTN_MEMORY_H
#define ATTN_MEMORY_H

#include <stddef.h>

/* Aligned to a cache line, uninitialised; freed by free(). NULL: no memory. Whole large pages, where the system gives them,
 * if `part`, which one thread goes over at a time, is at least half of one: a cache is read at the speed of memory, which
 * small pages halve, and a workspace that fills an L2 cache loses some of it where small pages lie in the same sets. For
 * less it is not worth their faults, which a plan for a single call has anew each time. */
void *attn_reserve(size_t bytes, size_t part);

#endif
