/* Few queries over many keys (decoding, speculative tokens): K and V are streamed once, as they lie in memory, for all rows
 * of a KV head. Written once in vector verbs. An ISA file includes its vec_<isa>.h and an element_*.h (the type of K and V)
 * and defines DOTS, the accumulators of a tile.
 *
 * Nothing is packed. A cache has the keys in the order wanted here, from the append on: element d of 16 keys beside each
 * other (of bf16 pairs of elements), so that a vector holds keys and scores need no sums across lanes. Of tensors a score
 * is a dot product along a row of K, several rows times several keys at a time in registers, whose lanes are then summed
 * together. Either way K is read from end to end, once per tile of rows. PV: rows of V times the weights of 1, 2, 4 or 8
 * rows. BLOCK keys of K and V at a time stay in L1 and L2 while the tiles pass over them. K of the next block is asked for
 * while K is multiplied, and V while V is, at an even pace: the order of the reads, now K, now V, is none that hardware
 * prefetchers follow, and what is asked for half a block ahead comes too late. Pages are opened another half a block
 * earlier.
 *
 * The softmax is that of fwd_stream.h: a reference raised lazily, weight -0 for hidden. A row's bits depend on the problem
 * and on the split of its keys only; not on where K and V lie. */
#ifndef ATTN_DECODE_H
#define ATTN_DECODE_H

#include "../reference/exp2.h"
#include "../scores.h"
#include "load_as.h"
#if defined(ATTN_DECODE_BY_TILES) && defined(ATTN_ELEMENT_QUADS)
#include "decode_quads_amx.h"
#elif defined(ATTN_DECODE_BY_TILES)
#include "decode_pairs_amx.h"
#elif defined(ATTN_ELEMENT_QUADS)
#include "decode_quads.h"
#else
#include "decode_tiles.h"
#endif

#include <float.h>
#include <string.h>

enum {
  KEY_SPAN = 44 * BLOCK, /* beginning anew in memory costs as much as two blocks */
  UNIT_ROWS = 64,
  IN_ORDER_SHIFT = 9, /* log2 of the tokens of a page, at least: of 256, asking is as good; of 64, far better */
  DECODE_ROWS = 16,   /* more are better off with packed K and V */
};
#define DECODE_RAISE 8.0f
/* As DEPTH in weigh.h; products of integers are never denormal. */
#define DECODE_DEPTH (ELEMENT_DTYPE == ATTN_I8 ? 126.0f : ATTN_DEPTH)

static inline size_t decode_layout(struct decode *s, const struct attn_problem *p, int64_t rows, char *base)
{
  size_t used = 0;
  s->rows = rows;
  s->depth = whole_vectors(p->Dqk);
  s->values = values_width(p);
  DECODE_TAKE(row, rows);
  DECODE_TAKE(max, rows);
  DECODE_TAKE(sum, rows * VL);
  DECODE_TAKE(q, (rows + 2) * s->depth);
  DECODE_TAKE(o, padded_rows(rows) * s->values);
  DECODE_TAKE(s, padded_rows(rows) * SCORES);
  return tiles_layout(s, base, used);
}

static inline size_t decode_scratch_bytes(const struct attn_problem *p, int64_t rows)
{
  struct decode s;
  return decode_layout(&s, p, rows, NULL);
}

/* Rows of K and V of tensors must be contiguous. A cache has no other kernels. */
static inline bool decode_supports(const struct attn_problem *p)
{
  return p->cached || (p->k.d == 1 && p->v.d == 1 && p->G * p->Sq <= DECODE_ROWS);
}

/* Row r has a score, `top`, that exceeds its reference by more than DECODE_RAISE. */
__attribute__((noinline)) static void raise_reference(struct decode *s, int64_t r, float top)
{
  const float fall = s->max[r] - top;
  const vf rescale = vf_set(attn_exp2(fall < -DECODE_DEPTH ? -DECODE_DEPTH : fall));
  float *sum = s->sum + r * VL;
  s->max[r] = top;
  vf_store(sum, vf_mul(vf_load(sum), rescale));
  scale_values(s, r, rescale);
}

/* Scores of row r -> weights, whatever the scores are: hidden, NaN, Inf. */
static __attribute__((noinline)) void weigh_any(struct decode *s, int64_t r, const struct block *b)
{
  float *w = s->s + r * SCORES;
  const int64_t padded = whole_vectors(b->n);
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
    const vf score = vf_load(w + j);
    const vf weight = vf_hide(vf_exp2(vf_at_least(vf_set(-DECODE_DEPTH), vf_sub(score, max))), score);
    sum = vf_add(sum, weight);
    vf_store(w + j, weight);
  }
  vf_store(s->sum + r * VL, vf_add(vf_load(s->sum + r * VL), sum));
}

/* The same. Plain scores, at most DEPTH below the reference and RAISE above, need neither a test nor a clamp each: score -
 * reference + DEPTH is in [0, DEPTH + RAISE], and everything else, NaN too, is beyond as an unsigned integer. */
