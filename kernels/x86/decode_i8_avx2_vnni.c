/* decode_i8_avx2 with AVX-VNNI, which adds products to a sum as it multiplies. Its bits are those of the other, so ATTN_ISA
 * does not tell them apart; ATTN_KERNEL does. */
#include "quads_avx2.h"

#include "../template/element_i8.h"

#include "../template/decode.h"

const struct attn_kernel decode_i8_avx2_vnni = {
    .name = "decode_i8_avx2_vnni",
    .summary = "few queries, K and V in int8 times rows of 16 bits, in integers",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX2,
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
