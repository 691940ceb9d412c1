/* Quirks of a CPU decide how fast: they may choose another kernel, but each gives the same bits with and without. */
#include "problem.h"

#include "../../dispatch/internal.h"

#include <stdio.h>

enum { HKV = 2, GROUP = 8, TOKENS = 1187, PAGE = 512 };

static int clean_environment(void **state)
{
  (void)state;
  unsetenv("ATTN_QUIRKS");
  unsetenv("ATTN_KERNEL");
  unsetenv("ATTN_ISA");
  return 0;
}

static void the_environment_replaces_them(void **state)
{
  (void)state;
  struct attn_restrictions r;
  assert_int_equal(attn_restrictions_get(&r, NULL), ATTN_OK);
  assert_int_equal(r.quirks, attn_cpu_quirks());
  setenv("ATTN_QUIRKS", "slow-requests", 1);
  assert_int_equal(attn_restrictions_get(&r, NULL), ATTN_OK);
  assert_int_equal(r.quirks, ATTN_QUIRK_SLOW_REQUESTS);
  setenv("ATTN_QUIRKS", "slow-pairs,slow-requests", 1);
  assert_int_equal(attn_restrictions_get(&r, NULL), ATTN_OK);
  assert_int_equal(r.quirks, ATTN_QUIRK_SLOW_REQUESTS | ATTN_QUIRK_SLOW_PAIRS);
  setenv("ATTN_QUIRKS", "none", 1);
  assert_int_equal(attn_restrictions_get(&r, NULL), ATTN_OK);
  assert_int_equal(r.quirks, 0);
  setenv("ATTN_QUIRKS", "", 1); /* as if it were not set */
  assert_int_equal(attn_restrictions_get(&r, NULL), ATTN_OK);
  assert_int_equal(r.quirks, attn_cpu_quirks());
  static const char *const wrong[] = {"slow",        "slow-requestss",  "slow-pairs,",
                                      ",slow-pairs", "none,slow-pairs", "slow-pairs,x"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char text[64];
    snprintf(text, sizeof text, "ATTN_QUIRKS=%s", wrong[i]);
    setenv("ATTN_QUIRKS", wrong[i], 1);
    assert_int_equal(attn_restrictions_get(&r, NULL), ATTN_ERR_ENVIRONMENT);
    assert_mentions(text);
    assert_mentions("slow-requests slow-pairs shared-ports");
  }
}

/* `group` rows of each KV head; of one K and V are read in the order of memory. */
static void decode(float *o, attn_cache *cache, int64_t group, const char *kernel, const float *q, const char *quirks)
{
  const attn_desc d = {.B = 1, .Hq = group * HKV, .Sq = 1};
  const attn_options options = {.kernel = kernel};
  attn_plan *plan;
  setenv("ATTN_QUIRKS", quirks, 1);
  if (attn_plan_create_cached(&plan, &d, cache, &options)) fail_msg("%s", attn_error_message());
  if (attn_run(plan, &(attn_args){.q = q, .o = o})) fail_msg("%s", attn_error_message());
  attn_plan_destroy(plan);
}

