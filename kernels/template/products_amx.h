/* The two products of fwd_stream.h by tile registers (AMX), in place of products.h: the scores of a run of key panels, and
 * the values of one panel of columns.
 *
 * A row tile is two tiles of rows, a panel two of columns. P is where they stand as rows already; Q is packed so, 16 pairs
 * of a row together. The sums go through memory to the vector registers. What is multiplied with what:
 * multiply_pairs_amx.h, or multiply_digits_amx.h if numbers are two digits.
 *
 * While instructions of tiles are on their way, the one CPU measured (a Xeon with 480 MiB of L3) adds and multiplies
 * vectors on one port in place of two: products and softmax take turns, a row tile at a time, and are not interleaved as
 * elsewhere (weigh.h).
 */
#ifndef ATTN_PRODUCTS_H
#define ATTN_PRODUCTS_H

#include "finish.h"
#include "panels.h"
#include "weigh.h"

_Static_assert(MR == 2 * TILE && NR == 2 * TILE, "four quarters");
_Static_assert((int)VL == TILE, "a row of a tile is a vector");

#ifdef ATTN_DIGITS
#include "multiply_digits_amx.h"
#else
#include "multiply_pairs_amx.h"
#endif

/* Raw scores of a row tile, its padding included, and neighbouring key panels. Tiles 0 to 3 are the four quarters of the
 * sums, 4 and 5 the rows of Q or P, 6 and 7 the columns of K or V. */
__attribute__((noinline)) static void multiply_panels(float *restrict p, const float *restrict q, const float *restrict k,
                                                      int64_t depth, int64_t panels, bool both)
{
  enum { P_BYTES = P_STRIDE * sizeof(float) };
  for (; panels > 0; panels--, p += NR) {
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    for (int64_t d = 0; d < depth; d += STEP, k += STEP * NR) multiply_scores(q + d * MR, k, both);
    tile_store(p, P_BYTES, 0);
    tile_store(p + TILE, P_BYTES, 1);
    if (!both) continue;
    tile_store(p + TILE * P_STRIDE, P_BYTES, 2);
    tile_store(p + TILE * P_STRIDE + TILE, P_BYTES, 3);
  }
}

/* A stripe is one tile of as many rows. */
static inline void score_stripe(struct stream *s, int64_t t, int64_t slot, int64_t j0, int64_t keys)
{
  (void)s, (void)t, (void)slot, (void)j0, (void)keys;
}

/* Scores of row tile t and keys [from, to) of the block, raw: take_weights() or scale_run() is next. */
static inline bool score_run(struct stream *s, int64_t t, int64_t j0, int64_t keys, float *restrict p, int64_t from,
                             int64_t to)
{
  const int64_t depth = packed(s->unit->problem->Dqk);
  multiply_panels(p + from, s->q + t * MR * depth, s->k + from * depth, depth, (to - from) / NR, rows_of(s, t) > TILE);
  if (s->care & CARE_SCORES) mend_scores(s, t, j0, keys, p, from, to);
  return true;
}

static inline void scale_run(struct stream *s, int64_t t, float *p, int64_t from, int64_t to)
{
  for (int64_t i = 0; i < rows_of(s, t); i++)
    for (int64_t j = from; j < to; j += VL) {
      float *at = p + i * P_STRIDE + j;
      vf_store(at, scaled_score(vf_load(at), s->unit->problem->q_factor));
    }
}

/* Row i's packed weights of its raw scores p[from..to), of which [end, to) are hidden and no others, in two passes: scores,
 * and whether all are surely plain; then what weigh_row() and pack_row() make of them, bit for bit. False: scores are left.
 */
static inline bool weigh_raw(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to, int64_t end)
{
  const int64_t r = t * MR + i;
  const vf factor = vf_set(s->unit->problem->q_factor);
  float *const row = p + i * P_STRIDE, *const packed_row_at = packed_row(p, i, P_STRIDE);
  vf most[NV], least[NV], sum[NV], sum_of_packed = vf_zero();
  UNROLLED_FOR (l, NV) most[l] = vf_set(-FLT_MAX), least[l] = vf_set(FLT_MAX), sum[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) {
      const vf x = vf_mul(vf_load(row + j + l * VL), factor);
      most[l] = vf_max(x, most[l]);
      least[l] = vf_min(x, least[l]);
      vf_store(row + j + l * VL, x);
    }
  UNROLLED_FOR (l, NV) most[0] = vf_max(most[0], most[l]), least[0] = vf_min(least[0], least[l]);
  if (s->max[r] == NO_KEYS) {
    set_scores(row, end, to, vf_set(-INFINITY));
    follow_max(s, t, i, row, from, to);
  }
  const vf max = vf_set(s->max[r]), weigher = weigher_of(s->max[r]);
  if (s->max[r] == NO_KEYS || isnan(shift_over(s->max[r])) || vf_any_above(vf_sub(most[0], max), RAISE - 1) ||
      vf_any_above(vf_sub(max, least[0]), DEPTH - 1))
    return false;
  set_scores(row, end, to, vf_set(s->max[r] - DEPTH));
  for (int64_t j = from; j < to; j += NR) {
    vf weight[NV];
    UNROLLED_FOR (l, NV) {
      weight[l] = plain_weight(vf_exp2_any_over, vf_load(row + j + l * VL), weigher);
      sum[l] = vf_add(sum[l], weight[l]);
    }
    sum_of_packed = pack_two_vectors(packed_row_at, P_STRIDE, j, weight[0], weight[1], sum_of_packed);
  }
  add_sums(s->sum + r * VL, sum);
  add_packed_sum(s, r, sum_of_packed);
  return true;
}

