/* Hardware and software counters of this process through perf_event_open(2). */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>

enum { COUNTERS_MAX = 16, COUNTER_NAME_BYTES = 32 };

struct counter_reading {
  double value, enabled, running; /* as the kernel counts, times in ns */
};

struct counters {
  int count;
  struct counter_event {
    char name[COUNTER_NAME_BYTES];
    int fd;                        /* -1: not to be had */
    char why[160];                 /* then */
    double total;                  /* scaled by time enabled / time running, over all windows */
    double share;                  /* smallest part of a window in which it really ran: below 1 it shared a register */
    struct counter_reading before; /* at the start of the window */
  } counter[COUNTERS_MAX];
};

/* From a list of names separated by commas. Call before the process starts threads: later ones are counted, earlier ones
 * are not. False: a name is unknown (error lists the known ones); a counter that this machine lacks is no error. */
bool counters_open(struct counters *counters, const char *list, char *error, size_t error_bytes);
void counters_close(struct counters *counters);

/* Around what is to be counted. Windows add up until counters_reset(). */
void counters_start(struct counters *counters);
void counters_stop(struct counters *counters);
void counters_reset(struct counters *counters);

/* Whether cycles can be counted; otherwise why not and what would help. */
bool counters_available(char *why, size_t why_bytes, const char **remedy);

#endif
