/* What attn.h promises beyond the numbers: defaults, empty problems, reuse, workspaces. */
#include "problem.h"

#include "../../dispatch/internal.h"

#include <math.h>

/* Runs and returns a copy of o followed by lse. */
static float *outputs_of(const attn_desc *d, const attn_options *options, struct buffers *b, const attn_args *args)
{
  const attn_status status = attn_forward(d, options, args);
  if (status) fail_msg("%s: %s", attn_status_name(status), attn_error_message());
  float *copy = malloc((b->o_floats + b->lse_floats + 1) * sizeof *copy);
  assert_non_null(copy);
  memcpy(copy, b->o, b->o_floats * sizeof *copy);
  memcpy(copy + b->o_floats, b->lse, b->lse_floats * sizeof *copy);
  return copy;
}

/* Two descriptions that must mean the same: same bits. */
static void assert_same(const attn_desc *x, const attn_desc *y, const void *mask_x, const void *mask_y)
{
  struct buffers b = make_buffers(x);
  b.args.mask = mask_x;
  float *first = outputs_of(x, NULL, &b, &b.args);
  b.args.mask = mask_y;
  float *second = outputs_of(y, NULL, &b, &b.args);
  assert_memory_equal(first, second, (b.o_floats + b.lse_floats) * sizeof(float));
  free(first);
  free(second);
  free_buffers(&b);
}

static void default_strides(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  attn_desc bhsd = d, bshd = d, explicit_bshd = d;
  bhsd.q = (attn_strides){4 * 5 * 8, 5 * 8, 8, 1};
  bhsd.k = (attn_strides){2 * 9 * 8, 9 * 8, 8, 1};
  bhsd.v = (attn_strides){2 * 9 * 6, 9 * 6, 6, 1};
  bhsd.o = (attn_strides){4 * 5 * 6, 5 * 6, 6, 1};
  bhsd.lse = (attn_strides){4 * 5, 5, 1, 0};
  assert_same(&d, &bhsd, NULL, NULL);
  bshd.layout = ATTN_BSHD;
  explicit_bshd.q = (attn_strides){5 * 4 * 8, 8, 4 * 8, 1};
  explicit_bshd.k = (attn_strides){9 * 2 * 8, 8, 2 * 8, 1};
  explicit_bshd.v = (attn_strides){9 * 2 * 6, 6, 2 * 6, 1};
  explicit_bshd.o = (attn_strides){5 * 4 * 6, 6, 4 * 6, 1};
  assert_same(&bshd, &explicit_bshd, NULL, NULL);
}

static void default_scale(void **state)
{
  (void)state;
  attn_desc d = small_desc(), same = d;
  d.Dqk = same.Dqk = 16;
  same.scale = 0.25f;
  assert_same(&d, &same, NULL, NULL);
  same.flags = ATTN_SCALE_EXPLICIT;
  assert_same(&d, &same, NULL, NULL);
}

/* Explicit 0: all keys count alike, so every row is the mean of V and LSE the logarithm of Skv. */
static void explicit_zero_scale(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.flags = ATTN_SCALE_EXPLICIT;
  struct buffers b = make_buffers(&d);
  assert_int_equal(attn_forward(&d, NULL, &b.args), ATTN_OK);
  for (int64_t batch = 0; batch < d.B; batch++)
    for (int64_t h = 0; h < d.Hq; h++)
      for (int64_t c = 0; c < d.Dv; c++) {
        double mean = 0;
        for (int64_t j = 0; j < d.Skv; j++)
          mean += (double)b.v[((batch * d.Hkv + h / 2) * d.Skv + j) * d.Dv + c] / (double)d.Skv;
        for (int64_t i = 0; i < d.Sq; i++)
          assert_true(fabs((double)b.o[((batch * d.Hq + h) * d.Sq + i) * d.Dv + c] - mean) < 1e-6);
      }
  for (size_t i = 0; i < b.lse_floats; i++) assert_true(fabs((double)b.lse[i] - log(9)) < 1e-6);
  free_buffers(&b);
}

static void mask_defaults(void **state)
{
  (void)state;
  uint8_t bools[5 * 9];
  float biases[5 * 9];
  for (int i = 0; i < 5 * 9; i++) {
    bools[i] = i % 4 != 1;
    biases[i] = bools[i] ? 0 : -INFINITY;
  }
  attn_desc by_default = small_desc(), spelled, additive;
  by_default.mask.kind = ATTN_MASK_BOOL;
  spelled = additive = by_default;
  spelled.mask.length = 9;
  spelled.mask.stride = (attn_strides){0, 0, 9, 1};
  additive.mask.kind = ATTN_MASK_ADDITIVE;
  assert_same(&by_default, &spelled, bools, bools);
  assert_same(&by_default, &additive, bools, biases);

  /* A short mask hides the keys beyond it: the same as fewer keys. */
  attn_desc short_mask = small_desc(), long_mask = short_mask;
  uint8_t ones[5 * 4], four[9] = {1, 1, 1, 1, 0, 0, 0, 0, 0};
  memset(ones, 1, sizeof ones);
  short_mask.mask = (attn_mask){.kind = ATTN_MASK_BOOL, .length = 4};
  long_mask.mask = (attn_mask){.kind = ATTN_MASK_BOOL, .stride = {.d = 1}};
  assert_same(&short_mask, &long_mask, ones, four);

  /* attn.h: one element for everything */
  attn_desc one = small_desc();
  one.mask = (attn_mask){.kind = ATTN_MASK_BOOL, .length = 1, .stride = {.d = 1}};
  uint8_t first_only[9] = {1};
  assert_same(&one, &long_mask, ones, first_only);
}

