/* Tiled streaming softmax (online softmax: Milakov and Gimelshein 2018; FlashAttention: Dao et al. 2022), written once in
 * vector verbs. An ISA file includes its vec_<isa>.h, an element_*.h, defines MR and NV, includes its tiles (tile_*.h) and
 * this file.
 *
 * For each block of keys: pack K and V; then for each group of row tiles: S = Q K^T, P = 2^(S - max) in its place while it
 * is in L1, then O += P V. A group's P stays in L2; a panel of V stays in L1 while all row tiles of the group pass over it.
 *
 * A row keeps a reference close to its maximum and raises it only when a score exceeds it by more than RAISE; then its sum
 * and O are rescaled, rarely. P <= 2^RAISE is harmless in f32. So in nearly every row of nearly every block one test says
 * that all scores are plain, i.e. in the range of a fast exponential, and no maximum is needed. The reference starts at
 * -FLT_MAX: the first live block sets it. */
#ifndef ATTN_FWD_STREAM_H
#define ATTN_FWD_STREAM_H

#include "../scores.h"
#ifdef ATTN_PAIRS /* vec_<isa>.h has dot products of pairs */
#include "pack_pairs.h"
#else
#include "pack.h"
#endif

#include "output.h"
#include "pack_cached.h"
#include "panels.h"

#include <float.h>
#include <string.h>

#define RAISE 8.0f
/* A plain score is at most DEPTH below its row's reference and RAISE above: score - reference + DEPTH is in [0, DEPTH +
 * RAISE]. That far down a weight of 2^-126 or the nothing that the fast exponential makes of it are the same. */
#define DEPTH 126.0f

enum {
  BLOCK_KEYS = 256,           /* at most, for any head size; a bit of 32 for each panel of NR */
  P_STRIDE = BLOCK_KEYS + 16, /* not a power of two: rows of P fall into different cache sets */
  GROUP_TILES = 96 / MR,      /* row tiles whose P is alive at a time, if the plan does not say */
  MOST_GROUP_TILES = 384 / MR,
  UNIT_ROWS = 2112 / MR * MR
};
static const struct attn_blocking stream_blocking_step = {NR, MR, MR},
                                  stream_blocking_most = {BLOCK_KEYS / NR * NR, MOST_GROUP_TILES *MR, 7680 / MR *MR};

struct stream {
  const struct attn_unit *unit;
  int64_t tiles, block_keys, group_tiles, values; /* values: Dv rounded up to whole vectors */
  struct attn_row *row;                           /* [tiles * MR]; rows of padding repeat the last one */
  float *max;                                     /* [tiles * MR] reference of the exponentials */
  float *sum;                                     /* [tiles * MR][VL] */
  float *packed_sum; /* the same of the weights as they were packed, if that rounds them (PACKED > 1) */
  float *q;          /* [tiles][packed(Dqk)][MR] */
  float *o;          /* output.h: tile by tile */
  float *k, *v;      /* the block, packed */
  float *p;          /* [group_tiles][MR][P_STRIDE] scores, then weights */
};

/* Rows of tile t that are none of padding; the tile of SHORT_MR rows is for those that have few. */
static inline int64_t rows_of(const struct stream *s, int64_t t)
{
  const int64_t rows = s->unit->row1 - s->unit->row0 - t * MR;
  return rows < MR ? rows : MR;
}

/* Without a plan's word: keys whose K and V fill half of a small L2 (256 KiB). */
static inline int64_t stream_block_keys(const struct attn_problem *p)
{
  int64_t keys = p->blocking.block_keys ? p->blocking.block_keys : 65536 / (p->Dqk + p->Dv) / NR * NR;
  if (keys > BLOCK_KEYS) keys = BLOCK_KEYS;
  if (keys > round_up(p->Skv, NR)) keys = round_up(p->Skv, NR);
  return keys < NR ? NR : keys;
}

/* Lays the scratch out from base; with base NULL only counts. Returns the bytes. */
static inline size_t stream_layout(struct stream *s, const struct attn_problem *p, int64_t rows, char *base)
{
  size_t used = 0;
  s->tiles = round_up(rows, MR) / MR;
  s->block_keys = stream_block_keys(p);
  s->group_tiles = p->blocking.group_rows ? p->blocking.group_rows / MR : GROUP_TILES;
  if (s->group_tiles > s->tiles) s->group_tiles = s->tiles;
  s->values = round_up(p->Dv, VL);
#define TAKE(field, count)                                                                                                 \
  do {                                                                                                                     \
    if (base) s->field = (void *)(base + used);                                                                            \
    used += ((size_t)(count) * sizeof *s->field + 63) & ~(size_t)63;                                                       \
  } while (0)
  TAKE(row, s->tiles * MR);
  TAKE(max, s->tiles * MR);
  TAKE(sum, s->tiles * MR * VL);
  TAKE(packed_sum, PACKED > 1 ? s->tiles * MR * VL : 0);
  TAKE(q, s->tiles * MR * packed(p->Dqk) + TB); /* packed in blocks of TB */
  TAKE(o, s->tiles * MR * s->values);
  TAKE(k, s->block_keys * packed(p->Dqk));
  TAKE(v, packed(s->block_keys) * s->values);
  TAKE(p, s->group_tiles * MR * P_STRIDE);
#undef TAKE
  return used;
}

