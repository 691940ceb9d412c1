/* Attention that materialises its scores, in f32 for AVX2 + FMA: what streaming is compared with. Registers as in
 * fwd_f32_avx2.c. */
#include "vec_avx2.h"

#include "../template/element_f32.h"

enum { MR = 6, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/naive.h"

const struct attn_kernel naive_f32_avx2 = {
    .name = "naive_f32_avx2",
    .summary = "three passes, scores in memory, 6x16 tiles",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX2,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_COMPARISON | ATTN_KERNEL_WHOLE_HEAD,
    .row_tile = MR,
    .unit_rows = INT64_MAX,
    .scratch_bytes = naive_scratch_bytes,
    .run = naive_run,
};
