/* A step of the products of products_amx.h when packed floats are pairs of elements (pack_pairs.h): 16 pairs. */
#ifndef ATTN_MULTIPLY_AMX_H
#define ATTN_MULTIPLY_AMX_H

enum {
  STEP = TILE, /* packed floats of a row */
  SUMS_APART = 0
};

/* No product of pairs is wrong. */
static inline void mend_scores(const struct stream *s, int64_t t, int64_t j0, int64_t keys, float *p, int64_t from,
                               int64_t to)
{
  (void)s, (void)t, (void)j0, (void)keys, (void)p, (void)from, (void)to;
}

/* Scores += Q K of a step; of the lower rows only if there are both halves. */
ALWAYS_INLINE void multiply_scores(const float *q, const float *k, bool both)
{
  enum { K_BYTES = NR * sizeof(float) };
  tile_load(4, q, ROW_BYTES);
  tile_load(6, k, K_BYTES);
  tile_load(7, k + TILE, K_BYTES);
  tile_add_products(0, 4, 6);
  tile_add_products(1, 4, 7);
  if (!both) return;
  tile_load(5, q + TILE * TILE, ROW_BYTES);
  tile_add_products(2, 5, 6);
  tile_add_products(3, 5, 7);
}

/* O += P V of a step, of keys from j on; p: the tile's weights; rows, columns: there are both halves of them. */
ALWAYS_INLINE void multiply_values(const float *p, int64_t j, const float *v, int64_t v_bytes, bool rows, bool columns)
{
  enum { P_BYTES = P_STRIDE * sizeof(float) };
  p += weights_at(j);
  tile_load(4, p, P_BYTES);
  tile_load(6, v, v_bytes);
  tile_add_products(0, 4, 6);
  if (columns) {
    tile_load(7, v + TILE, v_bytes);
    tile_add_products(1, 4, 7);
  }
  if (!rows) return;
  tile_load(5, p + TILE * P_STRIDE, P_BYTES);
  tile_add_products(2, 5, 6);
  if (columns) tile_add_products(3, 5, 7);
}

/* The same of one row of weights in all rows of tile 0, and TILE columns of V. */
static inline void multiply_carefully(const float *weights, int64_t j, const float *v, int64_t width)
{
  weights += weights_at(j);
  float square[TILE * TILE];
  for (int64_t x = 0; x < TILE; x++) vf_store(square + x * TILE, vf_hide_pairs(vf_load(v + x * width), vf_set(weights[x])));
  tile_load(4, weights, 0);
  tile_load(6, square, ROW_BYTES);
  tile_add_products(0, 4, 6);
}

#endif
