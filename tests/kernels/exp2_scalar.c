#include "../../kernels/reference/exp2.h"

#include "exp2_check.h"

#include <math.h>

static void run(float *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = attn_exp2(x[i]);
}

const struct exp2_version exp2_scalar = {"scalar", 0, 2.5, -INFINITY, run};
