/* Every way to be refused: the status, and a message that names field and value. */
#include "problem.h"

#include <math.h>
#include <stdio.h>

static void negative_sizes(void **state)
{
  (void)state;
  static const char *const names[] = {"B = -3", "Hq = -3", "Hkv = -3", "Sq = -3", "Skv = -3", "Dqk = -3", "Dv = -3"};
  for (int i = 0; i < 7; i++) {
    attn_desc d = small_desc();
    int64_t *const sizes[] = {&d.B, &d.Hq, &d.Hkv, &d.Sq, &d.Skv, &d.Dqk, &d.Dv};
    *sizes[i] = -3;
    assert_refused(&d, NULL, ATTN_ERR_INVALID, names[i], "negative");
  }
}

static void heads_that_do_not_divide(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.Hkv = 3;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "Hq = 4", "Hkv = 3");
  d.Hkv = 0;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "Hq = 4", "Hkv = 0");
  d.Hkv = 8;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "Hq = 4", "Hkv = 8");
}

static void enumerations(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.dtype = (attn_dtype)77;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "dtype = 77", NULL);
  d = small_desc();
  d.layout = (attn_layout)5;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "layout = 5", NULL);
  d = small_desc();
  d.flags = 0x200;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "flags", "0x200");
  d = small_desc();
  d.mask.kind = (attn_mask_kind)9;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "mask.kind = 9", NULL);
  d = small_desc();
  assert_refused(&d, &(attn_options){.placement = (attn_placement)4}, ATTN_ERR_INVALID, "options.placement = 4", NULL);
}

static void scales(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.scale = NAN;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "scale", "nan");
  d.scale = INFINITY;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "scale", "inf");
  d.scale = -3e38f; /* finite, but not times log2(e) */
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "scale", "log2(e)");
}

static void strides(void **state)
{
  (void)state;
  static const char *const tensor[] = {"q stride", "k stride", "v stride", "o stride", "lse stride"};
  static const char *const value[] = {" b = -1", " h = -1", " s = -1", " d = -1"};
  for (int t = 0; t < 5; t++)
    for (int dim = 0; dim < 4; dim++) {
      attn_desc d = small_desc();
      attn_strides *const all[] = {&d.q, &d.k, &d.v, &d.o, &d.lse};
      *all[t] = (attn_strides){1000, 100, 10, 1};
      *(int64_t *[]){&all[t]->b, &all[t]->h, &all[t]->s, &all[t]->d}[dim] = -1;
      assert_refused(&d, NULL, ATTN_ERR_INVALID, tensor[t], value[dim]);
    }
}

static void overlapping_outputs(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.o = (attn_strides){.b = 120, .h = 30, .s = 5, .d = 1}; /* rows of 6 */
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "o stride s = 5", "at least 6");
  d.o = (attn_strides){.b = 0, .h = 30, .s = 6, .d = 1};
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "o stride b = 0", NULL);
  d = small_desc();
  d.lse = (attn_strides){.b = 20, .h = 4, .s = 1};
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "lse stride h = 4", "at least 5");
}

static void sizes_beyond_the_address_space(void **state)
{
  (void)state;
  const int64_t huge = INT64_MAX / 2;
  static const char *const tensor[] = {"q", "q", NULL, "q", "k", "q", "v"};
  for (int i = 0; i < 7; i++) {
    attn_desc d = small_desc();
    int64_t *const sizes[] = {&d.B, &d.Hq, &d.Hkv, &d.Sq, &d.Skv, &d.Dqk, &d.Dv};
    if (i == 2) continue; /* a huge Hkv does not divide Hq */
    *sizes[i] = i == 1 ? huge / 2 * 2 : huge;
    assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, tensor[i], "address space");
  }
  attn_desc d = small_desc();
  d.k = (attn_strides){.b = INT64_MAX, .h = 1, .s = 1, .d = 1};
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "k: size 2", "dimension b");
  d = small_desc();
  d.v = (attn_strides){.b = 1, .h = 1, .s = INT64_MAX / 16, .d = 1}; /* elements fit, bytes do not */
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "v", "dimension s");
  d = small_desc(); /* broadcast inputs of any size are fine, the output is not */
  d.B = INT64_MAX / 4;
  d.q = d.k = d.v = (attn_strides){0, 0, 8, 1};
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "o", "address space");
  d = small_desc();
  d.mask = (attn_mask){.kind = ATTN_MASK_ADDITIVE, .stride = {.b = INT64_MAX / 2, .h = 1, .s = 1, .d = 1}};
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "mask", "dimension b");
}

