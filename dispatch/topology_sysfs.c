/* The topology without hwloc, for static and cross builds (HWLOC=0): the affinity mask and Linux's sysfs. */
#include "topology_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_PATH "/sys/devices/system/cpu/cpu%d/"

enum { WORD_BITS = 8 * sizeof(unsigned long), MAX_CPUS = 128 * WORD_BITS }; /* as many as an attn_binding holds */

struct cpu_list {
  unsigned long word[MAX_CPUS / WORD_BITS];
};

static bool has(const struct cpu_list *list, int cpu) { return list->word[cpu / WORD_BITS] >> cpu % WORD_BITS & 1; }

/* A file such as "0-3,8,10-11". False: not there, or empty. */
static bool read_list(struct cpu_list *list, const char *path)
{
  FILE *f = fopen(path, "re");
  if (!f) return false;
  memset(list, 0, sizeof *list);
  bool any = false;
  for (int first, last, next = ','; next == ',' && fscanf(f, "%d", &first) == 1;) {
    last = first;
    next = fgetc(f);
    if (next == '-' && fscanf(f, "%d", &last) == 1) next = fgetc(f);
    for (int cpu = first < 0 ? 0 : first; cpu <= last && cpu < MAX_CPUS; cpu++) {
      list->word[cpu / WORD_BITS] |= 1ul << cpu % WORD_BITS;
      any = true;
    }
  }
  fclose(f);
  return any;
}

static bool read_cpu_list(struct cpu_list *list, int cpu, const char *name)
{
  char path[128];
  snprintf(path, sizeof path, CPU_PATH "%s", cpu, name);
  return read_list(list, path);
}

static int read_cpu_number(int cpu, const char *name, int otherwise)
{
  char path[128];
  int value;
  snprintf(path, sizeof path, CPU_PATH "%s", cpu, name);
  FILE *f = fopen(path, "re");
  if (!f) return otherwise;
  if (fscanf(f, "%d", &value) != 1) value = otherwise;
  fclose(f);
  return value;
}

static int first_of(const struct cpu_list *list, const struct cpu_list *among)
{
  for (int cpu = 0; cpu < MAX_CPUS; cpu++)
    if (has(list, cpu) && (!among || has(among, cpu))) return cpu;
  return -1;
}

/* Physical cores among the hardware threads of a list. */
static int cores_of(const struct cpu_list *list)
{
  int cores = 0;
  for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
    struct cpu_list siblings;
    if (!has(list, cpu)) continue;
    if (!read_cpu_list(&siblings, cpu, "topology/thread_siblings_list") || first_of(&siblings, list) == cpu) cores++;
  }
  return cores;
}

static void read_caches(struct attn_topology *t, int cpu)
{
  for (int index = 0; index < 16; index++) {
    char path[128], name[32], type[16] = "", unit = 0;
    size_t size = 0;
    snprintf(path, sizeof path, CPU_PATH "cache/index%d/type", cpu, index);
    FILE *f = fopen(path, "re");
    if (!f) return;
    if (fscanf(f, "%15s", type) != 1) type[0] = 0;
    fclose(f);
    snprintf(name, sizeof name, "cache/index%d/level", index);
    const int level = read_cpu_number(cpu, name, 0);
    if (!strcmp(type, "Instruction") || level < 1 || level > 3) continue;
    snprintf(path, sizeof path, CPU_PATH "cache/index%d/size", cpu, index);
    if ((f = fopen(path, "re"))) {
      if (fscanf(f, "%zu%c", &size, &unit) < 1) size = 0;
      fclose(f);
    }
    size <<= unit == 'K' ? 10 : unit == 'M' ? 20 : 0;
    *(level == 1 ? &t->l1d_bytes : level == 2 ? &t->l2_bytes : &t->l3_bytes) = size;
    if (level == 1) continue;
    struct cpu_list sharers;
    snprintf(name, sizeof name, "cache/index%d/shared_cpu_list", index);
    *(level == 2 ? &t->l2_cores : &t->l3_cores) = read_cpu_list(&sharers, cpu, name) ? cores_of(&sharers) : 0;
  }
}

/* Sets .numa of all cores and returns the number of NUMA nodes. */
static int read_numa(struct attn_core *core, int cores)
{
  struct cpu_list online, node;
  int nodes = 0;
  if (!read_list(&online, "/sys/devices/system/node/online")) return 1; /* a kernel without NUMA */
  for (int n = 0; n < MAX_CPUS; n++) {
    char path[64];
    if (!has(&online, n)) continue;
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", n);
    if (read_list(&node, path))
      for (int c = 0; c < cores; c++)
        if (has(&node, core[c].cpu)) core[c].numa = nodes;
    nodes++;
  }
  return nodes;
}

static int descending(const void *a, const void *b) { return *(const int *)b - *(const int *)a; }

/* Sets .kind of all cores by their capacity (Arm) or by Intel's list of efficient cores, and returns the number of kinds.
 */
static int read_kinds(struct attn_core *core, int cores)
{
  struct cpu_list efficient;
  const bool hybrid = read_list(&efficient, "/sys/devices/cpu_atom/cpus");
  int *capacity = calloc(2 * (size_t)cores, sizeof *capacity), kinds = 0;
  if (!capacity) return 1;
  int *distinct = capacity + cores;
  for (int c = 0; c < cores; c++) {
    capacity[c] = read_cpu_number(core[c].cpu, "cpu_capacity", hybrid && has(&efficient, core[c].cpu) ? 1 : 2);
    distinct[c] = capacity[c];
  }
  qsort(distinct, (size_t)cores, sizeof *distinct, descending);
  for (int c = 0; c < cores; c++)
    if (c == 0 || distinct[c] != distinct[kinds - 1]) distinct[kinds++] = distinct[c];
  for (int c = 0; c < cores; c++)
    for (int k = 0; k < kinds; k++)
      if (distinct[k] == capacity[c]) core[c].kind = kinds - 1 - k;
  free(capacity);
  return kinds;
}

bool attn_topology_read(struct attn_topology *t)
{
  struct cpu_list allowed = {{0}}, siblings, packages = {{0}};
  if (syscall(SYS_sched_getaffinity, 0, sizeof allowed.word, allowed.word) < 0) return false;
  for (int cpu = 0; cpu < MAX_CPUS; cpu++) t->hardware_threads += has(&allowed, cpu);
  struct attn_core *cores = calloc((size_t)t->hardware_threads, sizeof *cores);
  if (!cores) return false;
  for (int cpu = 0; cpu < MAX_CPUS; cpu++) {
    if (!has(&allowed, cpu)) continue;
    if (!read_cpu_list(&siblings, cpu, "topology/thread_siblings_list")) { /* no sysfs here */
      free(cores);
      return false;
    }
    if (first_of(&siblings, &allowed) != cpu) continue; /* its core is counted already */
    cores[t->cores++].cpu = cpu;
    const int package = read_cpu_number(cpu, "topology/physical_package_id", 0);
    const int bit = package < 0 || package >= MAX_CPUS ? 0 : package;
    t->packages += !has(&packages, bit);
    packages.word[bit / WORD_BITS] |= 1ul << bit % WORD_BITS;
  }
  if (t->cores == 0) {
    free(cores);
    return false;
  }
  read_caches(t, cores[0].cpu);
  t->numa_nodes = read_numa(cores, t->cores);
  t->kinds = read_kinds(cores, t->cores);
  qsort(cores, (size_t)t->cores, sizeof *cores, attn_core_order);
  t->core = cores;
  return true;
}

char *attn_topology_xml(void) { return NULL; }
