/* Products of 2x4 by 4x2 bf16 elements: four multiply-adds a lane and instruction. */
#include <arm_neon.h>

#define ROOF_VECTOR_BYTES  16
#define ROOF_ACCUMULATORS  24
#define ROOF_REGISTER      "w"
#define ROOF_STEP(a, x, y) ((roof_vector)vbfmmlaq_f32((float32x4_t)(a), (bfloat16x8_t)(x), (bfloat16x8_t)(y)))
#include "roof_body.h"

const struct roof_loops roof_loops_neonbf16 = {.isa = ATTN_ISA_NEONBF16,
                                               .needs = ATTN_COMPILED_FEATURES,
                                               .flops_per_round = 4 * ROOF_FLOPS_PER_ROUND,
                                               .fma = roof_fma,
                                               .read = roof_read};
