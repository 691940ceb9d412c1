/* Projections in f32 for AVX2 + FMA: the tiles of fwd_f32_avx2.c. */
#include "vec_avx2.h"

enum { MR = 6, NV = 2 };
#define ATTN_QUERY_CHUNK 1 /* x by columns: linear.h */
#include "../template/tile_broadcast.h"
#include "../template/linear.h"

const struct attn_linear linear_f32_avx2 = {
    .name = "linear_f32_avx2",
    .isa = ATTN_ISA_AVX2,
    .needs = ATTN_COMPILED_FEATURES,
    .rows = MR,
    .columns = NR,
    .run = linear_run,
};
