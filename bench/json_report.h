/* Results in Google Benchmark's JSON, schema 1: raw repetitions and their aggregates, so that its compare.py and what else
 * reads that format work unchanged. Rows without a time do not stand in benchmarks[], where readers would take their 0
 * for a time, but under "left_out" with the reason. */
#ifndef BENCH_JSON_REPORT_H
#define BENCH_JSON_REPORT_H

#include "runner.h"

#include <stdio.h>

/* False: no memory, or the stream failed. */
bool bench_json_write(FILE *out, const struct bench_row *rows, int count, const struct bench_roofs *roofs,
                      const struct bench_settings *settings);

#endif
