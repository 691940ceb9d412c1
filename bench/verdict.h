/* From statistics to words. Effects are natural logarithms of a ratio of times: positive is slower. */
#ifndef BENCH_VERDICT_H
#define BENCH_VERDICT_H

#include "stats.h"

#include <stddef.h>

enum verdict { VERDICT_FASTER, VERDICT_SLOWER, VERDICT_SAME, VERDICT_INCONCLUSIVE, VERDICTS };

/* Same: the whole interval lies within the margin (a ratio: 0.02 for 2 %). Otherwise faster or slower: significant, and the
 * interval excludes no change. Otherwise inconclusive. */
enum verdict verdict_of(const struct stats_interval *effect, bool significant, double margin);

const char *verdict_name(enum verdict verdict); /* "slower" */

/* "slower by 3.1 %", "same within 2 %", "inconclusive". Returns text. */
char *verdict_text(enum verdict verdict, const struct stats_interval *effect, double margin, char *text, size_t bytes);

/* "+1.0 ... +5.2 %", "unknown" where there are too few values. Returns text. */
char *verdict_interval_text(const struct stats_interval *effect, char *text, size_t bytes);

double verdict_percent(double effect); /* of time: 100 * (exp(effect) - 1) */

#endif
