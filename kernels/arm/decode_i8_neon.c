/* Decoding over int8 K and V for NEON. 16 accumulators; with up to 8 vectors of K or V beside them 25 of 32 registers.
 * K and V become f32 in registers; the scales of keys multiply scores and weights. */
#include "vec_neon.h"

#include "../template/element_i8.h"

enum { DOTS = 16 };
#include "../template/decode.h"

const struct attn_kernel decode_i8_neon = {
    .name = "decode_i8_neon",
    .summary = "few queries, K and V streamed as they lie, 16 dot products at a time",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_NEON,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_WHOLE_HEAD,
    .row_tile = 1,
    .unit_rows = UNIT_ROWS,
    .supports = decode_supports,
    .scratch_bytes = decode_scratch_bytes,
    .run = decode_run,
    .key_span = KEY_SPAN,
    .merge = decode_merge,
};
