#include "../../kernels/x86/vec_avx2.h"

#include "exp2_check.h"

#include "exp2_body.h"

const struct exp2_version exp2_avx2 = {"avx2", ATTN_COMPILED_FEATURES, 2, run};
