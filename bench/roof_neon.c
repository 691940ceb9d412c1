#define ROOF_VECTOR_BYTES 16
#define ROOF_ACCUMULATORS 24
#define ROOF_REGISTER     "w"
#include "roof_body.h"

const struct roof_loops roof_loops_neon = {.isa = ATTN_ISA_NEON,
                                           .needs = ATTN_COMPILED_FEATURES,
                                           .flops_per_round = ROOF_FLOPS_PER_ROUND,
                                           .fma = roof_fma,
                                           .read = roof_read};
