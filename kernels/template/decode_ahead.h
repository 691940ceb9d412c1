/* What the register tiles of decode.h share: where a unit's rows and a block's keys stand, and what is asked for ahead of
 * its use. */
#ifndef ATTN_DECODE_AHEAD_H
#define ATTN_DECODE_AHEAD_H

#include "../kernel.h"
#include "unroll.h"

#include <float.h>
#include <math.h>
#include <string.h>

#ifndef ATTN_DECODE_BLOCK
#define ATTN_DECODE_BLOCK 48
#endif
enum {
  BLOCK = ATTN_DECODE_BLOCK, /* keys: K and V of a block in L1, and whole tiles of 3, 4 or 8 */
  SCORES = BLOCK + 16,       /* from row to row: the last tile may write beyond the keys */
  STRETCH = ATTN_KEY_STRETCH,
  STRETCHES = BLOCK / STRETCH,
  LINE = 64 / sizeof(element), /* elements */
};

static inline int64_t whole_vectors(int64_t n) { return (n + VL - 1) / VL * VL; }

struct decode {
  const struct attn_unit *unit;
  bool in_order;               /* K and V are long runs of memory, one block after another */
  bool slow_requests;          /* as attn_problem: one row asks for nothing then if reads are in order */
  bool near;                   /* what is wanted a block later is asked for into L1 */
  int64_t rows, depth, values; /* depth, values: Dqk and Dv rounded up to whole vectors */
  struct attn_row *row;        /* [rows] */
  float *max;                  /* [rows] reference of the exponentials */
  float *sum;                  /* [rows][VL] */
  float *q;               /* [rows + 2][depth] scaled, padded with 0; see put_query(); beyond rows: padding, one to fill */
  float *o;               /* [padded_rows(rows)][values] */
  float *s;               /* [padded_rows(rows)][SCORES] scores, then weights */
  float *part;            /* [values] of a block: see passing_values() */
  int16_t *q16, *w16;     /* int8 only: [padded rows][depth] and [padded rows][BLOCK], in steps of q_step and w_step */
  float *q_step, *w_step; /* [padded rows] */
  element *v_copy;        /* by tiles of AMX: V of a block */
  float *q_digits, *w_digits; /* by tiles of pairs: see decode_pairs_amx.h */
  bool careful;               /* the same: V may be Inf or NaN */
};

/* Gives s->field room for `count` elements behind the `used` bytes of `base`, or only counts them if that is NULL. */
#define DECODE_TAKE(field, count)                                                                                          \
  do {                                                                                                                     \
    if (base) s->field = (void *)(base + used);                                                                            \
    used += ((size_t)(count) * sizeof *s->field + 63) & ~(size_t)63;                                                       \
  } while (0)

/* Some keys, from j0 on: key j0 + j stands in stretch j / STRETCH. */
struct block {
  int64_t j0, n;
  const element *k[STRETCHES], *v[STRETCHES];
  const float *k_scale[STRETCHES], *v_scale[STRETCHES]; /* int8 only */
};

/* What is wanted a block later, asked for line by line: while K is multiplied, K of the next block, and V likewise. In the
 * order of memory where rows are contiguous, else column by column of lines. A line asked for twice costs as much as two.
 */
struct ahead {
  const element *const *base; /* of its stretches */
  int64_t stretches, lines;   /* of a stretch, or of a row */
  int64_t row;                /* from row to row; 0: contiguous */
  int64_t stretch, line;      /* where to go on */
};

static inline struct ahead ahead_of(const element *const *base, int64_t keys, int64_t step, int64_t width)
{
  const bool contiguous = step == width;
  return (struct ahead){.base = base,
                        .stretches = (keys + STRETCH - 1) / STRETCH,
                        .lines = ((contiguous ? STRETCH * width : width) + LINE - 1) / LINE,
                        .row = contiguous ? 0 : step};
}

/* Where to ask `times` times for `at_once` lines, *step further each time. Nothing left: own, a line that is there. */
static inline const element *ahead_take(struct ahead *a, int at_once, int64_t times, const element *own, int64_t *step)
{
  *step = 0;
  if (a->stretch == a->stretches) return own;
  const element *from = a->base[a->stretch] + a->line * LINE;
  *step = a->row ? a->row : at_once * LINE;
  if (!a->row) {
    a->line += at_once * times;
    if (a->line >= a->lines) { /* what went beyond the stretch was of the next one, if that follows in memory */
      const element *const end = a->base[a->stretch] + a->lines * LINE;
      a->stretch++;
      a->line = a->stretch < a->stretches && a->base[a->stretch] == end ? a->line - a->lines : 0;
    }
  } else if (++a->stretch == a->stretches && a->line + at_once < a->lines) {
    a->line += at_once;
    a->stretch = 0;
  }
  return from;
}

/* Asks for a line: into L1 (near) or into L2. */
ALWAYS_INLINE void ask(const element *line, const bool near)
{
  if (near)
    __builtin_prefetch(line, 0, 3);
  else
    __builtin_prefetch(line, 0, 2);
}

/* One line of each page: the translation of an address takes longer than what is asked for in between. */
static inline void open_pages(const element *const *base, int64_t keys, int64_t step)
{
  enum { PAGE = 4096 / sizeof(element) };
  for (int64_t j = 0; j < keys; j += STRETCH)
    for (int64_t at = 0; at < STRETCH * step; at += PAGE) __builtin_prefetch(base[j / STRETCH] + at, 0, 2);
}

/* The function of so many rows that asks near, or far. */
#define OF_ROWS(op, rows, near)                                                                                            \
  ((rows) == 4   ? ((near) ? op##_4_near : op##_4_far)                                                                     \
   : (rows) == 2 ? ((near) ? op##_2_near : op##_2_far)                                                                     \
                 : ((near) ? op##_1_near : op##_1_far))

/* Rows from r on that a tile takes, one of which may be padding. */
static inline int tile_rows(const struct decode *s, int64_t r)
{
  const int64_t rows = s->rows - r;
  if (MOST_ROWS == 8 && rows >= 7) return 8;
  if (MOST_ROWS >= 4 && rows >= 3) return 4;
  return rows >= 2 ? 2 : 1;
}

/* A unit's rows and the padding of its tiles. Those of 16 rows are always whole. */
static inline int64_t padded_rows(int64_t rows)
{
  return MOST_ROWS == 16 ? (rows + MOST_ROWS - 1) / MOST_ROWS * MOST_ROWS : rows + 1;
}

#ifndef ATTN_DECODE_PAIRS
static inline float query_factor(const struct attn_problem *p) { return p->q_factor; }

/* The sums of O of row r, and how they are rescaled; whether the unit must be done again with care. */
static inline const float *values_of_row(const struct decode *s, int64_t r) { return s->o + r * s->values; }
static inline void scale_values(const struct decode *s, int64_t r, vf factor)
{
  float *o = s->o + r * s->values;
  for (int64_t d = 0; d < s->values; d += VL) vf_store(o + d, vf_mul(vf_load(o + d), factor));
}
static inline bool wants_care(const struct decode *s)
{
  (void)s;
  return false;
}
#endif

/* Of the tile that row r belongs to. */
static inline int64_t tile_first(const struct decode *s, int64_t r)
{
  const int64_t first = r / MOST_ROWS * MOST_ROWS;
  return MOST_ROWS == 8 && tile_rows(s, first) != 8 ? r / 4 * 4 : first;
}

#endif
