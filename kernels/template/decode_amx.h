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

/* Asks for the n-th QUARTER of them. Between instructions of tiles: at once, they would wait for each other. */
enum { QUARTER = TILE / 2 };
ALWAYS_INLINE void ask_quarter(const element *soon, const int n, const bool near)
{
  if (!soon) return;
  soon += n * QUARTER * LINE;
  __asm__("" : "+r"(soon)); /* gcc keeps the sums of addresses in vector registers otherwise */
  UNROLLED_FOR (l, QUARTER) ask(soon + l * LINE, near);
}

#endif
