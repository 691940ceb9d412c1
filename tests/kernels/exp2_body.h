/* The array loops around vf_exp2 and vf_exp2_over, in the verbs of the vec_<isa>.h that was included before. */
static void run(float *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store(y + i, vf_exp2(vf_load(x + i)));
}

static void run_in_range(float *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL) vf_store(y + i, vf_exp2_over(vf_load(x + i), vf_set(VF_EXP2_ROUND)));
}

/* Where it differs: Arm has none of its own. */
__attribute__((unused)) static void run_lean(float *restrict y, const float *restrict x, int64_t n)
{
  for (int64_t i = 0; i < n; i += VL)
    vf_store(y + i, vf_exp2_lean(vf_load(x + i), vf_exp2_lean_round(vf_exp2_constants()), vf_exp2_constants()));
}