static void no_bit_depends_on_them(void **state)
{
  (void)state;
  static const int64_t heads[][2] = {{128, 128}, {64, 64}, {72, 40}, {17, 200}, {8, 3}};
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    if (!(*k)->key_span || (*k)->needs & ~attn_cpu_features()) continue;
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++)
      for (int paged = 0; paged < 2; paged++) {
        const int64_t Dqk = heads[h][0], Dv = heads[h][1];
        const int32_t pages[] = {2, 0, 1};
        const attn_cache_desc d = {.dtype = (*k)->dtype,
                                   .B = 1,
                                   .Hkv = HKV,
                                   .Dqk = Dqk,
                                   .Dv = Dv,
                                   .capacity = TOKENS,
                                   .page_size = paged ? PAGE : 0,
                                   .pages = paged ? 3 : 0};
        attn_cache *cache;
        float *keys = pattern((size_t)(TOKENS * HKV * Dqk), 5), *values = pattern((size_t)(TOKENS * HKV * Dv), 6);
        float *q = pattern((size_t)(GROUP * HKV * Dqk), 7), o[2][GROUP * HKV * 200];
        if (attn_cache_create(&cache, &d)) fail_msg("%s", attn_error_message());
        if (paged && attn_cache_set_pages(cache, 0, pages, 3)) fail_msg("%s", attn_error_message());
        if (attn_cache_append(cache, 0, &(attn_tokens){.dtype = ATTN_F32, .n = TOKENS, .k = keys, .v = values}))
          fail_msg("%s", attn_error_message());
        for (int64_t group = 1; group <= GROUP; group = group < 2 ? 2 : group + 3) { /* tiles of 1, 2, 4 and 8 rows */
          decode(o[0], cache, group, (*k)->name, q, "none");
          decode(o[1], cache, group, (*k)->name, q, "slow-requests");
          if (memcmp(o[0], o[1], (size_t)(group * HKV * Dv) * sizeof *o[0]))
            fail_msg("%s, Dqk %d, Dv %d, %d rows: other bits with the quirk", (*k)->name, (int)Dqk, (int)Dv, (int)group);
        }
        attn_cache_destroy(cache);
        free(keys);
        free(values);
        free(q);
      }
  }
}

/* Prefill: with weights that wait for the next tile's scores, and without. Keys grow, so that references rise. */
static void nor_do_those_of_prefill(void **state)
{
  (void)state;
  enum { ROWS = 203, KEYS = 611, D = 40, HEADS = 2 };
  const size_t queries = HEADS * ROWS * D, keys = HEADS * KEYS * D;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    if (strncmp((*k)->name, "fwd_", 4) || (*k)->needs & ~attn_cpu_features()) continue;
    for (unsigned flags = 0; flags <= ATTN_CAUSAL; flags += ATTN_CAUSAL) {
      const attn_desc d = {.dtype = (*k)->dtype,
                           .B = 1,
                           .Hq = HEADS,
                           .Hkv = HEADS,
                           .Sq = ROWS,
                           .Skv = KEYS,
                           .Dqk = D,
                           .Dv = D,
                           .flags = flags};
      const attn_options options = {.kernel = (*k)->name, .threads = 1};
      void *q = converted(d.dtype, queries, 5), *key = converted(d.dtype, keys, 6), *v = converted(d.dtype, keys, 7);
      void *o[2] = {converted(d.dtype, queries, 8), converted(d.dtype, queries, 8)};
      for (int64_t i = 0; i < (int64_t)keys; i++)
        attn_element_put(d.dtype, key, i, attn_element_get(d.dtype, key, i) * (float)(1 + i / D % KEYS / 100));
      for (int with = 0; with < 2; with++) {
        attn_plan *plan;
        setenv("ATTN_QUIRKS", with ? "shared-ports" : "none", 1);
        if (attn_plan_create(&plan, &d, &options)) fail_msg("%s", attn_error_message());
        if (attn_run(plan, &(attn_args){.q = q, .k = key, .v = v, .o = o[with]})) fail_msg("%s", attn_error_message());
        attn_plan_destroy(plan);
      }
      if (memcmp(o[0], o[1], queries * attn_element_bytes(d.dtype)))
        fail_msg("%s%s: other bits with the quirk", (*k)->name, flags ? ", causal" : "");
      free(q);
      free(key);
      free(v);
      free(o[0]);
      free(o[1]);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(the_environment_replaces_them, clean_environment, clean_environment),
      cmocka_unit_test_setup_teardown(no_bit_depends_on_them, clean_environment, clean_environment),
      cmocka_unit_test_setup_teardown(nor_do_those_of_prefill, clean_environment, clean_environment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
