/* Decoding over bf16 K and V by tile registers (AMX): rows are two digits of bf16, sums f32. */
#include "vec_avx512bf16.h"

#include "tiles_amx.h"

#include "../template/element_bf16.h"

/* The nearest bf16, of midpoints that away from 0. */
static inline vf vf_nearest_bf16(vf x)
{
  const __m512i up = _mm512_add_epi32(_mm512_castps_si512(x), _mm512_set1_epi32(0x8000));
  return _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32((int)0xffff0000u)));
}

#define ATTN_DECODE_BY_TILES
#include "../template/decode.h"

static void run_with_tiles(const struct attn_unit *u)
{
  tiles_open();
  decode_run(u);
  tiles_close();
}

const struct attn_kernel decode_bf16_amx = {
    .name = "decode_bf16_amx",
    .summary = "few queries, K and V in bf16 times rows of two digits, by matrix multiplications",
    .dtype = ELEMENT_DTYPE,
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .flags = ATTN_KERNEL_WHOLE_HEAD | ATTN_KERNEL_ONLY_CACHES | ATTN_KERNEL_TWO_DIGITS | ATTN_KERNEL_FLUSHES,
    .row_tile = 1,
    .unit_rows = UNIT_ROWS,
    .scratch_bytes = decode_scratch_bytes,
    .run = run_with_tiles,
    .rows_from = 5,
    .key_span = KEY_SPAN,
    .merge = decode_merge,
};
