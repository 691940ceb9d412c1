/* Streaming attention in bf16 with vdpbf16ps: two multiply-adds a lane and instruction, summed in f32. Registers as in
 * fwd_f32_avx512.c: 12x2 accumulators, 2 vectors of pairs, broadcasts from memory.
 *
 * Q, K and V enter the products as they are; the weights are rounded to bf16 first, which fwd_bf16_avx512 does not do
 * (docs/numerics.md has the error that this makes). */
#include "vec_avx512bf16.h"

#include "../template/element_bf16.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_bf16_avx512bf16 = {
    .name = "fwd_bf16_avx512bf16",
    .summary = "tiled streaming softmax, 12x32 tiles, dot products of bf16 pairs",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX512BF16,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_BF16_WEIGHTS | ATTN_KERNEL_PAIRS | ATTN_KERNEL_FLUSHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .supports = pairs_support,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
