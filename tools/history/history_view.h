/* What a history shows on a terminal. */
#ifndef ATTNBENCH_HISTORY_VIEW_H
#define ATTNBENCH_HISTORY_VIEW_H

#include "history_series.h"

#include <stdio.h>

void history_print_runs(FILE *out, const struct history_runs *runs);
bool history_print_runs_json(FILE *out, const struct history_runs *runs); /* false: no memory, or the stream failed */
void history_print_run(FILE *out, const struct history_run *run, const struct results *results, const regex_t *name);

/* only_changed: series without a change are left out. blocks: sparklines of block characters (UTF-8), otherwise ASCII. */
void history_print_trend(FILE *out, const struct history_trend *trend, bool only_changed, bool blocks);

#endif
