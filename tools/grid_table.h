/* A table of texts that is printed for a terminal, as Markdown or as CSV. */
#ifndef ATTNBENCH_GRID_TABLE_H
#define ATTNBENCH_GRID_TABLE_H

#include <stdbool.h>
#include <stdio.h>

enum grid_format { GRID_TEXT, GRID_MARKDOWN, GRID_CSV };

struct grid_table {
  int columns, rows; /* rows: with the heading */
  char **cell;       /* [rows][columns]; a row with only its first cell set is a title between rows */
  bool failed;       /* no memory: nothing is printed */
};

/* {0} is an empty table; the first row added is the heading and decides the number of columns. Texts are copied; NULL is an
 * empty cell. A heading that begins with '<' marks a column that stands left; others stand right. */
void grid_add(struct grid_table *table, int columns, const char *const *cells);
bool grid_print(FILE *out, const struct grid_table *table, enum grid_format format);

/* A text as a field of CSV (RFC 4180): in quotes where it needs them. */
void csv_print(FILE *out, const char *text);

void grid_free(struct grid_table *table);

#endif
