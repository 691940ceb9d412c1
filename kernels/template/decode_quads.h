/* The register tiles of decode.h over int8 K and V of a cache: products of integers. Rows of Q and the weights of a block
 * are rounded to 16 bits (docs/numerics.md), so nothing of K and V becomes f32; sums are exact. Four elements of a key, or
 * a value of four keys, stand beside each other in the cache and are multiplied by four numbers of a row at a time.
 *
 * The ISA's quads_<isa>.h has the verbs: a vi is IL sums, a vq IL quads of K or V, a vb a quad of a row, IL times; and
 * MOST_ROWS, how many rows a tile has sums for: 2 or 4. */
#ifndef ATTN_DECODE_QUADS_H
#define ATTN_DECODE_QUADS_H

#include "decode_ahead.h"

enum {
  QUAD = ATTN_QUAD,
  QUAD_LINE = LINE / QUAD, /* quads of a cache line */
  ASK_QUADS = 8,           /* from decision to decision what is asked for */
  MOST_VI = 4,
};

/* A cache of int8 has its rows padded. */
static inline int64_t values_width(const struct attn_problem *p) { return p->v.s; }
static inline size_t tiles_layout(struct decode *s, const char *base, size_t used)
{
  const int64_t padded = padded_rows(s->rows);
  DECODE_TAKE(q16, padded * s->depth);
  DECODE_TAKE(w16, padded * BLOCK);
  DECODE_TAKE(q_step, padded);
  DECODE_TAKE(w_step, padded);
  return used;
}
static inline void tiles_start(struct decode *s)
{
  memset(s->q16, 0, (size_t)(padded_rows(s->rows) * s->depth) * sizeof *s->q16);
  memset(s->w16, 0, (size_t)(padded_rows(s->rows) * BLOCK) * sizeof *s->w16);
  s->q_step[s->rows] = s->w_step[s->rows] = 0;
}

/* Quads of the rows of a tile stand beside each other. */
static inline void place_query(const struct decode *s, int64_t r, int64_t d, vf x)
{
  const int64_t first = tile_first(s, r), rows = tile_rows(s, first);
  int16_t *to = s->q16 + first * s->depth + (r - first) * QUAD, quads[VL];
  vq_round(quads, x);
  for (int i = 0; i < VL; i += QUAD) memcpy(to + (d + i) * rows, quads + i, QUAD * sizeof *quads);
}
static inline void place_weights(const struct decode *s, int64_t r, const float *w, int64_t n, vf levels)
{
  for (int64_t j = 0; j < n; j += VL) vq_round(s->w16 + r * BLOCK + j, vf_mul(vf_load(w + j), levels));
}

#include "decode_levels.h"

/* acc[rows][nv] += a quad of each row, row_step apart, times nv vectors of quads. What takes fewer registers stays in them.
 */
ALWAYS_INLINE void quads_tile(vi *acc, const int rows, const int nv, const int16_t *row, int64_t row_step,
                              const element *const at[MOST_VI])
{
  if (rows * VB_REGISTERS < nv * VQ_REGISTERS) {
    vb left[4];
    UNROLLED_FOR (i, rows) left[i] = vb_load(row + i * row_step);
    UNROLLED_FOR (x, nv) {
      const vq right = vq_load(at[x]);
      UNROLLED_FOR (i, rows) acc[i * nv + x] = vi_dot(acc[i * nv + x], left[i], right);
    }
  } else {
    vq right[MOST_VI];
    UNROLLED_FOR (x, nv) right[x] = vq_load(at[x]);
    UNROLLED_FOR (i, rows) {
      const vb left = vb_load(row + i * row_step);
      UNROLLED_FOR (x, nv) acc[i * nv + x] = vi_dot(acc[i * nv + x], left, right[x]);
    }
  }
}

/* acc[rows][KEY_VI] = q . key */
ALWAYS_INLINE void keys_tile(const int16_t *q, const int rows, const element *const key[MOST_VI], int64_t quads, vi *acc,
                             struct ahead *ahead, const bool near)
{
  const int lines = KEY_VI * IL / QUAD_LINE;
  UNROLLED_FOR (i, rows * KEY_VI) acc[i] = vi_zero();
  for (int64_t n = 0, end; n < quads; n = end) {
    int64_t step;
    end = quads - n < ASK_QUADS ? quads : n + ASK_QUADS;
    const element *soon = ahead_take(ahead, lines, end - n, key[0], &step);
    for (int64_t d = n; d < end; d++, soon += step, q += rows * QUAD) {
      const element *at[MOST_VI];
      UNROLLED_FOR (l, lines) ask(soon + l * LINE, near);
      UNROLLED_FOR (x, KEY_VI) at[x] = key[x] + d * STRETCH * QUAD;
      quads_tile(acc, rows, KEY_VI, q, QUAD, at);
    }
  }
}

