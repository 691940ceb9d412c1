#include "../../kernels/arm/vec_neon.h"

#include "exp2_check.h"

#include "exp2_body.h"

const struct exp2_version exp2_neon = {"neon", ATTN_COMPILED_FEATURES, 2, -INFINITY, run};
const struct exp2_version exp2_neon_in_range = {"neon in range", ATTN_COMPILED_FEATURES, 2, -125, run_in_range};
