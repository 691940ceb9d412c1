/* From scores to weights, row by row, in place: what fwd_stream.h does between its two products.
 *
 * A row keeps a reference close to its maximum and raises it only when a score exceeds it by more than RAISE; then its sum
 * and O are rescaled, rarely. P <= 2^RAISE is harmless in f32. So in nearly every row of nearly every block one test says
 * that all scores are plain, i.e. in the range of a fast exponential, and no maximum is needed. The first live block sets
 * the reference: to 0 if the maximum is near it, which the same test says, else to the maximum. Weights that are rounded
 * when they are packed always have the maximum, for the largest of them is 1 then, and exact.
 *
 * Where nothing is hidden, and all rows of a tile have references or none has, the test is done among the exponentials, in
 * one pass over the rows (first scores are held against 0): as good as always it says that they were right. If not, the
 * tile is scored again and goes the way of others.
 *
 * A tile that hides nothing may wait with its exponentials: they are done between the multiply-adds of the next tile's
 * scores, which leave the ports of additions, shifts and stores idle. */
#ifndef ATTN_WEIGH_H
#define ATTN_WEIGH_H

#include "output.h"
#include "stream.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define RAISE 8.0f
/* A plain score is at most DEPTH below its row's reference and RAISE above: score - reference + DEPTH is in [0, DEPTH +
 * RAISE]. What lies below weighs 2^-DEPTH, which is nothing beside a row's sum. Less would be nothing as well, but products
 * with it denormal: where ALiBi or large scores put most keys that far down, some CPUs took 8 to 26 times as long. */
#define DEPTH ATTN_DEPTH
/* A row's first maximum is near 0 from -NEAR to NEAR_ABOVE. Whoever takes 0 for the reference without the maximum itself
 * has seen more than -NEAR_SURELY and at most RAISE, sums rounded: no doubt is left. */
#define NEAR        4.0f
#define NEAR_SURELY 3.0f
#define NEAR_ABOVE  9.0f
#define NO_KEYS     -FLT_MAX /* the reference of a row without any so far */

/* A loop that stays one, or memset(), would be a slow instruction of the compiler's choice. */
ALWAYS_INLINE void zero_vectors(float *p, const int n)
{
  UNROLLED_FOR (i, n) vf_store(p + i * VL, vf_zero());
}

/* What scores of row r are held against. */
static inline float reference_of(const struct stream *s, int64_t r) { return s->max[r] == NO_KEYS ? 0 : s->max[r]; }

/* Weights of plain scores. A reference that need not be the maximum is a whole number, which takes no subtraction: it is in
 * the constant that rounds. */
#define WHOLE_REFERENCES (PACKED == 1)
ALWAYS_INLINE vf weigher_of(float reference) { return vf_set(WHOLE_REFERENCES ? VF_EXP2_ROUND - reference : reference); }
ALWAYS_INLINE vf plain_weight(vf exp2_over(vf x, vf round), vf score, vf weigher)
{
  return WHOLE_REFERENCES ? exp2_over(score, weigher) : exp2_over(vf_sub(score, weigher), vf_set(VF_EXP2_ROUND));
}
/* As plain_weight() rounds the score. */
ALWAYS_INLINE vf rounded_score(vf score, vf weigher)
{
  return WHOLE_REFERENCES ? vf_add(score, weigher) : vf_add(vf_sub(score, weigher), vf_set(VF_EXP2_ROUND));
}
/* score + shift_over(reference) is in [0, DEPTH + RAISE] for plain scores: none over references too large to be whole. */
static inline float shift_over(float reference)
{
  return WHOLE_REFERENCES && !(fabsf(reference) <= ATTN_EXP2_MOST_WHOLE) ? NAN : DEPTH - reference;
}

/* Row i of tile t has a score, `top`, that exceeds its reference by more than RAISE. p: the row's weights in this block, of
 * which `done` exist. */
