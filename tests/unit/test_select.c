/* Which kernel is chosen: synthetic CPUs, restrictions, typos, explanations. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <stdio.h>
#include <unistd.h>

enum {
  AVX2 = ATTN_FEATURE_AVX2 | ATTN_FEATURE_FMA | ATTN_FEATURE_F16C,
  AVX512 = AVX2 | ATTN_FEATURE_AVX512F | ATTN_FEATURE_AVX512BW | ATTN_FEATURE_AVX512DQ | ATTN_FEATURE_AVX512VL
};

static int clean_environment(void **state)
{
  (void)state;
  static const char *const names[] = {"ATTN_ISA", "ATTN_KERNEL", "ATTN_DEBUG", "ATTN_NUM_THREADS"};
  for (int i = 0; i < 4; i++) unsetenv(names[i]);
  return 0;
}

static struct attn_problem small_problem(void)
{
  attn_desc d = small_desc();
  d.Sq = 40; /* fewer rows go to the decode kernels */
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  return p;
}

static const struct attn_kernel *choose(uint32_t features, enum attn_isa limit)
{
  const struct attn_problem p = small_problem();
  const struct attn_kernel *kernel = NULL;
  const struct attn_restrictions r = {.features = features, .isa = limit};
  assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
  assert_non_null(kernel);
  assert_int_equal(kernel->needs & ~features, 0);
  assert_int_equal(kernel->flags & ATTN_KERNEL_COMPARISON, 0);
  assert_int_equal(kernel->dtype, ATTN_F32);
  return kernel;
}

/* No CPU, of any combination of features, gets a kernel that it cannot run or that is for comparison only. */
static void every_combination_of_features(void **state)
{
  (void)state;
#if defined(__x86_64__)
  for (uint32_t features = 0; features < 1u << 9; features++) {
    const struct attn_kernel *k = choose(features, ATTN_ISA_COUNT);
    const char *expected = (features & AVX512) == AVX512 ? "fwd_f32_avx512"
                           : (features & AVX2) == AVX2   ? "fwd_f32_avx2"
                                                         : NULL;
    assert_string_equal(k->name, expected ? expected : "fwd_f32_scalar");
  }
#elif defined(__aarch64__)
  assert_string_equal(choose(ATTN_FEATURE_NEON, ATTN_ISA_COUNT)->name, "fwd_f32_neon");
#endif
  assert_string_equal(choose(0, ATTN_ISA_COUNT)->name, "fwd_f32_scalar");
}

static void isa_limits(void **state)
{
  (void)state;
#if defined(__x86_64__)
  assert_string_equal(choose(AVX512, ATTN_ISA_AVX512)->name, "fwd_f32_avx512");
  assert_string_equal(choose(AVX512, ATTN_ISA_AVX2)->name, "fwd_f32_avx2");
#endif
  assert_string_equal(choose(UINT32_MAX, ATTN_ISA_SCALAR)->name, "fwd_f32_scalar");
}

