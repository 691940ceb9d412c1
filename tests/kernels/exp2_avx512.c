#include "../../kernels/x86/vec_avx512.h"

#include "exp2_check.h"

#include "exp2_body.h"

const struct exp2_version exp2_avx512 = {"avx512", ATTN_COMPILED_FEATURES, 2, -INFINITY, run};
const struct exp2_version exp2_avx512_in_range = {"avx512 in range", ATTN_COMPILED_FEATURES, 2, -125, run_in_range};
const struct exp2_version exp2_avx512_lean = {"avx512 lean", ATTN_COMPILED_FEATURES, 2, -125, run_lean};
