/* Tiled streaming softmax (online softmax: Milakov and Gimelshein 2018; FlashAttention: Dao et al. 2022), written once in
 * vector verbs. An ISA file includes its vec_<isa>.h, an element_*.h, defines MR and NV, includes its tiles (tile_*.h) and
 * this file.
 *
 * For each block of keys: pack K and V; then for each group of row tiles: S = Q K^T, P = 2^(S - max) in its place while it
 * is in L1, then O += P V. A group's P stays in L2; a panel of V stays in L1 while all row tiles of the group pass over it.
 *
 * How scores become weights, and which may wait for the next tile: weigh.h. */
#ifndef ATTN_FWD_STREAM_H
#define ATTN_FWD_STREAM_H

#include "../scores.h"
#if defined(ATTN_DIGITS)
#include "pack_digits.h"
#elif defined(ATTN_PAIRS) /* vec_<isa>.h has dot products of pairs */
#include "pack_pairs.h"
#else
#include "pack.h"
#endif

#ifndef ATTN_DIGITS
#include "pack_cached.h"
#endif
#include "panels.h"
#include "weigh.h"
#ifdef ATTN_PRODUCTS_BY_TILES
#include "products_amx.h"
#else
#include "products.h"
#endif

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
    const int64_t end = ends && keys < to ? keys : to;
    const int64_t scored = t < s->stripe.end && from < s->stripe.to ? s->stripe.to : from; /* before */
    if (scored < to && score_run(s, t, j0, keys, p, scored, to) && (!hides || ends) && !edits && rows_of(s, t) == MR &&
        take_weights(s, t, p, from, to, end))
      continue;
    scale_run(s, t, p, from, to);
    if (s->waiting.tile == t) finish_waiting(s); /* its sums and weights may be rescaled */
    const enum references references = hides || edits ? REFERENCES_OTHER : references_of(s, t);
    if (may_weigh_at_once(s, references)) {
      if (weigh_at_once(s, t, p, from, to, references == REFERENCES_NONE)) continue;
      score_run(s, t, j0, keys, p, from, to);
      scale_run(s, t, p, from, to);
    }
    for (int64_t i = 0; i < rows_of(s, t); i++) {
      const struct attn_row *at = &s->row[t * MR + i];
      float *row = p + i * P_STRIDE;
      const bool done = adds_only && j0 + from >= at->first && j0 + to <= at->limit &&
                        weigh_biased(s, t, i, row, (const float *)at->mask + j0, from, to);
      if (!done && ((hides && !ends) || edits)) attn_edit_scores(problem, at, j0 + from, to - from, row + from);
      if (!done && hides && !ends && !adds) /* an additive mask may hide keys, but seldom does */
        weigh_any(s, t, i, row, from, to);
      else if (!done)
        weigh_row(s, t, i, row, from, to, end);
      pack_row(s, t, i, p, from, to);
    }
  }
  return panels;
}

/* Whether row tiles [first, end) have all their rows and see the same panels. slot: of the first. */
static inline bool tiles_alike(const struct stream *s, int64_t first, int64_t end, int64_t slot,
                               const struct panels *panels)
{
  const struct panels *seen = &panels[slot];
  bool alike = rows_of(s, end - 1) == MR;
  for (int64_t t = first; t < end; t++, slot = slot_after(s, slot))
    alike &= panels[slot].live == seen->live && panels[slot].partial == seen->partial;
  return alike;
}

/* Whether values of hidden keys must not be multiplied. */
static inline bool needs_care(const struct stream *s, const struct panels *panels)
{
  return s->care & CARE_VALUES && (panels->partial || ALL_CAREFUL);
}

/* O += P V for row tiles [first, end), whose weights are complete. panels: by slot. Tiles alike go together as far as their
 * slots follow each other: between calls multiply-adds would wait. */