#if defined(__x86_64__)
/* Dot products of bf16 pairs where the CPU has them, they are not slow, and nobody forbids them. */
static void bf16_by_pairs(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.dtype = ATTN_BF16;
  d.Hq = d.Hkv;
  d.Sq = 64; /* too many rows for decoding */
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  static const struct {
    uint32_t features, quirks;
    enum attn_isa limit;
    const char *named, *expected;
  } cases[] = {
      {AVX512 | ATTN_FEATURE_AVX512BF16, 0, ATTN_ISA_COUNT, NULL, "fwd_bf16_avx512bf16"},
      {AVX512 | ATTN_FEATURE_AVX512BF16, 0, ATTN_ISA_AVX512BF16, NULL, "fwd_bf16_avx512bf16"},
      {AVX512 | ATTN_FEATURE_AVX512BF16, 0, ATTN_ISA_AVX512, NULL, "fwd_bf16_avx512"},
      {AVX512 | ATTN_FEATURE_AVX512BF16, ATTN_QUIRK_SLOW_REQUESTS, ATTN_ISA_COUNT, NULL, "fwd_bf16_avx512bf16"},
      {AVX512 | ATTN_FEATURE_AVX512BF16, ATTN_QUIRK_SLOW_PAIRS, ATTN_ISA_COUNT, NULL, "fwd_bf16_avx512"},
      {AVX512 | ATTN_FEATURE_AVX512BF16, ATTN_QUIRK_SLOW_PAIRS, ATTN_ISA_COUNT, "fwd_bf16_avx512bf16",
       "fwd_bf16_avx512bf16"},
      {AVX512 | ATTN_FEATURE_AVX512BF16 | ATTN_FEATURE_AMXBF16, ATTN_QUIRK_SLOW_PAIRS, ATTN_ISA_COUNT, NULL,
       "fwd_bf16_amx"},
      {AVX512 | ATTN_FEATURE_AVX512BF16 | ATTN_FEATURE_AMXBF16, 0, ATTN_ISA_AVX512BF16, NULL, "fwd_bf16_avx512bf16"},
      {AVX512 | ATTN_FEATURE_AMXBF16, 0, ATTN_ISA_COUNT, NULL, "fwd_bf16_avx512"},
      {AVX512, 0, ATTN_ISA_COUNT, NULL, "fwd_bf16_avx512"},
      {AVX2 | ATTN_FEATURE_AVX512BF16, 0, ATTN_ISA_COUNT, NULL, "fwd_bf16_avx2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct attn_restrictions r = {.features = cases[i].features,
                                        .quirks = cases[i].quirks,
                                        .isa = cases[i].limit,
                                        .kernel = cases[i].named ? attn_kernel_find(cases[i].named) : NULL};
    const struct attn_kernel *kernel = NULL;
    assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
    assert_string_equal(kernel->name, cases[i].expected);
  }
}