static inline void weigh(struct decode *s, int64_t r, const struct block *b)
{
  float *w = s->s + r * SCORES;
  const int64_t padded = whole_vectors(b->n);
  for (int64_t j = b->n; j < padded; j++) w[j] = -INFINITY; /* beyond the block: hidden */
  const vf max = vf_set(s->max[r]), shift = vf_set(DECODE_DEPTH - s->max[r]);
  vf highest = vf_zero(), sum = vf_zero();
  for (int64_t j = 0; j < padded; j += VL) highest = vf_max_bits(highest, vf_add(vf_load(w + j), shift));
  if (vf_any_beyond(highest, DECODE_DEPTH + DECODE_RAISE)) {
    weigh_any(s, r, b);
    return;
  }
  for (int64_t j = 0; j < padded; j += VL) {
    const vf weight = vf_exp2_over(vf_sub(vf_load(w + j), max), vf_set(VF_EXP2_ROUND));
    sum = vf_add(sum, weight);
    vf_store(w + j, weight);
  }
  vf_store(s->sum + r * VL, vf_add(vf_load(s->sum + r * VL), sum));
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

/* next, after: the blocks that follow, or NULL. */
static inline void decode_block(struct decode *s, const struct block *b, const struct block *next,
                                const struct block *after)
{
  const struct attn_problem *p = s->unit->problem;
  const bool edits = attn_edits_scores(p);
  /* One row that asks in the order of memory is slowed by opening pages before. */
  const bool opens = s->rows > 1 || !s->in_order || s->slow_requests;
  bool hides = false;
  if (next && opens) open_pages(next->v, next->n, p->v.s);
  score_block(s, b, next);
  for (int64_t r = 0; r < s->rows; r++) {
    const struct attn_row *row = &s->row[r];
    const bool hidden = attn_has_mask(p) || row->first > b->j0 || row->limit < b->j0 + b->n;
    if (hidden || edits) attn_edit_scores(p, row, b->j0, b->n, s->s + r * SCORES);
    hides |= hidden;
    weigh(s, r, b);
  }
  if (after && opens) open_pages(after->k, after->n, p->k.s);
  add_values(s, b, hides, next);
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

/* The first block of a unit: nothing was multiplied yet that could have asked for it line by line. */
static inline void ask_for(const element *const *base, int64_t keys, int64_t step, int64_t width)
{
  open_pages(base, keys, step);
  for (int64_t j = 0; j < keys; j++)
    for (int64_t d = 0; d < width; d += LINE) __builtin_prefetch(base[j / STRETCH] + j % STRETCH * step + d, 0, 2);
}

static inline void take_query(const struct decode *s, int64_t r)
{
  const struct attn_unit *u = s->unit;
  const struct attn_problem *p = u->problem;
  float *const dst = s->q + (s->rows + 1) * s->depth; /* as one row, then beside the others of its tile */
  const int64_t from = attn_q_at(u, u->row0 + r), whole = p->q.d == 1 ? p->Dqk / VL * VL : 0;
  const float factor = query_factor(p);
  for (int64_t d = 0; d < whole; d += VL) vf_store(dst + d, vf_mul(load_as(p->dtype, u->q, from + d), vf_set(factor)));
  for (int64_t d = whole; d < p->Dqk; d++) dst[d] = attn_element_get(p->dtype, u->q, from + d * p->q.d) * factor;
  for (int64_t d = p->Dqk; d < s->depth; d++) dst[d] = 0;
  if (p->rope) attn_rope_turn(p->rope, attn_row_position(u, u->row0 + r), dst, 1);
  put_query(s, r, dst);
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

/* The unit's rows over its keys, from the beginning. */
static inline void decode_rows(struct decode *s)
{
  const struct attn_unit *u = s->unit;
  const struct attn_problem *p = u->problem;
  const int64_t rows = s->rows;
  int64_t j0 = s->row[0].first / BLOCK * BLOCK, end = s->row[rows - 1].limit; /* neither falls from row to row */
  if (j0 < u->key0) j0 = u->key0;
  if (end > u->key1) end = u->key1;
  struct block block[3]; /* this one and the two that follow */
  int64_t at[3];
  at[0] = next_visible(s, j0, end);
  at[1] = next_visible(s, at[0] + BLOCK, end);
  for (int i = 0; i < 2; i++)
    if (at[i] < end) find_block(&block[i], u, at[i], end);
  if (at[0] < end) {
    ask_for(block[0].k, block[0].n, p->k.s, p->Dqk);
    ask_for(block[0].v, block[0].n, p->v.s, p->Dv);
  }
  tiles_start(s);
  memset(s->q, 0, (size_t)((rows + 1) * s->depth) * sizeof *s->q);
  for (int64_t r = 0; r < rows; r++) {
    s->max[r] = -FLT_MAX;
    take_query(s, r);
  }
  memset(s->sum, 0, (size_t)(rows * VL) * sizeof *s->sum);
  memset(s->o, 0, (size_t)(padded_rows(rows) * s->values) * sizeof *s->o);
  memset(s->s, 0, (size_t)(padded_rows(rows) * SCORES) * sizeof *s->s);
  for (int turn = 0; at[turn] < end; turn = (turn + 1) % 3) {
    const int next = (turn + 1) % 3, after = (turn + 2) % 3;
    at[after] = next_visible(s, at[next] + BLOCK, end);
    if (at[after] < end) find_block(&block[after], u, at[after], end);
    decode_block(s, &block[turn], at[next] < end ? &block[next] : NULL, at[after] < end ? &block[after] : NULL);
  }
}

static inline void decode_run(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  struct decode s = {.unit = u,
                     .in_order = p->cached && (!u->pages || p->page_shift >= IN_ORDER_SHIFT),
                     .slow_requests = p->slow_requests,
                     .near = p->cached && 2 * BLOCK * (p->Dqk + p->Dv) * (int64_t)sizeof(element) <= p->near_bytes};
  const int64_t rows = u->row1 - u->row0;
  if (!u->scratch) __builtin_unreachable(); /* it is never of 0 bytes; lint cannot know */
  decode_layout(&s, p, rows, u->scratch);
  for (int64_t r = 0; r < rows; r++) s.row[r] = attn_row_get(u, u->row0 + r);
  decode_rows(&s);
  while (wants_care(&s)) {
    s.careful = true;
    decode_rows(&s);
  }
  for (int64_t r = 0; r < rows; r++) {
    const float *o = values_of_row(&s, r);
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
