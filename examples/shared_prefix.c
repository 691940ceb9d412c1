/* Several sequences begin with the same long prompt: its keys are kept once and attended to by the queries of all
 * sequences together, so that they are read once a step instead of once a sequence; what each sequence added is attended to
 * by itself, and attn_merge() makes the two one. Llama-3.1-8B's heads; inputs are random.
 *
 * cc -std=c11 shared_prefix.c $(pkg-config --cflags --libs libattn) */
#include <attn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SEQUENCES = 4, HQ = 32, HKV = 8, D = 128, PREFIX = 2048, TAIL = 100, STEPS = 5 };

static float *uniform(size_t n)
{
  static unsigned seed = 1;
  float *x = malloc(n * sizeof *x);
  if (!x) exit(1);
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) / 8388608.0f - 1;
  }
  return x;
}

static double now(void)
{
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(attn_status status)
{
  if (!status) return;
  fprintf(stderr, "%s: %s\n", attn_status_name(status), attn_error_message());
  exit(1);
}

static attn_cache *make_cache(int64_t sequences, int64_t capacity)
{
  const attn_cache_desc desc = {.dtype = ATTN_F16, .B = sequences, .Hkv = HKV, .Dqk = D, .Dv = D, .capacity = capacity};
  attn_cache *cache;
  check(attn_cache_create(&cache, &desc));
  return cache;
}

int main(void)
{
  const attn_tokens prompt = {.n = PREFIX, .k = uniform(PREFIX * HKV * D), .v = uniform(PREFIX * HKV * D)};
  attn_cache *prefix = make_cache(1, PREFIX), *tails = make_cache(SEQUENCES, TAIL);
  attn_cache *apart = make_cache(SEQUENCES, PREFIX + TAIL); /* for comparison: everything once a sequence */
  check(attn_cache_append(prefix, 0, &prompt));
  for (int b = 0; b < SEQUENCES; b++) {
    const attn_tokens tail = {.n = TAIL, .k = uniform(TAIL * HKV * D), .v = uniform(TAIL * HKV * D)};
    check(attn_cache_append(tails, b, &tail));
    check(attn_cache_append(apart, b, &prompt));
    check(attn_cache_append(apart, b, &tail));
    free((void *)tail.k), free((void *)tail.v);
  }

  /* q and o are [sequence][head][element]. For the prefix, the queries of all sequences are those of one. */
  const attn_strides by_sequence = {0, D, HQ * D, 1}, lse_by_sequence = {0, 1, HQ, 0};
  const attn_desc of_prefix = {.Hq = HQ, .Sq = SEQUENCES, .q = by_sequence, .o = by_sequence, .lse = lse_by_sequence};
  const attn_desc of_tails = {.Hq = HQ, .Sq = 1};
  attn_plan *plan_prefix, *plan_tails, *plan_apart;
  check(attn_plan_create_cached(&plan_prefix, &of_prefix, prefix, NULL));
  check(attn_plan_create_cached(&plan_tails, &of_tails, tails, NULL));
  check(attn_plan_create_cached(&plan_apart, &of_tails, apart, NULL));

  float *q = uniform(SEQUENCES * HQ * D), *o = uniform(SEQUENCES * HQ * D), *o_prefix = uniform(SEQUENCES * HQ * D);
  float *expected = uniform(SEQUENCES * HQ * D), lse[SEQUENCES * HQ], lse_prefix[SEQUENCES * HQ];
  const attn_part parts[] = {{.o = o_prefix, .lse = lse_prefix}, {.o = o, .lse = lse}};
  const attn_merge_desc merge = {.B = SEQUENCES, .Hq = HQ, .Sq = 1, .Dv = D};
  double shared = INFINITY, separate = INFINITY, difference = 0;
  for (int step = 0; step < STEPS; step++) {
    double start = now();
    check(attn_run(plan_prefix, &(attn_args){.q = q, .o = o_prefix, .lse = lse_prefix}));
    check(attn_run(plan_tails, &(attn_args){.q = q, .o = o, .lse = lse}));
    check(attn_merge(&merge, parts, 2, o, lse, NULL)); /* into the part that is no longer needed */
    if (now() - start < shared) shared = now() - start;
    start = now();
    check(attn_run(plan_apart, &(attn_args){.q = q, .o = expected}));
    if (now() - start < separate) separate = now() - start;
  }
  for (int i = 0; i < SEQUENCES * HQ * D; i++) difference = fmax(difference, fabs((double)o[i] - (double)expected[i]));
  printf("%d sequences with a prefix of %d tokens and %d of their own, by %s\n", SEQUENCES, PREFIX, TAIL,
         attn_plan_kernel(plan_prefix));
  printf("a step: %.2f ms with the prefix shared, %.2f ms without; largest difference %.1e\n", 1e3 * shared, 1e3 * separate,
         difference);
  attn_plan_destroy(plan_prefix), attn_plan_destroy(plan_tails), attn_plan_destroy(plan_apart);
  attn_cache_destroy(prefix), attn_cache_destroy(tails), attn_cache_destroy(apart);
  free(q), free(o), free(o_prefix), free(expected), free((void *)prompt.k), free((void *)prompt.v);
  return !(difference < 1e-5);
}