/* f16 in two digits of bf16 and f32 in three where there are tiles. */
static void by_digits(void **state)
{
  (void)state;
  enum { TILES = AVX512 | ATTN_FEATURE_AVX512BF16 | ATTN_FEATURE_AMXBF16 };
  static const struct attn_rope rope;
  attn_desc d = small_desc();
  d.Hq = d.Hkv;
  d.Sq = 64; /* too many rows for decoding */
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  static const struct {
    uint32_t features, quirks;
    enum attn_isa limit;
    const struct attn_rope *rope;
    const char *f32, *f16;
  } cases[] = {
      {TILES, 0, ATTN_ISA_COUNT, NULL, "fwd_f32_amx", "fwd_f16_amx"},
      {TILES, ATTN_QUIRK_SLOW_PAIRS, ATTN_ISA_COUNT, NULL, "fwd_f32_amx", "fwd_f16_amx"},
      {TILES, 0, ATTN_ISA_COUNT, &rope, "fwd_f32_amx", "fwd_f16_amx"},
      {TILES, 0, ATTN_ISA_AVX512BF16, NULL, "fwd_f32_avx512", "fwd_f16_avx512"},
      {AVX512 | ATTN_FEATURE_AMXBF16, 0, ATTN_ISA_COUNT, NULL, "fwd_f32_avx512", "fwd_f16_avx512"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct attn_restrictions r = {.features = cases[i].features, .quirks = cases[i].quirks, .isa = cases[i].limit};
    const struct attn_kernel *kernel = NULL;
    p.rope = cases[i].rope;
    for (int f16 = 0; f16 < 2; f16++) {
      p.dtype = p.kv_dtype = f16 ? ATTN_F16 : ATTN_F32;
      assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
      assert_string_equal(kernel->name, f16 ? cases[i].f16 : cases[i].f32);
    }
  }
  /* Over a cache, with queries of any type, if they are many. */
  static const struct {
    attn_dtype dtype, kv_dtype;
    int64_t Sq;
    const char *expected;
  } cached[] = {
      {ATTN_F16, ATTN_F16, 256, "decode_f16_avx512"}, {ATTN_F16, ATTN_F16, 257, "fwd_f16_amx"},
      {ATTN_F32, ATTN_F16, 257, "fwd_f16_amx"},       {ATTN_BF16, ATTN_F16, 257, "fwd_f16_amx"},
      {ATTN_F32, ATTN_F32, 256, "decode_f32_avx512"}, {ATTN_F16, ATTN_F32, 257, "fwd_f32_amx"},
      {ATTN_F32, ATTN_F32, 257, "fwd_f32_amx"},       {ATTN_F16, ATTN_BF16, 257, "decode_bf16_amx"},
  };
  p.cached = true;
  p.rope = NULL;
  for (size_t i = 0; i < sizeof cached / sizeof *cached; i++) {
    const struct attn_restrictions r = {.features = TILES, .isa = ATTN_ISA_COUNT};
    const struct attn_kernel *kernel = NULL;
    p.dtype = cached[i].dtype;
    p.kv_dtype = cached[i].kv_dtype;
    p.Sq = cached[i].Sq;
    assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
    assert_string_equal(kernel->name, cached[i].expected);
  }
}

static void vnni_where_there_is_a_cache_of_int8(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  p.cached = true;
  p.kv_dtype = ATTN_I8;
  enum { TILES = AVX512 | ATTN_FEATURE_AVX512VNNI | ATTN_FEATURE_AMXINT8 };
  static const struct {
    uint32_t features;
    enum attn_isa limit;
    int64_t G, Sq;
    const char *expected;
  } cases[] = {{AVX512 | ATTN_FEATURE_AVX512VNNI, ATTN_ISA_COUNT, 1, 1, "decode_i8_avx512_vnni"},
               {AVX512 | ATTN_FEATURE_AVX512VNNI, ATTN_ISA_AVX512, 1, 1, "decode_i8_avx512_vnni"},
               {AVX512 | ATTN_FEATURE_AVX512VNNI, ATTN_ISA_AVX2, 1, 1, "decode_i8_avx2"},
               {AVX512, ATTN_ISA_COUNT, 8, 1, "decode_i8_avx512"},
               {AVX512 | ATTN_FEATURE_AVXVNNI, ATTN_ISA_COUNT, 1, 1, "decode_i8_avx512"},
               {AVX512 | ATTN_FEATURE_AVXVNNI, ATTN_ISA_AVX2, 1, 1, "decode_i8_avx2_vnni"},
               {AVX2 | ATTN_FEATURE_AVXVNNI, ATTN_ISA_COUNT, 1, 1, "decode_i8_avx2_vnni"},
               {AVX2 | ATTN_FEATURE_AVX512VNNI, ATTN_ISA_COUNT, 1, 1, "decode_i8_avx2"},
               {TILES, ATTN_ISA_COUNT, 4, 1, "decode_i8_avx512_vnni"}, /* 4 rows are not worth tiles of 16 */
               {TILES, ATTN_ISA_COUNT, 1, 4, "decode_i8_avx512_vnni"},
               {TILES, ATTN_ISA_COUNT, 5, 1, "decode_i8_amx"},
               {TILES, ATTN_ISA_COUNT, 1, 5, "decode_i8_amx"},
               {TILES, ATTN_ISA_COUNT, 3, 2, "decode_i8_amx"},
               {TILES, ATTN_ISA_AVX512, 8, 1, "decode_i8_avx512_vnni"},
               {AVX512 | ATTN_FEATURE_AMXBF16, ATTN_ISA_COUNT, 8, 1, "decode_i8_avx512"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    p.G = cases[i].G;
    p.Sq = cases[i].Sq;
    const struct attn_restrictions r = {.features = cases[i].features, .isa = cases[i].limit};
    const struct attn_kernel *kernel = NULL;
    assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
    assert_string_equal(kernel->name, cases[i].expected);
  }
}
#endif

#if defined(__x86_64__)
/* Tiles of AMX are worth it from 5 rows on, however many there are; otherwise many rows have K and V packed. */
static void bf16_over_caches(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.dtype = ATTN_BF16;
  d.Hq = d.Hkv;
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  p.cached = true;
  p.kv_dtype = ATTN_BF16;
  enum { TILES = AVX512 | ATTN_FEATURE_AVX512BF16 | ATTN_FEATURE_AMXBF16 };
  static const struct {
    uint32_t features;
    enum attn_isa limit;
    int64_t Sq;
    const char *expected;
  } cases[] = {{TILES, ATTN_ISA_COUNT, 4, "decode_bf16_avx512"}, {TILES, ATTN_ISA_COUNT, 5, "decode_bf16_amx"},
               {TILES, ATTN_ISA_COUNT, 1000, "decode_bf16_amx"}, {TILES, ATTN_ISA_AVX512, 256, "decode_bf16_avx512"},
               {TILES, ATTN_ISA_AVX512, 257, "fwd_f32_avx512"},  {AVX512, ATTN_ISA_COUNT, 5, "decode_bf16_avx512"},
               {AVX2, ATTN_ISA_COUNT, 5, "decode_bf16_avx2"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct attn_restrictions r = {.features = cases[i].features, .isa = cases[i].limit};
    const struct attn_kernel *kernel = NULL;
    p.Sq = cases[i].Sq;
    assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
    assert_string_equal(kernel->name, cases[i].expected);
  }
}
#endif

static void few_rows_are_decoded(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  struct attn_problem p;
  d.Sq = 1;
  const struct attn_kernel *kernel = NULL;
  const struct attn_restrictions r = {.features = UINT32_MAX, .isa = ATTN_ISA_COUNT};
  for (int i = 0; i < 3; i++) {
    d.dtype = (attn_dtype[]){ATTN_F32, ATTN_F16, ATTN_BF16}[i];
    assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
    assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
    assert_non_null(strstr(kernel->name, "decode_"));
    assert_true(kernel->key_span > 0 && kernel->merge);
  }
  d.k = (attn_strides){1000, 200, 1, 20}; /* K lies transposed: rows of keys are not contiguous */
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  assert_int_equal(attn_select(&kernel, &p, &r), ATTN_OK);
  assert_null(strstr(kernel->name, "decode_"));
}

static void the_list_is_sound(void **state)
{
  (void)state;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    assert_ptr_equal(attn_kernel_find((*k)->name), *k); /* names are unique */
    assert_non_null(strstr((*k)->name, attn_isa_name((*k)->isa)));
    assert_true((*k)->row_tile > 0 && (*k)->unit_rows >= (*k)->row_tile);
    assert_non_null((*k)->summary);
    assert_non_null((*k)->run);
    assert_non_null((*k)->scratch_bytes);
    if ((*k)->isa == ATTN_ISA_SCALAR) assert_int_equal((*k)->needs, 0);
    if ((*k)->isa == ATTN_ISA_AVX2) assert_int_equal((*k)->needs & ~ATTN_FEATURE_AVXVNNI, AVX2);
    if ((*k)->isa == ATTN_ISA_AVX512) assert_int_equal((*k)->needs & AVX512, AVX512);
    if ((*k)->isa == ATTN_ISA_AVX512BF16)
      assert_int_equal((*k)->needs & (AVX512 | ATTN_FEATURE_AVX512BF16), AVX512 | ATTN_FEATURE_AVX512BF16);
    if ((*k)->isa == ATTN_ISA_AMX) assert_true((*k)->needs & (ATTN_FEATURE_AMXBF16 | ATTN_FEATURE_AMXINT8));
    if ((*k)->flags & ATTN_KERNEL_16BIT_ROWS) assert_true((*k)->step_keys > 0);
  }
  assert_null(attn_kernel_find("fwd_f32"));
}

static void missing_features_are_named(void **state)
{
  (void)state;
  char buffer[200];
  const struct attn_problem p = small_problem();
  const struct attn_restrictions r = {.features = 0, .isa = ATTN_ISA_COUNT};
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    const char *why = attn_kernel_obstacle(*k, &p, &r, buffer, sizeof buffer);
    if (!(*k)->needs) continue;
    assert_non_null(why);
    assert_non_null(strstr(why, "this CPU has no"));
    for (uint32_t bit = 1; bit; bit <<= 1)
      if ((*k)->needs & bit) assert_non_null(strstr(why, attn_feature_name(bit)));
  }
}

static attn_status get(struct attn_restrictions *r, const attn_options *o) { return attn_restrictions_get(r, o); }

static void environment_and_options_both_restrict(void **state)
{
  (void)state;
  struct attn_restrictions r;
  assert_int_equal(get(&r, NULL), ATTN_OK);
  assert_int_equal(r.isa, ATTN_ISA_COUNT);
  assert_null(r.kernel);
  assert_int_equal(r.features, attn_cpu_features());
  setenv("ATTN_ISA", "scalar", 1);
  assert_int_equal(get(&r, NULL), ATTN_OK);
  assert_int_equal(r.isa, ATTN_ISA_SCALAR);
#if defined(__x86_64__)
  assert_int_equal(get(&r, &(attn_options){.isa = "avx512"}), ATTN_OK); /* never widened */
  assert_int_equal(r.isa, ATTN_ISA_SCALAR);
  setenv("ATTN_ISA", "AVX512", 1);
  assert_int_equal(get(&r, &(attn_options){.isa = "avx2"}), ATTN_OK);
  assert_int_equal(r.isa, ATTN_ISA_AVX2);
#endif
  setenv("ATTN_ISA", "", 1); /* as if it were not set */
  assert_int_equal(get(&r, NULL), ATTN_OK);
  assert_int_equal(r.isa, ATTN_ISA_COUNT);
  setenv("ATTN_KERNEL", "fwd_f32_scalar", 1);
  assert_int_equal(get(&r, &(attn_options){.kernel = "fwd_f32_scalar"}), ATTN_OK);
  assert_ptr_equal(r.kernel, attn_kernel_find("fwd_f32_scalar"));
}

static void plans_obey(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    const bool runs = !((*k)->needs & ~attn_cpu_features()) && (*k)->dtype == ATTN_F32;
    attn_plan *plan = NULL;
    setenv("ATTN_KERNEL", (*k)->name, 1);
    const attn_status status = attn_plan_create(&plan, &d, NULL);
    assert_int_equal(status, runs ? ATTN_OK : ATTN_ERR_UNSUPPORTED);
    if (runs) assert_string_equal(attn_plan_kernel(plan), (*k)->name);
    if (!runs) assert_mentions((*k)->name);
    attn_plan_destroy(plan);
  }
  unsetenv("ATTN_KERNEL");
  setenv("ATTN_ISA", "scalar", 1);
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  assert_string_equal(attn_plan_isa(plan), "scalar");
  attn_plan_destroy(plan);
}

