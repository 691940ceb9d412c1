/* Streaming attention in f32 for AVX-512 (F, BW, DQ, VL).
 *
 * Registers: 12 x 32 tile = 24 accumulators, 2 for the right operand, the rest for broadcasts of the left one. 24 FMAs take
 * 12 cycles on two 512-bit ports (24 on Zen 4, which splits them) and 14 loads. */
#include "vec_avx512.h"

#include "../template/element_f32.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_f32_avx512 = {
    .name = "fwd_f32_avx512",
    .summary = "tiled streaming softmax, 12x32 tiles",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX512,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_FLOAT_CACHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