/* Scores of rows [first, first + rows). Lanes beyond the last key hold anything. */
ALWAYS_INLINE void keys_rows(const struct decode *s, int64_t first, const int rows, const bool near, const struct block *b,
                             const struct block *next)
{
  const int64_t quads = s->unit->problem->k.s / QUAD;
  struct ahead ahead = {0};
  if (next) ahead = ahead_of(next->k, next->n, quads * QUAD, quads * QUAD);
  for (int64_t j = 0; j < b->n; j += KEY_VI * IL) {
    const element *key[MOST_VI];
    vi acc[4 * KEY_VI];
    UNROLLED_FOR (x, KEY_VI) {
      const int64_t at = j + x * IL < b->n ? j + x * IL : 0;
      key[x] = b->k[at / STRETCH] + at % STRETCH * QUAD;
    }
    keys_tile(s->q16 + first * s->depth, rows, key, quads, acc, &ahead, near);
    UNROLLED_FOR (x, KEY_VI) {
      const int64_t at = j + x * IL < b->n ? j + x * IL : 0;
      const float *scale = b->k_scale[at / STRETCH] + at % STRETCH;
      UNROLLED_FOR (i, rows)
        vi_scaled(s->s + (first + i) * SCORES + j + x * IL, acc[i * KEY_VI + x], s->q_step[first + i], scale);
    }
  }
}

/* o += weights * V for `rows` rows and nv vectors of values from `left` on. */
ALWAYS_INLINE void values_columns(const struct decode *s, int64_t first, const int rows, const int nv, const bool near,
                                  const struct block *b, int64_t left, struct ahead *ahead)
{
  const int64_t step = s->unit->problem->v.s * QUAD;
  const int lines = nv * IL / QUAD_LINE;
  const int16_t *w = s->w16 + first * BLOCK;
  vi acc[4 * MOST_VI];
  UNROLLED_FOR (i, rows * nv) acc[i] = vi_zero();
  for (int64_t j = 0; j < b->n; j += STRETCH) {
    const int64_t quads = ((b->n - j < STRETCH ? b->n - j : STRETCH) + QUAD - 1) / QUAD;
    const element *v = b->v[j / STRETCH] + left * QUAD;
    int64_t soon_step;
    const element *soon = ahead_take(ahead, lines, quads, v, &soon_step);
    for (int64_t n = 0; n < quads; n++) {
      const element *at[MOST_VI];
      UNROLLED_FOR (l, lines) ask(soon + l * LINE, near);
      UNROLLED_FOR (c, nv) at[c] = v + c * IL * QUAD;
      quads_tile(acc, rows, nv, w, BLOCK, at);
      v += step;
      w += QUAD;
      soon += soon_step;
    }
  }
  UNROLLED_FOR (i, rows)
    UNROLLED_FOR (c, nv)
      vi_add_scaled(s->o + (first + i) * s->values + left + c * IL, acc[i * nv + c], s->w_step[first + i]);
}

ALWAYS_INLINE void values_rows(const struct decode *s, int64_t first, const int rows, const bool near,
                               const struct block *b, const struct block *next)
{
  const int64_t width = s->unit->problem->v.s; /* whole stretches: the rest is 0 */
  struct ahead ahead = {0};
  int64_t left = 0;
  if (next) ahead = ahead_of(next->v, next->n, width, width);
  for (; left + VALUE_VI * IL <= width; left += VALUE_VI * IL)
    values_columns(s, first, rows, VALUE_VI, near, b, left, &ahead);
  for (; left < width; left += STRETCH) values_columns(s, first, rows, STRETCH / IL, near, b, left, &ahead);
}

/* A function for every number of rows and both ways to ask; of 4 rows only if a tile has as many. */
#define DEFINE_ROWS(name, op, rows, near)                                                                                  \
  __attribute__((noinline)) static void name(const struct decode *s, int64_t first, const struct block *b,                 \
                                             const struct block *next)                                                     \
  {                                                                                                                        \
    op(s, first, rows, near, b, next);                                                                                     \
  }
DEFINE_ROWS(keys_4_near, keys_rows, MOST_ROWS, true)
DEFINE_ROWS(keys_2_near, keys_rows, 2, true)
DEFINE_ROWS(keys_1_near, keys_rows, 1, true)
DEFINE_ROWS(keys_4_far, keys_rows, MOST_ROWS, false)
DEFINE_ROWS(keys_2_far, keys_rows, 2, false)
DEFINE_ROWS(keys_1_far, keys_rows, 1, false)
DEFINE_ROWS(values_4_near, values_rows, MOST_ROWS, true)
DEFINE_ROWS(values_2_near, values_rows, 2, true)
DEFINE_ROWS(values_1_near, values_rows, 1, true)
DEFINE_ROWS(values_4_far, values_rows, MOST_ROWS, false)
DEFINE_ROWS(values_2_far, values_rows, 2, false)
DEFINE_ROWS(values_1_far, values_rows, 1, false)
#undef DEFINE_ROWS

static inline void score_block(const struct decode *s, const struct block *b, const struct block *next)
{
  if (next)
    for (int64_t j = 0; j < next->n; j += STRETCH) {
      __builtin_prefetch(next->k_scale[j / STRETCH], 0, 2);
      __builtin_prefetch(next->v_scale[j / STRETCH], 0, 2);
    }
  for (int64_t r = 0; r < s->rows; r += MOST_ROWS) {
    const int rows = tile_rows(s, r);
    OF_ROWS(keys, rows, s->near)(s, r, b, r == 0 ? next : NULL);
  }
}

static inline void add_values(struct decode *s, const struct block *b, bool hides, const struct block *next)
{
  (void)hides; /* integers are finite */
  for (int64_t r = 0; r < s->rows; r++) round_weights(s, r, b);
  for (int64_t r = 0; r < s->rows; r += MOST_ROWS) {
    const int rows = tile_rows(s, r);
    OF_ROWS(values, rows, s->near)(s, r, b, r == 0 ? next : NULL);
  }
}

#endif
