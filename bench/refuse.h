/* Why something is refused or wrong, into a caller's text: of case names (case.c, sequences.c) and results (verify.c). */
#ifndef BENCH_REFUSE_H
#define BENCH_REFUSE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static inline bool fail(char *error, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
static inline bool fail(char *error, size_t bytes, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(error, bytes, format, args);
  va_end(args);
  return false;
}

#endif
