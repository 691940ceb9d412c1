/* The numbers of a row beyond its times: rates, errors, hardware counters, whatever a program reports. */
#ifndef BENCH_RESULTS_COUNTERS_H
#define BENCH_RESULTS_COUNTERS_H

#include "results.h"

#include <jansson.h>

/* Of the row that gave the last of c's times. NULL: taken; otherwise what is wrong with it. */
const char *results_counters_take(struct results_case *c, const json_t *row);
void results_counters_free(struct results_case *c);

#endif