static inline void raise_max(struct stream *s, int64_t t, int64_t i, float top, float *p, int64_t done)
{
  const int64_t r = t * MR + i;
  if (WHOLE_REFERENCES && s->max[r] == NO_KEYS && top >= -NEAR && top <= NEAR_ABOVE) top = 0;
  if (WHOLE_REFERENCES && fabsf(top) < ATTN_EXP2_MOST_WHOLE)
    top = top + ATTN_EXP2_ROUND_UNBIASED - ATTN_EXP2_ROUND_UNBIASED;
  const float fall = s->max[r] - top, rescale = attn_exp2(fall < -DEPTH ? -DEPTH : fall);
  s->max[r] = top;
  if (!vf_any_above(vf_load(s->sum + r * VL), 0)) return; /* all weights so far are 0 */
  for (int64_t l = 0; l < VL; l++) s->sum[r * VL + l] *= rescale;
  for (int64_t l = 0; PACKED > 1 && l < VL; l++) s->packed_sum[r * VL + l] *= rescale;
  scale_weights(p - i * P_STRIDE, i, P_STRIDE, done, rescale);
  for (int64_t left = 0; s->summed[t] == SUMMED_SOME && left < s->values; left += NR) {
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

static inline void add_packed_sum(struct stream *s, int64_t r, vf sum)
{
  if (PACKED > 1) vf_store(s->packed_sum + r * VL, vf_add(vf_load(s->packed_sum + r * VL), sum));
}

/* The weights [from, to) of row i of a tile are complete: packs them. */
static inline void pack_row(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to)
{
  add_packed_sum(s, t * MR + i, pack_weights(p, i, P_STRIDE, from, to));
}

/* The same, and its sums are s->lanes. */
static inline void take_lanes(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to)
{
  vf sum[NV];
  UNROLLED_FOR (l, NV) sum[l] = vf_load(s->lanes + i * NR + l * VL);
  add_sums(s->sum + (t * MR + i) * VL, sum);
  pack_row(s, t, i, p, from, to);
}

/* Scores p[from..to) of a row -> weights, whatever the scores are: hidden, NaN, Inf, above the reference or far below.
 * Plain ones get the bits that plain_weight() gives them. */
__attribute__((noinline)) static void weigh_any(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to)
{
  const int64_t r = t * MR + i;
  follow_max(s, t, i, p, from, to);
  const float whole = isnan(shift_over(s->max[r])) || !WHOLE_REFERENCES ? 0 : s->max[r], rest = s->max[r] - whole;
  const vf round = vf_set(VF_EXP2_ROUND - whole), least = vf_set(whole - DEPTH);
  vf sum[NV];
  UNROLLED_FOR (l, NV) sum[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) {
      const vf score = vf_load(p + j + l * VL);
      const vf weight = vf_hide(vf_exp2_any_over(vf_at_least(least, vf_sub(score, vf_set(rest))), round), score);
      vf_store(p + j + l * VL, weight);
      sum[l] = vf_add(sum[l], weight);
    }
  add_sums(s->sum + r * VL, sum);
}

/* Scores p[from..to) become x. to: a multiple of VL. Whole vectors are stored where whole vectors are read next, or the CPU
 * would wait for both stores that a load overlaps. */
static inline void set_scores(float *p, int64_t from, int64_t to, vf x)
{
  const int64_t whole = round_up(from, VL);
  if (from < to && from < whole) vf_store(p + whole - VL, vf_join(vf_load(p + whole - VL), x, (int)(from - (whole - VL))));
  for (int64_t j = whole; j < to; j += VL) vf_store(p + j, x);
}

/* The highest of the scores p[from..to) plus DEPTH over `reference`, lane by lane, as unsigned numbers; beyond
 * DEPTH + RAISE if one is not plain. Keys at or beyond `end` are hidden: they become the lowest plain scores. */
ALWAYS_INLINE vf shifted_highest(float *p, int64_t from, int64_t to, int64_t end, float reference)
{
  const vf shift = vf_set(shift_over(reference));
  vf highest[NV];
  set_scores(p, end, to, vf_set(reference - DEPTH));
  UNROLLED_FOR (l, NV) highest[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR)
    UNROLLED_FOR (l, NV) highest[l] = vf_max_bits(highest[l], vf_add(vf_load(p + j + l * VL), shift));
  UNROLLED_FOR (l, NV) highest[0] = vf_max_bits(highest[0], highest[l]);
  return highest[0];
}

/* Whether the row's scores, of which `highest` is the highest shifted by reference_of(), are plain and, if they are its
 * first, near 0; then that is its reference. */
ALWAYS_INLINE bool settle_plain(struct stream *s, int64_t r, vf highest)
{
  if (vf_any_beyond(highest, DEPTH + RAISE)) return false;
  if (s->max[r] != NO_KEYS) return true;
  if (!WHOLE_REFERENCES || !vf_any_above(highest, DEPTH - NEAR_SURELY)) return false;
  s->max[r] = 0;
  return true;
}

/* The same after the reference may have become their maximum. */
__attribute__((noinline)) static bool settle_row(struct stream *s, int64_t t, int64_t i, float *row, int64_t from,
                                                 int64_t to, int64_t end)
{
  const int64_t r = t * MR + i;
  set_scores(row, end, to, vf_set(-INFINITY));
  follow_max(s, t, i, row, from, to);
  return !vf_any_beyond(shifted_highest(row, from, to, end, reference_of(s, r)), DEPTH + RAISE);
}

/* Plain scores p[from..to) -> weights and their sums. Returns marks, as integers less than SURE_KINDS if every score less
 * the reference, rounded, is in [-SURE_DEPTH, SURE_KINDS - SURE_DEPTH): then they were surely plain. */
enum { SURE_DEPTH = 56, SURE_KINDS = 64 };
ALWAYS_INLINE vf weigh_plain(float *p, int64_t from, int64_t to, float reference, vf sum[NV])
{
  const vf weigher = weigher_of(reference), base = vf_set(VF_EXP2_ROUND - SURE_DEPTH);
  vf marks = vf_zero();
  UNROLLED_FOR (l, NV) sum[l] = vf_zero();
  for (int64_t j = from; j < to; j += NR) {
    if (STRIPE_TILES > 1) __builtin_prefetch(p + P_STRIDE + j); /* the next row, which has left L1 since it was scored */
    UNROLLED_FOR (l, NV) {
      const vf score = vf_load(p + j + l * VL), weight = plain_weight(vf_exp2_over, score, weigher);
      marks = vf_mark(marks, rounded_score(score, weigher), base);
      vf_store(p + j + l * VL, weight);
      sum[l] = vf_add(sum[l], weight);
    }
  }
  return marks;
}

/* Scores p[from..to) -> weights, for any row: nearly always the scores turn out to be plain. from and to: multiples of NR;
 * keys [end, to) are hidden: they lie behind the last one. While their scores are the lowest plain ones, no test tells them
 * from the others; their weights of 2^-100 change no sum, and nobody reads them. */
static inline void weigh_row(struct stream *s, int64_t t, int64_t i, float *p, int64_t from, int64_t to, int64_t end)
{
  const int64_t r = t * MR + i;
  const bool first = s->max[r] == NO_KEYS;
  if (!settle_plain(s, r, shifted_highest(p, from, to, end, reference_of(s, r))) &&
      !(first && settle_row(s, t, i, p, from, to, end))) {
    set_scores(p, end, to, vf_set(-INFINITY));
    weigh_any(s, t, i, p, from, to);
    return;
  }
  vf sum[NV];
  weigh_plain(p, from, to, s->max[r], sum);
  add_sums(s->sum + r * VL, sum);
}

/* What the rows of a tile have for references. */
enum references {
  REFERENCES_ALL,  /* each row has one, which plain_weight() can use */
  REFERENCES_NONE, /* no row has seen a key; what is near 0 gets 0 */
  REFERENCES_OTHER
};
static inline enum references references_of(const struct stream *s, int64_t t)
{
  const float *max = s->max + t * MR;
  vf far = vf_zero();
  if (max[0] == NO_KEYS) {
    int64_t without = 1;
    while (without < rows_of(s, t) && max[without] == NO_KEYS) without++;
    return WHOLE_REFERENCES && without == rows_of(s, t) ? REFERENCES_NONE : REFERENCES_OTHER;
  }
  UNROLLED_FOR (i, (MR + VL - 1) / VL)
    far = vf_farthest(far, MR - i * VL < VL ? vf_load_n(max + i * VL, MR % VL) : vf_load(max + i * VL));
  return vf_any_beyond(far, WHOLE_REFERENCES ? ATTN_EXP2_MOST_WHOLE : -(NO_KEYS / 2)) ? REFERENCES_OTHER : REFERENCES_ALL;
}

/* Whether a tile with such references may be weighed at once: the tiles before left no doubt, and s->lanes are free. */
static inline bool may_weigh_at_once(struct stream *s, enum references references)
{
  if (references == REFERENCES_OTHER || s->waiting.p) return false;
  if (s->unsure > 0) {
    s->unsure--;
    return false;
  }
  return true;
}

/* Scores p[from..to) of tile t -> weights with one pass over each row, the test for plain ones among the exponentials: bit
 * for bit what weigh_row() makes of them. first: no row has a reference. False: not all were surely plain or, if they are
 * the first ones, near 0; scores are lost and nothing else was done. */
static inline bool weigh_at_once(struct stream *s, int64_t t, float *p, int64_t from, int64_t to, bool first)
{
  enum { UNSURE_TILES = 64 }; /* of which one in vain costs less than a percent */
  const int64_t rows = rows_of(s, t);
  const float least_sum = (float)((to - from) / NR) / (1 << (int)NEAR_SURELY); /* more: a weight is above 2^-NEAR_SURELY */
  bool sure = true;
  vf marks = vf_zero();
  for (int64_t i = 0; i < rows; i++) {
    vf sum[NV];
    marks = vf_mark(marks, weigh_plain(p + i * P_STRIDE, from, to, first ? 0 : s->max[t * MR + i], sum), vf_zero());
    UNROLLED_FOR (l, NV) vf_store(s->lanes + i * NR + l * VL, sum[l]);
    sure &= !first || vf_any_above(sum[0], 1.001f * least_sum);
  }
  if (!sure || vf_any_beyond(marks, (SURE_KINDS - 1) * FLT_TRUE_MIN)) {
    s->unsure = UNSURE_TILES;
    return false;
  }
  for (int64_t i = 0; i < rows; i++) {
    if (first) s->max[t * MR + i] = 0;
    take_lanes(s, t, i, p, from, to);
  }
  return true;
}

/* Weights of a row from its raw scores p[from..to) and an additive mask in f32, if all are plain (weigh_row): the mask is
 * added on the way, twice, which costs less than to store the sum. False: nothing was done. */
static inline bool weigh_biased(struct stream *s, int64_t t, int64_t i, float *p, const float *mask, int64_t from,
                                int64_t to)
{
  const int64_t r = t * MR + i;
  if (s->max[r] == NO_KEYS) return false;
  const vf weigher = weigher_of(s->max[r]), shift = vf_set(shift_over(s->max[r])), log2e = vf_set(ATTN_LOG2E);
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
      const vf weight = plain_weight(vf_exp2_over, score, weigher);
      vf_store(p + j + l * VL, weight);
      sum[l] = vf_add(sum[l], weight);
    }
  add_sums(s->sum + r * VL, sum);
  return true;
}

/* One row's weights of one panel of the tile that waits. */
ALWAYS_INLINE void weigh_waiting(float *restrict p, float *restrict lanes, const float *reference)
{
  const float *constants = vf_exp2_constants();
  vf round = vf_exp2_lean_round(constants);
  if (WHOLE_REFERENCES) round = vf_sub(round, vf_set(*reference));
  UNROLLED_FOR (l, NV) {
    const vf score = vf_load(p + l * VL);
    const vf weight = vf_exp2_lean(WHOLE_REFERENCES ? score : vf_sub(score, vf_set(*reference)), round, constants);
    vf_store(p + l * VL, weight);
    vf_store(lanes + l * VL, vf_add(vf_load(lanes + l * VL), weight));
  }
}

/* P of the tile that waits is complete after this, and its rows' sums are. */
static inline void finish_waiting(struct stream *s)
{
  struct waiting *w = &s->waiting;
  if (!w->p) return;
  for (; w->at < w->to; w->at += NR)
    for (int64_t i = 0; i < MR; i++)
      weigh_waiting(w->p + i * P_STRIDE + w->at, s->lanes + i * NR, s->max + w->tile * MR + i);
  for (int64_t i = 0; i < MR; i++) take_lanes(s, w->tile, i, w->p, w->from, w->to);
  w->p = NULL;
}

/* The last panel of a tile's run has keys at or beyond `end`: s->highest, which leaves that panel out, follows its others.
 */
static inline void follow_last_panel(struct stream *s, int64_t t, float *p, int64_t to, int64_t end)
{
  for (int64_t i = 0; i < MR; i++) {
    const vf of_panel = shifted_highest(p + i * P_STRIDE, to - NR, to, end, reference_of(s, t * MR + i));
    vf_store(s->highest + i * VL, vf_max_bits(vf_load(s->highest + i * VL), of_panel));
  }
}

/* Lets the weights of tile t, all of whose rows see all keys [from, end), wait; [end, to) are hidden from all. Its shifted
 * scores are at most s->highest, in whole panels. False: some scores are not plain, nothing waits. */
static inline bool wait_to_weigh(struct stream *s, int64_t t, float *p, int64_t from, int64_t to, int64_t end)
{
  if (end < to) follow_last_panel(s, t, p, to, end);
  for (int64_t i = 0; i < MR; i++)
    if (!settle_plain(s, t * MR + i, vf_load(s->highest + i * VL)) && !settle_row(s, t, i, p + i * P_STRIDE, from, to, end))
      return false;
  zero_vectors(s->lanes, MR * NV);
  s->waiting = (struct waiting){p, t, from, from, to};
  return true;
}

#endif
