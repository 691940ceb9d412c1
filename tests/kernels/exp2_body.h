/* The array loop around vf_exp2, in the verbs of the vec_<isa>.h that was included before. */
static void run(float *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store(y + i, vf_exp2(vf_load(x + i)));
}
