/* Streaming attention in bf16 with BFMMLA: sixteen multiply-adds an instruction, summed in f32. 12x8 tiles as in
 * fwd_f32_neon.c, here 6x4 blocks of 2x2 sums: 24 accumulators, 4 operands of K or V, 1 of Q or P.
 *
 * Q, K and V enter the products as they are; the weights are rounded to bf16 first, which fwd_bf16_neon does not do
 * (docs/numerics.md has the error that this makes). */
#include "vec_neonbf16.h"

#include "../template/element_bf16.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_mmla.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_bf16_neonbf16 = {
    .name = "fwd_bf16_neonbf16",
    .summary = "tiled streaming softmax, 12x8 tiles, 2x4 by 4x2 products of bf16",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_NEONBF16,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_BF16_WEIGHTS | ATTN_KERNEL_FLUSHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .supports = pairs_support,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
