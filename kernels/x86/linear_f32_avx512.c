/* Projections in f32 for AVX-512 (F, BW, DQ, VL): the tiles of fwd_f32_avx512.c. */
#include "vec_avx512.h"

enum { MR = 12, NV = 2 };
#define ATTN_QUERY_CHUNK 1 /* x by columns: linear.h */
#include "../template/tile_broadcast.h"
#include "../template/linear.h"

const struct attn_linear linear_f32_avx512 = {
    .name = "linear_f32_avx512",
    .isa = ATTN_ISA_AVX512,
    .needs = ATTN_COMPILED_FEATURES,
    .rows = MR,
    .columns = NR,
    .run = linear_run,
};
