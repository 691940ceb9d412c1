/* The tiles of decode.h over bf16 K and V of a cache, for matrix multiplications of bf16 pairs (AMX), whose sums are f32. A
 * cache of bf16 is made of the matrices that these want: 16 pairs of elements of 16 keys, and 16 pairs of keys of 16
 * columns, are 16 lines of memory each. A number of a row is two digits of bf16, x = high + low within 2^-17 of x, or
 * exactly if it is of Q in bf16; therefore scores are scaled, and not Q. Of 8 rows both digits make a tile, whose sums are
 * added in the end.
 */
#ifndef ATTN_DECODE_PAIRS_AMX_H
#define ATTN_DECODE_PAIRS_AMX_H

#define ATTN_DECODE_PAIRS
#include "decode_amx.h"

enum {
  SQUARE = TILE * TILE, /* floats of a tile */
  DEEP = 2 * TILE,      /* elements of a row of a tile of Q or of weights */
  GROUP = TILE / 2,     /* rows that pass at a time */
  ACROSS = 4,           /* tiles of columns at a time */
};
_Static_assert((int)BLOCK == 2 * (int)DEEP && STRETCHES == 4, "two tiles of weights, four of keys");

static inline float query_factor(const struct attn_problem *p)
{
  (void)p;
  return 1;
}

static inline int64_t deep_tiles(int64_t n) { return (n + DEEP - 1) / DEEP; }
static inline int64_t groups(const struct decode *s) { return (s->rows + GROUP - 1) / GROUP; }

/* A row of O has two of sums. */
static inline int64_t values_width(const struct attn_problem *p) { return 2 * p->v.s; }

/* Where row r's first digits, or sums, stand among tiles that each group has `tiles` of. The second ones are half a tile
 * on.
 */
static inline int64_t row_at(int64_t r, int64_t tiles) { return r / GROUP * tiles * SQUARE + r % GROUP * TILE; }

static inline size_t tiles_layout(struct decode *s, const char *base, size_t used)
{
  const int64_t all = groups(s);
  DECODE_TAKE(part, s->values);
  DECODE_TAKE(q_digits, all * deep_tiles(s->depth) * SQUARE);
  DECODE_TAKE(w_digits, all * 2 * SQUARE);
  DECODE_TAKE(v_copy, BLOCK * s->values / 2);
  return used;
}
static inline void tiles_start(struct decode *s)
{
  memset(s->q_digits, 0, (size_t)(groups(s) * deep_tiles(s->depth) * SQUARE) * sizeof *s->q_digits);
  memset(s->w_digits, 0, (size_t)(groups(s) * 2 * SQUARE) * sizeof *s->w_digits);
}

/* DEEP numbers of a row. */
static inline void put_digits(float *at, vf first, vf second)
{
  const vf high[2] = {vf_nearest_bf16(first), vf_nearest_bf16(second)};
  vf_store(at, vf_pairs_of(high[0], high[1]));
  vf_store(at + GROUP * TILE, vf_pairs_of(vf_sub(first, high[0]), vf_sub(second, high[1])));
}

/* Stores row r of Q. */
static inline void put_query(const struct decode *s, int64_t r, const float *row)
{
  float *at = s->q_digits + row_at(r, deep_tiles(s->depth));
  memcpy(s->q + r * s->depth, row, (size_t)s->depth * sizeof *row);
  for (int64_t d = 0; d < s->depth; d += DEEP, at += SQUARE)
    put_digits(at, vf_load(row + d), d + VL < s->depth ? vf_load(row + d + VL) : vf_zero());
}

/* A score that is not finite need not be what f32 makes of it: digits of 0 were multiplied by Inf. */
__attribute__((noinline, cold)) static void mend_scores(const struct decode *s, int64_t r, const struct block *b)
{
  const float *q = s->q + r * s->depth, factor = s->unit->problem->q_factor;
  float *score = s->s + r * SCORES;
  for (int64_t j = 0; j < b->n; j++) {
    const element *key = b->k[j / STRETCH] + j % STRETCH * ATTN_PAIR;
    if (isfinite(score[j])) continue;
    score[j] = 0;
    for (int64_t d = 0; d < s->unit->problem->Dqk; d++)
      score[j] += q[d] * factor * el_get(key[d / ATTN_PAIR * ATTN_PAIR * STRETCH + d % ATTN_PAIR]);
  }
}

/* Sums of both digits of row i of a tile. */
static inline vf row_sums(const float *tile, int64_t i)
{
  return vf_add(vf_load(tile + i * TILE), vf_load(tile + (GROUP + i) * TILE));
}

