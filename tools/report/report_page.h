/* One page of one or more files of results: everything in it, nothing from elsewhere. */
#ifndef ATTNBENCH_REPORT_PAGE_H
#define ATTNBENCH_REPORT_PAGE_H

#include "../complaint.h"

#include "../../bench/results.h"

#include <stdio.h>

enum { REPORT_MAX_FILES = 16 };

struct report {
  const struct results *file[REPORT_MAX_FILES];
  int files;
  const char *title;      /* NULL: made of the machines */
  struct json_t *history; /* NULL: none */
};

/* What whoever made the page should know: mixed methods, missing charts. A line each, "" if all is well. */
struct report_warnings {
  char text[2048];
};
void report_warn(struct report_warnings *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes the page. Errors of out are left to whoever owns it; false: no memory or no random bytes, why says it. */
bool report_page_write(FILE *out, const struct report *report, struct report_warnings *warnings, struct complaint *why);

/* The data of the page, a new reference to free with json_decref(). NULL: no memory. */
struct json_t *report_data(const struct report *report, const struct report_warnings *warnings);

#endif
