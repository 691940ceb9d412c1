#include "../../kernels/x86/vec_avx512.h"

#include "half_check.h"

#include "half_body.h"

const struct half_version half_avx512 = {"avx512", ATTN_COMPILED_FEATURES, load_f16, load_bf16, store_f16, store_bf16};
