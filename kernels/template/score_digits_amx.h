/* Rows by columns in digits (digits.h), by tiles: scores, or projections. Of two digits all four products are summed, so
 * that nothing is lost. Of three digits all but the three products are summed that are 2^-24 of a number and less: small
 * ones first, and so that one operand stays where it is from a product to the next. */
#ifndef ATTN_SCORE_DIGITS_AMX_H
#define ATTN_SCORE_DIGITS_AMX_H

#include "digits.h"

_Static_assert(MR == 2 * TILE && NR == 2 * TILE, "four quarters");
_Static_assert((int)VL == TILE, "a row of a tile is a vector");

/* Tiles 0 to 3 are the four quarters of the sums, 4 and 5 the rows, 6 and 7 the columns. Loads digits of both halves of
 * these, or of the first. */
#define LOAD_ROWS(from, half, stride, both)                                                                                \
  do {                                                                                                                     \
    tile_load(4, from, stride);                                                                                            \
    if (both) tile_load(5, (from) + (half), stride);                                                                       \
  } while (0)
#define LOAD_COLUMNS(from, stride, both)                                                                                   \
  do {                                                                                                                     \
    tile_load(6, from, stride);                                                                                            \
    if (both) tile_load(7, (from) + TILE, stride);                                                                         \
  } while (0)
#define MULTIPLY(both_rows, both_columns)                                                                                  \
  do {                                                                                                                     \
    tile_add_products(0, 4, 6);                                                                                            \
    if (both_columns) tile_add_products(1, 4, 7);                                                                          \
    if (both_rows) tile_add_products(2, 5, 6);                                                                             \
    if ((both_rows) && (both_columns)) tile_add_products(3, 5, 7);                                                         \
  } while (0)

/* Sums += q k of a step of TOGETHER numbers; of the lower rows only if there are both halves. */
ALWAYS_INLINE void multiply_scores(const float *q, const float *k, bool both)
{
  enum { K_BYTES = NR * sizeof(float) };
#define QUERIES(digit) LOAD_ROWS(q + ((digit)-1) * TILE * MR, TILE * TILE, ROW_BYTES, both)
#define KEYS(digit)    LOAD_COLUMNS(k + ((digit)-1) * TILE * NR, K_BYTES, true)
  QUERIES(DIGITS);
  KEYS(1);
  MULTIPLY(both, true);
  if (DIGITS == 3) {
    QUERIES(2);
    MULTIPLY(both, true);
  }
  KEYS(2);
  MULTIPLY(both, true);
  QUERIES(1);
  MULTIPLY(both, true);
  if (DIGITS == 3) {
    KEYS(3);
    MULTIPLY(both, true);
  }
  KEYS(1);
  MULTIPLY(both, true);
#undef QUERIES
#undef KEYS
}

#endif
