/* Streaming attention in bf16 for AVX2 + FMA + F16C: the loops and registers of fwd_f32_avx2.c. Elements become f32 when K
 * and V are packed, once per unit of rows, so that the inner loops are the same. */
#include "vec_avx2.h"

#include "../template/element_bf16.h"

enum { MR = 6, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_bf16_avx2 = {
    .name = "fwd_bf16_avx2",
    .summary = "tiled streaming softmax, 6x16 tiles, f32 inside",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX2,
    .needs = ATTN_COMPILED_FEATURES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
