/* Dot products of bf16 pairs: two multiply-adds a lane and instruction. */
#include <immintrin.h>

#define ROOF_VECTOR_BYTES  64
#define ROOF_ACCUMULATORS  24
#define ROOF_REGISTER      "v"
#define ROOF_STEP(a, x, y) ((roof_vector)_mm512_dpbf16_ps((__m512)(a), (__m512bh)(x), (__m512bh)(y)))
#include "roof_body.h"

const struct roof_loops roof_loops_avx512bf16 = {.isa = ATTN_ISA_AVX512BF16,
                                                 .needs = ATTN_COMPILED_FEATURES,
                                                 .flops_per_round = 2 * ROOF_FLOPS_PER_ROUND,
                                                 .fma = roof_fma,
                                                 .read = roof_read};
