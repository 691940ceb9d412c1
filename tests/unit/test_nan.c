/* The policy for NaN, for every variant, kernel and phase: planted into one key or value after the other, it shows in
 * exactly those rows that see the key. Who sees what is the oracle's word. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>
#include <stdio.h>

enum { KEYS = 41, HQ = 2, D = 16, DV = 17, MASK = 8 * KEYS };

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

static void put_row(attn_dtype dtype, void *tensor, int64_t j, int64_t width, const float *from)
{
  for (int64_t d = 0; d < width; d++) attn_element_put(dtype, tensor, j * width + d, from ? from[j * width + d] : NAN);
}

/* NaN in row j of K or of V: which rows of O show it. */
static void plant_and_look(attn_plan *plan, const attn_args *args, const attn_desc *d, const bool *sees, int64_t j,
                           const char *kernel, const char *variant, const char *where)
{
  if (attn_run(plan, args)) fail_msg("%s", attn_error_message());
  for (int64_t row = 0; row < HQ * d->Sq; row++)
    for (int64_t e = 0; e < DV; e++) {
      const bool shows = isnan(attn_element_get(d->dtype, args->o, row * DV + e));
      if (shows != sees[row * KEYS + j])
        fail_msg("%s, %s, %d queries: NaN in %s %d %s row %d", kernel, variant, (int)d->Sq, where, (int)j,
                 shows ? "leaks into" : "does not reach", (int)row);
    }
}

static int check(const struct attn_kernel *kernel, const struct variant *variant, int64_t queries)
{
  attn_desc d = variant->d;
  d.dtype = kernel->dtype;
  d.B = d.Hkv = 1;
  d.Hq = HQ;
  d.Sq = queries;
  d.Skv = KEYS;
  d.Dqk = D;
  d.Dv = DV;
  struct attn_problem p;
  attn_plan *plan;
  const attn_options options = {.threads = 1, .kernel = kernel->name};
  if (attn_problem_resolve(&p, &d)) fail_msg("%s", attn_error_message());
  const attn_status status = attn_plan_create(&plan, &d, &options);
  if (status == ATTN_ERR_UNSUPPORTED) return 0;
  if (status) fail_msg("%s", attn_error_message());
  const void *mask = d.mask.kind == ATTN_MASK_BOOL       ? (void *)bools
                     : d.mask.kind == ATTN_MASK_ADDITIVE ? (void *)bias
                                                         : (void *)bias16;
  float *q = pattern(HQ * 8 * D, 1), *k = pattern(KEYS * D, 2), *v = pattern(KEYS * DV, 3);
  float tensor[3][KEYS * DV], o[HQ * 8 * DV]; /* of whatever type: never larger than f32 */
  const attn_args args = {.q = tensor[0],
                          .k = tensor[1],
                          .v = tensor[2],
                          .o = o,
                          .mask = mask,
                          .blocks = blocks,
                          .alibi_slopes = slopes,
                          .sinks = sinks,
                          .kv_lengths = lengths};
  for (int64_t i = 0; i < HQ * queries; i++) put_row(d.dtype, tensor[0], i, D, q);
  for (int64_t j = 0; j < KEYS; j++) put_row(d.dtype, tensor[1], j, D, k);
  for (int64_t j = 0; j < KEYS; j++) put_row(d.dtype, tensor[2], j, DV, v);
  bool sees[HQ * 8 * KEYS];
  double row[DV], lse, weight[KEYS];
  for (int64_t h = 0; h < HQ; h++)
    for (int64_t i = 0; i < queries; i++) {
      attn_oracle_row(&p, &args, 0, h, i, row, &lse, weight);
      for (int64_t j = 0; j < KEYS; j++) sees[(h * queries + i) * KEYS + j] = weight[j] > 0;
    }
  for (int64_t j = 0; j < KEYS; j++) {
    put_row(d.dtype, tensor[1], j, D, NULL);
    plant_and_look(plan, &args, &d, sees, j, kernel->name, variant->name, "key");
    put_row(d.dtype, tensor[1], j, D, k);
    put_row(d.dtype, tensor[2], j, DV, NULL);
    plant_and_look(plan, &args, &d, sees, j, kernel->name, variant->name, "value");
    put_row(d.dtype, tensor[2], j, DV, v);
  }
  attn_plan_destroy(plan);
  free(q);
  free(k);
  free(v);
  return 1;
}

static void nan_shows_where_it_is_seen_and_nowhere_else(void **state)
{
  (void)state;
  int checked = 0;
  fill_masks();
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    for (size_t n = 0; n < sizeof variants / sizeof *variants && (*k)->dtype != ATTN_I8; n++)
      for (int64_t queries = 1; queries <= 8; queries += 7) checked += check(*k, &variants[n], queries);
  print_message("%d kernels, variants and phases\n", checked);
  assert_true(checked > 100);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(nan_shows_where_it_is_seen_and_nowhere_else)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
