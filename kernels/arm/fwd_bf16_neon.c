/* Streaming attention in bf16 for NEON: the loops and registers of fwd_f32_neon.c. Elements become f32 when K and V are
 * packed, by shifts: no core feature is needed. */
#include "vec_neon.h"

#include "../template/element_bf16.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_lane.h"
#include "../template/fwd_stream.h"

const struct attn_kernel fwd_bf16_neon = {
    .name = "fwd_bf16_neon",
    .summary = "tiled streaming softmax, 12x8 tiles by lane, f32 inside",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_NEON,
    .needs = ATTN_COMPILED_FEATURES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = stream_run,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
};
