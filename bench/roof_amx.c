/* Matrix multiplications of bf16 tiles: 16 x 16 sums of 32 products each. */
#include "../kernels/x86/tiles_amx.h"

#define ROOF_VECTOR_BYTES 64
#include "roof_body.h"

/* Four chains hide the latency of 52 cycles behind 16 each. Tiles are 0 from the start: nothing overflows. */
static float multiply_tiles(long rounds)
{
  tiles_open();
  for (long r = 0; r < rounds; r++)
    for (int s = 0; s < ROOF_FMA_STEPS; s++) {
      tile_add_products(0, 4, 6);
      tile_add_products(1, 4, 7);
      tile_add_products(2, 5, 6);
      tile_add_products(3, 5, 7);
    }
  tiles_close();
  return 0;
}

const struct roof_loops roof_loops_amx = {.isa = ATTN_ISA_AMX,
                                          .needs = ATTN_COMPILED_FEATURES,
                                          .flops_per_round = 4.0 * ROOF_FMA_STEPS * TILE * TILE * 2 * TILE * 2,
                                          .fma = multiply_tiles,
                                          .read = roof_read};
