/* Which keys of a block a row tile sees, NR at a time: what is hidden from all its rows is neither multiplied nor read,
 * what is visible to all needs no masking. Included after the tile (MR, NR) and edge.h. */
#ifndef ATTN_PANELS_H
#define ATTN_PANELS_H

#include "../scores.h"

#include <string.h>

/* Which key panels of a block a row tile sees, a bit each. */
struct panels {
  uint32_t live;    /* some row sees some key */
  uint32_t partial; /* of those: some key may be hidden from some row */
};

/* What the rows' boolean masks say of keys [j, j + NR) within their limits: ATTN_SOME_*. */
static inline int bools_say(const struct attn_row *row, int64_t j)
{
  enum { WORDS = NR / 8 };
  if (j + NR <= row[0].limit) { /* eight entries at a time; a byte of w is 0 where (w - 1s) & ~w has its highest bit */
    uint64_t any = 0, zero = 0;
    for (int i = 0; i < MR; i++)
      UNROLLED_FOR (x, WORDS) {
        uint64_t w;
        memcpy(&w, (const uint8_t *)row[i].mask + j + 8 * x, sizeof w);
        any |= w;
        zero |= (w - 0x0101010101010101u) & ~w;
      }
    return (zero & 0x8080808080808080u ? ATTN_SOME_HIDDEN : 0) | (any ? ATTN_SOME_VISIBLE : 0);
  }
  int says = 0;
  for (int i = 0; i < MR; i++)
    for (int64_t x = j; x < j + NR && x < row[i].limit; x++)
      says |= ((const uint8_t *)row[i].mask)[x] ? ATTN_SOME_VISIBLE : ATTN_SOME_HIDDEN;
  return says;
}

/* The same of all that hides keys beside their position. */
static inline int masks_say(const struct attn_problem *p, const struct attn_row *row, int64_t j)
{
  int says = 0;
  if (p->block_keys) {
    for (int i = 0; i < MR && says != ATTN_SOME_EACH; i++) {
      const int64_t n = row[i].limit - j < NR ? row[i].limit - j : NR;
      if (n > 0 && (i == 0 || row[i].blocks != row[i - 1].blocks || row[i - 1].limit < j + NR))
        says |= attn_blocks_say(p, &row[i], j, n);
    }
    if (says == ATTN_SOME_HIDDEN || p->mask_kind == ATTN_MASK_NONE) return says;
  }
  if (p->mask.d != 1) return ATTN_SOME_EACH;
  if (p->mask_kind == ATTN_MASK_BOOL) {
    const int of_mask = bools_say(row, j);
    return of_mask == ATTN_SOME_HIDDEN ? of_mask : says | of_mask;
  }
  for (int i = 0; i < MR; i++) {
    const int64_t n = row[i].limit - j < NR ? row[i].limit - j : NR;
    if (n > 0 && !attn_bias_hides(p, &row[i], j, n)) return ATTN_SOME_EACH;
  }
  return ATTN_SOME_HIDDEN;
}

/* The panels of keys [j0, j0 + keys) that the MR rows of a tile see. */
static inline struct panels see_panels(const struct attn_problem *p, const struct attn_row *row, int64_t j0, int64_t keys)
{
  const int64_t whole = round_up(keys, NR);
  const bool masked = attn_has_mask(p);
  struct panels panels = {0, 0};
  if (!masked && j0 >= row[MR - 1].first && j0 + whole <= row[0].limit)
    return (struct panels){(uint32_t)(((uint64_t)1 << whole / NR) - 1), 0};
  for (int64_t j = j0; j < j0 + whole; j += NR) {
    const uint32_t bit = 1u << (j - j0) / NR;
    if (j >= row[MR - 1].limit || j + NR <= row[0].first) continue; /* neither end falls from row to row */
    const int says = masked ? masks_say(p, row, j) : ATTN_SOME_VISIBLE;
    if (!(says & ATTN_SOME_VISIBLE)) continue;
    panels.live |= bit;
    if (says & ATTN_SOME_HIDDEN || j < row[MR - 1].first || j + NR > row[0].limit) panels.partial |= bit;
  }
  return panels;
}

/* Whether all rows of a tile see all keys of the block from key `from` on: what is hidden lies behind the last of them. */
static inline bool is_end(const struct attn_problem *p, const struct attn_row *row, int64_t j0, int64_t keys, int64_t from)
{
  return !attn_has_mask(p) && row[0].limit >= j0 + keys && row[MR - 1].first <= j0 + from;
}

#endif
