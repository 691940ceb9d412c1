/* the reference, vectorised by the compiler. */
#include "../template/element_f32.h"

#include "../reference/fwd_body.h"

const struct attn_kernel fwd_f32_autovec_avx2 = {
    .name = "fwd_f32_autovec_avx2",
    .summary = "the reference, vectorised by the compiler",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX2,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_COMPARISON,
    .row_tile = 1,
    .unit_rows = 64,
    .scratch_bytes = fwd_body_scratch,
    .run = fwd_body,
};
