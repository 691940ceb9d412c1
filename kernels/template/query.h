/* Where the packed queries of a row tile stand: [chunk of depth][MR][QUERY_CHUNK] floats, in chunks as the tile (tile_*.h)
 * reads them. With chunks of 1 the rows of a tile stand beside each other, with long ones each row mostly by itself. */
#ifndef ATTN_QUERY_H
#define ATTN_QUERY_H

#include "edge.h"

/* Floats of a row, with what its last chunk leaves. */
static inline int64_t query_floats(int64_t depth) { return round_up(depth, QUERY_CHUNK); }

/* Float d of row i. */
static inline int64_t query_at(int64_t d, int64_t i) { return (d / QUERY_CHUNK * MR + i) * QUERY_CHUNK + d % QUERY_CHUNK; }

#endif
