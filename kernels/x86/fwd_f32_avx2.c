/* Streaming attention in f32 for AVX2 + FMA.
 *
 * Registers: 6 x 16 tile = 12 accumulators, 2 for the right operand, 1 for the broadcast, 1 spare. Two FMA ports times
 * 4 cycles of latency want at least 8 accumulators; 12 FMAs take 6 cycles and 8 loads, within 2 loads a cycle. */
#include "vec_avx2.h"

#include "../template/element_f32.h"

enum { MR = 6, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_f32_avx2 = {
    .name = "fwd_f32_avx2",
    .summary = "tiled streaming softmax, 6x16 tiles",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX2,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_FLOAT_CACHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
