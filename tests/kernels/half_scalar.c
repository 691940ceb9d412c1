#include "../../kernels/reference/half.h"

#include "half_check.h"

static void load_f16(float *restrict y, const uint16_t *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = attn_f16_to_f32(x[i]);
}

static void load_bf16(float *restrict y, const uint16_t *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = attn_bf16_to_f32(x[i]);
}

static void store_f16(uint16_t *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = attn_f32_to_f16(x[i]);
}

static void store_bf16(uint16_t *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i++) y[i] = attn_f32_to_bf16(x[i]);
}

const struct half_version half_scalar = {"scalar", 0, load_f16, load_bf16, store_f16, store_bf16};