static inline size_t stream_scratch_bytes(const struct attn_problem *p, int64_t rows)
{
  struct stream s;
  return stream_layout(&s, p, rows, NULL);
}

/* Row i of tile t has a score, `top`, that exceeds its reference by more than RAISE. p: the row's weights in this block, of
 * which `done` exist. */
static inline void raise_max(struct stream *s, int64_t t, int64_t i, float top, float *p, int64_t done)
{
  const int64_t r = t * MR + i;
  const float rescale = attn_exp2(s->max[r] - top);
  s->max[r] = top;
  if (!vf_any_above(vf_load(s->sum + r * VL), 0)) return; /* all weights so far are 0 */
  for (int64_t l = 0; l < VL; l++) s->sum[r * VL + l] *= rescale;
  for (int64_t l = 0; PACKED > 1 && l < VL; l++) s->packed_sum[r * VL + l] *= rescale;
  scale_weights(p - i * P_STRIDE, i, P_STRIDE, done, rescale);
  for (int64_t left = 0; left < s->values; left += NR) {
    const int64_t width = s->values - left < NR ? s->values - left : NR;
    float *o = s->o + tile_row_at(t, i, left, s->values);
    for (int64_t d = 0; d < width; d++) o[d] *= rescale;
  }
}

/* Raises the reference of row i of tile t to the largest of the scores p[from..to) if that exceeds it by more than RAISE.
 */
__attribute__((noinline)) static void follow_max(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to)
{
  vf top[NV];
  UNROLLED_FOR (l, NV) top[l] = vf_set(-FLT_MAX);
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) top[l] = vf_max(vf_load(p + j + l * VL), top[l]);
  UNROLLED_FOR (l, NV) top[0] = vf_max(top[l], top[0]);
  if (!vf_any_above(vf_sub(top[0], vf_set(s->max[t * MR + i])), RAISE)) return;
  raise_max(s, t, i, vf_hmax(top[0]), p, from);
}

/* Always in this order: the bits of a row must not depend on which function weighs it. */
static inline void add_sums(float *lanes, const vf sum[NV])
{
  vf all = vf_load(lanes);
  UNROLLED_FOR (l, NV) all = vf_add(all, sum[l]);
  vf_store(lanes, all);
}

/* Scores p[from..to) of a row -> weights, whatever the scores are: hidden, NaN, Inf, above the reference or far below. */
__attribute__((noinline)) static void weigh_any(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to)
{
  const int64_t r = t * MR + i;
  follow_max(s, t, i, p, from, to);
  const vf max = vf_set(s->max[r]);
  vf sum[NV];
  UNROLLED_FOR (l, NV) sum[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) {
      const vf score = vf_load(p + j + l * VL), weight = vf_hide(vf_exp2(vf_sub(score, max)), score);
      vf_store(p + j + l * VL, weight);
      sum[l] = vf_add(sum[l], weight);
    }
  add_sums(s->sum + r * VL, sum);
}

/* Scores p[from..to) become x. Up to VL - 1 floats behind them do as well: of the next panel, which is not there. */
static inline void set_scores(float *p, int64_t from, int64_t to, vf x)
{
  if (from < to) vf_store(p + from, x);
  for (int64_t j = to - (to - from) / VL * VL; j < to; j += VL) vf_store(p + j, x);
}

/* The same for any row: nearly always the scores turn out to be plain. from and to: multiples of NR; keys [end, to) are
 * hidden: they lie behind the last one. While their scores are the lowest plain ones, no test tells them from the others;
 * their weights of 2^-126 change no sum, and nobody reads them. */
