/* Every call of libattn that can fail for want of something, with each site failing in turn: an error with a message or the
 * right result, no leak (LeakSanitizer looks at the end), and the same calls work afterwards. */
#include "fault.h"

#include "attn.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NO_SUCH_SITE = 99, B = 2, H = 2, S = 130, D = 16, ELEMENTS = B * H * S * D, KEYS = 96 };

static float q[ELEMENTS], k[ELEMENTS], v[ELEMENTS], o[ELEMENTS], *expected, scores[4 * S];
static const attn_options two = {.threads = 2};

/* *done: whether the calls came to their end; then o holds something to compare with. */
typedef attn_status scenario(bool *done);

static attn_desc description(void) { return (attn_desc){.B = B, .Hq = H, .Hkv = H, .Sq = S, .Skv = S, .Dqk = D, .Dv = D}; }

static attn_status planned(bool *done)
{
  const attn_desc d = description();
  const attn_args args = {.q = q, .k = k, .v = v, .o = o};
  attn_plan *plan = (attn_plan *)1;
  attn_status status = attn_plan_create(&plan, &d, &two);
  if (status && plan) abort(); /* "on failure it is NULL" */
  for (int i = 0; i < 2 && !status; i++) status = attn_run(plan, &args);
  *done = !status;
  attn_plan_destroy(plan);
  return status;
}

static attn_status at_once(bool *done)
{
  const attn_desc d = description();
  const attn_args args = {.q = q, .k = k, .v = v, .o = o};
  const attn_status status = attn_forward(&d, &two, &args);
  *done = !status;
  return status;
}

static attn_status tuned(bool *done)
{
  const char *path = getenv("FAULTS_TUNING");
  if (!path) abort();
  setenv("ATTN_TUNING", path, 1);
  const attn_status status = at_once(done);
  unsetenv("ATTN_TUNING");
  return status;
}

static attn_status without_keys(bool *done)
{
  attn_desc d = description();
  const attn_args args = {.q = q, .k = k, .v = v, .o = o};
  d.Skv = 0;
  const attn_status status = attn_forward(&d, &two, &args);
  *done = !status;
  return status;
}

static attn_status some_scores(bool *done)
{
  const attn_desc d = description();
  const attn_args args = {.q = q, .k = k, .v = v, .o = o};
  const attn_score_block block = {.stage = ATTN_SCORE_WEIGHT, .batches = 1, .heads = 1, .queries = 4};
  const attn_status status = attn_scores(&d, &two, &args, &block, scores);
  memset(o, 0, sizeof o);
  memcpy(o, scores, sizeof scores);
  *done = !status;
  return status;
}

static attn_status cached(bool *done, attn_dtype dtype, int64_t page_size)
{
  static const int32_t pages[2][6] = {{5, 3, 8, 1, 10, 0}, {2, 4, 6, 7, 9, 11}};
  attn_cache_desc c = {.dtype = dtype, .B = B, .Hkv = H, .Dqk = D, .Dv = D, .capacity = KEYS, .page_size = page_size};
  if (page_size) c.pages = 12;
  attn_cache *cache = (attn_cache *)1;
  attn_plan *plan = NULL;
  attn_status status = attn_cache_create(&cache, &c);
  if (status && cache) abort();
  const attn_tokens tokens = {.dtype = ATTN_F32, .n = KEYS, .k = k, .v = v};
  for (int64_t b = 0; b < B && !status; b++) {
    if (page_size) status = attn_cache_set_pages(cache, b, pages[b], 6);
    if (!status) status = attn_cache_append(cache, b, &tokens);
    if (status && attn_cache_length(cache, b) != 0) abort(); /* "a failed call leaves the cache as it was" */
  }
  attn_desc d = {.B = B, .Hq = H, .Sq = 3};
  const attn_args args = {.q = q, .o = o};
  if (!status) status = attn_plan_create_cached(&plan, &d, cache, &two);
  memset(o, 0, sizeof o);
  if (!status) status = attn_run(plan, &args);
  *done = !status;
  attn_plan_destroy(plan);
  attn_cache_destroy(cache);
  return status;
}

static attn_status cached_contiguous(bool *done) { return cached(done, ATTN_F32, 0); }
static attn_status cached_paged(bool *done) { return cached(done, ATTN_F16, 16); }
static attn_status cached_int8(bool *done) { return cached(done, ATTN_I8, 16); }

static attn_status layered(bool *done)
{
  enum { WIDTH = 24, ROWS = 10 };
  attn_layer_desc d = {.query_width = WIDTH, .output_width = WIDTH};
  d.attention = (attn_desc){.B = 1, .Hq = H, .Hkv = H, .Sq = ROWS, .Skv = ROWS, .Dqk = D, .Dv = D};
  const attn_layer_weights w = {.q = q, .k = k, .v = v, .o = q};
  attn_layer *layer = (attn_layer *)1;
  attn_status status = attn_layer_create(&layer, &d, &w, &two);
  if (status && layer) abort();
  memset(o, 0, sizeof o);
  if (!status) status = attn_layer_run(layer, &(attn_layer_args){.query = v, .output = o});
  *done = !status;
  attn_layer_destroy(layer);
  return status;
}

