/* The two products of fwd_stream.h by register tiles (tile_*.h): the scores of a run of key panels, and the values of one
 * panel of columns. */
#ifndef ATTN_PRODUCTS_H
#define ATTN_PRODUCTS_H

#include "finish.h"
#include "panels.h"
#include "value_tile.h"
#include "weigh.h"

ALWAYS_INLINE void score_tile(float *restrict p, const float *restrict q, const float *restrict k, int64_t depth,
                              float factor)
{
  vf score[MR][NV];
#ifdef __clang__ /* no loops over panels of their own for each kind of depth */
  __asm__ volatile("" : "+r"(depth));
#endif
  ZERO_TILE(score, MR, NV);
  qk_all(score, q, k, depth, NV);
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (l, NV) vf_store(p + i * P_STRIDE + l * VL, scaled_score(score[i][l], factor));
}

enum { ASKS_OF_PANEL = 4 };

/* Scores of a row tile and neighbouring key panels; meanwhile what comes next is asked for. Functions of their own, so that
 * their loops have all registers for themselves. */
__attribute__((noinline)) static void score_panels(struct asks *asks, float *restrict p, const float *restrict q,
                                                   const float *restrict k, int64_t depth, int64_t panels, float factor)
{
  for (; panels > 0; panels--, p += NR, k += NR * depth) {
    UNROLLED_FOR (i, ASKS_OF_PANEL) ask_some(asks);
    score_tile(p, q, k, depth, factor);
  }
}

/* The same of neighbouring tiles, p[0..tiles). */
__attribute__((noinline)) static void score_stripe_panels(float *const *p, const float *q, const float *k, int64_t depth,
                                                          int64_t tiles, int64_t panels, float factor)
{
  for (int64_t j = 0; j < panels; j++, k += NR * depth) {
    const float *q_at = q;
    for (int64_t t = 0; t < tiles; t++, q_at += MR * query_floats(depth)) score_tile(p[t] + j * NR, q_at, k, depth, factor);
  }
}

/* Whether exponentials are done between the multiply-adds of the next tile's scores: not on ports that they share, nor
 * where a panel has too few of them for all rows of a tile (2 to 8 % of the time of heads of 32 and less). */
enum { LEAST_PART = 4 };
static inline bool weighs_meanwhile(const struct stream *s)
{
  const struct attn_problem *problem = s->unit->problem;
  return QK_DIVIDES && !problem->shared_ports && packed(problem->Dqk) >= LEAST_PART * MR;
}

/* As score_panels(). Each panel weighs one of the tile that waits, row after row between parts of its own depth, where
 * lines are asked for, too, and s->highest follows the scores plus `shift` of their row. */
__attribute__((noinline)) static void score_and_weigh_panels(struct stream *s, float *restrict p, const float *restrict q,
                                                             const float *restrict k, int64_t depth, int64_t panels,
                                                             float factor, const float *shift)
{
  const int64_t part = depth / MR; /* at least LEAST_PART */
  struct waiting *const waiting = &s->waiting;
  for (; panels > 0; panels--, p += NR, k += NR * depth) {
    const bool waits = waiting->p && waiting->at < waiting->to;
    float *w = waits ? waiting->p + waiting->at : NULL, *lanes = s->lanes;
    const float *reference = s->max + waiting->tile * MR;
    int64_t rows = waits ? MR : 0, left = depth;
    const float *q_chunk = q, *k_at = k;
    vf score[MR][NV];
    ZERO_TILE(score, MR, NV);
#define WEIGH_ONE (weigh_waiting(w, lanes, reference), w += P_STRIDE, lanes += NR, reference++, rows--)
    for (int64_t here; left > 0; left -= here, q_chunk += MR * QUERY_CHUNK) {
      const float *q_at = q_chunk;
      int64_t rest = here = left < QUERY_CHUNK ? left : QUERY_CHUNK;
      for (; rest >= part; rest -= part, q_at += part, k_at += part * NR) {
        qk_tile(score, q_at, k_at, part, NV);
        ask_some(&s->asks);
        if (rows > 0) WEIGH_ONE;
      }
      qk_tile(score, q_at, k_at, rest, NV);
      k_at += rest * NR;
    }
    while (rows > 0) WEIGH_ONE;
#undef WEIGH_ONE
    if (waits) waiting->at += NR;
    UNROLLED_FOR (i, MR) {
      vf highest = vf_load(s->highest + i * VL);
      UNROLLED_FOR (l, NV) {
        const vf x = scaled_score(score[i][l], factor);
        vf_store(p + i * P_STRIDE + l * VL, x);
        highest = vf_max_bits(highest, vf_add(x, vf_set(shift[i])));
      }
      vf_store(s->highest + i * VL, highest);
    }
  }
}

/* The same for the `rows` rows of a last tile, HALF_MR or THIRDS_MR; nothing waits for it or is weighed meanwhile. */
#define DEFINE_SCORE_PANELS(name, qk, rows)                                                                                \
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
DEFINE_SCORE_PANELS(score_half_panels, qk_half_all, HALF_MR)
DEFINE_SCORE_PANELS(score_thirds_panels, qk_thirds_all, THIRDS_MR)

