/* The array loops around the conversions, in the verbs of the vec_<isa>.h that was included before. */
static void load_f16(float *restrict y, const uint16_t *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store(y + i, vf_load_f16(x + i));
}

static void load_bf16(float *restrict y, const uint16_t *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store(y + i, vf_load_bf16(x + i));
}

static void store_f16(uint16_t *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store_f16(y + i, vf_load(x + i));
}

static void store_bf16(uint16_t *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store_bf16(y + i, vf_load(x + i));
}