static inline void weigh_row(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to, int64_t end)
{
  const int64_t r = t * MR + i;
  if (s->max[r] == -FLT_MAX) { /* the row's first live keys */
    set_scores(p, end, to, vf_set(-INFINITY));
    follow_max(s, t, i, p, from, to);
  }
  const vf max = vf_set(s->max[r]), shift = vf_set(DEPTH - s->max[r]);
  vf highest[NV], sum[NV];
  set_scores(p, end, to, vf_sub(max, vf_set(DEPTH)));
  UNROLLED_FOR (l, NV) highest[l] = sum[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) highest[l] = vf_max_bits(highest[l], vf_add(vf_load(p + j + l * VL), shift));
  UNROLLED_FOR (l, NV) highest[0] = vf_max_bits(highest[0], highest[l]);
  if (vf_any_beyond(highest[0], DEPTH + RAISE)) {
    set_scores(p, end, to, vf_set(-INFINITY));
    weigh_any(s, t, i, p, from, to);
    return;
  }
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) {
      const vf weight = vf_exp2_in_range(vf_sub(vf_load(p + j + l * VL), max));
      vf_store(p + j + l * VL, weight);
      sum[l] = vf_add(sum[l], weight);
    }
  add_sums(s->sum + r * VL, sum);
}

/* Weights of a row from its raw scores p[from..to) and an additive mask in f32, if all are plain (weigh_row): the mask is
 * added on the way, twice, which costs less than to store the sum. False: nothing was done. */
static inline bool weigh_biased(struct stream *s, int64_t t, int64_t i, float *p, const float *mask, int64_t from,
                                int64_t to)
{
  const int64_t r = t * MR + i;
  if (s->max[r] == -FLT_MAX) return false;
  const vf max = vf_set(s->max[r]), shift = vf_set(DEPTH - s->max[r]), log2e = vf_set(ATTN_LOG2E);
  vf highest[NV], sum[NV];
  UNROLLED_FOR (l, NV) highest[l] = sum[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) {
      const vf score = vf_fma(log2e, vf_load(mask + j + l * VL), vf_load(p + j + l * VL));
      highest[l] = vf_max_bits(highest[l], vf_add(score, shift));
    }
  UNROLLED_FOR (l, NV) highest[0] = vf_max_bits(highest[0], highest[l]);
  if (vf_any_beyond(highest[0], DEPTH + RAISE)) return false;
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) {
      const vf score = vf_fma(log2e, vf_load(mask + j + l * VL), vf_load(p + j + l * VL));
      const vf weight = vf_exp2_in_range(vf_sub(score, max));
      vf_store(p + j + l * VL, weight);
      sum[l] = vf_add(sum[l], weight);
    }
  add_sums(s->sum + r * VL, sum);
  return true;
}

/* Scores of `rows` rows of a tile and neighbouring key panels. Functions of their own, so that their loops have all
 * registers for themselves. */
#define DEFINE_SCORES(name, qk, rows)                                                                                      \
  __attribute__((noinline)) static void name(float *restrict p, const float *restrict q, const float *restrict k,          \
                                             int64_t depth, int64_t panels, float factor)                                  \
  {                                                                                                                        \
    for (; panels > 0; panels--, p += NR, k += NR * depth) {                                                               \
      vf score[MR][NV];                                                                                                    \
      ZERO_TILE(score, rows, NV);                                                                                          \
      qk(score, q, k, depth, NV);                                                                                          \
      UNROLLED_FOR (i, rows)                                                                                               \
        UNROLLED_FOR (l, NV) vf_store(p + i * P_STRIDE + l * VL, scaled_score(score[i][l], factor));                       \
    }                                                                                                                      \
  }
DEFINE_SCORES(score_panels, qk_tile, MR)
DEFINE_SCORES(score_short_panels, qk_short_tile, SHORT_MR)

/* The same for a panel of at most VL keys; the rest of its scores are hidden ones. */
__attribute__((noinline)) static void score_narrow_panel(float *restrict p, const float *restrict q,
                                                         const float *restrict k, int64_t depth, float factor)
{
  vf score[MR][NV];
  ZERO_TILE(score, MR, NV);
  qk_tile(score, q, k, depth, 1);
  UNROLLED_FOR (i, MR) {
    vf_store(p + i * P_STRIDE, scaled_score(score[i][0], factor));
    UNROLLED_FOR (l, NV - 1) vf_store(p + i * P_STRIDE + (l + 1) * VL, vf_set(-INFINITY));
  }
}

/* The same for one panel. Meanwhile the mask of the next row tile is asked for, whose rows lie too far apart for the
 * hardware to foresee: from soon[i] + at on, NR * element bytes of each row. A few lines at a time: more would hold up the
 * loads. */
