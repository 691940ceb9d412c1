/* The policy for NaN and infinity, for every variant, kernel and phase: planted into one key or value after the other, they
 * reach exactly those rows that see the key. Who sees what is the oracle's word, and what an infinity makes of a row.
 * Nor do the largest numbers become one on the way. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { KEYS = 41, HQ = 2, D = 16, DV = 17, MOST_QUERIES = 8, MASK = MOST_QUERIES * KEYS, MOST_PLANS = 32 };

static const float slopes[HQ] = {0.5f, 0.25f}, sinks[HQ] = {0.3f, -1};
static const int64_t lengths[1] = {33};
static uint8_t bools[MASK], blocks[] = {0x5, 0x6, 0x3, 0x0};
static float bias[MASK];
static uint16_t bias16[MASK];

static const struct variant {
  const char *name;
  attn_desc d; /* what the variant sets */
} variants[] = {
    {"plain", {0}},
    {"causal", {.flags = ATTN_CAUSAL, .causal_offset = -9}},
    {"window", {.flags = ATTN_WINDOW_LEFT | ATTN_WINDOW_RIGHT, .window_left = 7, .window_right = 2, .causal_offset = -8}},
    {"lengths", {.flags = ATTN_KV_LENGTHS}},
    {"boolean mask", {.mask = {.kind = ATTN_MASK_BOOL}}},
    {"short mask", {.mask = {.kind = ATTN_MASK_BOOL, .length = 30}}},
    {"additive mask", {.mask = {.kind = ATTN_MASK_ADDITIVE}}},
    {"additive mask, f16", {.mask = {.kind = ATTN_MASK_ADDITIVE_F16}}},
    {"block mask", {.blocks = {.queries = 3, .keys = 16}}},
    {"sinks", {.flags = ATTN_SINKS | ATTN_CAUSAL}},
    {"softcap", {.softcap = 2, .flags = ATTN_CAUSAL, .causal_offset = -5}},
    {"ALiBi", {.flags = ATTN_ALIBI | ATTN_CAUSAL, .causal_offset = -5}},
    {"all at once",
     {.softcap = 2,
      .flags = ATTN_CAUSAL | ATTN_WINDOW_LEFT | ATTN_KV_LENGTHS | ATTN_ALIBI | ATTN_SINKS,
      .window_left = 20,
      .mask = {.kind = ATTN_MASK_ADDITIVE},
      .blocks = {.queries = 3, .keys = 16}}},
};

static void fill_masks(void)
{
  float *x = pattern(MASK, 7);
  for (int i = 0; i < MASK; i++) {
    bools[i] = x[i] > -0.3f;
    bias[i] = bools[i] ? x[i] : -INFINITY;
    bias16[i] = attn_f32_to_f16(bias[i]);
  }
  free(x);
}

/* What is planted into key or value j: a whole row, or its element j % D. */
static const struct plant {
  const char *name;
  float value;
  bool in_key, one_element;
} plants[] = {{"NaN in key", NAN, true, false},
              {"NaN in value", NAN, false, false},
              {"infinity in key", INFINITY, true, true},
              {"infinity in value", INFINITY, false, true}};
enum { PLANTS = sizeof plants / sizeof *plants };

static attn_desc describe(const struct variant *variant, attn_dtype dtype, int64_t queries)
{
  attn_desc d = variant->d;
  d.dtype = dtype;
  d.B = d.Hkv = 1;
  d.Hq = HQ;
  d.Sq = queries;
  d.Skv = KEYS;
  d.Dqk = D;
  d.Dv = DV;
  return d;
}

static attn_args masks_of(const attn_desc *d)
{
  return (attn_args){.mask = d->mask.kind == ATTN_MASK_BOOL       ? (void *)bools
                             : d->mask.kind == ATTN_MASK_ADDITIVE ? (void *)bias
                                                                  : (void *)bias16,
                     .blocks = blocks,
                     .alibi_slopes = slopes,
                     .sinks = sinks,
                     .kv_lengths = lengths};
}

