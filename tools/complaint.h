/* Why something failed, on its way to the one who tells the user. */
#ifndef ATTNBENCH_COMPLAINT_H
#define ATTNBENCH_COMPLAINT_H

#include <stdbool.h>

struct complaint {
  char text[1024];
};

void complaint_set(struct complaint *complaint, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* complain(complaint, format, ...) sets it and is false, so that a failing function can end with `return complain(...)`. A
 * macro, so that static analysis sees the false. */
#define complain(...) (complaint_set(__VA_ARGS__), false)

#endif
