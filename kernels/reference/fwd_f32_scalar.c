/* the reference: scalar online softmax, vectoriser off. */
#include "../template/element_f32.h"

#include "fwd_body.h"

const struct attn_kernel fwd_f32_scalar = {
    .name = "fwd_f32_scalar",
    .summary = "the reference: scalar online softmax, vectoriser off",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_SCALAR,
    .needs = 0, /* the baseline of the architecture */
    .flags = 0,
    .row_tile = 1,
    .unit_rows = 64,
    .scratch_bytes = fwd_body_scratch,
    .run = fwd_body,
};
