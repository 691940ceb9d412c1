/* Tile registers (AMX): 8 matrices of 16 rows of 64 bytes, multiplied with each other. */
#ifndef ATTN_TILES_AMX_H
#define ATTN_TILES_AMX_H

#include "../kernel.h"

#include <stdint.h>

_Static_assert((ATTN_COMPILED_FEATURES & (ATTN_FEATURE_AMXBF16 | ATTN_FEATURE_AMXINT8)) != 0,
               "a kernel that does not tell its need of tiles would be chosen where there are none");

/* Rows of a tile, and its columns of 32 bits: sums, pairs of bf16 or quads of int8. */
enum { TILE = 16, ROW_BYTES = TILE * 4 };

/* What ldtilecfg reads; the rest of the 64 bytes is reserved or is for tiles that do not exist. */
struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "as ldtilecfg reads it");

/* Tiles 0 to 5 have so many rows; 6 and 7, what these are multiplied with, all. */
static inline void tiles_open_for(uint8_t rows)
{
  const struct tile_config config = {.palette = 1,
                                     .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                     .rows = {rows, rows, rows, rows, rows, rows, TILE, TILE}};
  __asm__ volatile("ldtilecfg %0" ::"m"(config));
}
static inline void tiles_open(void) { tiles_open_for(TILE); }

/* The registers are as before tiles_open(): unused, so that nobody saves them. */
static inline void tiles_close(void) { __asm__ volatile("tilerelease"); }

/* Statements of the assembler, for the compiler's own forget that they read memory. Numbers of tiles are literals; rows
 * stand `stride` bytes apart.
 *
 * tile_add_products(c, a, b): c[i][j] += sum over pairs k of a[i][k].first * b[k][j].first + the same of the second ones.
 * Denormal elements count as 0, and denormal sums become 0. tile_add_quads(c, a, b): the same of four signed bytes each, in
 * integers. */
#define tile_zero(tile) __asm__ volatile("tilezero %%tmm" #tile ::)
#define tile_load(tile, from, stride)                                                                                      \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"((const void *)(from)), "r"((int64_t)(stride)) : "memory")
#define tile_store(to, stride, tile)                                                                                       \
  __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"((void *)(to)), "r"((int64_t)(stride)) : "memory")
#define tile_add_products(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#define tile_add_quads(c, a, b)    __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

#endif