/* Beyond Skv and Sq an offset changes nothing more, up to the ends of its type. */
static void causal_offsets_saturate(void **state)
{
  (void)state;
  attn_desc plain = small_desc(), causal = plain, far = plain;
  causal.flags = far.flags = ATTN_CAUSAL;
  const int64_t all[] = {5, 9, 1000, INT64_MAX};
  for (int i = 0; i < 4; i++) {
    causal.causal_offset = all[i];
    assert_same(&plain, &causal, NULL, NULL);
  }
  causal.causal_offset = -9;
  const int64_t none[] = {-10, -5000, INT64_MIN};
  for (int i = 0; i < 3; i++) {
    far.causal_offset = none[i];
    assert_same(&causal, &far, NULL, NULL);
  }
  struct buffers b = make_buffers(&far);
  assert_int_equal(attn_forward(&far, NULL, &b.args), ATTN_OK);
  for (size_t i = 0; i < b.o_floats; i++) assert_true(b.o[i] == 0);
  for (size_t i = 0; i < b.lse_floats; i++) assert_true(b.lse[i] == -INFINITY);
  free_buffers(&b);
}

static void empty_problems(void **state)
{
  (void)state;
  for (int which = 0; which < 7; which++) {
    attn_desc d = small_desc();
    int64_t *const sizes[] = {&d.B, &d.Hq, &d.Hkv, &d.Sq, &d.Skv, &d.Dqk, &d.Dv};
    *sizes[which] = 0;
    if (which == 2) d.Hq = 0;
    struct buffers b = make_buffers(&d);
    attn_plan *plan = NULL;
    if (attn_plan_create(&plan, &d, NULL)) fail_msg("size %d of 0: %s", which, attn_error_message());
    assert_int_equal(attn_plan_threads(plan), 1);
    for (int with_lse = 0; with_lse < 2; with_lse++) {
      attn_args a = b.args;
      if (!with_lse) a.lse = NULL;
      if (attn_run(plan, &a)) fail_msg("size %d of 0: %s", which, attn_error_message());
    }
    if (which == 4) /* no key */
      for (size_t i = 0; i < b.o_floats; i++) assert_true(b.o[i] == 0);
    for (size_t i = 0; i < b.lse_floats; i++) {
      if (which == 4) assert_true(b.lse[i] == -INFINITY);
      if (which == 5) assert_true(fabs((double)b.lse[i] - log(9)) < 1e-6); /* scores of 0 */
      if (which == 6) assert_true(isfinite(b.lse[i]) && fabsf(b.lse[i]) < 10);
    }
    attn_plan_destroy(plan);
    if (which != 4 && which != 5 && which != 6) { /* tensors without an element may be NULL */
      attn_args a = b.args;
      a.q = a.o = NULL;
      a.lse = NULL;
      assert_int_equal(attn_forward(&d, NULL, &a), ATTN_OK);
    }
    free_buffers(&b);
  }
}

static void plans_are_reusable(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  struct buffers b = make_buffers(&d);
  float *expected = outputs_of(&d, NULL, &b, &b.args);
  attn_plan *plan = NULL;
  attn_options options = {.threads = 1};
  assert_int_equal(attn_plan_create(&plan, &d, &options), ATTN_OK);
  memset(&d, 0x55, sizeof d); /* neither is referred to afterwards */
  memset(&options, 0x55, sizeof options);
  for (int round = 0; round < 3; round++) {
    memset(b.o, 0x55, b.o_floats * sizeof(float));
    assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
    assert_memory_equal(expected, b.o, b.o_floats * sizeof(float));
    assert_memory_equal(expected + b.o_floats, b.lse, b.lse_floats * sizeof(float));
  }
  attn_args without_lse = b.args;
  without_lse.lse = NULL;
  memset(b.lse, 0x55, b.lse_floats * sizeof(float));
  memset(b.o, 0x55, b.o_floats * sizeof(float));
  assert_int_equal(attn_run(plan, &without_lse), ATTN_OK);
  assert_memory_equal(expected, b.o, b.o_floats * sizeof(float));
  for (size_t i = 0; i < b.lse_floats; i++) assert_memory_equal(&b.lse[i], "\x55\x55\x55\x55", 4);
  attn_plan_destroy(plan);
  free(expected);
  free_buffers(&b);
}

