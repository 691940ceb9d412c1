/* What products_amx.h multiplies when packed floats are pairs of elements (pack_pairs.h). Tiles 0 to 3 are the four
 * quarters of the sums, 4 and 5 the rows of Q or P, 6 and 7 the columns of K or V. */
#ifndef ATTN_MULTIPLY_AMX_H
#define ATTN_MULTIPLY_AMX_H

/* No product of pairs is wrong. */
static inline void mend_scores(const struct stream *s, int64_t t, int64_t j0, int64_t keys, float *p, int64_t from,
                               int64_t to)
{
  (void)s, (void)t, (void)j0, (void)keys, (void)p, (void)from, (void)to;
}

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
    for (int64_t d = 0; d < depth; d += TILE, k += TILE * NR) {
      tile_load(4, q + d * MR, ROW_BYTES);
      tile_load(6, k, K_BYTES);
      tile_load(7, k + TILE, K_BYTES);
      tile_add_products(0, 4, 6);
      tile_add_products(1, 4, 7);
      if (!both) continue;
      tile_load(5, q + d * MR + TILE * TILE, ROW_BYTES);
      tile_add_products(2, 5, 6);
      tile_add_products(3, 5, 7);
    }
    tile_store(p, P_BYTES, 0);
    tile_store(p + TILE, P_BYTES, 1);
    if (!both) continue;
    tile_store(p + TILE * P_STRIDE, P_BYTES, 2);
    tile_store(p + TILE * P_STRIDE + TILE, P_BYTES, 3);
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
    for (int64_t j = packed(from); j < packed(to); j += TILE) {
      tile_load(4, p + j, P_BYTES);
      tile_load(6, v + j * width, v_bytes);
      tile_add_products(0, 4, 6);
      if (columns) {
        tile_load(7, v + j * width + TILE, v_bytes);
        tile_add_products(1, 4, 7);
      }
      if (!rows) continue;
      tile_load(5, p + TILE * P_STRIDE + j, P_BYTES);
      tile_add_products(2, 5, 6);
      if (columns) tile_add_products(3, 5, 7);
    }
  }
  tile_store(o, v_bytes, 0);
  if (columns) tile_store(o + TILE, v_bytes, 1);
  if (rows) tile_store(lower, v_bytes, 2);
  if (rows && columns) tile_store(lower + TILE, v_bytes, 3);
}

/* The same where V is not finite: the values of a row's hidden keys (weight -0) are taken for 0. Row by row, each as all 16
 * rows of a tile, so that finite values give the bits that add_values() makes of them: which of the two a row meets depends
 * on its neighbours. */
__attribute__((noinline, cold)) static void value_tile_careful(float *o, const float *p, int64_t p_stride, const float *v,
                                                               uint32_t live, int64_t keys, int64_t width)
{
  float square[TILE * TILE];
  for (int64_t i = 0; i < MR; i++) {
    const float *row = p + i * p_stride;
    for (int64_t d = 0; d < width; d += TILE) {
      float *at = o + i * width + d;
      tile_load(0, at, 0);
      for (uint32_t rest = live; rest;) {
        int64_t from, to;
        rest = next_run(rest, keys, &from, &to);
        for (int64_t j = packed(from); j < packed(to); j += TILE) {
          for (int64_t x = 0; x < TILE; x++)
            vf_store(square + x * TILE, vf_hide_pairs(vf_load(v + (j + x) * width + d), vf_set(row[j + x])));
          tile_load(4, row + j, 0);
          tile_load(6, square, ROW_BYTES);
          tile_add_products(0, 4, 6);
        }
      }
      tile_store(square, ROW_BYTES, 0);
      vf_store(at, vf_load(square));
    }
  }
}

#endif
