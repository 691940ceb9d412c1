/* Few queries over many keys (decoding, speculative tokens): K and V are streamed once, as they lie in memory, for all rows
 * of a KV head. Written once in vector verbs. An ISA file includes its vec_<isa>.h and an element_*.h (the type of K and V)
 * and defines DOTS, the accumulators of a tile.
 *
 * Nothing is packed: a score is a dot product along a row of K, DOTS of them at a time in registers (rows x keys: of 8
 * accumulators 1x8, 2x4 or 4x2), whose lanes are then summed together. So a row of K is read from end to end, once per tile
 * of rows, and a cache that grows token by token already lies in the order wanted here. PV: rows of V times the weights of
 * 1, 2 or 4 rows, DOTS accumulators again. BLOCK keys of K and V at a time stay in L1 and L2 while the tiles pass over
 * them; V is asked for while K is multiplied, and the next K during PV, so that memory is never idle.
 *
 * The softmax is that of fwd_stream.h: a reference raised lazily, weight -0 for hidden. A row's bits depend on the problem
 * and on the split of its keys only; not on where K and V lie. */
#ifndef ATTN_DECODE_H
#define ATTN_DECODE_H

#include "../reference/exp2.h"
#include "../scores.h"
#include "unroll.h"

#include <float.h>
#include <string.h>

enum {
  BLOCK = 64, /* keys */
  STRETCH = ATTN_KEY_STRETCH,
  STRETCHES = BLOCK / STRETCH,
  KEY_SPAN = 1024,
  UNIT_ROWS = 64,
  DECODE_ROWS = 16,                  /* more are better off with packed K and V */
  LINE = 64 / sizeof(element),       /* elements */
  MOST_ACROSS = DOTS < 8 ? DOTS : 8, /* keys or vectors of values in a tile: more need too many pointers */
};
#define DECODE_RAISE 8.0f

struct decode {
  const struct attn_unit *unit;
  int64_t rows, depth, values; /* depth, values: Dqk and Dv rounded up to whole vectors */
  struct attn_row *row;        /* [rows] */
  float *max;                  /* [rows] reference of the exponentials */
  float *sum;                  /* [rows][VL] */
  float *q;                    /* [rows + 1][depth] scaled, padded with 0; the last row is padding of a tile */
  float *o;                    /* [rows + 1][values] */
  float *s;                    /* [rows + 1][BLOCK] scores, then weights */
};

/* Some keys, from j0 on: key j0 + j stands in stretch j / STRETCH. */
struct block {
  int64_t j0, n;
  const element *k[STRETCHES], *v[STRETCHES];
  const float *k_scale[STRETCHES], *v_scale[STRETCHES]; /* int8 only */
};

static inline int64_t whole_vectors(int64_t n) { return (n + VL - 1) / VL * VL; }

static inline size_t decode_layout(struct decode *s, const struct attn_problem *p, int64_t rows, char *base)
{
  size_t used = 0;
  s->rows = rows;
  s->depth = whole_vectors(p->Dqk);
  s->values = whole_vectors(p->Dv);
#define TAKE(field, count)                                                                                                 \
  do {                                                                                                                     \
    if (base) s->field = (void *)(base + used);                                                                            \
    used += ((size_t)(count) * sizeof *s->field + 63) & ~(size_t)63;                                                       \
  } while (0)
  TAKE(row, rows);
  TAKE(max, rows);
  TAKE(sum, rows * VL);
  TAKE(q, (rows + 1) * s->depth);
  TAKE(o, (rows + 1) * s->values);
  TAKE(s, (rows + 1) * BLOCK);
#undef TAKE
  return used;
}

static inline size_t decode_scratch_bytes(const struct attn_problem *p, int64_t rows)
{
  struct decode s;
  return decode_layout(&s, p, rows, NULL);
}