/* The weights of tile t, whose rows see all keys [from, end) and none of [end, to). */
static inline bool take_weights(struct stream *s, int64_t t, float *p, int64_t from, int64_t to, int64_t end)
{
  for (int64_t i = 0; i < MR; i++) {
    if (weigh_raw(s, t, i, p, from, to, end)) continue;
    weigh_row(s, t, i, p + i * P_STRIDE, from, to, end);
    pack_row(s, t, i, p, from, to);
  }
  return true;
}

/* Tile `number` begins with the sums at `at`, or with 0 if a block is summed apart; then they are those and the tile's. */
#define OPEN_SUMS(number, at, bytes)                                                                                       \
  do {                                                                                                                     \
    if (SUMS_APART)                                                                                                        \
      tile_zero(number);                                                                                                   \
    else                                                                                                                   \
      tile_load(number, at, bytes);                                                                                        \
  } while (0)
#define CLOSE_SUMS(number, at, bytes)                                                                                      \
  do {                                                                                                                     \
    float *const sums = at;                                                                                                \
    if (SUMS_APART) {                                                                                                      \
      float apart[TILE * TILE] __attribute__((aligned(64)));                                                               \
      tile_store(apart, ROW_BYTES, number);                                                                                \
      add_rows(sums, (bytes) / (int64_t)sizeof *sums, apart);                                                              \
    } else {                                                                                                               \
      tile_store(sums, bytes, number);                                                                                     \
    }                                                                                                                      \
  } while (0)

static inline void add_rows(float *sums, int64_t stride, const float *apart)
{
  for (int64_t i = 0; i < TILE; i++)
    vf_store(sums + i * stride, vf_add(vf_load(sums + i * stride), vf_load(apart + i * TILE)));
}

enum { VALUES_TOGETHER = 0 }; /* two tiles at a time: 1 to 2 % slower */

/* O += P V of row tile t over the live panels, for one panel of `width` columns: NR or TILE. tiles: 1. */
__attribute__((noinline)) static void add_values(const struct stream *s, int64_t t, int64_t tiles, float *o, const float *p,
                                                 const float *v, uint32_t live, int64_t keys, int64_t width)
{
  (void)tiles;
  const int64_t v_bytes = width * (int64_t)sizeof(float);
  const bool rows = rows_of(s, t) > TILE, columns = width > TILE;
  float *const lower = o + TILE * width;
  OPEN_SUMS(0, o, v_bytes);
  if (columns) OPEN_SUMS(1, o + TILE, v_bytes);
  if (rows) OPEN_SUMS(2, lower, v_bytes);
  if (rows && columns) OPEN_SUMS(3, lower + TILE, v_bytes);
  while (live) {
    int64_t from, to;
    live = next_run(live, keys, &from, &to);
    for (int64_t j = from; j < to; j += 2 * TILE) multiply_values(p, j, v + packed(j) * width, v_bytes, rows, columns);
  }
  CLOSE_SUMS(0, o, v_bytes);
  if (columns) CLOSE_SUMS(1, o + TILE, v_bytes);
  if (rows) CLOSE_SUMS(2, lower, v_bytes);
  if (rows && columns) CLOSE_SUMS(3, lower + TILE, v_bytes);
}

/* The same where V is not finite: the values of a row's hidden keys (weight -0) are taken for 0. Row by row, each as all 16
 * rows of a tile, so that finite values give the bits that add_values() makes of them: which of the two a row meets depends
 * on its neighbours. */
__attribute__((noinline, cold)) static void value_tile_careful(float *o, const float *p, int64_t p_stride, const float *v,
                                                               uint32_t live, int64_t keys, int64_t width)
{
  float sums[TILE * TILE];
  for (int64_t i = 0; i < MR; i++) {
    const float *row = p + i * p_stride;
    for (int64_t d = 0; d < width; d += TILE) {
      float *at = o + i * width + d;
      OPEN_SUMS(0, at, 0);
      for (uint32_t rest = live; rest;) {
        int64_t from, to;
        rest = next_run(rest, keys, &from, &to);
        for (int64_t j = from; j < to; j += 2 * TILE) multiply_carefully(row, j, v + packed(j) * width + d, width);
      }
      tile_store(sums, ROW_BYTES, 0);
      vf_store(at, SUMS_APART ? vf_add(vf_load(at), vf_load(sums)) : vf_load(sums));
    }
  }
}

#endif
