/* Tiled streaming softmax (online softmax: Milakov and Gimelshein 2018; FlashAttention: Dao et al. 2022), written once in
 * vector verbs. An ISA file includes its vec_<isa>.h, defines MR and NV, includes its tiles (tile_*.h) and this file.
 *
 * For each block of keys: pack K and V; then for each group of row tiles: P = 2^(Q K^T - max), then O += P V. A group's P
 * stays in L2; a panel of K or V stays in L1 while all row tiles of the group pass over it.
 *
 * The exponential is taken in the epilogue of the QK tile, while the scores are still in registers: the out-of-order core
 * overlaps it with the FMAs of the next tile. That needs the maximum beforehand. So a row keeps a reference close to its
 * maximum, raised only when a score exceeds it by more than RAISE (then P, sum and O of that row are rescaled, rarely).
 * P <= 2^RAISE is harmless in f32. The reference starts at -FLT_MAX, so the first live tile sets it. */
#ifndef ATTN_FWD_STREAM_H
#define ATTN_FWD_STREAM_H

#include "../scores.h"
#include "output.h"
#include "pack.h"

#include <float.h>
#include <string.h>

#define RAISE 8.0f

enum {
  BLOCK_KEYS = 256,           /* at most, for any head size */
  P_STRIDE = BLOCK_KEYS + 16, /* not a power of two: rows of P fall into different cache sets */
  GROUP_TILES = 96 / MR,      /* row tiles whose P is alive at a time */
  UNIT_ROWS = 480 / MR * MR
};

struct stream {
  const struct attn_unit *unit;
  int64_t tiles, block_keys, values; /* values: Dv rounded up to whole vectors */
  struct attn_row *row;              /* [tiles * MR]; rows of padding repeat the last one */
  float *max;                        /* [tiles * MR] reference of the exponentials */
  float *sum;                        /* [tiles * MR][VL] */
  float *q;                          /* [tiles][Dqk][MR] */
  float *o;                          /* output.h: tile by tile */
  float *k, *v;                      /* the block, packed */
  float *p;                          /* [GROUP_TILES][MR][P_STRIDE] */
};

/* Keys whose K and V fill half of a small L2 (256 KiB). */
static inline int64_t stream_block_keys(const struct attn_problem *p)
{
  int64_t keys = 65536 / (p->Dqk + p->Dv) / NR * NR;
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
  s->values = round_up(p->Dv, VL);
#define TAKE(field, count)                                                                                                 \
  do {                                                                                                                     \
    if (base) s->field = (void *)(base + used);                                                                            \
    used += ((size_t)(count) * sizeof *s->field + 63) & ~(size_t)63;                                                       \
  } while (0)
  TAKE(row, s->tiles * MR);
  TAKE(max, s->tiles * MR);
  TAKE(sum, s->tiles * MR * VL);
  TAKE(q, s->tiles * MR * p->Dqk);
  TAKE(o, s->tiles * MR * s->values);
  TAKE(k, s->block_keys * p->Dqk);
  TAKE(v, s->block_keys * s->values);
  TAKE(p, (int64_t)GROUP_TILES * MR * P_STRIDE);
#undef TAKE
  return used;
}

static inline size_t stream_scratch_bytes(const struct attn_problem *p, int64_t rows)
{
  struct stream s;
  return stream_layout(&s, p, rows, NULL);
}

/* Some score of tile t exceeds its row's reference by more than RAISE: raises the reference of each such row to its maximum
 * in this tile. `done` keys of the row's P in this block exist already. */
__attribute__((noinline, cold)) static void raise_max(struct stream *s, int64_t t, float *p, int64_t done,
                                                      const float scores[MR][NR])
{
  for (int64_t i = 0; i < MR; i++) {
    const int64_t r = t * MR + i;
    float top = -FLT_MAX;
    for (int64_t j = 0; j < NR; j++) top = scores[i][j] > top ? scores[i][j] : top;
    if (!(top - s->max[r] > RAISE)) continue;
    const float rescale = attn_exp2(s->max[r] - top);
    s->max[r] = top;
    for (int64_t l = 0; l < VL; l++) s->sum[r * VL + l] *= rescale;
    for (int64_t j = 0; j < done; j++) p[i * P_STRIDE + j] *= rescale;
    for (int64_t left = 0; left < s->values; left += NR) {
      const int64_t width = s->values - left < NR ? s->values - left : NR;
      float *o = s->o + tile_row_at(t, i, left, s->values);
      for (int64_t d = 0; d < width; d++) o[d] *= rescale;
    }
  }
}