static void typos_list_the_valid_names(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  setenv("ATTN_ISA", "nonsense", 1);
  assert_refused(&d, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_ISA=nonsense", "scalar");
#if defined(__x86_64__)
  assert_mentions("avx2, avx512");
  assert_null(strstr(attn_error_message(), "neon"));
  setenv("ATTN_ISA", "neon", 1); /* exists, but not on this architecture */
  assert_refused(&d, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_ISA=neon", "scalar");
#endif
  unsetenv("ATTN_ISA");
  setenv("ATTN_KERNEL", "fwd_f32_avx", 1);
  assert_refused(&d, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_KERNEL=fwd_f32_avx", NULL);
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) assert_mentions((*k)->name);
}

static void conflicting_demands(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  setenv("ATTN_KERNEL", "fwd_f32_scalar", 1);
  const struct attn_kernel *other = attn_kernels[0];
  assert_refused(&d, &(attn_options){.kernel = other->name}, ATTN_ERR_UNSUPPORTED, other->name, "fwd_f32_scalar");
  setenv("ATTN_KERNEL", other->name, 1);
  setenv("ATTN_ISA", "scalar", 1);
  assert_refused(&d, NULL, ATTN_ERR_UNSUPPORTED, other->name, NULL); /* above the limit, or not on this CPU */
}

static void thread_counts(void **state)
{
  (void)state;
  attn_desc d = {.B = 1, .Hq = 8, .Hkv = 8, .Sq = 300, .Skv = 300, .Dqk = 64, .Dv = 64};
  static const char *const bad[] = {"0", "-2", "two", "3x", " ", "4097", "99999999999999999999"};
  for (int i = 0; i < 7; i++) {
    setenv("ATTN_NUM_THREADS", bad[i], 1);
    assert_refused(&d, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_NUM_THREADS", bad[i]);
  }
  attn_plan *plan = NULL;
  setenv("ATTN_NUM_THREADS", "3", 1);
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  assert_int_equal(attn_plan_threads(plan), 3);
  attn_plan_destroy(plan);
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = 2}), ATTN_OK); /* the option goes first */
  assert_int_equal(attn_plan_threads(plan), 2);
  attn_plan_destroy(plan);
  unsetenv("ATTN_NUM_THREADS");
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  assert_int_equal(attn_plan_threads(plan), attn_topology_get()->default_threads);
  attn_plan_destroy(plan);
  d = small_desc(); /* too little work for more than one */
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = 4}), ATTN_OK);
  assert_int_equal(attn_plan_threads(plan), 1);
  attn_plan_destroy(plan);
}

