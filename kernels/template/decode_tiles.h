/* The two register tiles of decode.h: scores of some keys, and sums of weights times values. K and V are read as they lie;
 * what is multiplied next is asked for meanwhile, line by line at an even pace, so that memory is never idle.
 *
 * The inner loops, a cache line of K or a key of V at a time, ask without deciding anything. Every number of rows has a
 * function of its own, so that the accumulators have all registers. */
#ifndef ATTN_DECODE_TILES_H
#define ATTN_DECODE_TILES_H

#include "../kernel.h"
#include "unroll.h"

#include <string.h>

enum {
  BLOCK = 48,          /* keys: K and V of a block in L1, and whole tiles of 3, 4 or 8 */
  SCORES = BLOCK + 16, /* from row to row: the last tile may write beyond the keys */
  STRETCH = ATTN_KEY_STRETCH,
  STRETCHES = BLOCK / STRETCH,
  LINE = 64 / sizeof(element),          /* elements */
  STEP = LINE < 4 * VL ? LINE : 4 * VL, /* elements of a turn of the loop along a row */
#ifdef __aarch64__
  MOST_ACROSS = 8, /* keys or vectors of values in a tile: each key has two pointers */
#else
  MOST_ACROSS = 4,
#endif
};

struct decode {
  const struct attn_unit *unit;
  int64_t rows, depth, values; /* depth, values: Dqk and Dv rounded up to whole vectors */
  struct attn_row *row;        /* [rows] */
  float *max;                  /* [rows] reference of the exponentials */
  float *sum;                  /* [rows][VL] */
  float *q; /* [rows + 2][depth] scaled, padded with 0; see query_at(); beyond rows: padding, one to fill */
  float *o; /* [rows + 1][values] */
  float *s; /* [rows + 1][SCORES] scores, then weights */
};

/* Some keys, from j0 on: key j0 + j stands in stretch j / STRETCH. */
struct block {
  int64_t j0, n;
  const element *k[STRETCHES], *v[STRETCHES];
  const float *k_scale[STRETCHES], *v_scale[STRETCHES]; /* int8 only */
};

/* Rows from r on that a tile takes, one of which may be padding. */
static inline int tile_rows(const struct decode *s, int64_t r) { return s->rows - r >= 3 ? 4 : (int)(s->rows - r); }

/* Element d of row r of Q. The rows of a tile lie beside each other, a vector of each: one pointer reads them all. */
static inline float *query_at(const struct decode *s, int64_t r, int64_t d)
{
  const int64_t first = r / 4 * 4, rows = tile_rows(s, first);
  return s->q + first * s->depth + d / VL * VL * rows + (r - first) * VL + d % VL;
}

/* VL elements of a row of `width`, from d on; 0 beyond its end, which is not touched. */
ALWAYS_INLINE vf load_row(const element *row, int64_t d, int64_t width)
{
  if (width - d >= VL) return el_load(row + d);
  return width > d ? el_load_n(row + d, (int)(width - d)) : vf_zero();
}

/* Keys, or vectors of values, of a tile of `rows` rows. */
ALWAYS_INLINE int across(const int rows) { return DOTS / rows < MOST_ACROSS ? DOTS / rows : MOST_ACROSS; }

/* Of `rows` rows from q on: out[i][x] = q[i] . key[x] for across(rows) keys. soon: as many rows that are wanted soon. */
ALWAYS_INLINE void dots_tile(const float *q, const int rows, const element *const key[MOST_ACROSS], int64_t width,
                             float *out, const element *const soon[MOST_ACROSS])
{
  const int keys = across(rows);
  vf acc[DOTS];
  int64_t d = 0;
  UNROLLED_FOR (i, rows * keys) acc[i] = vf_zero();
#define DOTS_AT(load)                                                                                                      \
  do {                                                                                                                     \
    vf right[MOST_ACROSS];                                                                                                 \
    UNROLLED_FOR (x, keys) right[x] = load;                                                                                \
    UNROLLED_FOR (i, rows) {                                                                                               \
      const vf left = vf_keep(vf_load(q + i * VL));                                                                        \
      UNROLLED_FOR (x, keys) acc[i * keys + x] = vf_fma(left, right[x], acc[i * keys + x]);                                \
    }                                                                                                                      \
    q += rows * VL;                                                                                                        \
  } while (0)
  for (; d + STEP <= width; d += STEP) {
    if (STEP == LINE || d % LINE == 0)
      UNROLLED_FOR (x, keys) __builtin_prefetch(soon[x] + d, 0, 2);
    UNROLLED_FOR (c, STEP / VL) DOTS_AT(el_load(key[x] + d + c * VL));
  }
  for (; d + VL <= width; d += VL) DOTS_AT(el_load(key[x] + d));
  if (d < width) DOTS_AT(el_load_n(key[x] + d, (int)(width - d)));
#undef DOTS_AT
  const int padded = keys == 3 ? 4 : keys, sums = rows * padded; /* three scores are written as four */
  UNROLLED_FOR (first, (sums + 7) / 8) {
    vf eight[8];
    float sum[8];
    UNROLLED_FOR (x, 8) {
      const int i = (first * 8 + x) % sums / padded, at = x % padded;
      eight[x] = acc[i * keys + (at < keys ? at : keys - 1)];
    }
    vf_hsum8(sum, eight);
    UNROLLED_FOR (i, (sums < 8 ? sums : 8) / padded)
      memcpy(out + (first * 8 / padded + i) * SCORES, sum + i * padded, (size_t)padded * sizeof *sum);
  }
}

