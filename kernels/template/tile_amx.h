/* What the loops must know of products_amx.h before they include it, as they do of other tiles. */
#ifndef ATTN_TILE_AMX_H
#define ATTN_TILE_AMX_H
#define ATTN_PRODUCTS_BY_TILES

#include "../kernel.h"
#include "unroll.h"

enum {
  NR = NV * VL,
  QUERY_CHUNK = 16, /* of pairs; pack_digits.h has an order of its own, in whole chunks */
  QK_DIVIDES = 0,
};

#endif
