#include "memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static size_t read_number(const char *directory, const char *file)
{
  char path[4300];
  unsigned long long value;
  snprintf(path, sizeof path, "/sys/fs/cgroup%s/%s", directory, file);
  FILE *f = fopen(path, "re");
  if (!f) return SIZE_MAX;
  const size_t result = fscanf(f, "%llu", &value) == 1 ? (size_t)value : SIZE_MAX; /* "max" is no number */
  fclose(f);
  return result;
}

/* The tightest cgroup (version 2) from the process's own up to the root. */
static size_t cgroup_available(void)
{
  char line[4096];
  size_t least = SIZE_MAX;
  FILE *f = fopen("/proc/self/cgroup", "re");
  if (!f) return least;
  while (fgets(line, sizeof line, f)) {
    if (strncmp(line, "0::", 3)) continue;
    char *path = line + 3;
    path[strcspn(path, "\n")] = 0;
    for (char *slash = path; slash;) {
      const size_t limit = read_number(path, "memory.max"), used = read_number(path, "memory.current");
      if (limit != SIZE_MAX && used != SIZE_MAX) {
        const size_t room = limit > used ? limit - used : 0;
        if (room < least) least = room;
      }
      slash = strrchr(path, '/');
      if (slash) *slash = 0;
    }
  }
  fclose(f);
  return least;
}

size_t bench_memory_available(void)
{
  char line[256];
  unsigned long long kib;
  size_t available = cgroup_available();
  FILE *f = fopen("/proc/meminfo", "re");
  if (!f) return available;
  while (fgets(line, sizeof line, f))
    if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1 && (size_t)kib * 1024 < available) available = (size_t)kib * 1024;
  fclose(f);
  return available;
}

static const size_t large_page = (size_t)2 << 20;

static bool is_large(size_t bytes) { return bytes >= large_page / 2 && bytes <= PTRDIFF_MAX; }
static size_t mapped(size_t bytes) { return is_large(bytes) ? (bytes + large_page - 1) / large_page * large_page : bytes; }

void *bench_memory_map(size_t bytes)
{
  const size_t slack = is_large(bytes) ? large_page : 0; /* before and behind what begins on a large page */
  char *const all = mmap(NULL, mapped(bytes) + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return NULL;
  if (!slack) return all;
  char *const start = all + -(uintptr_t)all % large_page;
  const size_t before = (size_t)(start - all);
  munmap(start + mapped(bytes), slack - before);
  if (before) munmap(all, before);
  (void)madvise(start, mapped(bytes), MADV_HUGEPAGE); /* a wish */
  return start;
}

void bench_memory_free(void *start, size_t bytes)
{
  if (start) munmap(start, mapped(bytes));
}
