#define ROOF_VECTOR_BYTES 64
#define ROOF_ACCUMULATORS 24
#define ROOF_REGISTER     "v"
#include "roof_body.h"

const struct roof_loops roof_loops_avx512 = {.isa = ATTN_ISA_AVX512,
                                             .needs = ATTN_COMPILED_FEATURES,
                                             .flops_per_round = ROOF_FLOPS_PER_ROUND,
                                             .fma = roof_fma,
                                             .read = roof_read};
