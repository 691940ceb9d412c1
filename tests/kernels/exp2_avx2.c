#include "../../kernels/x86/vec_avx2.h"

#include "exp2_check.h"

#include "exp2_body.h"

const struct exp2_version exp2_avx2 = {"avx2", ATTN_COMPILED_FEATURES, 2, -INFINITY, run};
const struct exp2_version exp2_avx2_in_range = {"avx2 in range", ATTN_COMPILED_FEATURES, 2, -125, run_in_range};
const struct exp2_version exp2_avx2_lean = {"avx2 lean", ATTN_COMPILED_FEATURES, 2, -125, run_lean};