/* Rows of K and V must be contiguous. A cache has no other kernels. */
static inline bool decode_supports(const struct attn_problem *p)
{
  return p->k.d == 1 && p->v.d == 1 && (p->cached || p->G * p->Sq <= DECODE_ROWS);
}

/* VL elements of a row of `width`, from d on; 0 beyond its end, which is not touched. */
ALWAYS_INLINE vf load_row(const element *row, int64_t d, int64_t width)
{
  if (width - d >= VL) return el_load(row + d);
  return width > d ? el_load_n(row + d, (int)(width - d)) : vf_zero();
}

ALWAYS_INLINE void ask_for(const element *row, int64_t width)
{
  for (int64_t d = 0; d < width; d += LINE) __builtin_prefetch(row + d, 0, 2);
}

/* Of rows [first, first + rows): out[i][x] = q[i] . k[x] for MOST_ACROSS keys or fewer. Beyond n keys the last one is
 * repeated. */
ALWAYS_INLINE void dots_tile(const struct decode *s, int64_t first, const int rows, const element *k, int64_t step,
                             int64_t n, float *out, const element *soon, int64_t soon_step)
{
  const int keys = DOTS / rows < MOST_ACROSS ? DOTS / rows : MOST_ACROSS;
  const int64_t depth = s->depth, width = s->unit->problem->Dqk, whole = width / VL * VL;
  const float *q = s->q + first * depth;
  const element *key[MOST_ACROSS];
  vf acc[DOTS];
  UNROLLED_FOR (x, keys) key[x] = k + (x < n ? x : n - 1) * step;
  UNROLLED_FOR (i, rows * keys) acc[i] = vf_zero();
  for (int64_t d = 0; d < whole; d += VL) {
    vf right[MOST_ACROSS];
    if (soon && d % LINE == 0)
      UNROLLED_FOR (x, keys) __builtin_prefetch(soon + x * soon_step + d, 0, 2);
    UNROLLED_FOR (x, keys) right[x] = el_load(key[x] + d);
    UNROLLED_FOR (i, rows) {
      const vf left = vf_load(q + i * depth + d);
      UNROLLED_FOR (x, keys) acc[i * keys + x] = vf_fma(left, right[x], acc[i * keys + x]);
    }
  }
  if (whole < width) {
    UNROLLED_FOR (x, keys) {
      const vf right = el_load_n(key[x] + whole, (int)(width - whole));
      UNROLLED_FOR (i, rows) acc[i * keys + x] = vf_fma(vf_load(q + i * depth + whole), right, acc[i * keys + x]);
    }
  }
  float sums[DOTS];
  UNROLLED_FOR (i, rows * keys / 8) vf_hsum8(sums + i * 8, acc + i * 8);
  UNROLLED_FOR (i, rows) memcpy(out + i * BLOCK, sums + i * keys, (size_t)keys * sizeof *sums);
}

/* Scores of rows [first, first + rows). ask: V of the same keys is wanted soon. */
ALWAYS_INLINE void dots_rows(struct decode *s, int64_t first, const int rows, const struct block *b, bool ask)
{
  const struct attn_problem *p = s->unit->problem;
  const int keys = DOTS / rows < MOST_ACROSS ? DOTS / rows : MOST_ACROSS;
  for (int64_t j = 0; j < b->n; j += keys) {
    const int64_t at = j % STRETCH;
    dots_tile(s, first, rows, b->k[j / STRETCH] + at * p->k.s, p->k.s, b->n - j, s->s + first * BLOCK + j,
              ask ? b->v[j / STRETCH] + at * p->v.s : NULL, p->v.s);
  }
}

