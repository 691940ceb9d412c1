/* scalar decoding, vectoriser off. */
#include "../template/element_f32.h"

#include "decode_body.h"

const struct attn_kernel decode_f32_scalar = {
    .name = "decode_f32_scalar",
    .summary = "scalar decoding, vectoriser off",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_SCALAR,
    .needs = 0, /* the baseline of the architecture */
    .flags = ATTN_KERNEL_WHOLE_HEAD,
    .row_tile = 1,
    .unit_rows = 64,
    .supports = decode_body_supports,
    .scratch_bytes = decode_body_scratch,
    .run = decode_body,
    .key_span = 1024,
    .merge = decode_body_merge,
};
