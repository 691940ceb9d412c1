/* What the two 16-bit element types share: edges and transposition, through small buffers. Included by element_f16.h and
 * element_bf16.h. */
static inline vf el_load_n(const element *p, int n)
{
  element whole[VL] = {0};
  memcpy(whole, p, (size_t)n * sizeof *p);
  return el_load(whole);
}

static inline void el_store_n(element *p, int n, vf x)
{
  element whole[VL];
  el_store(whole, x);
  memcpy(p, whole, (size_t)n * sizeof *p);
}

static inline void el_transpose_block(float *dst, int64_t dst_stride, const element *src, int64_t src_stride)
{
  float rows[TB][TB];
  for (int64_t r = 0; r < TB; r++)
    for (int64_t c = 0; c < TB; c += VL) vf_store(&rows[r][c], el_load(src + r * src_stride + c));
  vf_transpose_block(dst, dst_stride, rows[0], TB);
}
