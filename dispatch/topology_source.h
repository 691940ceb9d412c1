/* Where the topology comes from: topology_hwloc.c, or topology_sysfs.c in builds with HWLOC=0 (static and cross builds).
 * Exactly one of the two is linked. */
#ifndef ATTN_TOPOLOGY_SOURCE_H
#define ATTN_TOPOLOGY_SOURCE_H

#include "topology.h"

/* Fills in all that hardware and affinity mask determine: cores, core, hardware_threads, packages, numa_nodes, kinds and
 * the caches. *t comes zeroed. False: unknown, and *t holds nothing of use. */
bool attn_topology_read(struct attn_topology *t);

/* For qsort() of struct attn_core: fastest kind first, then by NUMA node. */
int attn_core_order(const void *a, const void *b);

#endif