static void put_row(attn_dtype dtype, void *tensor, int64_t j, int64_t width, const float *from, const struct plant *plant)
{
  for (int64_t d = 0; d < width; d++)
    attn_element_put(dtype, tensor, j * width + d,
                     plant && (!plant->one_element || d == j % width) ? plant->value : from[j * width + d]);
}

/* What the oracle says: O of every row, and who sees which key. */
struct truth {
  double o[HQ * MOST_QUERIES * DV];
  bool sees[HQ * MOST_QUERIES * KEYS];
};

static void ask_oracle(struct truth *t, const attn_desc *d, const attn_args *args)
{
  struct attn_problem p;
  double lse, weight[KEYS];
  if (attn_problem_resolve(&p, d)) fail_msg("%s", attn_error_message());
  for (int64_t row = 0; row < HQ * d->Sq; row++) {
    attn_oracle_row(&p, args, 0, row / d->Sq, row % d->Sq, t->o + row * DV, &lse, weight);
    for (int64_t j = 0; j < KEYS; j++) t->sees[row * KEYS + j] = weight[j] > 0;
  }
}

/* Of the same kind, and if finite near enough that no key is missed. */
static bool agree(double got, double expected)
{
  return isfinite(expected) ? fabs(got - expected) < 0.02 : isnan(expected) ? isnan(got) : got == expected;
}

static void compare(attn_plan *plan, const attn_desc *d, const attn_args *args, const struct truth *t, int64_t j,
                    const struct variant *variant, const struct plant *plant)
{
  if (attn_run(plan, args)) fail_msg("%s", attn_error_message());
  for (int64_t n = 0; n < HQ * d->Sq * DV; n++) {
    const double got = (double)attn_element_get(d->dtype, args->o, n);
    if (!agree(got, t->o[n]))
      fail_msg("%s, %s, %d queries, %s %d: o[%d][%d] is %g, not %g", attn_plan_kernel(plan), variant->name, (int)d->Sq,
               plant->name, (int)j, (int)(n / DV), (int)(n % DV), got, t->o[n]);
  }
}

static int check(attn_dtype dtype, const struct variant *variant, int64_t queries)
{
  const attn_desc d = describe(variant, dtype, queries);
  attn_plan *plans[MOST_PLANS];
  int n = 0;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    const attn_options options = {.threads = 1, .kernel = (*k)->name};
    if ((*k)->dtype != dtype) continue;
    assert_true(n < MOST_PLANS);
    const attn_status status = attn_plan_create(&plans[n], &d, &options);
    if (status && status != ATTN_ERR_UNSUPPORTED) fail_msg("%s", attn_error_message());
    n += !status;
  }
  float *q = pattern(HQ * MOST_QUERIES * D, 1), *k = pattern(KEYS * D, 2), *v = pattern(KEYS * DV, 3);
  float tensor[3][KEYS * DV], o[HQ * MOST_QUERIES * DV]; /* of whatever type: never larger than f32 */
  attn_args args = masks_of(&d);
  args.q = tensor[0];
  args.k = tensor[1];
  args.v = tensor[2];
  args.o = o;
  for (int64_t i = 0; i < HQ * queries; i++) put_row(dtype, tensor[0], i, D, q, NULL);
  for (int64_t j = 0; j < KEYS; j++) put_row(dtype, tensor[1], j, D, k, NULL);
  for (int64_t j = 0; j < KEYS; j++) put_row(dtype, tensor[2], j, DV, v, NULL);
  struct truth clean, t;
  ask_oracle(&clean, &d, &args);
  for (int64_t j = 0; j < KEYS; j++)
    for (int i = 0; i < PLANTS; i++) {
      const struct plant *plant = &plants[i];
      put_row(dtype, tensor[plant->in_key ? 1 : 2], j, plant->in_key ? D : DV, plant->in_key ? k : v, plant);
      ask_oracle(&t, &d, &args);
      for (int64_t row = 0; row < HQ * queries && isnan(plant->value); row++)
        assert_int_equal(isnan(t.o[row * DV]), clean.sees[row * KEYS + j]);
      for (int p = 0; p < n; p++) compare(plans[p], &d, &args, &t, j, variant, plant);
      put_row(dtype, tensor[plant->in_key ? 1 : 2], j, plant->in_key ? D : DV, plant->in_key ? k : v, NULL);
    }
  for (int p = 0; p < n; p++) attn_plan_destroy(plans[p]);
  free(q);
  free(k);
  free(v);
  return n;
}

