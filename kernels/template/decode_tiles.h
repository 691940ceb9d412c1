/* The register tiles of decode.h: scores of some keys, of tensors or of caches, and sums of weights times values. K and V
 * are read as they lie; what is multiplied next is asked for meanwhile, line by line at an even pace, so that memory is
 * never idle.
 *
 * The inner loops, a cache line of K or a key of V at a time, ask without deciding anything. Every number of rows has a
 * function of its own, so that the accumulators have all registers. */
#ifndef ATTN_DECODE_TILES_H
#define ATTN_DECODE_TILES_H

enum { MOST_ROWS = DOTS >= 24 ? 8 : 4 }; /* of a tile */
#include "decode_ahead.h"

/* What stands beside each other in a cache: elements of a key, and values of keys (attn_k_element()). Of VL such groups the
 * which-th ones: */
#ifdef ATTN_ELEMENT_PAIRS
enum { BESIDE = ATTN_PAIR };
#define load_beside el_load_of_pairs
#else
enum { BESIDE = 1 };
#define load_beside(p, which) ((void)(which), el_load(p))
#endif

enum {
  STEP = LINE < 4 * VL ? LINE : 4 * VL, /* elements of a turn of the loop along a row */
#ifdef __aarch64__
  MOST_ACROSS = 8, /* keys or vectors of values in a tile: each key has two pointers */
#else
  MOST_ACROSS = 4,
#endif
  KEY_VECTORS = BLOCK / VL,
  MOST_KEY_VECTORS = 6, /* of a tile */
};

/* One or two rows pass over memory faster than what is asked for arrives, and some of it is dropped: they ask once more,
 * KEYS_SOON elements or VALUES_SOON keys before the use. */
enum { KEYS_SOON = 48, VALUES_SOON = 16 };
ALWAYS_INLINE bool asks_again(const int rows) { return rows <= 2; }

static inline int64_t values_width(const struct attn_problem *p) { return whole_vectors(p->Dv); }
static inline size_t tiles_layout(struct decode *s, const char *base, size_t used)
{
  DECODE_TAKE(part, s->values);
  return used;
}
static inline void tiles_start(struct decode *s) { (void)s; }

/* Stores row r of Q. The rows of a tile lie beside each other, a vector of each, or for the keys of a cache an element of
 * each: one pointer reads them all. */
static inline void put_query(const struct decode *s, int64_t r, const float *row)
{
  const struct attn_problem *p = s->unit->problem;
  const int64_t first = tile_first(s, r), rows = tile_rows(s, first);
  float *to = s->q + first * s->depth;
  if (p->cached)
    for (int64_t d = 0; d < p->Dqk; d++) to[d * rows + r - first] = row[d];
  else
    for (int64_t d = 0; d < s->depth; d += VL) vf_store(to + d * rows + (r - first) * VL, vf_load(row + d));
}

/* VL elements of a row of `width`, from d on; 0 beyond its end, which is not touched. */
ALWAYS_INLINE vf load_row(const element *row, int64_t d, int64_t width)
{
  if (width - d >= VL) return el_load(row + d);
  return width > d ? el_load_n(row + d, (int)(width - d)) : vf_zero();
}

/* VL values of key j of a block from column d on; 0 beyond the end of a row: a cache of pairs has 0 there. */
static inline vf load_values(const struct decode *s, const struct block *b, int64_t j, int64_t d)
{
  const struct attn_problem *p = s->unit->problem;
  const int64_t at = j % STRETCH, which = at % BESIDE;
  if (BESIDE == 1 || !p->cached) return load_row(b->v[j / STRETCH] + at * p->v.s, d, p->Dv);
  const element *v = b->v[j / STRETCH] + (at - which) * p->v.s + d * BESIDE;
  return which ? load_beside(v, 1) : load_beside(v, 0);
}

/* Keys, or vectors of values, of a tile of `rows` rows. */
ALWAYS_INLINE int across(const int rows) { return DOTS / rows < MOST_ACROSS ? DOTS / rows : MOST_ACROSS; }

#ifndef vf_fma_into
#define vf_fma_into(c, a, b) vf_fma(a, b, c)
#endif

