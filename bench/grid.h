/* Odd problems for verification: every pair of sizes around the tiles, everything else drawn at random. Case index of a
 * seed is always the same problem with the same content, so a failure is reproduced by the two numbers. */
#ifndef BENCH_GRID_H
#define BENCH_GRID_H

#include "tensors.h"

enum { GRID_TEXT_BYTES = 320 };

struct grid_case {
  attn_desc desc;
  struct attn_problem problem;
  struct attn_extents extents;
  attn_args args;             /* inputs only */
  char text[GRID_TEXT_BYTES]; /* what is special about it */
};

int bench_grid_count(void); /* indices 0..count-1 */

/* Makes case index of seed with content of dtype. Among the content: rows that see no key, and NaN in keys and values that
 * are hidden from all queries or from some. False and a message: no memory. */
bool bench_grid_create(struct grid_case *c, uint64_t seed, int index, attn_dtype dtype, char *error, size_t error_bytes);
void bench_grid_destroy(struct grid_case *c);

/* Whether the query may see the key, by the rules of attn.h. */
bool bench_grid_visible(const struct grid_case *c, int64_t b, int64_t h, int64_t i, int64_t j);

#endif