/* The same for a panel of at most VL keys; the rest of its scores are hidden ones. */
__attribute__((noinline)) static void score_narrow_panel(float *restrict p, const float *restrict q,
                                                         const float *restrict k, int64_t depth, float factor)
{
  vf score[MR][NV];
  ZERO_TILE(score, MR, NV);
  qk_all(score, q, k, depth, 1);
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
  qk_all(score, q, k, depth, NV);
#else
  for (int64_t d = 0; d < depth; d += CHUNK) {
    const int64_t until = (d + CHUNK) * all / depth;
    for (; line < until && line < all; line++) __builtin_prefetch(soon[line / lines] + at + line % lines * 64, 0, 2);
    qk_tile(score, q + query_at(d, 0), k + d * NR, depth - d < CHUNK ? depth - d : CHUNK, NV);
  }
#endif
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (l, NV) vf_store(p + i * P_STRIDE + l * VL, scaled_score(score[i][l], factor));
}

enum { HELD_BY_L1 = 32768 }; /* bytes of K, at least */

/* Scores of the row tiles from t on that make a stripe, and of the key panels that all their rows see. slot: of tile t. By
 * itself each tile would fetch K into L1 again, which does not hold it: on AVX2 6 % of the time of scores. */
static inline void score_stripe(struct stream *s, int64_t t, int64_t slot, int64_t j0, int64_t keys)
{
  const struct attn_problem *problem = s->unit->problem;
  const int64_t depth = packed(problem->Dqk), whole = (s->unit->row1 - s->unit->row0) / MR - t;
  const int64_t tiles = whole < STRIPE_TILES ? whole : STRIPE_TILES;
  const int64_t seen = s->row[t * MR].limit - j0;
  if (tiles < 2 || keys * depth * (int64_t)sizeof(float) <= HELD_BY_L1 || attn_has_mask(problem) || weighs_meanwhile(s) ||
      s->row[(t + tiles) * MR - 1].first > j0)
    return;
  const int64_t panels = seen < keys ? seen / NR : keys / NR;
  float *p[STRIPE_TILES];
  for (int64_t i = 0; i < tiles; i++, slot = slot_after(s, slot)) p[i] = weights_in(s, slot);
  if (panels > 0) score_stripe_panels(p, queries_of(s, t), s->k, depth, tiles, panels, problem->q_factor);
  s->stripe = (struct stripe){t + tiles, panels * NR};
}

/* Scores of row tile t and keys [from, to) of the block. Returns whether s->highest is that of them, a last panel that is
 * not whole left out. */
static inline bool score_run(struct stream *s, int64_t t, int64_t j0, int64_t keys, float *restrict p, int64_t from,
                             int64_t to)
{
  const struct attn_problem *problem = s->unit->problem;
  const int64_t depth = packed(problem->Dqk), bytes = (int64_t)attn_mask_element(problem->mask_kind);
  const char *soon[MR];
  if (problem->mask_kind == ATTN_MASK_NONE || problem->mask.d != 1 || t + 1 == s->tiles) {
    const bool narrow = to - keys >= NR - VL;
    const float *q = queries_of(s, t), *k = s->k + from * depth, *last = s->k + (to - NR) * depth;
    const int64_t panels = (to - from) / NR - narrow;
    const bool weighs = weighs_meanwhile(s) && rows_of(s, t) > THIRDS_MR;
    float *at = p + from;
    if (weighs) {
      const bool apart = keys < to && !narrow;
      float shift[MR];
      for (int i = 0; i < MR; i++) shift[i] = shift_over(reference_of(s, t * MR + i));
      if (apart) score_and_weigh_panels(s, p + to - NR, q, last, depth, 1, problem->q_factor, shift);
      zero_vectors(s->highest, MR);
      score_and_weigh_panels(s, at, q, k, depth, panels - apart, problem->q_factor, shift);
    } else if (rows_of(s, t) > THIRDS_MR) {
      score_panels(&s->asks, at, q, k, depth, panels, problem->q_factor);
    } else if (rows_of(s, t) > HALF_MR) {
      score_thirds_panels(at, q, k, depth, panels, problem->q_factor);
    } else {
      score_half_panels(at, q, k, depth, panels, problem->q_factor);
    }
    if (narrow) score_narrow_panel(p + to - NR, q, last, depth, problem->q_factor);
    return weighs;
  }
  for (int64_t i = 0; i < MR; i++) soon[i] = (const char *)s->row[(t + 1) * MR + i].mask;
  for (int64_t j = from; j < to; j += NR)
    score_panel_asking(p + j, queries_of(s, t), s->k + j * depth, depth, soon, (j0 + j) * bytes, NR * bytes,
                       problem->q_factor);
  return false;
}

/* Scores are scaled where they leave the registers. */
static inline void scale_run(struct stream *s, int64_t t, float *p, int64_t from, int64_t to)
{
  (void)s, (void)t, (void)p, (void)from, (void)to;
}