/* Scores of rows [first, first + rows). ask: V of the same keys is wanted soon. */
ALWAYS_INLINE void dots_rows(const struct decode *s, int64_t first, const int rows, const struct block *b, bool ask)
{
  const struct attn_problem *p = s->unit->problem;
  const int keys = across(rows);
  const int64_t width = p->Dqk, step = p->k.s, soon_step = ask ? p->v.s : p->k.s, last = b->n - 1;
  const float *q = s->q + first * s->depth;
  float *out = s->s + first * SCORES;
  const element *const *base = b->k, *const *soon_base = ask ? b->v : b->k;
  for (int64_t j = 0; j <= last; j += keys) {
    const element *key[MOST_ACROSS], *soon[MOST_ACROSS];
    UNROLLED_FOR (x, keys) {
      const int64_t at = j + x < last ? j + x : last; /* beyond the last key it is repeated */
      key[x] = base[at / STRETCH] + at % STRETCH * step;
      soon[x] = soon_base[at / STRETCH] + at % STRETCH * soon_step;
    }
    dots_tile(q, rows, key, width, out + j, soon);
  }
}

/* Lines that are asked for with a key's nv vectors of values. */
ALWAYS_INLINE int lines_at_once(const int nv) { return (nv * VL + LINE - 1) / LINE; }

/* acc[rows][nv] += weights w[rows][SCORES] of n keys times their values. soon: asked for, soon_step further with each key.
 */
ALWAYS_INLINE void values_tile(vf *acc, const int rows, const int nv, const element *v, int64_t step, const float *w,
                               int64_t n, const element *soon, int64_t soon_step)
{
  for (int64_t j = 0; j < n; j++) {
    vf right[MOST_ACROSS];
    UNROLLED_FOR (l, lines_at_once(nv)) __builtin_prefetch(soon + l * LINE, 0, 2);
    UNROLLED_FOR (c, nv) right[c] = el_load(v + c * VL);
    UNROLLED_FOR (i, rows) {
      const vf weight = vf_set(w[i * SCORES]);
      UNROLLED_FOR (c, nv) acc[i * nv + c] = vf_fma(weight, right[c], acc[i * nv + c]);
    }
    v += step;
    w++;
    soon += soon_step;
  }
}

/* o += weights * V for `rows` rows and nv vectors of values from `left` on, in pass `turn` over the keys. Of K of `next`,
 * which is wanted soon, each pass asks for lines of its own: asking again for what is on its way costs more than it brings.
 */
ALWAYS_INLINE void values_columns(const struct decode *s, int64_t first, const int rows, const int nv,
                                  const struct block *b, int64_t left, int64_t turn, const struct block *next)
{
  const struct attn_problem *p = s->unit->problem;
  const int64_t step = p->v.s, line = turn * lines_at_once(nv) * LINE;
  const float *w = s->s + first * SCORES;
  vf acc[DOTS];
  UNROLLED_FOR (i, rows * nv) acc[i] = vf_zero();
  if (left + nv * VL <= p->Dv) {
    for (int64_t j = 0; j < b->n; j += STRETCH) {
      const int64_t n = b->n - j < STRETCH ? b->n - j : STRETCH;
      const bool asks = next && j < next->n && line < p->Dqk;
      const element *v = b->v[j / STRETCH] + left;
      values_tile(acc, rows, nv, v, step, w + j, n, asks ? next->k[j / STRETCH] + line : v, asks ? p->k.s : step);
    }
  } else {
    for (int64_t j = 0; j < b->n; j++)
      UNROLLED_FOR (c, nv) {
        const vf right = load_row(b->v[j / STRETCH] + j % STRETCH * step, left + c * VL, p->Dv);
        UNROLLED_FOR (i, rows) acc[i * nv + c] = vf_fma(vf_set(w[i * SCORES + j]), right, acc[i * nv + c]);
      }
  }
  UNROLLED_FOR (i, rows)
    UNROLLED_FOR (c, nv) {
      float *o = s->o + (first + i) * s->values + left + c * VL;
      vf_store(o, vf_add(vf_load(o), acc[i * nv + c]));
    }
}

/* As many vectors at a time as there are accumulators for; of 3, no single one is left over if it can be helped. */
ALWAYS_INLINE void values_rows(const struct decode *s, int64_t first, const int rows, const struct block *b,
                               const struct block *next)
{
  const int most = across(rows);
  int64_t left = 0, turn = 0, vectors = s->unit->problem->Dv / VL;
  for (; vectors >= most && (most != 3 || vectors != 4); vectors -= most, left += most * VL, turn++)
    values_columns(s, first, rows, most, b, left, turn, next);
  if (most == 3)
    for (; vectors >= 2; vectors -= 2, left += 2 * VL, turn++) values_columns(s, first, rows, 2, b, left, turn, next);
  for (; left < s->values; left += VL, turn++) values_columns(s, first, rows, 1, b, left, turn, next);
}

#define DECODE_ROWS_OF(rows)                                                                                               \
  __attribute__((noinline)) static void dots_##rows(const struct decode *s, int64_t first, const struct block *b,          \
                                                    bool ask)                                                              \
  {                                                                                                                        \
    dots_rows(s, first, rows, b, ask);                                                                                     \
  }                                                                                                                        \
  __attribute__((noinline)) static void values_##rows(const struct decode *s, int64_t first, const struct block *b,        \
                                                      const struct block *next)                                            \
  {                                                                                                                        \
    values_rows(s, first, rows, b, next);                                                                                  \
  }
DECODE_ROWS_OF(4)
DECODE_ROWS_OF(2)
DECODE_ROWS_OF(1)
#undef DECODE_ROWS_OF

#endif
