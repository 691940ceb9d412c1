/* What the suite sets out to reach, and whether a run reached it: ratios of figures of the same run only. */
#ifndef BENCH_BARS_H
#define BENCH_BARS_H

#include "presets.h"
#include "runner.h"

#include <stdio.h>

/* The shapes that the bars compare: preset roof. Those that are compared with each other stand together, so that the
 * machine has little time to drift between them. */
enum {
  BAR_D64,
  BAR_CAUSAL64,
  BAR_CAUSAL128,
  BAR_D128,
  BAR_F16,
  BAR_BF16,
  BAR_D80,
  BAR_D96,
  BAR_D256,
  BAR_SHORT64,
  BAR_SHORT128,
  BENCH_BAR_SHAPES
};
extern const struct bench_preset_shape bench_bar_shapes[BENCH_BAR_SHAPES];

/* Every bar for every ISA among the rows: what is asked, what was reached, met or not. A bar whose rows the run lacks is
 * "not measured". */
void bench_bars_print(FILE *out, bool markdown, const struct bench_row *rows, int count);

#endif
