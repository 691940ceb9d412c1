/* Streaming attention in bf16 with tile registers (AMX): 16 x 16 sums of 32 products in an instruction, in f32. Softmax,
 * masks and packing are those of fwd_bf16_avx512bf16.c; so is the error of its rounded weights (docs/numerics.md). */
#define ATTN_QUERY_PAIRS 16
#include "vec_avx512bf16.h"

#include "tiles_amx.h"

static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }

/* The bits of vf_exp2_in_range(), and NaN of NaN. These CPUs add exponents on the ports of the multiply-adds in any case.
 */
static inline vf vf_exp2_scaled(vf x)
{
  const vf n = vf_sub(vf_add(x, vf_set(ATTN_EXP2_ROUND_UNBIASED)), vf_set(ATTN_EXP2_ROUND_UNBIASED));
  return _mm512_scalef_ps(vf_exp2_fraction(vf_sub(x, n)), n);
}

#include "../template/element_bf16.h"

enum { MR = 2 * TILE, NV = 2 };
#include "../template/tile_amx.h"
#include "../template/fwd_stream.h"

static void run_with_tiles(const struct attn_unit *unit)
{
  tiles_open();
  stream_run(unit);
  tiles_close();
}

const struct attn_kernel fwd_bf16_amx = {
    .name = "fwd_bf16_amx",
    .summary = "tiled streaming softmax, 32x32 tiles, matrix multiplications",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_BF16_WEIGHTS,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .supports = pairs_support,
    .scratch_bytes = stream_scratch_bytes,
    .run = run_with_tiles,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
