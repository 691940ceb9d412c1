/* One float at a time. On x86-64 the baseline has no FMA: a multiplication and an addition, which is the roof of code
 * compiled for it. */
#define ROOF_VECTOR_BYTES 4
#define ROOF_ACCUMULATORS 14
#if defined(__x86_64__)
#define ROOF_REGISTER "x"
#else
#define ROOF_REGISTER "w"
#endif
#include "roof_body.h"

const struct roof_loops roof_loops_scalar = {
    .isa = ATTN_ISA_SCALAR, .needs = 0, .flops_per_round = ROOF_FLOPS_PER_ROUND, .fma = roof_fma, .read = roof_read};