static void memory_that_nobody_has(void **state)
{
  (void)state;
  attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = 1, .Skv = 1, .Dqk = INT64_C(1) << 56, .Dv = 1};
  attn_plan *plan = NULL;
  d.q = d.k = (attn_strides){.b = 0, .h = 0, .s = 1, .d = 0}; /* one element, read 2^56 times */
  const attn_status status = attn_plan_create(&plan, &d, NULL);
  assert_true(status == ATTN_ERR_NO_MEMORY || status == ATTN_ERR_OVERFLOW);
  assert_mentions("workspace");
  assert_null(plan);
}

static void masks(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.mask = (attn_mask){.kind = ATTN_MASK_BOOL, .length = 10};
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "mask.length = 10", "Skv = 9");
  d.mask.length = -1;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "mask.length = -1", NULL);
  d.mask = (attn_mask){.kind = ATTN_MASK_BOOL, .stride = {.s = 9, .d = -1}};
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "mask stride d = -1", NULL);
}

static void options(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  assert_refused(&d, &(attn_options){.threads = -1}, ATTN_ERR_INVALID, "options.threads = -1", "4096");
  assert_refused(&d, &(attn_options){.threads = 4097}, ATTN_ERR_INVALID, "options.threads = 4097", "4096");
  assert_refused(&d, &(attn_options){.isa = "avx1024"}, ATTN_ERR_ENVIRONMENT, "options.isa=avx1024", "scalar");
  assert_refused(&d, &(attn_options){.kernel = "fwd_f32_avx3"}, ATTN_ERR_ENVIRONMENT, "options.kernel=fwd_f32_avx3",
                 "fwd_f32_scalar");
  assert_refused(&d, &(attn_options){.kernel = "fwd_f16_scalar"}, ATTN_ERR_UNSUPPORTED, "fwd_f16_scalar", "data type");
}

static void null_pointers(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(NULL, &d, NULL), ATTN_ERR_INVALID);
  assert_mentions("plan");
  assert_int_equal(attn_plan_create(&plan, NULL, NULL), ATTN_ERR_INVALID);
  assert_mentions("desc");
  assert_int_equal(attn_forward(NULL, NULL, &(attn_args){0}), ATTN_ERR_INVALID);
  assert_int_equal(attn_run(NULL, &(attn_args){0}), ATTN_ERR_INVALID);
  assert_mentions("plan");
  attn_plan_destroy(NULL);
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  assert_int_equal(attn_run(plan, NULL), ATTN_ERR_INVALID);
  assert_mentions("args");
  struct buffers b = make_buffers(&d);
  static const char *const names[] = {"q is NULL", "k is NULL", "v is NULL", "o is NULL"};
  for (int i = 0; i < 4; i++) {
    attn_args a = b.args;
    if (i == 0) a.q = NULL;
    if (i == 1) a.k = NULL;
    if (i == 2) a.v = NULL;
    if (i == 3) a.o = NULL;
    assert_int_equal(attn_run(plan, &a), ATTN_ERR_INVALID);
    assert_mentions(names[i]);
    assert_mentions("bytes");
  }
  attn_plan_destroy(plan);
  attn_desc masked = d;
  masked.mask.kind = ATTN_MASK_BOOL;
  assert_int_equal(attn_forward(&masked, NULL, &b.args), ATTN_ERR_INVALID);
  assert_mentions("mask is NULL");
  free_buffers(&b);
}

static void aliases(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  struct buffers b = make_buffers(&d);
  float *before = malloc(b.o_floats * sizeof(float));
  assert_non_null(before);
  memcpy(before, b.o, b.o_floats * sizeof(float));
  static const char *const names[] = {"overlaps q", "overlaps k", "overlaps v"};
  float *const inputs[] = {b.q, b.k, b.v};
  for (int i = 0; i < 3; i++) {
    attn_args a = b.args;
    a.o = inputs[i] + 3;
    assert_int_equal(attn_run(plan, &a), ATTN_ERR_ALIAS);
    assert_mentions(names[i]);
    assert_mentions("o (");
    a = b.args;
    a.lse = inputs[i] + 3;
    assert_int_equal(attn_run(plan, &a), ATTN_ERR_ALIAS);
    assert_mentions(names[i]);
    assert_mentions("lse (");
  }
  attn_args a = b.args;
  a.lse = b.o + b.o_floats - 1; /* its last element only */
  assert_int_equal(attn_run(plan, &a), ATTN_ERR_ALIAS);
  assert_mentions("overlaps");
  assert_memory_equal(before, b.o, b.o_floats * sizeof(float)); /* nothing is written by a call that fails */
  attn_plan_destroy(plan);
  free(before);

  /* side by side is no overlap, and inputs may overlap */
  float *shared = pattern(b.o_floats + b.lse_floats, 9);
  a = b.args;
  a.o = shared;
  a.lse = shared + b.o_floats;
  a.k = a.q;
  assert_int_equal(attn_forward(&d, NULL, &a), ATTN_OK);
  free(shared);
  free_buffers(&b);
}

