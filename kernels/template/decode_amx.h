/* What the tiles of decode.h by matrix multiplications (AMX) share. A tile is 16 rows of 64 bytes: 16 rows of Q or their
 * weights, or what these are multiplied with. */
#ifndef ATTN_DECODE_AMX_H
#define ATTN_DECODE_AMX_H

enum { MOST_ROWS = TILE };
#define ATTN_DECODE_BLOCK 64
#include "decode_ahead.h"

enum { TILE_BYTES = TILE * 64 };

static inline int64_t rows_of_tile(const struct decode *s, int64_t t)
{
  return s->rows - t * TILE < TILE ? s->rows - t * TILE : TILE;
}

/* The next `lines` lines that are wanted a block later; NULL: none is left. */
static inline const element *lines_ahead(struct ahead *ahead, int lines)
{
  int64_t step;
  return ahead->stretch < ahead->stretches ? ahead_take(ahead, lines, 1, NULL, &step) : NULL;
}

/* Asks for eight of them, from the 8 n-th on. Between instructions of tiles: all at once, they would wait for each other.
 */
ALWAYS_INLINE void ask_eight(const element *soon, const int n, const bool near)
{
  if (!soon) return;
  soon += n * 8 * LINE;
  __asm__("" : "+r"(soon)); /* gcc keeps the sums of addresses in vector registers otherwise */
  UNROLLED_FOR (l, 8) ask(soon + l * LINE, near);
}

/* A tile of the `lines` lines that there are from `from` on; the others are anything finite. */
static inline const element *whole_tile(const element *from, int64_t lines, element *copy)
{
  if (lines >= TILE) return from;
  memcpy(copy, from, (size_t)lines * 64);
  memset(copy + lines * LINE, 0, (size_t)(TILE - lines) * 64);
  return copy;
}

#endif
