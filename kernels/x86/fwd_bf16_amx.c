/* Streaming attention in bf16 with tile registers (AMX): 16 x 16 sums of 32 products in an instruction, in f32. Softmax,
 * masks and packing are those of fwd_bf16_avx512bf16.c; so is the error of its rounded weights (docs/numerics.md). */
#define ATTN_QUERY_PAIRS 16
#include "vec_amx.h"

#include "../template/element_bf16.h"

enum { MR = 2 * TILE, NV = 2 };
#include "../template/fwd_stream_amx.h"

const struct attn_kernel fwd_bf16_amx = {
    .name = "fwd_bf16_amx",
    .summary = "tiled streaming softmax, 32x32 tiles, matrix multiplications",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_BF16_WEIGHTS | ATTN_KERNEL_FLUSHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .supports = pairs_support,
    .scratch_bytes = stream_scratch_bytes,
    .run = run_with_tiles,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
