/* Buffers with a PROT_NONE page on either side: one byte too far is a fault, not luck. */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum guard_side {
  GUARD_END,   /* the last byte stands before the guard page: catches overruns */
  GUARD_BEGIN, /* the first byte stands after the guard page: catches underruns */
};

struct guard {
  const char *name;
  unsigned char *room; /* what may be touched: whole pages, filled with `fill` */
  size_t room_bytes;
  unsigned char *data; /* what was asked for, within room */
  size_t bytes;
  unsigned char fill;
};

/* skew_bytes: distance from the guard page. Exits with status 4 when there is no memory: nothing can be tested then. */
struct guard guard_alloc(const char *name, size_t bytes, enum guard_side side, size_t skew_bytes, unsigned char fill);
void guard_free(struct guard *g);
void guard_read_only(const struct guard *g);
void guard_refill(const struct guard *g, unsigned char fill);

/* Describes where a faulting address lies relative to the buffers: "4 bytes beyond the end of v". */
void guard_describe(const struct guard *const *list, size_t n, const void *address, char *text, size_t bytes);

#endif