/* P of row tile t and key panel `panel`. partial: some keys may be hidden from some rows. */
ALWAYS_INLINE void score_tile(struct stream *s, int64_t t, int64_t j0, int64_t panel, float *restrict p, const bool partial)
{
  const struct attn_problem *problem = s->unit->problem;
  vf score[MR][NV];
  qk_tile(score, s->q + t * MR * problem->Dqk, s->k + panel * NR * problem->Dqk, problem->Dqk);
  if (partial) {
    float edited[MR][NR];
    UNROLLED_FOR (i, MR)
      UNROLLED_FOR (j, NV) vf_store(&edited[i][j * VL], score[i][j]);
    for (int i = 0; i < MR; i++) attn_edit_scores(problem, &s->row[t * MR + i], j0 + panel * NR, NR, edited[i]);
    UNROLLED_FOR (i, MR)
      UNROLLED_FOR (j, NV) score[i][j] = vf_load(&edited[i][j * VL]);
  }
  vf above = vf_set(-INFINITY);
  UNROLLED_FOR (i, MR) {
    const vf max = vf_set(s->max[t * MR + i]);
    UNROLLED_FOR (j, NV) above = vf_max(vf_sub(score[i][j], max), above);
  }
  if (__builtin_expect(vf_any_above(above, RAISE), 0)) {
    float scores[MR][NR];
    UNROLLED_FOR (i, MR)
      UNROLLED_FOR (j, NV) vf_store(&scores[i][j * VL], score[i][j]);
    raise_max(s, t, p, panel * NR, (const float(*)[NR])scores);
  }
  UNROLLED_FOR (i, MR) {
    float *row_sum = s->sum + (t * MR + i) * VL;
    const vf max = vf_set(s->max[t * MR + i]);
    vf sum = vf_load(row_sum);
    UNROLLED_FOR (j, NV) {
      vf weight = vf_exp2(vf_sub(score[i][j], max));
      if (partial) weight = vf_hide(weight, score[i][j]);
      vf_store(p + i * P_STRIDE + panel * NR + j * VL, weight);
      sum = vf_add(sum, weight);
    }
    vf_store(row_sum, sum);
  }
}

/* Functions of their own: inlined into the loops over tiles, the constants of vf_exp2 would be hoisted into registers
 * that qk_tile needs, and the compiler keeps accumulators on the stack. */
__attribute__((noinline)) static void score_tile_visible(struct stream *s, int64_t t, int64_t j0, int64_t panel, float *p)
{
  score_tile(s, t, j0, panel, p, false);
}

__attribute__((noinline)) static void score_tile_partial(struct stream *s, int64_t t, int64_t j0, int64_t panel, float *p)
{
  score_tile(s, t, j0, panel, p, true);
}

enum visibility { HIDDEN, PARTIAL, VISIBLE };

/* What the rows of tile t see of keys [j, j + NR). */
static inline enum visibility tile_visibility(const struct stream *s, int64_t t, int64_t j)
{
  const struct attn_problem *p = s->unit->problem;
  const struct attn_row *row = s->row + t * MR;
  if (j >= row[MR - 1].limit) return HIDDEN; /* limits do not fall from row to row */
  const enum visibility most = j + NR <= row[0].limit ? VISIBLE : PARTIAL;
  if (p->mask_kind == ATTN_MASK_NONE) return most;
  if (p->mask_kind != ATTN_MASK_BOOL || p->mask.d != 1) return PARTIAL;
  bool all = true, any = false;
  for (int i = 0; i < MR; i++) {
    const uint8_t *mask = (const uint8_t *)row[i].mask + j;
    const int64_t n = row[i].limit - j < NR ? row[i].limit - j : NR;
    uint8_t low = 255, high = 0;
    if (n == NR) { /* of known length, for the vectoriser */
      for (int x = 0; x < NR; x++) {
        low = mask[x] < low ? mask[x] : low;
        high |= mask[x];
      }
    } else {
      for (int64_t x = 0; x < n; x++) {
        low = mask[x] < low ? mask[x] : low;
        high |= mask[x];
      }
    }
    all &= low != 0;
    any |= high != 0;
  }
  return !any ? HIDDEN : all ? most : PARTIAL;
}