/* Of `rows` rows from q on: out[i][x] = q[i] . key[x] for across(rows) keys. soon: as many rows that are wanted soon. */
ALWAYS_INLINE void dots_tile(const float *q, const int rows, const element *const key[MOST_ACROSS], int64_t width,
                             float *out, const element *const soon[MOST_ACROSS], const bool near)
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
      UNROLLED_FOR (x, keys) acc[i * keys + x] = vf_fma_into(acc[i * keys + x], left, right[x]);                           \
    }                                                                                                                      \
    q += rows * VL;                                                                                                        \
  } while (0)
  for (; d + STEP <= width; d += STEP) {
    if ((int)STEP == (int)LINE || d % LINE == 0)
      UNROLLED_FOR (x, keys) ask(soon[x] + d, near);
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

/* Scores of rows [first, first + rows). K of `next` is asked for meanwhile. */
ALWAYS_INLINE void dots_rows(const struct decode *s, int64_t first, const int rows, const bool near, const struct block *b,
                             const struct block *next)
{
  const struct attn_problem *p = s->unit->problem;
  const int keys = across(rows);
  const int64_t width = p->Dqk, step = p->k.s, last = b->n - 1, soon_last = next ? next->n - 1 : last;
  const float *q = s->q + first * s->depth;
  float *out = s->s + first * SCORES;
  const element *const *base = b->k, *const *soon_base = next ? next->k : b->k;
  for (int64_t j = 0; j <= last; j += keys) {
    const element *key[MOST_ACROSS], *soon[MOST_ACROSS];
    UNROLLED_FOR (x, keys) {
      const int64_t at = j + x < last ? j + x : last; /* beyond the last key it is repeated */
      const int64_t soon_at = j + x < soon_last ? j + x : soon_last;
      key[x] = base[at / STRETCH] + at % STRETCH * step;
      soon[x] = soon_base[soon_at / STRETCH] + soon_at % STRETCH * step;
    }
    dots_tile(q, rows, key, width, out + j, soon, near);
  }
}

/* Vectors of keys in a tile of `rows` rows: an equal part of a block. */
ALWAYS_INLINE int key_vectors(const int rows)
{
  const int most = DOTS / rows;
  return most >= 6 && KEY_VECTORS % 6 == 0 ? 6 : most >= 4 && KEY_VECTORS % 4 == 0 ? 4 : 3;
}

enum { KEY_STEPS = 16, KEY_ASKS = 12 }; /* elements from decision to decision what is asked for; during which it is */

/* Lines that are asked for in KEY_STEPS steps, if all of them asked: the next block's K while the passes over this one
 * last.
 */
ALWAYS_INLINE int key_lines(const int rows)
{
  return KEY_STEPS * (int)sizeof(element) / (KEY_VECTORS / key_vectors(rows) > 1 ? 2 : 1);
}

/* Of pairs compilers would load what is next before registers are free, or unroll, and keep sums on the stack. */
#ifdef ATTN_ELEMENT_PAIRS
#define LOAD_NO_SOONER __asm__ volatile("" ::: "memory")
#ifdef __clang__
#define AS_A_LOOP _Pragma("clang loop unroll(disable)")
#else
#define AS_A_LOOP _Pragma("GCC unroll 1")
#endif
#else
#define LOAD_NO_SOONER (void)0
#define AS_A_LOOP
#endif

/* Of `rows` rows: out[i][x] = q[i] . the keys of vector x. K of a cache has element d of STRETCH keys beside each other, so
 * there are no sums across lanes. Of rows and vectors, the fewer stay in registers while the others pass. */
ALWAYS_INLINE void keys_tile(const float *q, const int rows, const element *const key[MOST_KEY_VECTORS], int64_t depth,
                             float *out, struct ahead *ahead, const bool near)
{
  const int nv = key_vectors(rows), asked = key_lines(rows), lines = asked > KEY_STEPS ? asked / KEY_STEPS : 1;
  const int asks = asked > KEY_STEPS ? KEY_ASKS : KEY_ASKS * asked / KEY_STEPS;
  vf acc[DOTS];
  int64_t d = 0;
  UNROLLED_FOR (i, rows * nv) acc[i] = vf_zero();
#define KEYS_AT(at, y)                                                                                                     \
  do {                                                                                                                     \
    if (rows < nv) {                                                                                                       \
      vf left[4];                                                                                                          \
      UNROLLED_FOR (i, rows) left[i] = vf_keep(vf_set(q[i]));                                                              \
      UNROLLED_FOR (x, nv) {                                                                                               \
        const vf right = vf_keep(load_beside(key[x] + (at)*STRETCH, y));                                                   \
        UNROLLED_FOR (i, rows) acc[i * nv + x] = vf_fma_into(acc[i * nv + x], left[i], right);                             \
      }                                                                                                                    \
    } else {                                                                                                               \
      vf right[MOST_KEY_VECTORS];                                                                                          \
      UNROLLED_FOR (x, nv) right[x] = load_beside(key[x] + (at)*STRETCH, y);                                               \
      UNROLLED_FOR (i, rows) {                                                                                             \
        LOAD_NO_SOONER;                                                                                                    \
        const vf left = vf_keep(vf_set(q[i]));                                                                             \
        UNROLLED_FOR (x, nv) acc[i * nv + x] = vf_fma_into(acc[i * nv + x], left, right[x]);                               \
      }                                                                                                                    \
    }                                                                                                                      \
    LOAD_NO_SOONER;                                                                                                        \
    q += rows;                                                                                                             \
  } while (0)
#define KEYS_AGAIN                                                                                                         \
  if (asks_again(rows) && d * STRETCH % LINE == 0)                                                                         \
    UNROLLED_FOR (x, nv)                                                                                                   \
      if (x * VL % STRETCH == 0) __builtin_prefetch(key[x] + (d + KEYS_SOON) * STRETCH, 0, 2)
  while (d + KEY_STEPS <= depth) {
    int64_t step, end = d + asks;
    const element *soon = ahead_take(ahead, lines, asks, key[0], &step);
    AS_A_LOOP
    for (; d < end; d += BESIDE) { /* unrolled, gcc keeps a sum on the stack */
      KEYS_AGAIN;
      UNROLLED_FOR (y, BESIDE) {
        UNROLLED_FOR (x, lines) ask(soon + x * LINE, near);
        KEYS_AT(d, y);
        soon += step;
      }
    }
    AS_A_LOOP
    for (end = d + KEY_STEPS - asks; d < end; d += BESIDE) {
      KEYS_AGAIN;
      UNROLLED_FOR (y, BESIDE) KEYS_AT(d, y);
    }
  }
  for (; d < depth; d += BESIDE)
    UNROLLED_FOR (y, BESIDE) KEYS_AT(d, y);
#undef KEYS_AT
#undef KEYS_AGAIN
  UNROLLED_FOR (i, rows)
    UNROLLED_FOR (x, nv) vf_store(out + i * SCORES + x * VL, acc[i * nv + x]);
}

/* dots_rows() for the keys of a cache. Lanes beyond the last key hold anything. */
ALWAYS_INLINE void keys_rows(const struct decode *s, int64_t first, const int rows, const bool near, const struct block *b,
                             const struct block *next)
{
  const int64_t depth = s->unit->problem->k.s; /* a last pair has 0 */
  const int nv = key_vectors(rows);
  struct ahead ahead = {0};
  if (next) ahead = ahead_of(next->k, next->n, depth, depth);
  for (int64_t j = 0; j < b->n; j += nv * VL) {
    const element *key[MOST_KEY_VECTORS];
    UNROLLED_FOR (x, nv) {
      const int64_t at = j + x * VL < b->n ? j + x * VL : 0;
      key[x] = b->k[at / STRETCH] + at % STRETCH * BESIDE;
    }
    keys_tile(s->q + first * s->depth, rows, key, depth, s->s + first * SCORES + j, &ahead, near);
  }
}

/* Lines that are asked for with a key's nv vectors of values. */
ALWAYS_INLINE int lines_at_once(const int nv) { return (nv * VL + LINE - 1) / LINE; }

/* acc[rows][nv] += weights w[rows][SCORES] of n keys times their values, of `beside` keys beside each other; a last one
 * without a partner has one whose weight is 0. soon: asked for, soon_step further with each key; so are `again` elements of
 * a row to come. */
ALWAYS_INLINE void values_tile(vf *acc, const int rows, const int nv, const int beside, const element *v, int64_t step,
                               const float *w, int64_t n, const element *soon, int64_t soon_step, int64_t again,
                               const bool near)
{
  AS_A_LOOP
  for (int64_t j = 0; j < n; j += beside) {
    if (asks_again(rows))
      for (int64_t d = 0; d < again * beside; d += LINE) __builtin_prefetch(v + VALUES_SOON * step + d, 0, 2);
    UNROLLED_FOR (which, beside) {
      vf right[MOST_ACROSS];
      UNROLLED_FOR (l, lines_at_once(nv)) ask(soon + l * LINE, near);
      UNROLLED_FOR (c, nv) right[c] = beside > 1 ? load_beside(v + c * VL * beside, which) : el_load(v + c * VL);
      UNROLLED_FOR (i, rows) {
        const vf weight = vf_set(w[i * SCORES + which]);
        UNROLLED_FOR (c, nv) acc[i * nv + c] = vf_fma_into(acc[i * nv + c], weight, right[c]);
      }
      soon += soon_step;
      if (beside > 1) LOAD_NO_SOONER;
    }
    v += beside * step;
    w += beside;
  }
}

/* o += weights * V for `rows` rows and nv vectors of values from `left` on. */
ALWAYS_INLINE void values_columns(const struct decode *s, int64_t first, const int rows, const int nv, const int beside,
                                  const bool near, const struct block *b, int64_t left, struct ahead *ahead)
{
  const struct attn_problem *p = s->unit->problem;
  const int64_t step = p->v.s;
  const float *w = s->s + first * SCORES;
  vf acc[DOTS];
  UNROLLED_FOR (i, rows * nv) acc[i] = vf_zero();
  if (beside > 1 || left + nv * VL <= p->Dv) {
    for (int64_t j = 0; j < b->n; j += STRETCH) {
      const int64_t n = b->n - j < STRETCH ? b->n - j : STRETCH;
      const element *v = b->v[j / STRETCH] + left * beside;
      int64_t soon_step;
      const element *soon = ahead_take(ahead, lines_at_once(nv), n, v, &soon_step);
      values_tile(acc, rows, nv, beside, v, step, w + j, n, soon, soon_step, left == 0 ? p->Dv : 0, near);
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

/* As many vectors at a time as there are accumulators for; of 3, no single one is left over if it can be helped. V of
 * `next` is asked for meanwhile. */
ALWAYS_INLINE void values_rows(const struct decode *s, int64_t first, const int rows, const int beside, const bool near,
                               const struct block *b, const struct block *next)
{
  const int most = across(rows);
  const struct attn_problem *p = s->unit->problem;
  int64_t left = 0, vectors = p->Dv / VL;
  struct ahead ahead = {0};
  if (next) ahead = ahead_of(next->v, next->n, p->v.s, beside > 1 ? p->v.s : p->Dv);
  for (; vectors >= most && (most != 3 || vectors != 4); vectors -= most, left += most * VL)
    values_columns(s, first, rows, most, beside, near, b, left, &ahead);
  if (most == 3)
    for (; vectors >= 2; vectors -= 2, left += 2 * VL) values_columns(s, first, rows, 2, beside, near, b, left, &ahead);
  for (; left < s->values; left += VL) values_columns(s, first, rows, 1, beside, near, b, left, &ahead);
}

#include "decode_passing.h"

/* A function for every number of rows and, over caches, both ways to ask. */
#define DEFINE_ROWS(name, ...)                                                                                             \
  __attribute__((noinline)) static void name(const struct decode *s, int64_t first, const struct block *b,                 \
                                             const struct block *next)                                                     \
  {                                                                                                                        \
    ROWS_OF(__VA_ARGS__, b, next);                                                                                         \
  }
#define ROWS_OF(op, ...) op(s, first, __VA_ARGS__)
/* of tensors: into L1 one row would be 10 % slower */
DEFINE_ROWS(dots_8, dots_rows, 8, false)
DEFINE_ROWS(dots_4, dots_rows, 4, false)
DEFINE_ROWS(dots_2, dots_rows, 2, false)
DEFINE_ROWS(dots_1, dots_rows, 1, false)
DEFINE_ROWS(sums_8, values_rows, 8, 1, false)
DEFINE_ROWS(sums_4, values_rows, 4, 1, false)
DEFINE_ROWS(sums_2, values_rows, 2, 1, false)
DEFINE_ROWS(sums_1, values_rows, 1, 1, false)
DEFINE_ROWS(keys_8_near, keys_rows, 8, true)
DEFINE_ROWS(keys_4_near, keys_rows, 4, true)
DEFINE_ROWS(keys_2_near, keys_rows, 2, true)
DEFINE_ROWS(keys_1_near, keys_of_one, 1, true)
DEFINE_ROWS(keys_8_far, keys_rows, 8, false)
DEFINE_ROWS(keys_4_far, keys_rows, 4, false)
DEFINE_ROWS(keys_2_far, keys_rows, 2, false)
DEFINE_ROWS(keys_1_far, keys_of_one, 1, false)
DEFINE_ROWS(values_8_near, values_rows, 8, BESIDE, true)
DEFINE_ROWS(values_4_near, values_rows, 4, BESIDE, true)
DEFINE_ROWS(values_2_near, values_rows, 2, BESIDE, true)
DEFINE_ROWS(values_1_near, values_of_one, 1, true)
DEFINE_ROWS(values_8_far, values_rows, 8, BESIDE, false)
DEFINE_ROWS(values_4_far, values_rows, 4, BESIDE, false)
DEFINE_ROWS(values_2_far, values_rows, 2, BESIDE, false)
DEFINE_ROWS(values_1_far, values_of_one, 1, false)
#undef ROWS_OF
#undef DEFINE_ROWS

/* The same when V holds NaN or Inf and some row must not see some of the keys: those have weight -0. Bit for bit what
 * values_tile() makes of finite values: whether a block hides keys depends on the other rows of the unit as well. */
__attribute__((noinline, cold)) static void values_careful(struct decode *s, const struct block *b)
{
  for (int64_t r = 0; r < s->rows; r++)
    for (int64_t d = 0; d < s->values; d += VL) {
      vf acc = vf_zero();
      for (int64_t j = 0; j < b->n; j++) {
        const float weight = s->s[r * SCORES + j];
        if (weight == 0 && __builtin_signbit(weight)) continue;
        acc = vf_fma(vf_set(weight), load_values(s, b, j, d), acc);
      }
      float *o = s->o + r * s->values + d;
      vf_store(o, vf_add(vf_load(o), acc));
    }
}

/* Of a cache with the partner of the last key, of which anything may be left. */
static inline bool values_finite(const struct decode *s, const struct block *b)
{
  const int64_t beside = s->unit->problem->cached ? BESIDE : 1;
  vf far = vf_zero();
  for (int64_t j = 0; j < (b->n + beside - 1) / beside * beside; j++)
    for (int64_t d = 0; d < s->values; d += VL) far = vf_farthest(far, load_values(s, b, j, d));
  return !vf_any_beyond(far, FLT_MAX);
}

#define OF_EIGHT(op, rows, near)                                                                                           \
  (MOST_ROWS == 8 && (rows) == 8 ? ((near) ? op##_8_near : op##_8_far) : OF_ROWS(op, rows, near))
#define OF_TENSOR(op, rows) (MOST_ROWS == 8 && (rows) == 8 ? op##_8 : (rows) == 4 ? op##_4 : (rows) == 2 ? op##_2 : op##_1)

static inline void score_block(const struct decode *s, const struct block *b, const struct block *next)
{
  for (int64_t r = 0, rows; r < s->rows; r += rows) {
    rows = tile_rows(s, r);
    if (s->unit->problem->cached)
      OF_EIGHT(keys, rows, s->near)(s, r, b, r == 0 ? next : NULL);
    else
      OF_TENSOR(dots, rows)(s, r, b, r == 0 ? next : NULL);
  }
}

/* o += weights * V. hides: some weights are -0. */
static inline void add_values(struct decode *s, const struct block *b, bool hides, const struct block *next)
{
  const bool alone = s->unit->problem->cached && b->n % BESIDE;
  if ((hides || alone) && !values_finite(s, b)) {
    values_careful(s, b);
    return;
  }
  for (int64_t r = 0, rows; r < s->rows; r += rows) {
    rows = tile_rows(s, r);
    if (s->unit->problem->cached)
      OF_EIGHT(values, rows, s->near)(s, r, b, r == 0 ? next : NULL);
    else
      OF_TENSOR(sums, rows)(s, r, b, r == 0 ? next : NULL);
  }
}

#endif