static void workspaces(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  struct buffers b = make_buffers(&d);
  const size_t bytes = attn_plan_workspace_bytes(plan);
  assert_true(bytes > 0);
  char *mine = malloc(bytes + 64), text[40];
  assert_non_null(mine);
  attn_args a = b.args;
  a.workspace = mine;
  a.workspace_bytes = bytes - 1;
  assert_int_equal(attn_run(plan, &a), ATTN_ERR_INVALID);
  snprintf(text, sizeof text, "workspace_bytes = %zu", bytes - 1);
  assert_mentions(text);
  assert_mentions("attn_plan_workspace_bytes");
  attn_plan_destroy(plan);
  free(mine);
  free_buffers(&b);
}

static void messages_and_names(void **state)
{
  (void)state;
  static const char *const names[] = {"ATTN_OK",
                                      "ATTN_ERR_INVALID",
                                      "ATTN_ERR_OVERFLOW",
                                      "ATTN_ERR_ALIAS",
                                      "ATTN_ERR_UNSUPPORTED",
                                      "ATTN_ERR_ENVIRONMENT",
                                      "ATTN_ERR_NO_MEMORY",
                                      "ATTN_ERR_BUSY"};
  for (int i = 0; i < 8; i++) assert_string_equal(attn_status_name((attn_status)i), names[i]);
  assert_non_null(attn_status_name((attn_status)99));
  assert_non_null(attn_error_message());
  char version[32];
  snprintf(version, sizeof version, "%d.%d.%d", ATTN_VERSION_MAJOR, ATTN_VERSION_MINOR, ATTN_VERSION_PATCH);
  assert_string_equal(attn_version(), version);
}

static void lengths_beyond_the_keys(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  struct buffers b = make_buffers(&d);
  const int64_t lengths[][2] = {{9, -1}, {10, 0}, {0, 9}};
  d.flags = ATTN_KV_LENGTHS;
  for (int i = 0; i < 3; i++) {
    attn_args args = b.args;
    args.kv_lengths = lengths[i];
    assert_int_equal(attn_forward(&d, NULL, &args), i < 2 ? ATTN_ERR_INVALID : ATTN_OK);
    if (i < 2) assert_mentions(i ? "kv_lengths[0] = 10" : "kv_lengths[1] = -1");
  }
  free_buffers(&b);
}

/* Those of the scalar reference are there on every machine. */
static void decoding_takes_plain_tensors(void **state)
{
  (void)state;
  static const char *const kernels[] = {"decode_f32_scalar", "decode_f16_scalar", "decode_bf16_scalar"};
  attn_plan *plan;
  for (int i = 0; i < 3; i++) {
    attn_desc d = small_desc();
    d.dtype = (attn_dtype)i;
    assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.kernel = kernels[i]}), ATTN_OK);
    attn_plan_destroy(plan);
    d.Sq = 9; /* 18 rows of a head */
    assert_refused(&d, &(attn_options){.kernel = kernels[i]}, ATTN_ERR_UNSUPPORTED, kernels[i], NULL);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(negative_sizes),
      cmocka_unit_test(heads_that_do_not_divide),
      cmocka_unit_test(enumerations),
      cmocka_unit_test(scales),
      cmocka_unit_test(strides),
      cmocka_unit_test(overlapping_outputs),
      cmocka_unit_test(sizes_beyond_the_address_space),
      cmocka_unit_test(memory_that_nobody_has),
      cmocka_unit_test(masks),
      cmocka_unit_test(options),
      cmocka_unit_test(null_pointers),
      cmocka_unit_test(aliases),
      cmocka_unit_test(workspaces),
      cmocka_unit_test(lengths_beyond_the_keys),
      cmocka_unit_test(decoding_takes_plain_tensors),
      cmocka_unit_test(messages_and_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