/* Scores of a group of rows and of a block's keys. */
static inline void score_group(const struct decode *s, int64_t group, const struct block *b, struct ahead *ahead)
{
  const int64_t pairs = s->unit->problem->k.s / ATTN_PAIR;
  const element *key[STRETCHES];
  const float *q = s->q_digits + group * deep_tiles(s->depth) * SQUARE;
  float sums[STRETCHES * SQUARE] __attribute__((aligned(64)));
  element copy[STRETCHES][TILE * LINE] __attribute__((aligned(64)));
  UNROLLED_FOR (x, STRETCHES) key[x] = b->k[x * STRETCH < b->n ? x : 0];
  tile_zero(0);
  tile_zero(1);
  tile_zero(2);
  tile_zero(3);
  for (int64_t n = 0; n < pairs; n += TILE, q += SQUARE) {
    const element *soon = lines_ahead(ahead, 4 * TILE);
#define SCORE_TILE(x, right)                                                                                               \
  tile_load(right, whole_tile(key[x] + n * LINE, pairs - n, copy[x]), 64);                                                 \
  tile_add_products(x, 4, right);                                                                                          \
  ask_eight(soon, 2 * x, s->near);                                                                                         \
  ask_eight(soon, 2 * x + 1, s->near)
    tile_load(4, q, 64);
    SCORE_TILE(0, 5);
    SCORE_TILE(1, 6);
    SCORE_TILE(2, 7);
    SCORE_TILE(3, 5);
#undef SCORE_TILE
  }
  tile_store(sums, 64, 0);
  tile_store(sums + SQUARE, 64, 1);
  tile_store(sums + 2 * SQUARE, 64, 2);
  tile_store(sums + 3 * SQUARE, 64, 3);
  for (int64_t r = group * GROUP; r < s->rows && r < (group + 1) * GROUP; r++) {
    vf far = vf_zero();
    UNROLLED_FOR (x, STRETCHES) {
      const vf score = vf_mul(row_sums(sums + x * SQUARE, r % GROUP), vf_set(s->unit->problem->q_factor));
      vf_store(s->s + r * SCORES + x * STRETCH, score);
      far = vf_farthest(far, score);
    }
    if (vf_any_beyond(far, FLT_MAX)) mend_scores(s, r, b);
  }
}

static inline void score_block(const struct decode *s, const struct block *b, const struct block *next)
{
  const int64_t width = s->unit->problem->k.s;
  struct ahead ahead = {0};
  if (next) ahead = ahead_of(next->k, next->n, width, width);
  for (int64_t group = 0; group < groups(s); group++) score_group(s, group, b, &ahead);
}

/* The values of half of a block: as they lie if that is in one piece, else a copy with 0 where there are no keys. */
static inline const element *half_values(const struct decode *s, const struct block *b, int half)
{
  const int64_t bytes = STRETCH * s->unit->problem->v.s * (int64_t)sizeof(element), first = half * DEEP;
  const element *const *v = b->v + half * 2;
  const bool both = first + STRETCH < b->n;
  if (both && (const char *)v[1] == (const char *)v[0] + bytes) return v[0];
  element *copy = s->v_copy + first * s->unit->problem->v.s;
  memset(copy, 0, (size_t)(2 * bytes));
  if (first < b->n) memcpy(copy, v[0], (size_t)bytes);
  if (both) memcpy((char *)copy + bytes, v[1], (size_t)bytes);
  return copy;
}

/* o += weights * V: a group of rows, up to ACROSS tiles of columns from column d on. */
static inline void add_columns(const struct decode *s, int64_t group, const element *const v[2], int64_t d,
                               struct ahead *ahead)
{
  const int64_t width = s->unit->problem->v.s, columns = (width - d) / TILE,
                step = width * ATTN_PAIR * (int64_t)sizeof(element);
  const float *w = s->w_digits + group * 2 * SQUARE;
  float *const o = s->o + group * GROUP * s->values + d / TILE * SQUARE;
  tile_load(0, o, 64);
  if (columns > 1) tile_load(1, o + SQUARE, 64);
  if (columns > 2) tile_load(2, o + 2 * SQUARE, 64);
  if (columns > 3) tile_load(3, o + 3 * SQUARE, 64);
  for (int half = 0; half < 2; half++, w += SQUARE) {
    const element *from = v[half] + d * ATTN_PAIR;
#define ADD_TILE(to, right)                                                                                                \
  if (columns > to) {                                                                                                      \
    const element *soon = lines_ahead(ahead, TILE);                                                                        \
    tile_load(right, from + to * LINE, step);                                                                              \
    ask_eight(soon, 0, s->near);                                                                                           \
    tile_add_products(to, 4, right);                                                                                       \
    ask_eight(soon, 1, s->near);                                                                                           \
  }
    tile_load(4, w, 64);
    ADD_TILE(0, 5)
    ADD_TILE(1, 6)
    ADD_TILE(2, 7)
    ADD_TILE(3, 5)
#undef ADD_TILE
  }
  tile_store(o, 64, 0);
  if (columns > 1) tile_store(o + SQUARE, 64, 1);
  if (columns > 2) tile_store(o + 2 * SQUARE, 64, 2);
  if (columns > 3) tile_store(o + 3 * SQUARE, 64, 3);
}

