/* Attention that materialises its scores, in f32 for AVX-512: what streaming is compared with. Registers as in
 * fwd_f32_avx512.c. */
#include "vec_avx512.h"

#include "../template/element_f32.h"

enum { MR = 12, NV = 2 };
#include "../template/tile_broadcast.h"
#include "../template/naive.h"

const struct attn_kernel naive_f32_avx512 = {
    .name = "naive_f32_avx512",
    .summary = "three passes, scores in memory, 12x32 tiles",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX512,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_COMPARISON | ATTN_KERNEL_WHOLE_HEAD,
    .row_tile = MR,
    .unit_rows = INT64_MAX,
    .scratch_bytes = naive_scratch_bytes,
    .run = naive_run,
};
