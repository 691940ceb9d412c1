#include "bound.h"

#include <math.h>

static const double f32_bound = 2e-6;

double bench_error_bound(attn_dtype dtype, const struct attn_kernel *kernel)
{
  const double digits = kernel->dtype == ATTN_F16 ? 0x1.8p-16 : 0x1p-16;
  const double computed = f32_bound + (kernel->flags & ATTN_KERNEL_16BIT_ROWS ? 0x1p-12 : 0) +
                          (kernel->flags & ATTN_KERNEL_TWO_DIGITS ? digits : 0);
  switch (dtype) {
  case ATTN_F32: return computed;
  case ATTN_F16: return computed + 0x1p-11;
  case ATTN_BF16: return computed + (kernel->flags & ATTN_KERNEL_BF16_WEIGHTS ? 2 : 1) * 0x1p-8;
  case ATTN_I8: break; /* not a type of outputs */
  }
  return 0;
}

double bench_layer_bound(double terms) { return f32_bound + 0.9 * 0x1p-24 * sqrt(terms); }

double bench_lse_bound(void) { return f32_bound; }