static void they_show_where_they_are_seen_and_nowhere_else(void **state)
{
  (void)state;
  const attn_dtype dtypes[] = {ATTN_F32, ATTN_F16, ATTN_BF16};
  int checked = 0;
  fill_masks();
  for (size_t t = 0; t < sizeof dtypes / sizeof *dtypes; t++)
    for (size_t n = 0; n < sizeof variants / sizeof *variants; n++)
      for (int64_t queries = 1; queries <= MOST_QUERIES; queries += MOST_QUERIES - 1)
        checked += check(dtypes[t], &variants[n], queries);
  print_message("%d kernels, variants and phases\n", checked);
  assert_true(checked > 100);
}

/* The same of tokens in a cache. In int8 a row with an infinity is one of NaN. What stands beyond the length was forgotten:
 * it is hidden from all. */
static int check_cached(const struct attn_kernel *kernel, const struct variant *variant, int64_t queries)
{
  const attn_desc d = describe(variant, ATTN_F32, queries);
  attn_desc cached = d;
  cached.flags &= ~(unsigned)ATTN_KV_LENGTHS;
  const attn_cache_desc held = {.dtype = kernel->dtype, .B = 1, .Hkv = 1, .Dqk = D, .Dv = DV, .capacity = KEYS};
  const attn_options options = {.threads = 1, .kernel = kernel->name};
  attn_cache *cache;
  attn_plan *plan;
  if (attn_cache_create(&cache, &held)) fail_msg("%s", attn_error_message());
  const attn_status status = attn_plan_create_cached(&plan, &cached, cache, &options);
  if (status && status != ATTN_ERR_UNSUPPORTED) fail_msg("%s", attn_error_message());
  float *q = pattern(HQ * MOST_QUERIES * D, 1), *k = pattern(KEYS * D, 2), *v = pattern(KEYS * DV, 3);
  float o[HQ * MOST_QUERIES * DV], row[DV];
  struct truth clean;
  attn_args args = masks_of(&d);
  args.q = q;
  args.k = k;
  args.v = v;
  args.o = o;
  ask_oracle(&clean, &d, &args);
  args.k = args.v = args.kv_lengths = NULL;
  for (int64_t j = 0; j < KEYS && !status; j++)
    for (int i = 0; i < PLANTS; i++) {
      const struct plant *plant = &plants[i];
      if (isinf(plant->value) && kernel->dtype != ATTN_I8) continue;
      float *from = plant->in_key ? k : v;
      const int64_t width = plant->in_key ? D : DV;
      memcpy(row, from + j * width, (size_t)width * sizeof *row);
      put_row(ATTN_F32, from, j, width, from, plant);
      if (attn_cache_set_length(cache, 0, 0) ||
          attn_cache_append(cache, 0, &(attn_tokens){.dtype = ATTN_F32, .n = KEYS, .k = k, .v = v}) ||
          (d.flags & ATTN_KV_LENGTHS && attn_cache_set_length(cache, 0, lengths[0])))
        fail_msg("%s", attn_error_message());
      struct truth t = clean;
      for (int64_t n = 0; n < HQ * queries * DV; n++)
        if (clean.sees[n / DV * KEYS + j]) t.o[n] = NAN;
      compare(plan, &d, &args, &t, j, variant, plant);
      memcpy(from + j * width, row, (size_t)width * sizeof *row);
    }
  if (!status) attn_plan_destroy(plan);
  attn_cache_destroy(cache);
  free(q);
  free(k);
  free(v);
  return !status;
}