/* The same of row r where V is not finite, and bit for bit where it is: a key hidden from the row has values of 0, and so
 * have those that are not finite for the second digits. */
__attribute__((noinline, cold)) static void add_row_careful(const struct decode *s, int64_t r, const element *const v[2])
{
  const int64_t width = s->unit->problem->v.s;
  float square[SQUARE] __attribute__((aligned(64)));
  for (int64_t d = 0; d < width; d += TILE)
    for (int digit = 0; digit < 2; digit++) {
      float *o = s->o + row_at(r, s->values / 2 / TILE) + d / TILE * SQUARE + digit * GROUP * TILE;
      tile_load(0, o, 0);
      for (int half = 0; half < 2; half++) {
        const float *w = s->w_digits + row_at(r, 2) + half * SQUARE;
        for (int64_t x = 0; x < TILE; x++) {
          const vf pairs = vf_hide_pairs(vf_load((const float *)(v[half] + (x * width + d) * ATTN_PAIR)), vf_set(w[x]));
          vf_store(square + x * TILE, digit ? vf_finite_pairs(pairs) : pairs);
        }
        tile_load(4, w + digit * GROUP * TILE, 0);
        tile_load(5, square, 64);
        tile_add_products(0, 4, 5);
      }
      tile_store(square, 64, 0);
      vf_store(o, vf_load(square));
    }
}

static inline bool values_finite(const element *const v[2], int64_t width)
{
  bool finite = true;
  for (int64_t n = 0; n < DEEP * width; n += LINE)
    for (int half = 0; half < 2; half++) finite &= vf_are_finite_pairs(vf_load((const float *)(v[half] + n)));
  return finite;
}

static inline void add_values(struct decode *s, const struct block *b, bool hides, const struct block *next)
{
  const int64_t width = s->unit->problem->v.s, padded = whole_vectors(b->n);
  const element *const v[2] = {half_values(s, b, 0), half_values(s, b, 1)};
  struct ahead ahead = {0};
  (void)hides;
  if (next) ahead = ahead_of(next->v, next->n, width, width);
  for (int64_t r = 0; r < s->rows; r++) {
    const float *w = s->s + r * SCORES;
    vf weight[STRETCHES];
    UNROLLED_FOR (x, STRETCHES) weight[x] = x * VL < padded ? vf_load(w + x * VL) : vf_set(-0.0f);
    put_digits(s->w_digits + row_at(r, 2), weight[0], weight[1]);
    put_digits(s->w_digits + row_at(r, 2) + SQUARE, weight[2], weight[3]);
  }
  if (s->careful && !values_finite(v, width)) {
    for (int64_t r = 0; r < s->rows; r++) add_row_careful(s, r, v);
    return;
  }
  for (int64_t group = 0; group < groups(s); group++)
    for (int64_t d = 0; d < width; d += ACROSS * TILE) add_columns(s, group, v, d, &ahead);
}

static inline void scale_values(const struct decode *s, int64_t r, vf factor)
{
  float *o = s->o + row_at(r, s->values / 2 / TILE);
  for (int64_t d = 0; d < s->values / 2; d += TILE, o += SQUARE) {
    vf_store(o, vf_mul(vf_load(o), factor));
    vf_store(o + GROUP * TILE, vf_mul(vf_load(o + GROUP * TILE), factor));
  }
}

static inline const float *values_of_row(const struct decode *s, int64_t r)
{
  const float *o = s->o + row_at(r, s->values / 2 / TILE);
  for (int64_t d = 0; d < s->values / 2; d += TILE, o += SQUARE) vf_store(s->part + d, row_sums(o, 0));
  return s->part;
}

/* Some value was Inf or NaN, maybe a hidden one: all over again, with care. */
static inline bool wants_care(const struct decode *s)
{
  vf far = vf_zero();
  for (int64_t n = 0; n < groups(s) * GROUP * s->values; n += VL) far = vf_farthest(far, vf_load(s->o + n));
  return !s->careful && vf_any_beyond(far, FLT_MAX);
}

#endif
