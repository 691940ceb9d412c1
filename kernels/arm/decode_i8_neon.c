/* Decoding over int8 K and V for NEON: quads_neon.h says how they are multiplied; the scales of keys multiply scores and
 * weights. */
#include "quads_neon.h"

#include "../template/element_i8.h"

#include "../template/decode.h"

const struct attn_kernel decode_i8_neon = {
    .name = "decode_i8_neon",
    .summary = "few queries, K and V in int8 times rows of 16 bits, in f32",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_NEON,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_WHOLE_HEAD | ATTN_KERNEL_16BIT_ROWS,
    .row_tile = 1,
    .unit_rows = UNIT_ROWS,
    .supports = decode_supports,
    .scratch_bytes = decode_scratch_bytes,
    .run = decode_run,
    .key_span = KEY_SPAN,
    .step_keys = BLOCK,
    .merge = decode_merge,
};
