/* Projections in f32 for NEON: the tiles of fwd_f32_neon.c. */
#include "vec_neon.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_lane.h"
#include "../template/linear.h"

const struct attn_linear linear_f32_neon = {
    .name = "linear_f32_neon",
    .isa = ATTN_ISA_NEON,
    .needs = ATTN_COMPILED_FEATURES,
    .rows = MR,
    .columns = NR,
    .run = linear_run,
};
