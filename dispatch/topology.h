/* Which cores this process may use, and what stands around them: by hwloc, or by sysfs in builds with HWLOC=0. Read once,
 * thread-safe. */
#ifndef ATTN_TOPOLOGY_H
#define ATTN_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attn_core {
  int cpu;  /* OS index of the first allowed hardware thread of the core */
  int numa; /* NUMA node, by logical index */
  int kind; /* 0: most efficient ... kinds-1: fastest; all 0 on uniform CPUs */
};

struct attn_topology {
  int cores;                    /* allowed physical cores: those with a hardware thread in the affinity mask */
  const struct attn_core *core; /* [cores], fastest kind first, then by NUMA node */
  int hardware_threads;         /* allowed */
  int packages, numa_nodes, kinds;
  double quota;                         /* CPUs that the cgroup allows (cpu.max or cfs quota); 0: no limit */
  int default_threads;                  /* min(cores, floor(quota)), at least 1 */
  size_t l1d_bytes, l2_bytes, l3_bytes; /* of the first allowed core; 0: unknown or none */
  int l2_cores, l3_cores;               /* physical cores that share one such cache */
  bool known;                           /* false: the system does not tell; one core assumed */
};

const struct attn_topology *attn_topology_get(void);

/* hwloc's XML of the machine, which lstopo draws, without serial numbers; to be freed. NULL: a build with HWLOC=0, or the
 * system does not tell. */
char *attn_topology_xml(void);

/* Puts the calling thread on a core (modulo cores); *before receives what attn_unbind() restores. Does not allocate.
 * A thread that cannot be bound runs where it is: not an error. */
struct attn_binding {
  bool bound;
  unsigned long cpus[128]; /* an affinity mask of up to 8192 hardware threads */
};
void attn_bind(int core, struct attn_binding *before);
void attn_binding_keep(struct attn_binding *now); /* for attn_unbind(), without binding */
void attn_unbind(const struct attn_binding *before);

#endif