/* What attn_plan_create writes to stderr while ATTN_DEBUG has that value. */
static void debug_output(const char *value, char *text, size_t bytes)
{
  const attn_desc d = small_desc();
  attn_plan *plan = NULL;
  FILE *file = tmpfile();
  assert_non_null(file);
  setenv("ATTN_DEBUG", value, 1);
  fflush(stderr);
  const int saved = dup(STDERR_FILENO);
  dup2(fileno(file), STDERR_FILENO);
  const attn_status status = attn_plan_create(&plan, &d, NULL);
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  close(saved);
  assert_int_equal(status, ATTN_OK);
  attn_plan_destroy(plan);
  rewind(file);
  text[fread(text, 1, bytes - 1, file)] = 0;
  fclose(file);
}

static void debug_explains_each_kernel(void **state)
{
  (void)state;
  static char text[8192];
  debug_output("0", text, sizeof text);
  assert_string_equal(text, "");
  debug_output("", text, sizeof text);
  assert_string_equal(text, "");
  debug_output("1", text, sizeof text);
  int chosen = 0;
  for (char *at = text; (at = strstr(at, ": chosen")); at++) chosen++;
  assert_int_equal(chosen, 1);
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) assert_non_null(strstr(text, (*k)->name));
  assert_non_null(strstr(text, "passed over: for comparison only"));
  assert_non_null(strstr(text, "passed over: other data type"));
}

