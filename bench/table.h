/* Results as text for a terminal, Markdown and CSV: one list of columns for all three. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "runner.h"

#include <stdio.h>

enum bench_table_format { BENCH_TABLE_TEXT, BENCH_TABLE_MARKDOWN, BENCH_TABLE_CSV };

/* Rows, and under them (not in CSV) how to read them. */
void bench_table_print(FILE *out, enum bench_table_format format, const struct bench_row *rows, int count,
                       const struct bench_roofs *roofs);

#endif
