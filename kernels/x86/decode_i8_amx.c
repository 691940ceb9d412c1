/* Decoding over int8 K and V by tile registers (AMX): rows are two digits of 8 bits, sums integers. */
#include "vec_avx512.h"

#include "tiles_amx.h"

#include "../template/element_i8.h"

static inline vf vf_mul_live(vf weight, vf scale)
{
  return _mm512_maskz_mul_ps(_mm512_cmp_ps_mask(weight, vf_zero(), _CMP_NEQ_UQ), weight, scale);
}

#define ATTN_DECODE_BY_TILES
#include "../template/decode.h"

static void run_with_tiles(const struct attn_unit *u)
{
  tiles_open_for(u->row1 - u->row0 <= TILE / 2 ? TILE / 2 : TILE);
  decode_run(u);
  tiles_close();
}

const struct attn_kernel decode_i8_amx = {
    .name = "decode_i8_amx",
    .summary = "few queries, K and V in int8 times rows of 16 bits, by matrix multiplications",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_WHOLE_HEAD | ATTN_KERNEL_ONLY_CACHES | ATTN_KERNEL_16BIT_ROWS,
    .row_tile = 1,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = decode_scratch_bytes,
    .run = run_with_tiles,
    .rows_from = 5,
    .key_span = KEY_SPAN,
    .step_keys = BLOCK,
    .merge = decode_merge,
};
