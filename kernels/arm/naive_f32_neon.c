/* Attention that materialises its scores, in f32 for NEON: what streaming is compared with. Registers as in
 * fwd_f32_neon.c. */
#include "vec_neon.h"

#include "../template/element_f32.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_lane.h"
#include "../template/naive.h"

const struct attn_kernel naive_f32_neon = {
    .name = "naive_f32_neon",
    .summary = "three passes, scores in memory, 12x8 tiles by lane",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_NEON,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_COMPARISON | ATTN_KERNEL_WHOLE_HEAD,
    .row_tile = MR,
    .unit_rows = INT64_MAX,
    .scratch_bytes = naive_scratch_bytes,
    .run = naive_run,
};