/* o += weights * V for `rows` rows and nv vectors of values from `left` on. K of `next` is wanted soon. */
ALWAYS_INLINE void values_tile(struct decode *s, int64_t first, const int rows, const int nv, const struct block *b,
                               int64_t left, const struct block *next)
{
  const struct attn_problem *p = s->unit->problem;
  const int64_t width = p->Dv, step = p->v.s;
  const bool whole = left + nv * VL <= width;
  vf acc[DOTS];
  UNROLLED_FOR (i, rows * nv) acc[i] = vf_zero();
  for (int64_t j0 = 0; j0 < b->n; j0 += STRETCH) {
    const int64_t n = b->n - j0 < STRETCH ? b->n - j0 : STRETCH;
    const element *v = b->v[j0 / STRETCH];
    const float *w = s->s + first * BLOCK + j0;
    const element *soon = next && j0 < next->n ? next->k[j0 / STRETCH] : NULL;
    if (whole) {
      const element *at = v + left;
      for (int64_t j = 0; j < n; j++) {
        vf right[MOST_ACROSS];
        if (soon) ask_for(soon + j * p->k.s, p->Dqk);
        UNROLLED_FOR (c, nv) right[c] = el_load(at + c * VL);
        UNROLLED_FOR (i, rows) {
          const vf weight = vf_set(w[i * BLOCK + j]);
          UNROLLED_FOR (c, nv) acc[i * nv + c] = vf_fma(weight, right[c], acc[i * nv + c]);
        }
        at += step;
      }
    } else {
      for (int64_t j = 0; j < n; j++)
        UNROLLED_FOR (c, nv) {
          const vf right = load_row(v + j * step, left + c * VL, width);
          UNROLLED_FOR (i, rows) acc[i * nv + c] = vf_fma(vf_set(w[i * BLOCK + j]), right, acc[i * nv + c]);
        }
    }
  }
  UNROLLED_FOR (i, rows)
    UNROLLED_FOR (c, nv) {
      float *o = s->o + (first + i) * s->values + left + c * VL;
      vf_store(o, vf_add(vf_load(o), acc[i * nv + c]));
    }
}

ALWAYS_INLINE void values_rows(struct decode *s, int64_t first, const int rows, const struct block *b,
                               const struct block *next)
{
  const int most = DOTS / rows < MOST_ACROSS ? DOTS / rows : MOST_ACROSS;
  int64_t left = 0;
  for (; s->values - left >= most * VL; left += most * VL, next = NULL) values_tile(s, first, rows, most, b, left, next);
  for (; left < s->values; left += VL, next = NULL) values_tile(s, first, rows, 1, b, left, next);
}

/* The same when V holds NaN or Inf and some row must not see some of the keys: those have weight -0. Bit for bit what
 * values_tile() makes of finite values: whether a block hides keys depends on the other rows of the unit as well. */
__attribute__((noinline, cold)) static void values_careful(struct decode *s, const struct block *b)
{
  const struct attn_problem *p = s->unit->problem;
  for (int64_t r = 0; r < s->rows; r++)
    for (int64_t d = 0; d < s->values; d += VL) {
      vf acc = vf_zero();
      for (int64_t j = 0; j < b->n; j++) {
        const float weight = s->s[r * BLOCK + j];
        if (weight == 0 && __builtin_signbit(weight)) continue;
        acc = vf_fma(vf_set(weight), load_row(b->v[j / STRETCH] + j % STRETCH * p->v.s, d, p->Dv), acc);
      }
      float *o = s->o + r * s->values + d;
      vf_store(o, vf_add(vf_load(o), acc));
    }
}

static inline bool values_finite(const struct decode *s, const struct block *b)
{
  const struct attn_problem *p = s->unit->problem;
  vf far = vf_zero();
  if (ELEMENT_DTYPE == ATTN_I8) return true;
  for (int64_t j = 0; j < b->n; j++)
    for (int64_t d = 0; d < s->values; d += VL)
      far = vf_farthest(far, load_row(b->v[j / STRETCH] + j % STRETCH * p->v.s, d, p->Dv));
  return !vf_any_beyond(far, FLT_MAX);
}

