/* A page of results in Markdown with one section for each CPU model, under a heading of its name. */
#ifndef ATTNBENCH_RESULTS_PAGE_H
#define ATTNBENCH_RESULTS_PAGE_H

#include "../complaint.h"

#include <stdio.h>

/* Writes to out the page `old` (NULL: a new one) with the section of this heading replaced by `section`, or appended. */
void results_page_merge(FILE *out, const char *old, const char *heading, const char *section);

/* The whole file as a string to free(). *text is NULL if there is no such file; false if it cannot be read. */
bool results_page_read(char **text, const char *path, struct complaint *why);

#endif
