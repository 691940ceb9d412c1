/* Results in the formats of other tools. */
#ifndef ATTNBENCH_EXPORT_H
#define ATTNBENCH_EXPORT_H

#include "../complaint.h"

#include "../../bench/results.h"
#include "../../bench/stats.h"

#include <jansson.h>
#include <stdio.h>

struct export_format {
  const char *name;
  /* False: the complaint says why. Errors of the stream are its owner's to find. */
  bool (*write)(FILE *out, const struct results *results, struct complaint *why);
};

bool export_csv(FILE *out, const struct results *results, struct complaint *why);
bool export_openmetrics(FILE *out, const struct results *results, struct complaint *why);
bool export_benchstat(FILE *out, const struct results *results, struct complaint *why);
bool export_bencher(FILE *out, const struct results *results, struct complaint *why);
bool export_gha(FILE *out, const struct results *results, struct complaint *why);
bool export_lnt(FILE *out, const struct results *results, struct complaint *why);
bool export_google(FILE *out, const struct results *results, struct complaint *why);
bool export_junit(FILE *out, const struct results *results, struct complaint *why);
bool export_markdown(FILE *out, const struct results *results, struct complaint *why);

/* What several formats say of a case: the median of its repetitions and the interval of 95 %, infinite where they are too
 * few. */
struct stats_interval export_median(const struct results_case *c);
double export_counter_median(const struct results_case *c, const struct results_counter *counter); /* NaN: none */

/* "context" of the document. Borrowed; NULL: none. */
json_t *export_context(const struct results *results);
const char *export_context_text(const struct results *results, const char *key); /* "" */

#endif