/* A workspace of one's own: any alignment, nothing beyond its end or before its start. */
static void own_workspace(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.Sq = 150;
  d.Skv = 150;
  struct buffers b = make_buffers(&d);
  float *expected = outputs_of(&d, NULL, &b, &b.args);
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = 2}), ATTN_OK);
  const size_t bytes = attn_plan_workspace_bytes(plan);
  for (size_t skew = 0; skew < 130; skew += 43) {
    unsigned char *room = malloc(bytes + 512);
    assert_non_null(room);
    memset(room, 0xcd, bytes + 512);
    attn_args a = b.args;
    a.workspace = room + 256 + skew;
    a.workspace_bytes = bytes;
    memset(b.o, 0, b.o_floats * sizeof(float));
    assert_int_equal(attn_run(plan, &a), ATTN_OK);
    assert_memory_equal(expected, b.o, b.o_floats * sizeof(float));
    for (size_t i = 0; i < 256 + skew; i++) assert_int_equal(room[i], 0xcd);
    for (size_t i = 256 + skew + bytes; i < bytes + 512; i++) assert_int_equal(room[i], 0xcd);
    free(room);
  }
  attn_plan_destroy(plan);
  free(expected);
  free_buffers(&b);
}

static size_t workspace_of(int64_t batches, unsigned flags)
{
  attn_desc d = small_desc();
  attn_plan *plan = NULL;
  d.B = batches;
  d.flags = flags;
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = 1}), ATTN_OK);
  const size_t bytes = attn_plan_workspace_bytes(plan);
  attn_plan_destroy(plan);
  return bytes;
}

/* Only sequences of different lengths are dealt out one by one, and need room for that. */
static void equal_batches_need_no_room_each(void **state)
{
  (void)state;
  assert_true(workspace_of(1, 0) == workspace_of(100, 0));
  assert_true(workspace_of(1, ATTN_KV_LENGTHS) < workspace_of(100, ATTN_KV_LENGTHS));
}

static void a_plan_tells_what_it_is(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.kernel = "fwd_f32_scalar", .threads = 1}), ATTN_OK);
  assert_string_equal(attn_plan_kernel(plan), "fwd_f32_scalar");
  assert_string_equal(attn_plan_isa(plan), "scalar");
  assert_int_equal(attn_plan_threads(plan), 1);
  attn_plan_destroy(plan);
}

/* A mean of equal values is that value, also where all weights but one err alike when a kernel rounds them: 0.5018 is far
 * from the nearest bf16 number, 0.5. LSE is that of the weights before. */
static void a_mean_of_ones_is_one(void **state)
{
  (void)state;
  enum { QUERIES = 32, KEYS = 513 };
  const double score = -0.6896;
  uint16_t q[QUERIES], k[KEYS], v[KEYS], o[QUERIES];
  float lse[QUERIES];
  for (int dtype = ATTN_F16; dtype <= ATTN_BF16; dtype++) {
    const attn_desc d = {.dtype = (attn_dtype)dtype,
                         .B = 1,
                         .Hq = 1,
                         .Hkv = 1,
                         .Sq = QUERIES,
                         .Skv = KEYS,
                         .Dqk = 1,
                         .Dv = 1,
                         .scale = (float)-score};
    for (int i = 0; i < QUERIES; i++) attn_element_put(d.dtype, q, i, 1);
    for (int j = 0; j < KEYS; j++) attn_element_put(d.dtype, k, j, j ? -1 : 0);
    for (int j = 0; j < KEYS; j++) attn_element_put(d.dtype, v, j, 1);
    for (const struct attn_kernel *const *kernel = attn_kernels; *kernel; kernel++) {
      if ((*kernel)->dtype != d.dtype || (*kernel)->needs & ~attn_cpu_features()) continue;
      const attn_status status = attn_forward(&d, &(attn_options){.kernel = (*kernel)->name, .threads = 1},
                                              &(attn_args){.q = q, .k = k, .v = v, .o = o, .lse = lse});
      if (status == ATTN_ERR_UNSUPPORTED) continue;
      assert_int_equal(status, ATTN_OK);
      for (int i = 0; i < QUERIES; i++) {
        if (attn_element_get(d.dtype, o, i) != 1)
          fail_msg("%s: a mean of ones is %.9g", (*kernel)->name, (double)attn_element_get(d.dtype, o, i));
        assert_true(fabs((double)lse[i] - log(1 + (KEYS - 1) * exp(score))) < 1e-5);
      }
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(default_strides),
      cmocka_unit_test(default_scale),
      cmocka_unit_test(explicit_zero_scale),
      cmocka_unit_test(mask_defaults),
      cmocka_unit_test(causal_offsets_saturate),
      cmocka_unit_test(empty_problems),
      cmocka_unit_test(plans_are_reusable),
      cmocka_unit_test(own_workspace),
      cmocka_unit_test(a_plan_tells_what_it_is),
      cmocka_unit_test(a_mean_of_ones_is_one),
      cmocka_unit_test(equal_batches_need_no_room_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
