/* Google Benchmark behind C. The only door to C++: gbench_shim.cc is the one C++ file of the tree. */
#ifndef BENCH_GBENCH_SHIM_H
#define BENCH_GBENCH_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench_repetition {
  double real_s, cpu_s; /* of one iteration; cpu_s is that of all threads of the process */
  int64_t iterations;
};

struct gbench_job {
  void *context;
  bool (*before)(void *context); /* untimed, before each batch of iterations; false ends the job */
  bool (*step)(void *context);   /* one timed iteration; false ends the job */
  double min_time_s;             /* of a repetition, in real time */
  int repetitions;
};

/* Times a job. Fills repetition[job->repetitions] and returns true if every repetition was completed. */
bool gbench_time(const char *name, const struct gbench_job *job, struct gbench_repetition *repetition);

/* What Google Benchmark knows of the machine, for the context of its JSON. */
enum { GBENCH_MAX_CACHES = 16, GBENCH_MAX_LOADS = 3 };
struct gbench_machine {
  char host_name[128];
  int num_cpus;
  double mhz_per_cpu;
  int cpu_scaling; /* 1 enabled, 0 disabled, -1 unknown */
  struct {
    char type[32];
    int level, size_bytes, num_sharing;
  } cache[GBENCH_MAX_CACHES];
  int caches, loads;
  double load_avg[GBENCH_MAX_LOADS];
};
void gbench_machine_get(struct gbench_machine *machine);

#ifdef __cplusplus
}
#endif
#endif