static void detection_is_consistent(void **state)
{
  (void)state;
  const uint32_t f = attn_cpu_features();
  assert_int_equal(f, attn_cpu_features());
  assert_true(strlen(attn_cpu_model()) > 0);
#if defined(__x86_64__)
  __builtin_cpu_init(); /* the compiler's own detection, independent of ours */
  assert_int_equal(!!(f & ATTN_FEATURE_AVX2), !!__builtin_cpu_supports("avx2"));
  assert_int_equal(!!(f & ATTN_FEATURE_FMA), !!__builtin_cpu_supports("fma"));
  assert_int_equal(!!(f & ATTN_FEATURE_AVX512F), !!__builtin_cpu_supports("avx512f"));
  assert_int_equal(!!(f & ATTN_FEATURE_AVX512BW), !!__builtin_cpu_supports("avx512bw"));
  assert_int_equal(!!(f & ATTN_FEATURE_AVX512DQ), !!__builtin_cpu_supports("avx512dq"));
  assert_int_equal(!!(f & ATTN_FEATURE_AVX512VL), !!__builtin_cpu_supports("avx512vl"));
#endif
  char text[160];
  assert_string_equal(attn_feature_list(ATTN_FEATURE_AVX2 | ATTN_FEATURE_FMA, text, sizeof text), "avx2 fma");
  assert_string_equal(attn_feature_list(0, text, sizeof text), "");
  attn_feature_list(UINT32_MAX, text, 10); /* a buffer too small is terminated */
  assert_true(strlen(text) < 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, clean_environment, clean_environment)
  const struct CMUnitTest tests[] = {
    TEST(every_combination_of_features),
    TEST(isa_limits),
#if defined(__x86_64__)
    TEST(bf16_by_pairs),
    TEST(by_digits),
    TEST(vnni_where_there_is_a_cache_of_int8),
    TEST(bf16_over_caches),
#endif
    TEST(few_rows_are_decoded),
    TEST(the_list_is_sound),
    TEST(missing_features_are_named),
    TEST(environment_and_options_both_restrict),
    TEST(plans_obey),
    TEST(typos_list_the_valid_names),
    TEST(conflicting_demands),
    TEST(thread_counts),
    TEST(debug_explains_each_kernel),
    TEST(detection_is_consistent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
