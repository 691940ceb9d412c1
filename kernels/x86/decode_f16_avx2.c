/* Decoding over f16 K and V for AVX2. 12 accumulators of 4 rows, half as many again as FMA latency
 * times ports; with 3 vectors of K or V and one of the rows all 16 ymm.
 * K and V become f32 in registers, once per tile of rows. */
#include "vec_avx2.h"

#include "../template/element_f16.h"

enum { DOTS = 12 };
#include "../template/decode.h"

const struct attn_kernel decode_f16_avx2 = {
    .name = "decode_f16_avx2",
    .summary = "few queries, K and V streamed as they lie, up to 12 dot products at a time",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX2,
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
