/* Streaming attention in f16 with tile registers (AMX) that multiply bf16: each number is two digits. Softmax and masks are
 * those of fwd_bf16_amx.c. */
#define ATTN_DIGITS 2
#include "vec_amx.h"

#include "../template/element_f16.h"

enum { MR = 2 * TILE, NV = 2 };
#include "../template/fwd_stream_amx.h"

/* P of a tile stays in L1, K and V in a part of L2 (measured: 8 and 5 % of D=128, nothing of 64). */
static const struct attn_blocking blocking_usual = {128, MR, 0};

const struct attn_kernel fwd_f16_amx = {
    .name = "fwd_f16_amx",
    .summary = "tiled streaming softmax, 32x32 tiles, matrix multiplications of two digits",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_TWO_DIGITS | ATTN_KERNEL_OWN_CACHES,
    .row_tile = MR,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = stream_scratch_bytes,
    .run = run_with_tiles,
    .products = 3.5,
    .blocking_step = &stream_blocking_step,
    .blocking_most = &stream_blocking_most,
    .blocking_usual = &blocking_usual,
};