/* Keys that a rope turns on their way into a cache. */
static attn_status roped(bool *done)
{
  const attn_cache_desc c = {.B = 1, .Hkv = H, .Dqk = D, .Dv = D, .capacity = KEYS};
  attn_desc d = {.B = 1, .Hq = H, .Sq = 3};
  attn_rope *rope = (attn_rope *)1;
  attn_cache *cache = NULL;
  attn_plan *plan = NULL;
  attn_status status = attn_rope_create(&rope, &(attn_rope_desc){.dims = D});
  if (status && rope) abort();
  d.rope = rope;
  if (!status) status = attn_cache_create(&cache, &c);
  if (!status) status = attn_cache_append(cache, 0, &(attn_tokens){.n = KEYS, .k = k, .v = v, .rope = rope});
  if (!status) status = attn_plan_create_cached(&plan, &d, cache, &two);
  memset(o, 0, sizeof o);
  if (!status) status = attn_run(plan, &(attn_args){.q = q, .o = o});
  *done = !status;
  attn_plan_destroy(plan);
  attn_cache_destroy(cache);
  attn_rope_destroy(rope);
  return status;
}

static const struct {
  const char *name;
  scenario *run;
} scenarios[] = {{"plan", planned},
                 {"forward", at_once},
                 {"tuning", tuned},
                 {"no keys", without_keys},
                 {"scores", some_scores},
                 {"cache", cached_contiguous},
                 {"paged cache", cached_paged},
                 {"int8 cache", cached_int8},
                 {"layer", layered},
                 {"rope", roped}};

static int passed, failed;

static void judge(bool ok, const char *name, int at, const char *what)
{
  passed += ok;
  failed += !ok;
  if (!ok) printf("FAIL %s, site %d (%s): %s\n", name, at, fault_hit() ? fault_hit() : "none", what);
}

/* Each site in turn, until there is no such site. Returns the number of sites. */
static int try_all(const char *name, scenario *run)
{
  int at = 1;
  for (;; at++) {
    bool done = false;
    memset(o, 0x7f, sizeof o);
    fault_arm(at);
    const attn_status status = run(&done);
    fault_disarm();
    if (!fault_hit()) break;
    judge(status == ATTN_OK || *attn_error_message(), name, at, "fails without a message");
    judge(done == (status == ATTN_OK) && (!done || !memcmp(o, expected, sizeof o)), name, at, "wrong result");
    judge(run(&done) == ATTN_OK && done && !memcmp(o, expected, sizeof o), name, at, "the next call does not work");
  }
  printf("%-12s %3d sites\n", name, at - 1);
  return at - 1;
}

/* What is done once in a process, the topology and the pool of threads, fails in a process of its own each time. */
static int try_first_use(void)
{
  int at = 1;
  for (;; at++) {
    int status;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      bool done = false;
      fault_arm(at);
      const attn_status first = planned(&done);
      fault_disarm();
      if (!fault_hit()) _exit(NO_SUCH_SITE);
      const bool right = first ? *attn_error_message() != 0 : done && !memcmp(o, expected, sizeof o);
      const bool again = planned(&done) == ATTN_OK && !memcmp(o, expected, sizeof o);
      printf("  site %d: %s %s\n", at, fault_hit(), first ? attn_error_message() : "went without");
      exit(right && again ? 0 : 3); /* through LeakSanitizer */
    }
    if (child < 0 || waitpid(child, &status, 0) != child) abort();
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SUCH_SITE) break;
    judge(WIFEXITED(status) && WEXITSTATUS(status) == 0, "first use", at, "does not end as it should");
  }
  printf("%-12s %3d sites\n", "first use", at - 1);
  return at - 1;
}

/* expected: by a process that has gone when the first use is tried. */
static bool expect_from_child(void)
{
  const pid_t child = fork();
  int status;
  if (child == 0) {
    bool done = false;
    if (planned(&done) || !done) _exit(1);
    memcpy(expected, o, sizeof o);
    _exit(0);
  }
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
  expected = mmap(NULL, sizeof o, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (expected == MAP_FAILED) abort();
  for (int i = 0; i < ELEMENTS; i++) {
    q[i] = (float)(i % 7) / 4 - 0.7f;
    k[i] = (float)(i % 11) / 6 - 0.8f;
    v[i] = (float)(i % 13) / 5 - 1.1f;
  }
  if (!expect_from_child()) return puts("FAIL without a fault\n0 passed, 1 failed"), 3;
  int sites = try_first_use();
  for (size_t s = 0; s < sizeof scenarios / sizeof *scenarios; s++) {
    bool done;
    if (scenarios[s].run(&done) || !done)
      return printf("FAIL %s without a fault\n0 passed, 1 failed\n", scenarios[s].name), 3;
    memcpy(expected, o, sizeof o);
    sites += try_all(scenarios[s].name, scenarios[s].run);
  }
  printf("%d sites, each failed once\n%d passed, %d failed\n", sites, passed, failed);
  return failed ? 3 : 0;
}
