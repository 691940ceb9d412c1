/* Why something failed, on its way to the one who tells the user. */
#ifndef ATTNBENCH_COMPLAINT_H
#define ATTNBENCH_COMPLAINT_H

#include <stdbool.h>

struct complaint {
  char text[1024];
};

/* Always false, so that a failing function can end with `return complain(...)`. */
bool complain(struct complaint *complaint, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