/* Row r has a score, `top`, that exceeds its reference by more than DECODE_RAISE. */
__attribute__((noinline)) static void raise_reference(struct decode *s, int64_t r, float top)
{
  const vf rescale = vf_set(attn_exp2(s->max[r] - top));
  float *o = s->o + r * s->values, *sum = s->sum + r * VL;
  s->max[r] = top;
  vf_store(sum, vf_mul(vf_load(sum), rescale));
  for (int64_t d = 0; d < s->values; d += VL) vf_store(o + d, vf_mul(vf_load(o + d), rescale));
}

/* Scores of row r -> weights, whatever the scores are: hidden, NaN, Inf. Those beyond the block count as hidden. */
static inline void weigh(struct decode *s, int64_t r, const struct block *b)
{
  float *w = s->s + r * BLOCK;
  const int64_t padded = whole_vectors(b->n);
  for (int64_t j = b->n; j < padded; j++) w[j] = -INFINITY;
  vf top = vf_set(-FLT_MAX), sum = vf_zero();
  for (int64_t j = 0; j < padded; j += VL) top = vf_max(vf_load(w + j), top);
  if (vf_any_above(vf_sub(top, vf_set(s->max[r])), DECODE_RAISE)) {
    float lanes[VL], highest = -FLT_MAX;
    vf_store(lanes, top);
    for (int l = 0; l < VL; l++) highest = lanes[l] > highest ? lanes[l] : highest;
    raise_reference(s, r, highest);
  }
  const vf max = vf_set(s->max[r]);
  for (int64_t j = 0; j < padded; j += VL) {
    const vf score = vf_load(w + j), weight = vf_hide(vf_exp2(vf_sub(score, max)), score);
    sum = vf_add(sum, weight);
    vf_store(w + j, weight);
  }
  vf_store(s->sum + r * VL, vf_add(vf_load(s->sum + r * VL), sum));
}

/* int8: the scales of K multiply scores, before masks; those of V multiply weights, unless hidden. */
static inline void scale_scores(struct decode *s, int64_t r, const struct block *b)
{
  float *w = s->s + r * BLOCK;
  for (int64_t j0 = 0; j0 < b->n; j0 += STRETCH) {
    const int64_t n = b->n - j0 < STRETCH ? b->n - j0 : STRETCH;
    for (int64_t j = 0; j < n; j++) w[j0 + j] *= b->k_scale[j0 / STRETCH][j];
  }
}

static inline void scale_weights(struct decode *s, int64_t r, const struct block *b)
{
  float *w = s->s + r * BLOCK;
  for (int64_t j0 = 0; j0 < b->n; j0 += STRETCH) {
    const int64_t n = b->n - j0 < STRETCH ? b->n - j0 : STRETCH;
    for (int64_t j = 0; j < n; j++) {
      const float weight = w[j0 + j], scaled = weight * b->v_scale[j0 / STRETCH][j];
      w[j0 + j] = weight == 0 ? weight : scaled;
    }
  }
}

/* Whether no row sees any of the block's keys: then K and V need not be read. */
static inline bool block_is_hidden(const struct decode *s, int64_t j0, int64_t end)
{
  const struct attn_problem *p = s->unit->problem;
  const int64_t n = end - j0 < BLOCK ? end - j0 : BLOCK;
  if (!attn_has_mask(p)) return false;
  for (int64_t r = 0; r < s->rows; r++)
    if (!attn_all_hidden(p, &s->row[r], j0, n)) return false;
  return true;
}

/* The first block from j0 on that is not hidden, or end. */
static inline int64_t next_visible(const struct decode *s, int64_t j0, int64_t end)
{
  while (j0 < end && block_is_hidden(s, j0, end)) j0 += BLOCK;
  return j0 < end ? j0 : end;
}

