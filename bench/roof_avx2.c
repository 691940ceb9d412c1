#define ROOF_VECTOR_BYTES 32
#define ROOF_ACCUMULATORS 12
#define ROOF_REGISTER     "x"
#include "roof_body.h"

const struct roof_loops roof_loops_avx2 = {.isa = ATTN_ISA_AVX2,
                                           .needs = ATTN_COMPILED_FEATURES,
                                           .flops_per_round = ROOF_FLOPS_PER_ROUND,
                                           .fma = roof_fma,
                                           .read = roof_read};
