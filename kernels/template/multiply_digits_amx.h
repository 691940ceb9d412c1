/* What products_amx.h multiplies when numbers are two digits (pack_digits.h): for a score all four products of digits, so
 * that nothing is lost; for a value three of them, for second digits of weights by second digits of values are less than
 * O loses when it is stored. Tiles 0 to 3 are the four quarters of the sums, 4 and 5 the rows of Q or P, 6 and 7 the
 * columns of K or V. */
#ifndef ATTN_MULTIPLY_AMX_H
#define ATTN_MULTIPLY_AMX_H

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

/* Raw scores of a row tile, its padding included, and neighbouring key panels. */
__attribute__((noinline)) static void multiply_panels(float *restrict p, const float *restrict q, const float *restrict k,
                                                      int64_t depth, int64_t panels, bool both)
{
  enum { P_BYTES = P_STRIDE * sizeof(float), K_BYTES = NR * sizeof(float) };
  for (; panels > 0; panels--, p += NR) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    for (int64_t d = 0; d < depth; d += TOGETHER, k += TOGETHER * NR) {
      const float *first = q + d * MR, *second = first + TILE * MR;
      LOAD_ROWS(second, TILE * TILE, ROW_BYTES, both);
      LOAD_COLUMNS(k, K_BYTES, true);
      MULTIPLY(both, true);
      LOAD_COLUMNS(k + TILE * NR, K_BYTES, true);
      MULTIPLY(both, true);
      LOAD_ROWS(first, TILE * TILE, ROW_BYTES, both);
      MULTIPLY(both, true);
      LOAD_COLUMNS(k, K_BYTES, true);
      MULTIPLY(both, true);
    }
    tile_store(p, P_BYTES, 0);
    tile_store(p + TILE, P_BYTES, 1);
    if (!both) continue;
    tile_store(p + TILE * P_STRIDE, P_BYTES, 2);
    tile_store(p + TILE * P_STRIDE + TILE, P_BYTES, 3);
  }
}

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

/* O += P V of row tile t over the live panels, for one panel of `width` columns: NR or TILE. */
__attribute__((noinline)) static void add_values(const struct stream *s, int64_t t, float *o, const float *p,
                                                 const float *v, uint32_t live, int64_t keys, int64_t width)
{
  enum { P_BYTES = P_STRIDE * sizeof(float) };
  const int64_t v_bytes = width * (int64_t)sizeof(float);
  const bool rows = rows_of(s, t) > TILE, columns = width > TILE;
  float *const lower = o + TILE * width;
  tile_load(0, o, v_bytes);
  if (columns) tile_load(1, o + TILE, v_bytes);
  if (rows) tile_load(2, lower, v_bytes);
  if (rows && columns) tile_load(3, lower + TILE, v_bytes);
  while (live) {
    int64_t from, to;
    live = next_run(live, keys, &from, &to);
    for (int64_t j = from; j < packed(to); j += TOGETHER) {
      LOAD_ROWS(p + j + TILE, TILE * P_STRIDE, P_BYTES, rows);
      LOAD_COLUMNS(v + j * width, v_bytes, columns);
      MULTIPLY(rows, columns);
      LOAD_ROWS(p + j, TILE * P_STRIDE, P_BYTES, rows);
      MULTIPLY(rows, columns);
      LOAD_COLUMNS(v + (j + TILE) * width, v_bytes, columns);
      MULTIPLY(rows, columns);
    }
  }
  tile_store(o, v_bytes, 0);
  if (columns) tile_store(o + TILE, v_bytes, 1);
  if (rows) tile_store(lower, v_bytes, 2);
  if (rows && columns) tile_store(lower + TILE, v_bytes, 3);
}

/* The same where V is not finite: the values of a row's hidden keys (weight -0) are taken for 0, and Inf and NaN are
 * multiplied by first digits only. Row by row, each as all 16 rows of a tile: finite values get the same bits. */
__attribute__((noinline, cold)) static void value_tile_careful(float *o, const float *p, int64_t p_stride, const float *v,
                                                               uint32_t live, int64_t keys, int64_t width)
{
  float first[TILE * TILE], finite[TILE * TILE], second[TILE * TILE];
  for (int64_t i = 0; i < MR; i++) {
    const float *row = p + i * p_stride;
    for (int64_t d = 0; d < width; d += TILE) {
      float *at = o + i * width + d;
      tile_load(0, at, 0);
      for (uint32_t rest = live; rest;) {
        int64_t from, to;
        rest = next_run(rest, keys, &from, &to);
        for (int64_t j = from; j < packed(to); j += TOGETHER) {
          for (int64_t x = 0; x < TILE; x++) {
            const float *values = v + (j + x) * width + d;
            const vf weights = vf_set(row[j + x]), seen = vf_hide_pairs(vf_load(values), weights);
            vf_store(first + x * TILE, seen);
            vf_store(finite + x * TILE, vf_finite_pairs(seen));
            vf_store(second + x * TILE, vf_finite_pairs(vf_hide_pairs(vf_load(values + TILE * width), weights)));
          }
          tile_load(4, row + j + TILE, 0);
          tile_load(6, finite, ROW_BYTES);
          tile_add_products(0, 4, 6);
          tile_load(4, row + j, 0);
          tile_load(6, first, ROW_BYTES);
          tile_add_products(0, 4, 6);
          tile_load(6, second, ROW_BYTES);
          tile_add_products(0, 4, 6);
        }
      }
      tile_store(first, ROW_BYTES, 0);
      vf_store(at, vf_load(first));
    }
  }
}

#undef LOAD_ROWS
#undef LOAD_COLUMNS
#undef MULTIPLY

#endif