__attribute__((noinline)) static void score_panel_asking(float *restrict p, const float *restrict q,
                                                         const float *restrict k, int64_t depth, const char *const *soon,
                                                         int64_t at, int64_t bytes, float factor)
{
  enum { CHUNK = 16 };
  const int64_t lines = bytes < 64 ? 1 : bytes / 64, all = MR * lines;
  int64_t line = 0;
  vf score[MR][NV];
  ZERO_TILE(score, MR, NV);
#ifdef __clang__ /* clang 14 would keep sums on the stack from chunk to chunk */
  for (; line < all; line++) __builtin_prefetch(soon[line / lines] + at + line % lines * 64, 0, 2);
  qk_tile(score, q, k, depth, NV);
#else
  for (int64_t d = 0; d < depth; d += CHUNK) {
    const int64_t until = (d + CHUNK) * all / depth;
    for (; line < until && line < all; line++) __builtin_prefetch(soon[line / lines] + at + line % lines * 64, 0, 2);
    qk_tile(score, q + d * MR, k + d * NR, depth - d < CHUNK ? depth - d : CHUNK, NV);
  }
#endif
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (l, NV) vf_store(p + i * P_STRIDE + l * VL, scaled_score(score[i][l], factor));
}

/* Scores of row tile t and keys [from, to) of the block. */
static inline void score_run(const struct stream *s, int64_t t, int64_t j0, int64_t keys, float *restrict p, int64_t from,
                             int64_t to)
{
  const struct attn_problem *problem = s->unit->problem;
  const int64_t depth = packed(problem->Dqk), bytes = (int64_t)attn_mask_element(problem->mask_kind);
  const char *soon[MR];
  if (problem->mask_kind == ATTN_MASK_NONE || problem->mask.d != 1 || t + 1 == s->tiles) {
    const bool narrow = to - keys >= NR - VL;
    const float *q = s->q + t * MR * depth;
    (rows_of(s, t) > SHORT_MR ? score_panels : score_short_panels)(p + from, q, s->k + from * depth, depth,
                                                                   (to - from) / NR - narrow, problem->q_factor);
    if (narrow) score_narrow_panel(p + to - NR, q, s->k + (to - NR) * depth, depth, problem->q_factor);
    return;
  }
  for (int64_t i = 0; i < MR; i++) soon[i] = (const char *)s->row[(t + 1) * MR + i].mask;
  for (int64_t j = from; j < to; j += NR)
    score_panel_asking(p + j, s->q + t * MR * depth, s->k + j * depth, depth, soon, (j0 + j) * bytes, NR * bytes,
                       problem->q_factor);
}

/* P of row tile t for a block of keys. */
static inline struct panels weigh_tile(struct stream *s, int64_t t, int64_t j0, int64_t keys, float *restrict p)
{
  const struct attn_problem *problem = s->unit->problem;
  const bool edits = attn_edits_scores(problem), adds = attn_mask_adds(problem->mask_kind);
  const bool adds_only = problem->mask_kind == ATTN_MASK_ADDITIVE && problem->mask.d == 1 && !problem->block_keys &&
                         problem->softcap == 0 && !problem->alibi;
  const struct panels panels = see_panels(problem, s->row + t * MR, j0, keys);
  for (uint32_t rest = panels.live; rest;) {
    int64_t from, to;
    const uint32_t before = rest;
    rest = next_run(rest, round_up(keys, NR), &from, &to);
    const bool hides = panels.partial & (before ^ rest), ends = hides && is_end(problem, s->row + t * MR, j0, keys, from);
    score_run(s, t, j0, keys, p, from, to);
    for (int64_t i = 0; i < rows_of(s, t); i++) {
      const struct attn_row *at = &s->row[t * MR + i];
      float *row = p + i * P_STRIDE;
      const bool done = adds_only && j0 + from >= at->first && j0 + to <= at->limit &&
                        weigh_biased(s, t, i, row, (const float *)at->mask + j0, from, to);
      if (!done && ((hides && !ends) || edits)) attn_edit_scores(problem, at, j0 + from, to - from, row + from);
      if (!done && hides && !ends && !adds) /* an additive mask may hide keys, but seldom does */
        weigh_any(s, t, i, row, from, to);
      else if (!done)
        weigh_row(s, t, i, row, from, to, ends && keys < to ? keys : to);
      const vf sum = pack_weights(p, i, P_STRIDE, from, to);
      float *lanes = s->packed_sum + (t * MR + i) * VL;
      if (PACKED > 1) vf_store(lanes, vf_add(vf_load(lanes), sum));
    }
  }
  return panels;
}

/* Functions of their own, as score_panels, and with a stride that the compiler knows. */
__attribute__((noinline)) static void wide_value_tile(float *o, const float *p, const float *v, uint32_t live, int64_t keys)
{
  add_value_tile(o, p, P_STRIDE, v, live, keys, NV);
}

