/* A step of the products of products_amx.h when numbers are two digits (pack_digits.h): 16 pairs of them. For a score all
 * four products of digits are summed, so that nothing is lost; for a value three of them, for second digits of weights by
 * second digits of values are less than O loses when it is stored. */
#ifndef ATTN_MULTIPLY_AMX_H
#define ATTN_MULTIPLY_AMX_H

enum { STEP = TOGETHER }; /* packed floats of a row: TILE pairs of first digits, then of second ones */

/* Loads digits of both halves of the rows, or of the columns. */
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

/* A score is NaN if an element of its query or its key is Inf or NaN: what it is without digits. */
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
    }
  }
}

/* Scores += Q K of a step; of the lower rows only if there are both halves. */
ALWAYS_INLINE void multiply_scores(const float *q, const float *k, bool both)
{
  enum { K_BYTES = NR * sizeof(float) };
  LOAD_ROWS(q + TILE * MR, TILE * TILE, ROW_BYTES, both);
  LOAD_COLUMNS(k, K_BYTES, true);
  MULTIPLY(both, true);
  LOAD_COLUMNS(k + TILE * NR, K_BYTES, true);
  MULTIPLY(both, true);
  LOAD_ROWS(q, TILE * TILE, ROW_BYTES, both);
  MULTIPLY(both, true);
  LOAD_COLUMNS(k, K_BYTES, true);
  MULTIPLY(both, true);
}

/* O += P V of a step; rows, columns: there are both halves of them. */
ALWAYS_INLINE void multiply_values(const float *p, const float *v, int64_t v_bytes, bool rows, bool columns)
{
  enum { P_BYTES = P_STRIDE * sizeof(float) };
  const int64_t width = v_bytes / (int64_t)sizeof(float);
  LOAD_ROWS(p + TILE, TILE * P_STRIDE, P_BYTES, rows);
  LOAD_COLUMNS(v, v_bytes, columns);
  MULTIPLY(rows, columns);
  LOAD_ROWS(p, TILE * P_STRIDE, P_BYTES, rows);
  MULTIPLY(rows, columns);
  LOAD_COLUMNS(v + TILE * width, v_bytes, columns);
  MULTIPLY(rows, columns);
}

/* The same of one row of weights in all rows of tile 0, and TILE columns of V, of which Inf and NaN are multiplied by first
 * digits only. */
static inline void multiply_carefully(const float *weights, const float *v, int64_t width)
{
  float first[TILE * TILE], finite[TILE * TILE], second[TILE * TILE];
  for (int64_t x = 0; x < TILE; x++) {
    const float *values = v + x * width;
    const vf weight = vf_set(weights[x]), seen = vf_hide_pairs(vf_load(values), weight);
    vf_store(first + x * TILE, seen);
    vf_store(finite + x * TILE, vf_finite_pairs(seen));
    vf_store(second + x * TILE, vf_finite_pairs(vf_hide_pairs(vf_load(values + TILE * width), weight)));
  }
  tile_load(4, weights + TILE, 0);
  tile_load(6, finite, ROW_BYTES);
  tile_add_products(0, 4, 6);
  tile_load(4, weights, 0);
  tile_load(6, first, ROW_BYTES);
  tile_add_products(0, 4, 6);
  tile_load(6, second, ROW_BYTES);
  tile_add_products(0, 4, 6);
}

#undef LOAD_ROWS
#undef LOAD_COLUMNS
#undef MULTIPLY

#endif
