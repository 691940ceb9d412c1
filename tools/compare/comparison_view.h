/* A comparison as a table and as JSON. */
#ifndef ATTNBENCH_COMPARISON_VIEW_H
#define ATTNBENCH_COMPARISON_VIEW_H

#include "comparison.h"
#include "../grid_table.h"

/* What has to be said before the table. */
struct comparison_notes {
  char text[8192];
  bool foreign; /* machines differ: no verdict on the code */
};
void comparison_note(struct comparison_notes *notes, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *comparison_letter(int file); /* A, B, ... */

/* group (may be NULL) is a field of the name, as case_field() knows it. */
void comparison_print(FILE *out, const struct comparison *c, const struct comparison_notes *notes, const char *group,
                      enum grid_format format);

/* False: no memory, or the stream failed. */
bool comparison_write_json(FILE *out, const struct comparison *c, const struct comparison_notes *notes);

#endif