static void nor_elsewhere_from_caches(void **state)
{
  (void)state;
  int checked = 0, of_int8 = 0;
  fill_masks();
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    for (size_t n = 0; n < sizeof variants / sizeof *variants; n++)
      for (int64_t queries = 1; queries <= MOST_QUERIES; queries += MOST_QUERIES - 1) {
        const int one = check_cached(*k, &variants[n], queries);
        checked += one;
        of_int8 += one && (*k)->dtype == ATTN_I8;
      }
  print_message("%d kernels, variants and phases, %d of them int8\n", checked, of_int8);
  assert_true(of_int8 >= (int)(2 * sizeof variants / sizeof *variants));
}

/* Queries of floats that are larger than any bf16, and more than are decoded: one key has all their attention. */
static void largest_queries(void **state)
{
  (void)state;
  enum { S = 300, CHOSEN = 7 };
  for (int stored = ATTN_F32; stored <= ATTN_BF16; stored++) {
    const attn_cache_desc desc = {.dtype = (attn_dtype)stored, .B = 1, .Hkv = 1, .Dqk = D, .Dv = D, .capacity = KEYS};
    const attn_desc d = {.B = 1, .Hq = 1, .Sq = S};
    float *q = calloc(S * D, sizeof *q), k[KEYS * D] = {0}, v[KEYS * D], o[S * D];
    attn_cache *c;
    attn_plan *plan;
    for (int i = 0; i < S; i++) q[i * D] = FLT_MAX;
    k[CHOSEN * D] = 0x1p-10f;
    for (int i = 0; i < KEYS * D; i++) v[i] = (float)(i / D);
    assert_int_equal(attn_cache_create(&c, &desc), ATTN_OK);
    assert_int_equal(attn_cache_append(c, 0, &(attn_tokens){.dtype = ATTN_F32, .n = KEYS, .k = k, .v = v}), ATTN_OK);
    assert_int_equal(attn_plan_create_cached(&plan, &d, c, NULL), ATTN_OK);
    assert_int_equal(attn_run(plan, &(attn_args){.q = q, .o = o}), ATTN_OK);
    for (int i = 0; i < S * D; i++)
      if (!(fabsf(o[i] - CHOSEN) < 1e-4f))
        fail_msg("%s: o[%d][%d] is %g, not %d", attn_plan_kernel(plan), i / D, i % D, (double)o[i], CHOSEN);
    attn_plan_destroy(plan);
    attn_cache_destroy(c);
    free(q);
  }
}

/* Such keys and values: the one key that all queries attend to, and what it has. */
static void largest_keys_and_values(void **state)
{
  (void)state;
  enum { S = 70, CHOSEN = 7 };
  const attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = S, .Skv = KEYS, .Dqk = D, .Dv = D};
  float q[S * D] = {0}, k[KEYS * D] = {0}, v[KEYS * D], o[S * D];
  for (int i = 0; i < S; i++) q[i * D] = 0x1p-10f;
  k[CHOSEN * D] = FLT_MAX;
  for (int i = 0; i < KEYS * D; i++) v[i] = (float)(i % D);
  v[CHOSEN * D] = FLT_MAX;
  v[CHOSEN * D + 1] = -FLT_MAX;
  int kernels = 0;
  for (const struct attn_kernel *const *kernel = attn_kernels; *kernel; kernel++) {
    attn_plan *plan;
    if ((*kernel)->dtype != ATTN_F32 || attn_plan_create(&plan, &d, &(attn_options){.kernel = (*kernel)->name})) continue;
    assert_int_equal(attn_run(plan, &(attn_args){.q = q, .k = k, .v = v, .o = o}), ATTN_OK);
    attn_plan_destroy(plan);
    kernels++;
    for (int i = 0; i < S * D; i++) {
      const float exact = v[CHOSEN * D + i % D];
      if (!(fabsf(o[i] - exact) <= 1e-6f * fabsf(exact)))
        fail_msg("%s: o[%d][%d] is %g, not %g", (*kernel)->name, i / D, i % D, (double)o[i], (double)exact);
    }
  }
  assert_true(kernels > 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(they_show_where_they_are_seen_and_nowhere_else),
                                     cmocka_unit_test(nor_elsewhere_from_caches), cmocka_unit_test(largest_queries),
                                     cmocka_unit_test(largest_keys_and_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