static inline void decode_block(struct decode *s, const struct block *b, const struct block *next)
{
  const struct attn_problem *p = s->unit->problem;
  const bool edits = attn_edits_scores(p);
  bool hides = false;
  int64_t r = 0;
  for (; r + 3 <= s->rows; r += 4) dots_rows(s, r, 4, b, r == 0);
  if (r + 2 <= s->rows) {
    dots_rows(s, r, 2, b, r == 0);
    r += 2;
  }
  if (r < s->rows) dots_rows(s, r, 1, b, r == 0);
  for (r = 0; r < s->rows; r++) {
    if (ELEMENT_DTYPE == ATTN_I8) scale_scores(s, r, b);
    const struct attn_row *row = &s->row[r];
    const bool hidden = attn_has_mask(p) || row->first > b->j0 || row->limit < b->j0 + b->n;
    if (hidden || edits) attn_edit_scores(p, row, b->j0, b->n, s->s + r * BLOCK);
    hides |= hidden;
    weigh(s, r, b);
    if (ELEMENT_DTYPE == ATTN_I8) scale_weights(s, r, b);
  }
  if (hides && !values_finite(s, b)) {
    values_careful(s, b);
    return;
  }
  for (r = 0; r + 3 <= s->rows; r += 4) values_rows(s, r, 4, b, r == 0 ? next : NULL);
  if (r + 2 <= s->rows) {
    values_rows(s, r, 2, b, r == 0 ? next : NULL);
    r += 2;
  }
  if (r < s->rows) values_rows(s, r, 1, b, r == 0 ? next : NULL);
}

/* Where keys [j0, end), BLOCK of them at most, lie. */
static inline void find_block(struct block *b, const struct attn_unit *u, int64_t j0, int64_t end)
{
  const struct attn_problem *p = u->problem;
  const element *k = (const element *)u->k + attn_k_at(u), *v = (const element *)u->v + attn_v_at(u);
  b->j0 = j0;
  b->n = end - j0 < BLOCK ? end - j0 : BLOCK;
  for (int64_t j = j0; j < j0 + b->n; j += STRETCH) {
    const int64_t at = (j - j0) / STRETCH, key = attn_key_at(u, j);
    b->k[at] = k + attn_key_page(u, j) * p->k_page + key * p->k.s;
    b->v[at] = v + attn_key_page(u, j) * p->v_page + key * p->v.s;
    if (ELEMENT_DTYPE == ATTN_I8) {
      const int64_t scale = attn_scale_at(u, j);
      b->k_scale[at] = u->k_scale + scale;
      b->v_scale[at] = u->v_scale + scale;
    }
  }
}

ALWAYS_INLINE vf load_any(attn_dtype dtype, const void *base, int64_t at)
{
  if (dtype == ATTN_F32) return vf_load((const float *)base + at);
  return dtype == ATTN_F16 ? vf_load_f16((const uint16_t *)base + at) : vf_load_bf16((const uint16_t *)base + at);
}

static inline void take_query(float *restrict dst, const struct attn_unit *u, int64_t r, int64_t depth)
{
  const struct attn_problem *p = u->problem;
  const int64_t from = attn_q_at(u, r), whole = p->q.d == 1 ? p->Dqk / VL * VL : 0;
  for (int64_t d = 0; d < whole; d += VL)
    vf_store(dst + d, vf_mul(load_any(p->dtype, u->q, from + d), vf_set(p->q_factor)));
  for (int64_t d = whole; d < p->Dqk; d++) dst[d] = attn_element_get(p->dtype, u->q, from + d * p->q.d) * p->q_factor;
  for (int64_t d = p->Dqk; d < depth; d++) dst[d] = 0;
  if (p->rope) attn_rope_turn(p->rope, attn_row_position(u, r), dst, 1);
}

