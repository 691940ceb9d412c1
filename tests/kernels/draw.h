/* Where a random case takes its choices from: a generator, or the bytes of a fuzzer (then zeros). */
#ifndef TESTS_DRAW_H
#define TESTS_DRAW_H

#include "rng.h"

#include <stddef.h>

struct draw {
  struct rng rng;
  const uint8_t *bytes; /* NULL: from rng */
  size_t left;
};

static inline uint8_t draw_byte(struct draw *d)
{
  if (!d->bytes) return (uint8_t)(rng_next(&d->rng) >> 56);
  return d->left ? (d->left--, *d->bytes++) : 0;
}

/* 0 .. n-1 */
static inline int64_t draw_below(struct draw *d, int64_t n)
{
  if (!d->bytes) return rng_below(&d->rng, n);
  uint64_t x = draw_byte(d);
  for (uint64_t room = 256; room < (uint64_t)n && room; room <<= 8) x = x << 8 | draw_byte(d);
  return (int64_t)(x % (uint64_t)n); // NOLINT(clang-analyzer-core.DivideZero): no caller asks for one of none
}

static inline char draw_letter(struct draw *d, const char *letters)
{
  int64_t n = 0;
  while (letters[n]) n++;
  return letters[draw_below(d, n)];
}

#endif
