/* What fwd_stream.h works on: a unit's rows and the packed block, in scratch memory. Included after the tile (MR, NR) and
 * the packing. */
#ifndef ATTN_STREAM_H
#define ATTN_STREAM_H

#include "../kernel.h"
#include "query.h"
#include "soon.h"

enum {
  BLOCK_KEYS = 256,                      /* at most, for any head size; a bit of 32 for each panel of NR */
  P_STRIDE = BLOCK_KEYS + 16 + BEHIND_P, /* not a power of two: rows of P fall into different cache sets */
  GROUP_TILES = 96 / MR,                 /* row tiles whose P is alive at a time, if the plan does not say */
  MOST_GROUP_TILES = 384 / MR,
  STRIPE_TILES = MR < 12 ? 24 / MR : 1, /* row tiles that meet a panel of K while it is in L1: products.h */
  UNIT_ROWS = 2112 / MR * MR
};
static const struct attn_blocking stream_blocking_step = {NR, MR, MR},
                                  stream_blocking_most = {BLOCK_KEYS / NR * NR, MOST_GROUP_TILES *MR, 7680 / MR *MR};

/* What is in a tile's o. */
enum summed {
  SUMMED_NOTHING /* whatever was there: it counts as 0 */,
  SUMMED_SOME,
  SUMMED_AND_WRITTEN /* nor is it needed */
};

struct stream {
  const struct attn_unit *unit;
  int64_t tiles, block_keys, group_tiles, values; /* values: Dv rounded up to whole vectors */
  struct attn_row *row;                           /* [tiles * MR]; rows of padding repeat the last one */
  float *max;                                     /* [tiles * MR] reference of the exponentials */
  float *sum;                                     /* [tiles * MR][VL] */
  float *packed_sum; /* the same of the weights as they were packed, if that rounds them (PACKED > 1) */
  float *q;          /* [tiles], each as query.h says */
  float *o;          /* output.h: tile by tile, where `summed` says so */
  float *factor;     /* [tiles * MR] of O when all is summed up */
  int64_t *out;      /* [tiles * MR] where rows of O begin */
  float *k, *v;      /* the block, packed */
  uint8_t *summed;   /* [tiles] enum summed */
  float *p;          /* [group_tiles + STRIPE_TILES][MR][P_STRIDE] scores, then weights: see slot_of() */
  unsigned care;     /* what products of the block must take care of: care.h */
  bool last_block;   /* of the unit */
  struct stripe {
    int64_t end, to; /* tiles before `end` have the scores of keys [0, to) of the block */
  } stripe;
  float *highest;   /* [MR][VL] of a tile's shifted scores: weigh.h */
  float *lanes;     /* [MR][NV][VL] sums of the weights of the tile that waits, or of one that is weighed at once */
  int64_t unsure;   /* as many tiles are not weighed at once: weigh.h */
  struct asks asks; /* for what the next unit begins with: soon.h */
  struct waiting {
    float *p;                   /* of that tile; NULL: none waits */
    int64_t tile, from, at, to; /* keys [from, to) of the block; those from `at` on are still scores */
  } waiting;
};

/* Rows of tile t that are none of padding; tiles of HALF_MR or THIRDS_MR are for those that have few. */
static inline int64_t rows_of(const struct stream *s, int64_t t)
{
  const int64_t rows = s->unit->row1 - s->unit->row0 - t * MR;
  return rows < MR ? rows : MR;
}

static inline float *queries_of(const struct stream *s, int64_t t)
{
  return s->q + t * MR * query_floats(packed(s->unit->problem->Dqk));
}

/* A group's tiles and the stripe after it have their P at the same time: tile t in slot_of(t). The next tile's slot
 * follows; where products begin, a division would hold up their first loads, 1 % of the time. */
static inline int64_t slots_of(const struct stream *s) { return s->group_tiles + STRIPE_TILES; }
static inline int64_t slot_of(const struct stream *s, int64_t t) { return t % slots_of(s); }
static inline int64_t slot_after(const struct stream *s, int64_t slot) { return slot + 1 < slots_of(s) ? slot + 1 : 0; }

/* How many of `tiles` tiles, the first of them in `slot`, lie one after the other. */
static inline int64_t tiles_beside(const struct stream *s, int64_t slot, int64_t tiles)
{
  return tiles < slots_of(s) - slot ? tiles : slots_of(s) - slot;
}

static inline float *weights_in(const struct stream *s, int64_t slot) { return s->p + slot * MR * P_STRIDE; }

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
  TAKE(q, s->tiles * MR * query_floats(packed(p->Dqk)) + behind_q(p));
  TAKE(o, s->tiles * MR * s->values);
  TAKE(factor, s->tiles * MR);
  TAKE(out, s->tiles * MR);
  TAKE(summed, s->tiles);
  TAKE(k, s->block_keys * packed(p->Dqk));
  TAKE(v, packed(s->block_keys) * s->values);
  TAKE(p, (s->group_tiles + STRIPE_TILES) * MR * P_STRIDE);
  TAKE(highest, QK_DIVIDES ? MR * VL : 0);
  TAKE(lanes, MR * NV * VL);
#undef TAKE
  return used;
}

static inline size_t stream_scratch_bytes(const struct attn_problem *p, int64_t rows)
{
  struct stream s;
  return stream_layout(&s, p, rows, NULL);
}

#endif