/* Row r of the unit, whose maximum and sum stand in the unit: the sink joins them; O = row / sum. */
static inline void finish_output(const struct attn_unit *u, int64_t index, const float *row)
{
  const struct attn_problem *p = u->problem;
  const int64_t r = u->row0 + index;
  const float norm = attn_finish_row(u, r, &u->row_max[index], &u->row_sum[index]);
  const int64_t to = attn_o_at(u, r), whole = p->o.d == 1 ? p->Dv / VL * VL : 0;
  for (int64_t d = 0; d < whole; d += VL) {
    const vf x = vf_mul(vf_load(row + d), vf_set(norm));
    if (p->dtype == ATTN_F32)
      vf_store((float *)u->o + to + d, x);
    else if (p->dtype == ATTN_F16)
      vf_store_f16((uint16_t *)u->o + to + d, x);
    else
      vf_store_bf16((uint16_t *)u->o + to + d, x);
  }
  for (int64_t d = whole; d < p->Dv; d++) attn_element_put(p->dtype, u->o, to + d * p->o.d, row[d] * norm);
}

static inline void decode_run(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  struct decode s = {.unit = u};
  const int64_t rows = u->row1 - u->row0;
  decode_layout(&s, p, rows, u->scratch);
  for (int64_t r = 0; r < rows; r++) {
    s.row[r] = attn_row_get(u, u->row0 + r);
    s.max[r] = -FLT_MAX;
    take_query(s.q + r * s.depth, u, u->row0 + r, s.depth);
  }
  memset(s.q + rows * s.depth, 0, (size_t)s.depth * sizeof *s.q);
  memset(s.sum, 0, (size_t)(rows * VL) * sizeof *s.sum);
  memset(s.o, 0, (size_t)((rows + 1) * s.values) * sizeof *s.o);
  memset(s.s + rows * BLOCK, 0, BLOCK * sizeof *s.s);
  int64_t j0 = s.row[0].first / BLOCK * BLOCK, end = s.row[rows - 1].limit; /* neither falls from row to row */
  if (j0 < u->key0) j0 = u->key0;
  if (end > u->key1) end = u->key1;
  struct block block[2];
  j0 = next_visible(&s, j0, end);
  if (j0 < end) find_block(&block[0], u, j0, end);
  for (int turn = 0; j0 < end; turn ^= 1) {
    const int64_t next = next_visible(&s, j0 + BLOCK, end);
    if (next < end) find_block(&block[!turn], u, next, end);
    decode_block(&s, &block[turn], next < end ? &block[!turn] : NULL);
    j0 = next;
  }
  for (int64_t r = 0; r < rows; r++) {
    const float *o = s.o + r * s.values;
    u->row_max[r] = s.max[r];
    u->row_sum[r] = vf_hsum(vf_load(s.sum + r * VL));
    if (u->partial)
      memcpy(u->partial + r * p->Dv, o, (size_t)p->Dv * sizeof *o);
    else
      finish_output(u, r, o);
  }
}

/* Part by part in the order of the keys. A part without a visible key has sum 0 and no say. */
static inline void decode_merge(const struct attn_unit *u, const struct attn_parts *parts)
{
  const struct attn_problem *p = u->problem;
  const int64_t rows = u->row1 - u->row0, padded = whole_vectors(p->Dv);
  float *o = u->scratch;
  for (int64_t r = 0; r < rows; r++) {
    float max = -FLT_MAX, sum = 0;
    for (int64_t n = 0; n < parts->count; n++) {
      const float *part = attn_part_max(parts, n, rows, p->Dv);
      if (part[rows + r] != 0 && part[r] > max) max = part[r];
    }
    memset(o, 0, (size_t)padded * sizeof *o);
    for (int64_t n = 0; n < parts->count; n++) {
      const float *part = attn_part_max(parts, n, rows, p->Dv), *from = attn_part_o(parts, n, r, p->Dv);
      if (part[rows + r] == 0) continue;
      const float weight = attn_exp2(part[r] - max);
      int64_t d = 0;
      sum += weight * part[rows + r];
      for (; d + VL <= p->Dv; d += VL) vf_store(o + d, vf_fma(vf_set(weight), vf_load(from + d), vf_load(o + d)));
      for (; d < p->Dv; d++) o[d] += weight * from[d];
    }
    u->row_max[r] = max;
    u->row_sum[r] = sum;
    finish_output(u, r, o);
  }
}

#endif