/* O += P V of a row tile over the live panels: run by run of neighbouring ones, nearly always a single run. */
ALWAYS_INLINE void value_tile(float *restrict o, const float *restrict p, const float *restrict v, uint32_t live,
                              int64_t keys, const int nv)
{
  while (live) {
    const int first = __builtin_ctz(live), panels = __builtin_ctzll(~((uint64_t)live >> first));
    const int64_t from = (int64_t)first * NR, end = (int64_t)(first + panels) * NR, to = end < keys ? end : keys;
    add_value_tile(o, p + from, P_STRIDE, v + from * nv * VL, to - from, nv);
    live &= ~(uint32_t)((((uint64_t)1 << panels) - 1) << first);
  }
}

static inline void stream_block(struct stream *s, int64_t j0, int64_t keys, bool finite)
{
  const int64_t panels = round_up(keys, NR) / NR;
  uint32_t live[GROUP_TILES];
  bool hides[GROUP_TILES];
  for (int64_t first = 0; first < s->tiles; first += GROUP_TILES) {
    const int64_t n = s->tiles - first < GROUP_TILES ? s->tiles - first : GROUP_TILES;
    memset(live, 0, sizeof live);
    memset(hides, 0, sizeof hides);
    for (int64_t panel = 0; panel < panels; panel++)
      for (int64_t g = 0; g < n; g++) {
        const enum visibility visibility = tile_visibility(s, first + g, j0 + panel * NR);
        if (visibility == HIDDEN) continue;
        live[g] |= 1u << panel;
        if (visibility == VISIBLE) {
          score_tile_visible(s, first + g, j0, panel, s->p + g * MR * P_STRIDE);
        } else {
          hides[g] = true;
          score_tile_partial(s, first + g, j0, panel, s->p + g * MR * P_STRIDE);
        }
      }
    for (int64_t left = 0; left < s->values; left += NR) {
      const int64_t width = s->values - left < NR ? s->values - left : NR;
      const float *v = s->v + left * s->block_keys;
      for (int64_t g = 0; g < n; g++) {
        float *o = s->o + tile_row_at(first + g, 0, left, s->values);
        const float *p = s->p + g * MR * P_STRIDE;
        if (!live[g]) continue;
        if (__builtin_expect(!finite && hides[g], 0)) {
          value_tile_careful(o, p, P_STRIDE, v, live[g], keys, width);
        } else if (width == NR) {
          value_tile(o, p, v, live[g], keys, NV);
        } else {
          value_tile(o, p, v, live[g], keys, 1);
        }
      }
    }
  }
}

static inline void stream_finish(const struct stream *s)
{
  const struct attn_unit *u = s->unit;
  for (int64_t r = 0; r < u->row1 - u->row0; r++) {
    /* The largest score's weight is 1 or more. Less in all: every visible score is -inf (from Inf in K), its weight the
     * clamp's 2^-126; such keys count as hidden. */
    const float all = vf_hsum(vf_load(s->sum + r * VL)), sum = all < 0.5f ? 0 : all;
    write_row(u, r, s->o, s->values, sum);
    u->row_max[r] = s->max[r];
    u->row_sum[r] = sum;
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
  memset(s.o, 0, (size_t)(padded * s.values) * sizeof *s.o);
  for (int64_t t = 0; t < s.tiles; t++) pack_q(s.q + t * MR * p->Dqk, u, u->row0 + t * MR, u->row1);
  const int64_t limit = s.row[padded - 1].limit;
  const element *k = (const element *)u->k + attn_k_at(u), *v = (const element *)u->v + attn_v_at(u);
  for (int64_t j0 = 0; j0 < limit; j0 += s.block_keys) {
    const int64_t keys = limit - j0 < s.block_keys ? limit - j0 : s.block_keys;
    pack_k(s.k, k + j0 * p->k.s, &p->k, keys, p->Dqk);
    const bool finite = pack_v(s.v, v + j0 * p->v.s, &p->v, keys, s.block_keys, p->Dv);
    stream_block(&s, j0, keys, finite);
  }
  stream_finish(&s);
}

#endif