__attribute__((noinline)) static void short_value_tile(float *o, const float *p, const float *v, uint32_t live,
                                                       int64_t keys)
{
  add_short_value_tile(o, p, P_STRIDE, v, live, keys, NV);
}

__attribute__((noinline)) static void narrow_value_tile(float *o, const float *p, const float *v, uint32_t live,
                                                        int64_t keys)
{
  add_value_tile(o, p, P_STRIDE, v, live, keys, 1);
}

static inline void stream_block(struct stream *s, int64_t j0, int64_t keys, bool finite)
{
  struct panels panels[MOST_GROUP_TILES];
  for (int64_t first = 0; first < s->tiles; first += s->group_tiles) {
    const int64_t n = s->tiles - first < s->group_tiles ? s->tiles - first : s->group_tiles;
    for (int64_t g = 0; g < n; g++) panels[g] = weigh_tile(s, first + g, j0, keys, s->p + g * MR * P_STRIDE);
    for (int64_t left = 0; left < s->values; left += NR) {
      const int64_t width = s->values - left < NR ? s->values - left : NR;
      const float *v = s->v + left * packed(s->block_keys);
      for (int64_t g = 0; g < n; g++) {
        float *o = s->o + tile_row_at(first + g, 0, left, s->values);
        float *p = s->p + g * MR * P_STRIDE;
        if (!panels[g].live) continue;
        if (!finite && panels[g].partial)
          value_tile_careful(o, p, P_STRIDE, v, panels[g].live, keys, width);
        else if (width == NR && rows_of(s, first + g) > SHORT_MR)
          wide_value_tile(o, p, v, panels[g].live, keys);
        else if (width == NR)
          short_value_tile(o, p, v, panels[g].live, keys);
        else
          narrow_value_tile(o, p, v, panels[g].live, keys);
      }
    }
  }
}

/* Weights that were rounded together, as those of equal scores are, do not sum up to l: O is normalised by what they do sum
 * up to, while l, which LSE is made of, keeps its precision. */
static inline float packing_factor(const struct stream *s, int64_t r, float sum)
{
  const float sum_packed = PACKED > 1 ? vf_hsum(vf_load(s->packed_sum + r * VL)) : 0;
  return sum_packed > 0 ? sum / sum_packed : 1;
}

static inline void stream_finish(const struct stream *s)
{
  const struct attn_unit *u = s->unit;
  for (int64_t r = 0; r < u->row1 - u->row0; r++) {
    u->row_max[r] = s->max[r];
    u->row_sum[r] = vf_hsum(vf_load(s->sum + r * VL));
    const float packing = packing_factor(s, r, u->row_sum[r]);
    write_row(u, r, s->o, s->values, packing * attn_finish_row(u, u->row0 + r, &u->row_max[r], &u->row_sum[r]));
  }
}

static inline void stream_run(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  struct stream s = {.unit = u};
  stream_layout(&s, p, u->row1 - u->row0, u->scratch);
  const int64_t padded = s.tiles * MR, rows = u->row1 - u->row0;
  for (int64_t r = 0; r < padded; r++) {
    s.row[r] = attn_row_get(u, u->row0 + (r < rows ? r : rows - 1));
    s.max[r] = -FLT_MAX;
  }
  memset(s.sum, 0, (size_t)(padded * VL) * sizeof *s.sum);
  if (PACKED > 1) memset(s.packed_sum, 0, (size_t)(padded * VL) * sizeof *s.packed_sum);
  memset(s.o, 0, (size_t)(padded * s.values) * sizeof *s.o);
  for (int64_t t = 0; t < s.tiles; t++) pack_q(s.q + t * MR * packed(p->Dqk), u, u->row0 + t * MR, u->row1);
  const int64_t first = s.row[0].first / s.block_keys * s.block_keys, limit = s.row[padded - 1].limit;
  const element *k = (const element *)u->k + attn_k_at(u), *v = (const element *)u->v + attn_v_at(u);
  for (int64_t j0 = first; j0 < limit; j0 += s.block_keys) {
    const int64_t keys = limit - j0 < s.block_keys ? limit - j0 : s.block_keys;
    bool finite;
    if (ELEMENT_DTYPE == ATTN_F32 && p->cached) {
      finite = pack_stored(s.k, s.v, u, j0, keys, s.block_keys);
    } else {
      pack_k(s.k, k + j0 * p->k.s, &p->k, keys, p->Dqk);
      finite = pack_v(s.v, v + j0 * p->v.s, &p->v, keys, s.block_keys, p->Dv);
    }
    stream_block(&s, j0, keys, finite);
  }
  stream_finish(&s);
}

#endif
