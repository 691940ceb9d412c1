/* A repetition as a row of Google Benchmark's JSON (schema 1), without counters. */
#ifndef BENCH_RESULTS_ROW_H
#define BENCH_RESULTS_ROW_H

#include <jansson.h>
#include <stdbool.h>

/* Repetition `index` of `repetitions`; an aggregate is the median of repetitions that are not known. A time that is NaN has
 * no key. A reference to give back; NULL: no memory. */
json_t *results_row(const char *name, const char *label, bool aggregate, int index, int repetitions, double real_ns,
                    double cpu_ns);

#endif