/* Lets the weights of tile t, whose rows see all keys [from, end) and none of [end, to), wait for the next tile's scores.
 * False: nothing was done. */
static inline bool take_weights(struct stream *s, int64_t t, float *p, int64_t from, int64_t to, int64_t end)
{
  finish_waiting(s);
  return wait_to_weigh(s, t, p, from, to, end);
}

/* O += P V of row tiles whose P and O lie one after the other, o_step apart, for a panel of NR columns, or of VL. Functions
 * of their own, as score_panels, and with a stride that the compiler knows. */
__attribute__((noinline)) static void wide_value_tiles(float *restrict o, int64_t o_step, const float *restrict p,
                                                       int64_t tiles, const float *restrict v, uint32_t live, int64_t keys)
{
  for (; tiles > 0; tiles--, o += o_step, p += MR * P_STRIDE) add_value_tile(o, p, P_STRIDE, v, live, keys, NV);
}

/* The same for the few rows of a last tile. */
#define DEFINE_VALUE_TILE(name, add)                                                                                       \
  __attribute__((noinline)) static void name(float *restrict o, const float *restrict p, const float *restrict v,          \
                                             uint32_t live, int64_t keys)                                                  \
  {                                                                                                                        \
    add(o, p, P_STRIDE, v, live, keys, NV);                                                                                \
  }
DEFINE_VALUE_TILE(half_value_tile, add_half_value_tile)
DEFINE_VALUE_TILE(thirds_value_tile, add_thirds_value_tile)

__attribute__((noinline)) static void narrow_value_tiles(float *restrict o, int64_t o_step, const float *restrict p,
                                                         int64_t tiles, const float *restrict v, uint32_t live,
                                                         int64_t keys)
{
  for (; tiles > 0; tiles--, o += o_step, p += MR * P_STRIDE) add_value_tile(o, p, P_STRIDE, v, live, keys, 1);
}

/* The same where all panels are live, and with that O is complete: rows are written where they belong, times their factors.
 * before: the sums so far, tiles `step` apart. at, factors: of the first tile's rows. */
__attribute__((noinline)) static void write_value_tiles(element *restrict out, const int64_t *restrict at,
                                                        const float *restrict factors, const float *restrict before,
                                                        int64_t step, const float *restrict p, int64_t tiles,
                                                        const float *restrict v, int64_t keys)
{
  for (; tiles > 0; tiles--, at += MR, factors += MR, before += step, p += MR * P_STRIDE) {
    vf acc[MR][NV];
    ZERO_TILE(acc, MR, NV);
    pv_tile(acc, p, P_STRIDE, v, packed(keys), NV);
    UNROLLED_FOR (i, MR) {
      const vf factor = vf_set(factors[i]);
      UNROLLED_FOR (l, NV)
        el_store(out + at[i] + l * VL, vf_mul(vf_add(vf_load(before + (i * NV + l) * VL), acc[i][l]), factor));
    }
  }
}

enum { VALUES_TOGETHER = 1 }; /* add_values() takes several tiles */

/* Row tiles [first, end), alike, of the unit's last block: O need not go through memory to be normalised. False: it must,
 * and nothing was done. */
static inline bool write_values(struct stream *s, int64_t first, int64_t end, uint32_t live, int64_t keys)
{
  static const float zeros[MR * NR];
  const struct attn_problem *problem = s->unit->problem;
  bool none = true; /* summed up so far */
  if (!output_is_plain(problem) || problem->Dv % NR || !all_live(live, keys)) return false;
  for (int64_t t = first; t < end; t++) none &= s->summed[t] == SUMMED_NOTHING;
  if (!none) begin_sums(s, first, end);
  finish_rows(s, first, end);
  for (int64_t left = 0; left < s->values; left += NR)
    for (int64_t t = first, slot = slot_of(s, first), n; t < end; t += n, slot = slot_after(s, slot + n - 1)) {
      n = tiles_beside(s, slot, end - t);
      write_value_tiles((element *)s->unit->o + left, s->out + t * MR, s->factor + t * MR,
                        none ? zeros : s->o + tile_row_at(t, 0, left, s->values), none ? 0 : MR * s->values,
                        weights_in(s, slot), n, s->v + left * packed(s->block_keys), keys);
    }
  memset(s->summed + first, SUMMED_AND_WRITTEN, (size_t)(end - first));
  return true;
}

/* O += P V of the row tiles [t, t + tiles) over the live panels, for one panel of `width` columns. o and p: of tile t;
 * those of the next tiles follow. */
static inline void add_values(const struct stream *s, int64_t t, int64_t tiles, float *o, const float *p, const float *v,
                              uint32_t live, int64_t keys, int64_t width)
{
  if (width != NR)
    narrow_value_tiles(o, MR * s->values, p, tiles, v, live, keys);
  else if (rows_of(s, t) > THIRDS_MR)
    wide_value_tiles(o, MR * s->values, p, tiles, v, live, keys);
  else if (rows_of(s, t) > HALF_MR)
    thirds_value_tile(o, p, v, live, keys);
  else
    half_value_tile(o, p, v, live, keys);
}

#endif
