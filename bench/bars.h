/* What the suite sets out to reach, and whether a run reached it: ratios of figures of the same run only. */
#ifndef BENCH_BARS_H
#define BENCH_BARS_H

#include "presets.h"
#include "runner.h"

#include <stdio.h>

/* The preset's bars for every ISA among the rows: what is asked, what was reached, met or not. A bar whose rows the run
 * lacks is "not measured". Prints nothing for a preset without bars: only roof and decode have some. */
void bench_bars_print(FILE *out, bool markdown, const struct bench_preset *preset, const struct bench_row *rows, int count);

#endif
