/* Which kernel does this CPU get for each operation and data type, and does it run?
 *
 * One line `chosen <op> <dtype> <ATTN_ISA or "any"> <kernel>` for each; tests/emulate/dispatch.sh compares them with
 * dispatch.table. Beyond that every kernel that the CPU can run is run, without ATTN_ISA, and compared with the oracle; one
 * that it cannot run, or that ATTN_ISA forbids, must be refused. Exit code: 0, or 3 if anything was wrong; each fault is a
 * line `FAILED ...`. An illegal instruction ends the program with SIGILL. */
#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"
#include "../../kernels/reference/half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One row an operation; a kernel that is chosen by shape gets a row of its own. */
static const struct operation {
  const char *name;
  attn_desc desc;
  bool cached; /* K and V in a paged cache of the data type */
} operations[] = {
    {"fwd", {.B = 1, .Hq = 4, .Hkv = 2, .Sq = 19, .Skv = 70, .Dqk = 40, .Dv = 40, .flags = ATTN_CAUSAL}, false},
    {"decode", {.B = 1, .Hq = 4, .Hkv = 2, .Sq = 1, .Skv = 1100, .Dqk = 40, .Dv = 40, .flags = ATTN_CAUSAL}, false},
    {"cache", {.B = 1, .Hq = 5, .Hkv = 1, .Sq = 1, .Skv = 300, .Dqk = 40, .Dv = 40, .flags = ATTN_CAUSAL}, true},
};

static const struct data_type {
  const char *name;
  attn_dtype dtype;
  double tolerance; /* values are about 1: rounding of the output, and of probabilities where a kernel rounds them */
} data_types[] = {
    {"f32", ATTN_F32, 1e-5},
    {"f16", ATTN_F16, 4e-3},
    {"bf16", ATTN_BF16, 3e-2},
    {"i8", ATTN_I8, 3e-3}, /* in a cache only, with q and o in f32: what K and V lose, averaged over hundreds of keys */
};

static int failures;

#define FAIL(...) (failures++, printf("FAILED " __VA_ARGS__), putchar('\n'))

/* Repeatable values in [-1, 1). */
static void *fill(attn_dtype dtype, int64_t elements, uint32_t seed)
{
  void *values = malloc((size_t)elements * attn_element_bytes(dtype));
  if (!values) abort();
  for (int64_t i = 0; i < elements; i++) {
    seed = seed * 1664525u + 1013904223u;
    attn_element_put(dtype, values, i, (float)(int32_t)seed / 2147483648.0f);
  }
  return values;
}

/* The K and V that run() fills, in pages from the last to the first. */
static attn_cache *make_cache(const attn_desc *d, attn_dtype dtype)
{
  enum { PAGE = 16, PAGES = 19 };
  const attn_cache_desc desc = {.dtype = dtype,
                                .B = 1,
                                .Hkv = d->Hkv,
                                .Dqk = d->Dqk,
                                .Dv = d->Dv,
                                .capacity = d->Skv,
                                .page_size = PAGE,
                                .pages = PAGES};
  void *k = fill(d->dtype, d->Hkv * d->Skv * d->Dqk, 2), *v = fill(d->dtype, d->Hkv * d->Skv * d->Dv, 3);
  const attn_tokens tokens = {.dtype = d->dtype,
                              .n = d->Skv,
                              .k = k,
                              .v = v,
                              .k_stride = {0, d->Skv * d->Dqk, d->Dqk, 1},
                              .v_stride = {0, d->Skv * d->Dv, d->Dv, 1}};
  int32_t pages[PAGES];
  attn_cache *cache;
  for (int32_t i = 0; i < PAGES; i++) pages[i] = PAGES - 1 - i;
  if (attn_cache_create(&cache, &desc) || attn_cache_set_pages(cache, 0, pages, PAGES) ||
      attn_cache_append(cache, 0, &tokens))
    FAIL("cache: %s", attn_error_message());
  free(k);
  free(v);
  return cache;
}

/* Runs the plan and compares every element with the oracle; the description is contiguous BHSD. */
static void run(attn_plan *plan, const attn_desc *d, bool cached, double tolerance, const char *what)
{
  const int64_t rows = d->B * d->Hq * d->Sq, keys = d->B * d->Hkv * d->Skv;
  void *q = fill(d->dtype, rows * d->Dqk, 1), *k = fill(d->dtype, keys * d->Dqk, 2), *v = fill(d->dtype, keys * d->Dv, 3);
  void *o = fill(d->dtype, rows * d->Dv, 4);
  const attn_args args = {.q = q, .k = k, .v = v, .o = o}, without = {.q = q, .o = o};
  struct attn_problem problem;
  double *expected = malloc((size_t)d->Dv * sizeof *expected), *scores = malloc((size_t)d->Skv * sizeof *scores), lse;
  if (!expected || !scores) abort();
  const attn_status status = attn_run(plan, cached ? &without : &args);
  if (status) FAIL("%s: %s", what, attn_error_message());
  double worst = 0;
  if (attn_problem_resolve(&problem, d)) FAIL("%s: %s", what, attn_error_message());
  for (int64_t row = 0; row < rows && !status; row++) {
    attn_oracle_row(&problem, &args, row / (d->Hq * d->Sq), row / d->Sq % d->Hq, row % d->Sq, expected, &lse, scores);
    for (int64_t i = 0; i < d->Dv; i++) {
      const double error = fabs((double)attn_element_get(d->dtype, o, row * d->Dv + i) - expected[i]);
      if (!(error <= worst)) worst = error;
    }
  }
  if (!(worst <= tolerance)) FAIL("%s: differs from the oracle by %g", what, worst);
  free(q);
  free(k);
  free(v);
  free(o);
  free(expected);
  free(scores);
}

