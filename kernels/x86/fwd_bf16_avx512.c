/* Streaming attention in bf16 for AVX-512: the loops and registers of fwd_f32_avx512.c. Elements become f32 when K
 * and V are packed, once per unit of rows, so that the inner loops are the same. */
#include "vec_avx512.h"

#include "../template/element_bf16.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_bf16_avx512 = {
    .name = "fwd_bf16_avx512",
    .summary = "tiled streaming softmax, 12x32 tiles, f32 inside",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX512,
    .needs = ATTN_COMPILED_FEATURES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
