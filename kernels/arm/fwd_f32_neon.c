/* Streaming attention in f32 for NEON.
 *
 * Registers: 12 x 8 tile = 24 accumulators, 3 for a column of Q, 2 for the right operand. Neoverse N1 has two 128-bit FMA
 * pipes, V1 and V2 have four, all with 4 cycles of latency: 16 accumulators are the least that can keep four pipes busy.
 * QK^T: 24 FMAs by lane on 5 loads. PV: 48 FMAs by lane on 16 loads (two keys: 12 pairs of weights, 4 vectors of V). */
#include "vec_neon.h"

#include "../template/element_f32.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_lane.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_f32_neon = {
    .name = "fwd_f32_neon",
    .summary = "tiled streaming softmax, 12x8 tiles by lane",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_NEON,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_FLOAT_CACHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