/* The selection once more, by the rules of select.h but not by its code. */
static bool allowed(const struct attn_kernel *kernel, const char *limit)
{
  if (kernel->needs & ~attn_cpu_features()) return false;
  if (!limit || !*limit) return true;
  for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
    if (!strcasecmp(limit, attn_isa_name((enum attn_isa)isa))) return kernel->isa <= (enum attn_isa)isa;
  FAIL("ATTN_ISA=%s is not a name this test knows", limit);
  return false;
}

/* The operation's description, and the cache that it reads, if it does. */
static attn_desc describe(const struct operation *operation, const struct data_type *type, attn_cache **cache)
{
  attn_desc desc = operation->desc;
  desc.dtype = type->dtype == ATTN_I8 ? ATTN_F32 : type->dtype;
  *cache = operation->cached ? make_cache(&desc, type->dtype) : NULL;
  return desc;
}

static attn_status make_plan(attn_plan **plan, const attn_desc *desc, const attn_cache *cache, const char *kernel)
{
  const attn_options options = {.kernel = kernel};
  return cache ? attn_plan_create_cached(plan, desc, cache, &options) : attn_plan_create(plan, desc, &options);
}

static void check_chosen(const struct operation *operation, const struct data_type *type, const char *limit)
{
  attn_cache *cache;
  const attn_desc desc = describe(operation, type, &cache);
  attn_plan *plan;
  if (make_plan(&plan, &desc, cache, NULL)) {
    FAIL("%s %s: %s", operation->name, type->name, attn_error_message());
    attn_cache_destroy(cache);
    return;
  }
  const char *name = attn_plan_kernel(plan);
  const struct attn_kernel *kernel = attn_kernel_find(name);
  printf("chosen %s %s %s %s\n", operation->name, type->name, limit ? limit : "any", name);
  fflush(stdout); /* before an illegal instruction */
  if (!kernel || !allowed(kernel, limit)) FAIL("%s uses what this CPU or ATTN_ISA=%s forbids", name, limit ? limit : "");
  run(plan, &desc, cache, type->tolerance, name);
  attn_plan_destroy(plan);
  attn_cache_destroy(cache);
}

/* A kernel demanded by name is to be had where it may run, runs then, and is refused where it may not. */
static void check_demanded(const struct attn_kernel *kernel, const struct operation *operation,
                           const struct data_type *type, const char *limit)
{
  if (kernel->dtype != type->dtype) return;
  attn_cache *cache;
  const attn_desc desc = describe(operation, type, &cache);
  attn_plan *plan;
  const attn_status status = make_plan(&plan, &desc, cache, kernel->name);
  const bool may = allowed(kernel, limit);
  if (!may && status != ATTN_ERR_UNSUPPORTED) FAIL("%s on demand: %s", kernel->name, attn_status_name(status));
  const bool for_some = kernel->supports || kernel->flags & ATTN_KERNEL_ONLY_CACHES;
  const bool anothers = status == ATTN_ERR_UNSUPPORTED && (cache ? !kernel->key_span : for_some);
  if (may && status && !anothers) FAIL("%s on demand: %s", kernel->name, attn_error_message());
  if (!status && strcmp(attn_plan_kernel(plan), kernel->name))
    FAIL("%s on demand: got %s", kernel->name, attn_plan_kernel(plan));
  if (!status && !limit) { /* a limit would not change what the kernel does */
    printf("demanded %s\n", kernel->name);
    fflush(stdout);
    run(plan, &desc, cache, type->tolerance, kernel->name);
  }
  attn_plan_destroy(plan);
  attn_cache_destroy(cache);
}

int main(void)
{
  const char *limit = getenv("ATTN_ISA");
  char features[256];
  printf("cpu %s: %s\n", attn_cpu_model(), attn_feature_list(attn_cpu_features(), features, sizeof features));
  for (size_t o = 0; o < sizeof operations / sizeof *operations; o++)
    for (size_t t = 0; t < sizeof data_types / sizeof *data_types; t++) {
      if (data_types[t].dtype == ATTN_I8 && !operations[o].cached) continue;
      check_chosen(&operations[o], &data_types[t], limit);
      for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
        check_demanded(*k, &operations[o], &data_types[t], limit);
    }
  puts("complete");
  return failures ? 3 : 0;
}
