/* Decoding over f32 K and V for AVX-512. Tiles of up to 8 rows: 24 accumulators, 3 vectors of K or V and one of the rows
 * beside them, 28 of 32 zmm.
 * K and V are f32 in memory. */
#include "vec_avx512.h"

#include "../template/element_f32.h"

enum { DOTS = 24 };
#include "../template/decode.h"

const struct attn_kernel decode_f32_avx512 = {
    .name = "decode_f32_avx512",
    .summary = "few queries, K and V streamed as they lie, 16 dot products at a time",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AVX512,
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
