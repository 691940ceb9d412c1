/* Streaming attention in f32 with tile registers (AMX) that multiply bf16: each number is three digits. Softmax and masks
 * are those of fwd_bf16_amx.c. */
#define ATTN_DIGITS 3
#include "vec_amx.h"

#include "../template/element_f32.h"

enum { MR = 2 * TILE, NV = 2 };
#include "../template/fwd_stream_amx.h"

/* Measured: with 128 keys 5 to 10 % slower; groups of 32 to 96 rows alike. */
static const struct attn_blocking blocking_usual = {BLOCK_KEYS, 2 * MR, 0};

const struct attn_kernel fwd_f32_amx = {
    .name = "fwd_f32_amx",
    .summary = "tiled streaming softmax, 32x32 tiles, matrix multiplications of three digits",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_OWN_CACHES | ATTN_KERNEL_FLUSHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = run_with_tiles,
    .products = 6,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
    .blocking_usual = &blocking_usual,
};
