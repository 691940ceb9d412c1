/* A step of the products of products_amx.h when numbers are digits (digits.h): 16 pairs of each. For scores see
 * score_digits_amx.h; for a value of two digits three products are summed, for second digits of weights by second digits of
 * values are less than O loses when it is stored; of three digits six, as for scores. */
#ifndef ATTN_MULTIPLY_AMX_H
#define ATTN_MULTIPLY_AMX_H

#include "score_digits_amx.h"

/* A block's products with V are summed by themselves where the rounding of so many additions to O would show. */
enum { SUMS_APART = DIGITS > 2 };
_Static_assert(DIGITS == 2 || (int)BEHIND_P >= (int)BLOCK_KEYS / 2, "room for a block's third digits");

/* Where a digit of weights [j, j + 2 TILE) of a row stands. */
ALWAYS_INLINE const float *digits_at(const float *row, int64_t j, int digit)
{
  return digit == 3 ? row + third_at(P_STRIDE, j) : row + j + (digit - 1) * TILE;
}

/* A score is NaN if an element of its query or its key is Inf or NaN: what it is without digits. NaN becomes such a one as
 * instructions make, of which pack_two_vectors() can make digits. */
__attribute__((noinline, cold)) static void mend_scores(const struct stream *s, int64_t t, int64_t j0, int64_t keys,
                                                        float *p, int64_t from, int64_t to)
{
  const struct attn_problem *problem = s->unit->problem;
  float *const q = s->q + s->tiles * MR * packed(problem->Dqk);
  for (int64_t i = 0; i < rows_of(s, t); i++) {
    query_row(q, s->unit, s->unit->row0 + t * MR + i);
    for (int64_t j = from; j < to && j < keys; j++) {
      const element *k = key_at(s->unit, j0 + j);
      float *score = p + i * P_STRIDE + j;
      if (*score == *score) continue;
      *score = 0;
      for (int64_t d = 0; d < problem->Dqk; d++) *score += q[d] * el_get(k[d * problem->k.d]);
      if (*score != *score) *score = NAN;
    }
  }
}

/* O += P V of a step, of keys from j on; p: the tile's weights; rows, columns: there are both halves of them. */
ALWAYS_INLINE void multiply_values(const float *p, int64_t j, const float *v, int64_t v_bytes, bool rows, bool columns)
{
  enum { P_BYTES = P_STRIDE * sizeof(float) };
  const int64_t width = v_bytes / (int64_t)sizeof(float);
#define WEIGHTS(digit) LOAD_ROWS(digits_at(p, j, digit), TILE *P_STRIDE, P_BYTES, rows)
#define VALUES(digit)  LOAD_COLUMNS(v + ((digit)-1) * TILE * width, v_bytes, columns)
  WEIGHTS(DIGITS);
  VALUES(1);
  MULTIPLY(rows, columns);
  if (DIGITS == 3) {
    WEIGHTS(2);
    MULTIPLY(rows, columns);
    VALUES(2);
    MULTIPLY(rows, columns);
  }
  WEIGHTS(1);
  MULTIPLY(rows, columns);
  VALUES(DIGITS);
  MULTIPLY(rows, columns);
  if (DIGITS == 3) {
    VALUES(1);
    MULTIPLY(rows, columns);
  }
#undef WEIGHTS
#undef VALUES
}

/* The same of one row of weights in all rows of tile 0, and TILE columns of V, of which Inf and NaN are multiplied by first
 * digits only. */
static inline void multiply_carefully(const float *weights, int64_t j, const float *v, int64_t width)
{
  float seen[TILE * TILE], finite[DIGITS][TILE * TILE];
  for (int64_t x = 0; x < TILE; x++) {
    const vf weight = vf_set(weights[j + x]);
    vf_store(seen + x * TILE, vf_hide_pairs(vf_load(v + x * width), weight));
    UNROLLED_FOR (digit, DIGITS)
      vf_store(finite[digit] + x * TILE, vf_finite_pairs(vf_hide_pairs(vf_load(v + (digit * TILE + x) * width), weight)));
  }
#define WEIGHTS(digit) tile_load(4, digits_at(weights, j, digit), 0)
#define MULTIPLY_BY(values)                                                                                                \
  do {                                                                                                                     \
    tile_load(6, values, ROW_BYTES);                                                                                       \
    tile_add_products(0, 4, 6);                                                                                            \
  } while (0)
  WEIGHTS(DIGITS);
  MULTIPLY_BY(finite[0]);
  if (DIGITS == 3) {
    WEIGHTS(2);
    MULTIPLY_BY(finite[0]);
    MULTIPLY_BY(finite[1]);
    WEIGHTS(1);
    MULTIPLY_BY(finite[1]);
    MULTIPLY_BY(finite[2]);
    MULTIPLY_BY(seen);
  } else {
    WEIGHTS(1);
    MULTIPLY_BY(seen);
    MULTIPLY_BY(finite[1]);
  }
#undef WEIGHTS
#undef MULTIPLY_BY
}

#undef LOAD_ROWS
#undef LOAD_COLUMNS
#undef MULTIPLY

#endif
