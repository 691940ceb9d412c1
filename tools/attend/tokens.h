/* Names of queries and keys: one a line of a UTF-8 file, made fit to be shown. */
#ifndef ATTNBENCH_TOKENS_H
#define ATTNBENCH_TOKENS_H

#include "../complaint.h"

#include <stddef.h>
#include <stdint.h>

struct tokens {
  char **text;
  int64_t count;
};

/* A line each, also empty ones; the line's end is not part of it. What is no printable UTF-8 becomes '?'. The complaint
 * begins with the path. Free the tokens in either case; {0} is allowed. */
bool tokens_read(struct tokens *tokens, const char *path, struct complaint *why);

/* The words of a text, separated by blanks. */
bool tokens_split(struct tokens *tokens, const char *text, struct complaint *why);

/* "0", "1" ... */
bool tokens_number(struct tokens *tokens, int64_t count, struct complaint *why);
void tokens_free(struct tokens *tokens);

/* Columns that a text takes in a terminal. */
int tokens_width(const char *text);

/* As much of text as fits into columns, the last of them "~" if not all does, filled up with blanks. Returns buffer. */
char *tokens_fit(const char *text, int columns, char *buffer, size_t bytes);

#endif