static inline void add_group(struct stream *s, int64_t first, int64_t end, const struct panels *panels, int64_t keys)
{
  const int64_t first_slot = slot_of(s, first);
  const bool together = VALUES_TOGETHER && tiles_alike(s, first, end, first_slot, panels);
/* Tile registers are read by way of memory anyway. */
#ifndef ATTN_PRODUCTS_BY_TILES
  const struct panels *all = &panels[first_slot]; /* if alike */
  if (together && s->last_block && !needs_care(s, all) && write_values(s, first, end, all->live, keys)) return;
#endif
  begin_sums(s, first, end);
  for (int64_t left = 0; left < s->values; left += NR) {
    const int64_t width = s->values - left < NR ? s->values - left : NR;
    const float *v = s->v + left * packed(s->block_keys);
    for (int64_t t = first, slot = first_slot, n; t < end; t += n, slot = slot_after(s, slot + n - 1)) {
      const struct panels seen = panels[slot];
      const bool careful = needs_care(s, &seen);
      float *o = s->o + tile_row_at(t, 0, left, s->values), *p = weights_in(s, slot);
      n = together && !careful ? tiles_beside(s, slot, end - t) : 1;
      if (!seen.live) continue;
      if (careful)
        value_tile_careful(o, p, P_STRIDE, v, seen.live, keys, width);
      else
        add_values(s, t, n, o, p, v, seen.live, keys, width);
    }
  }
}

/* A group's values are added when the tile after it has its scores, and so the group's last tile its weights. */
static inline void stream_block(struct stream *s, int64_t j0, int64_t keys)
{
  struct panels panels[MOST_GROUP_TILES + STRIPE_TILES];
  const int64_t whole = (s->unit->row1 - s->unit->row0) / MR;
  int64_t first = 0;
  s->stripe.end = 0;
  for (int64_t t = 0, slot = 0; t < s->tiles; t++, slot = slot_after(s, slot)) {
    if (t >= s->stripe.end) score_stripe(s, t, slot, j0, keys);
    panels[slot] = weigh_tile(s, t, j0, keys, weights_in(s, slot));
    if (t - first < s->group_tiles) continue;
    if (s->waiting.tile < t) finish_waiting(s);
    add_group(s, first, t, panels, keys);
    first = t;
  }
  finish_waiting(s);
  if (first < whole) add_group(s, first, whole, panels, keys);
  if (whole < s->tiles) add_group(s, whole, s->tiles, panels, keys);
}

static inline void stream_run(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  struct stream s = {.unit = u};
  if (!u->scratch) __builtin_unreachable(); /* it is never of 0 bytes; lint cannot know */
  stream_layout(&s, p, u->row1 - u->row0, u->scratch);
  const int64_t padded = s.tiles * MR, rows = u->row1 - u->row0;
  const bool alike = attn_rows_alike(p);
  for (int64_t r = 0; r < padded; r++) {
    s.row[r] = r > 0 && alike ? s.row[0] : attn_row_get(u, u->row0 + (r < rows ? r : rows - 1));
    s.max[r] = r < rows ? NO_KEYS : 0;
  }
  memset(s.sum, 0, (size_t)(padded * VL) * sizeof *s.sum);
  if (PACKED > 1) memset(s.packed_sum, 0, (size_t)(padded * VL) * sizeof *s.packed_sum);
  memset(s.summed, SUMMED_NOTHING, (size_t)s.tiles);
  unsigned care = 0;
  for (int64_t t = 0; t < s.tiles; t++) care |= pack_q(queries_of(&s, t), u, u->row0 + t * MR, u->row1);
  const int64_t first = s.row[0].first / s.block_keys * s.block_keys, limit = s.row[padded - 1].limit;
  const element *k = (const element *)u->k + attn_k_at(u), *v = (const element *)u->v + attn_v_at(u);
  for (int64_t j0 = first; j0 < limit; j0 += s.block_keys) {
    const int64_t keys = limit - j0 < s.block_keys ? limit - j0 : s.block_keys;
    s.care = care;
    if (READS_CACHES && p->cached) {
      s.care |= pack_stored(s.k, s.v, u, j0, keys, s.block_keys);
    } else {
      s.care |= pack_k(s.k, k + j0 * p->k.s, &p->k, keys, p->Dqk);
      s.care |= pack_v(s.v, v + j0 * p->v.s, &p->v, keys, s.block_keys, p->Dv);
    }
    s.last_block = j0 + keys == limit;
    if (s.last_block) ask_for_next_unit(&s.asks, u, s.block_keys);
    stream_block(&s, j0, keys);
  }
  stream_finish(&s);
}

#endif
