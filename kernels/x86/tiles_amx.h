/* Tile registers (AMX): 8 matrices of 16 rows of 64 bytes, multiplied with each other. */
#ifndef ATTN_TILES_AMX_H
#define ATTN_TILES_AMX_H

#include <stdint.h>

/* Rows of a tile, and its columns of 32 bits: sums, or pairs of bf16. */
enum { TILE = 16 };

/* All eight tiles are whole; the rest of the 64 bytes is reserved or is for tiles that do not exist. */
static inline void tiles_open(void)
{
  static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } config = {.palette = 1,
              .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
              .rows = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE}};
  _Static_assert(sizeof config == 64, "as ldtilecfg reads it");
  __asm__ volatile("ldtilecfg %0" ::"m"(config));
}

/* The registers are as before tiles_open(): unused, so that nobody saves them. */
static inline void tiles_close(void) { __asm__ volatile("tilerelease"); }

/* Statements of the assembler, for the compiler's own forget that they read memory. Numbers of tiles are literals; rows
 * stand `stride` bytes apart.
 *
 * tile_add_products(c, a, b): c[i][j] += sum over pairs k of a[i][k].first * b[k][j].first + the same of the second ones.
 * Denormal elements count as 0, and denormal sums become 0. */
#define tile_zero(tile) __asm__ volatile("tilezero %%tmm" #tile ::)
#define tile_load(tile, from, stride)                                                                                      \
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"((const void *)(from)), "r"((int64_t)(stride)) : "memory")
#define tile_store(to, stride, tile)                                                                                       \
  __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"((void *)(to)), "r"((int64_t)(stride)) : "memory")
#define tile_add_products(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

#endif
