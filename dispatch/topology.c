#include "topology.h"
#include "quota.h"
#include "topology_source.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct attn_topology topology;
static struct attn_core lone_core;

int attn_core_order(const void *a, const void *b)
{
  const struct attn_core *x = a, *y = b;
  if (x->kind != y->kind) return y->kind - x->kind;
  if (x->numa != y->numa) return x->numa - y->numa;
  return x->cpu - y->cpu;
}

static void read_topology(void)
{
  topology.known = attn_topology_read(&topology);
  if (!topology.known)
    topology = (struct attn_topology){
        .cores = 1, .core = &lone_core, .hardware_threads = 1, .packages = 1, .numa_nodes = 1, .kinds = 1};
  topology.quota = attn_cgroup_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  topology.default_threads = topology.cores;
  if (topology.quota > 0 && topology.quota < topology.cores)
    topology.default_threads = topology.quota < 1 ? 1 : (int)topology.quota;
}

const struct attn_topology *attn_topology_get(void)
{
  pthread_once(&once, read_topology);
  return &topology;
}

/* By system calls on a fixed-size mask: glibc's wrappers are made for 1024 CPUs, hwloc's allocate. */
void attn_bind(int core, struct attn_binding *before)
{
  const struct attn_topology *t = attn_topology_get();
  before->bound = false;
  if (!t->known) return;
  memset(before->cpus, 0, sizeof before->cpus);
  const unsigned cpu = (unsigned)t->core[core % t->cores].cpu, bits = 8 * sizeof *before->cpus;
  unsigned long mine[sizeof before->cpus / sizeof *before->cpus] = {0};
  if (cpu >= 8 * sizeof mine || syscall(SYS_sched_getaffinity, 0, sizeof before->cpus, before->cpus) < 0) return;
  mine[cpu / bits] = 1ul << cpu % bits;
  before->bound = syscall(SYS_sched_setaffinity, 0, sizeof mine, mine) == 0;
}

void attn_binding_keep(struct attn_binding *now)
{
  memset(now->cpus, 0, sizeof now->cpus);
  now->bound = syscall(SYS_sched_getaffinity, 0, sizeof now->cpus, now->cpus) >= 0;
}

void attn_unbind(const struct attn_binding *before)
{
  if (before->bound) (void)syscall(SYS_sched_setaffinity, 0, sizeof before->cpus, before->cpus);
}
