/* The calls. Whatever can be computed twice, with another number of threads, must have the same bits. */
#include "soak.h"

#include "../kernels/verify.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHES = 4 };
static struct draw *chance;

static int64_t below(int64_t n) { return draw_below(chance, n); }
static const float *inputs(int64_t n) { return soak_numbers + below(SOAK_FLOATS - n); }

static void a_case(void)
{
  struct check_case c;
  const struct attn_kernel *kernel = soak_kernels[below(soak_kernel_count)];
  case_random(&c, kernel, "soak", 32, chance);
  const struct verdict v = verify_case(kernel, &c, rng_next(&chance->rng));
  soak_cases += v.ok && !v.skipped;
  if (v.ok || soak_failed++ >= 5) return;
  printf("FAIL %s, case %s: %s\n", kernel->name, c.name, v.why);
}

/* --- Caches ----------------------------------------------------------------------------------------------------------- */

static struct cached {
  attn_cache *cache;
  attn_cache_desc desc;
  attn_plan *plan[2]; /* of one thread, of some */
  int64_t queries;
} cached[CACHES];

static void drop_cache(struct cached *c)
{
  attn_plan_destroy(c->plan[0]);
  attn_plan_destroy(c->plan[1]);
  attn_cache_destroy(c->cache);
  *c = (struct cached){0};
}

static void make_cache(struct cached *c)
{
  static const int64_t sizes[] = {16, 24, 64, 128, 33};
  drop_cache(c);
  c->desc = (attn_cache_desc){.dtype = (attn_dtype)below(4),
                              .B = 1 + below(3),
                              .Hkv = 1 + below(3),
                              .Dqk = sizes[below(5)],
                              .Dv = sizes[below(5)],
                              .capacity = 1 + below(400)};
  if (below(2)) {
    c->desc.page_size = 16 << below(3);
    c->desc.pages = c->desc.B * ((c->desc.capacity - 1) / c->desc.page_size + 1) + below(3);
  }
  c->queries = 1 + below(3);
  const int64_t group = 1 + below(5);
  const attn_desc d = {
      .dtype = ATTN_F32, .B = c->desc.B, .Hq = c->desc.Hkv * group, .Sq = c->queries, .flags = below(2) ? ATTN_CAUSAL : 0};
  if (!soak_require(!attn_cache_create(&c->cache, &c->desc), "attn_cache_create")) return;
  const int64_t each = c->desc.page_size ? (c->desc.capacity - 1) / c->desc.page_size + 1 : 0;
  for (int64_t b = 0; b < c->desc.B && each; b++) {
    int32_t pages[32];
    for (int64_t i = 0; i < each; i++) pages[i] = (int32_t)(b + i * c->desc.B);
    soak_require(!attn_cache_set_pages(c->cache, b, pages, each), "attn_cache_set_pages");
  }
  for (int i = 0; i < 2; i++)
    soak_require(!attn_plan_create_cached(&c->plan[i], &d, c->cache, &(attn_options){.threads = i ? 1 + (int)below(3) : 1}),
                 "attn_plan_create_cached");
}

static void append_some(struct cached *c)
{
  const int64_t b = below(c->desc.B), length = attn_cache_length(c->cache, b), room = c->desc.capacity - length;
  const int64_t n = below(8) ? below((room < 60 ? room : 60) + 1) : room + 1;
  const int64_t read = c->desc.Hkv * (n <= room ? n : 1); /* tokens without room are refused unread */
  const attn_tokens t = {.n = n, .k = inputs(read * c->desc.Dqk), .v = inputs(read * c->desc.Dv)};
  const attn_status status = attn_cache_append(c->cache, b, &t);
  soak_require((status == ATTN_OK) == (n <= room), "attn_cache_append");
  soak_require(attn_cache_length(c->cache, b) == (status ? length : length + n), "the length after an append");
}

static void read_cache(struct cached *c)
{
  const int64_t rows = c->desc.B * c->desc.Hkv * 5 * c->queries;
  const size_t n = (size_t)(rows * c->desc.Dv);
  float *o[2] = {soak_outputs(n), soak_outputs(n)};
  const float *q = inputs(rows * c->desc.Dqk);
  for (int i = 0; i < 2; i++) soak_require(!attn_run(c->plan[i], &(attn_args){.q = q, .o = o[i]}), "attn_run of a cache");
  soak_require(!memcmp(o[0], o[1], n * sizeof(float)), "a cache's bits with other threads");
  free(o[0]);
  free(o[1]);
}

static void a_cache(void)
{
  struct cached *c = &cached[below(CACHES)];
  if (!c->cache || below(24) == 0) make_cache(c);
  if (!c->cache) return;
  const int64_t b = below(c->desc.B), length = attn_cache_length(c->cache, b);
  if (below(6) == 0) soak_require(!attn_cache_set_length(c->cache, b, below(length + 1)), "attn_cache_set_length");
  append_some(c);
  if (below(3) == 0) read_cache(c);
}

/* --- The rest --------------------------------------------------------------------------------------------------------- */

static void a_layer(void)
{
  const int64_t width = 8 + below(40), Hkv = 1 + below(2), Hq = Hkv * (1 + below(3)), S = 1 + below(30), D = 4 + below(30);
  attn_layer_desc d = {.query_width = width, .output_width = below(2) ? width : 0};
  d.attention = (attn_desc){.B = 1 + below(2), .Hq = Hq, .Hkv = Hkv, .Sq = S, .Skv = S, .Dqk = D, .Dv = D};
  const attn_layer_weights w = {.q = inputs(Hq * D * width),
                                .k = inputs(Hkv * D * width),
                                .v = inputs(Hkv * D * width),
                                .o = d.output_width ? inputs(Hq * D * width) : NULL};
  const size_t n = (size_t)(d.attention.B * S * (d.output_width ? width : Hq * D));
  float *o[2] = {soak_outputs(n), soak_outputs(n)};
  const float *x = inputs(d.attention.B * S * width);
  for (int i = 0; i < 2; i++) {
    attn_layer *layer;
    if (!soak_require(!attn_layer_create(&layer, &d, &w, &(attn_options){.threads = 1 + 2 * i}), "attn_layer_create"))
      continue;
    soak_require(!attn_layer_run(layer, &(attn_layer_args){.query = x, .output = o[i]}), "attn_layer_run");
    attn_layer_destroy(layer);
  }
  soak_require(!memcmp(o[0], o[1], n * sizeof(float)), "a layer's bits with other threads");
  free(o[0]);
  free(o[1]);
}

static void a_rope(void)
{
  const int64_t dims = 2 * (1 + below(32)), D = dims + below(9), heads = 1 + below(3), n = 1 + below(20);
  const attn_rope_desc d = {.pairing = (attn_rope_pairing)below(2), .dims = dims};
  const size_t elements = (size_t)(heads * n * D);
  float *x[2] = {soak_outputs(elements), soak_outputs(elements)};
  const float *source = inputs((int64_t)elements);
  const int64_t first = below(1 << 19);
  for (int i = 0; i < 2; i++) {
    attn_rope *rope;
    memcpy(x[i], source, elements * sizeof *source);
    if (!soak_require(!attn_rope_create(&rope, &d), "attn_rope_create")) continue;
    soak_require(!attn_rope_apply(rope, ATTN_F32, x[i], heads, n, D, (attn_strides){0}, first), "attn_rope_apply");
    attn_rope_destroy(rope);
  }
  soak_require(!memcmp(x[0], x[1], elements * sizeof *source), "a rope's bits");
  free(x[0]);
  free(x[1]);
}

static attn_desc some_desc(void)
{
  const int64_t Hkv = 1 + below(3);
  return (attn_desc){.B = 1 + below(2),
                     .Hq = Hkv * (1 + below(3)),
                     .Hkv = Hkv,
                     .Sq = 1 + below(60),
                     .Skv = 1 + below(60),
                     .Dqk = 1 + below(40),
                     .Dv = 1 + below(40),
                     .flags = below(2) ? ATTN_CAUSAL : 0};
}

static attn_args some_args(const attn_desc *d, float *o)
{
  return (attn_args){.q = inputs(d->B * d->Hq * d->Sq * d->Dqk),
                     .k = inputs(d->B * d->Hkv * d->Skv * d->Dqk),
                     .v = inputs(d->B * d->Hkv * d->Skv * d->Dv),
                     .o = o};
}

static void some_scores(void)
{
  const attn_desc d = some_desc();
  const size_t n = (size_t)(d.Hq * d.Sq * d.Skv);
  const attn_args args = some_args(&d, NULL);
  const attn_score_block block = {.stage = (attn_score_stage)below(4), .batches = 1};
  float *scores[2] = {soak_outputs(n), soak_outputs(n)};
  for (int i = 0; i < 2; i++)
    soak_require(!attn_scores(&d, &(attn_options){.threads = 1 + i}, &args, &block, scores[i]), "attn_scores");
  soak_require(!memcmp(scores[0], scores[1], n * sizeof(float)), "scores' bits with other threads");
  free(scores[0]);
  free(scores[1]);
}

/* The keys in two parts, whose results are merged: the whole's, to rounding, on any number of threads. */
static void a_merge(void)
{
  attn_desc d = some_desc();
  d.flags = 0;
  const size_t n = (size_t)(d.B * d.Hq * d.Sq * d.Dv), rows = (size_t)(d.B * d.Hq * d.Sq);
  const int64_t cut = below(d.Skv + 1), keys = d.Skv;
  float *o[5], *lse[5]; /* the whole, two parts, two merges */
  for (int i = 0; i < 5; i++) o[i] = soak_outputs(n), lse[i] = soak_outputs(rows);
  attn_args args = some_args(&d, o[0]);
  args.lse = lse[0];
  soak_require(!attn_forward(&d, NULL, &args), "attn_forward");
  d.k = (attn_strides){d.Hkv * keys * d.Dqk, keys * d.Dqk, d.Dqk, 1};
  d.v = (attn_strides){d.Hkv * keys * d.Dv, keys * d.Dv, d.Dv, 1};
  const float *k = args.k, *v = args.v;
  attn_part parts[2] = {0};
  for (int i = 0; i < 2; i++) {
    d.Skv = i ? keys - cut : cut;
    args.k = k + (i ? cut * d.Dqk : 0);
    args.v = v + (i ? cut * d.Dv : 0);
    args.o = o[1 + i];
    args.lse = lse[1 + i];
    soak_require(!attn_forward(&d, NULL, &args), "attn_forward of a part");
    parts[i] = (attn_part){.o = o[1 + i], .lse = lse[1 + i]};
  }
  const attn_merge_desc m = {.B = d.B, .Hq = d.Hq, .Sq = d.Sq, .Dv = d.Dv};
  for (int i = 0; i < 2; i++)
    soak_require(!attn_merge(&m, parts, 2, o[3 + i], lse[3 + i], &(attn_options){.threads = 1 + 2 * i}), "attn_merge");
  soak_require(!memcmp(o[3], o[4], n * sizeof(float)) && !memcmp(lse[3], lse[4], rows * sizeof(float)),
               "a merge's bits with other threads");
  float worst = 0;
  for (size_t i = 0; i < n; i++) worst = fmaxf(worst, fabsf(o[3][i] - o[0][i]));
  soak_require(worst < 1e-5f, "a merge near the whole");
  for (int i = 0; i < 5; i++) free(o[i]), free(lse[i]);
}

/* Sequences one after another, their lengths at random, some of them empty. */
static void sequences(void)
{
  enum { MOST = 5 };
  attn_desc d = some_desc();
  int64_t q_starts[MOST + 1] = {0}, kv_starts[MOST + 1] = {0};
  d.flags |= ATTN_Q_STARTS | ATTN_KV_STARTS;
  d.B = 1 + below(MOST);
  d.Sq = 60, d.Skv = 240;
  for (int64_t b = 0; b < d.B; b++) {
    q_starts[b + 1] = q_starts[b] + below((d.Sq - q_starts[b]) / (d.B - b) + 1);
    kv_starts[b + 1] = kv_starts[b] + below((d.Skv - kv_starts[b]) / (d.B - b) + 1);
  }
  const size_t n = (size_t)(d.Hq * d.Sq * d.Dv);
  float *o[2] = {soak_outputs(n), soak_outputs(n)};
  attn_args args = {.q = inputs(d.Hq * d.Sq * d.Dqk),
                    .k = inputs(d.Hkv * d.Skv * d.Dqk),
                    .v = inputs(d.Hkv * d.Skv * d.Dv),
                    .q_starts = q_starts,
                    .kv_starts = kv_starts};
  for (int i = 0; i < 2; i++) {
    args.o = o[i];
    soak_require(!attn_forward(&d, &(attn_options){.threads = 1 + 2 * i}, &args), "sequences");
  }
  soak_require(!memcmp(o[0], o[1], n * sizeof(float)), "the bits of sequences with other threads");
  free(o[0]);
  free(o[1]);
}

static void masks(void)
{
  enum { TOKENS = 40, PREFIX = 20 };
  uint8_t bitmap[512], tree[TOKENS * (TOKENS + PREFIX)];
  int32_t parent[TOKENS];
  attn_desc d = some_desc();
  d.blocks = (attn_block_mask){.queries = 1 + below(16), .keys = 1 + below(16)};
  const size_t bytes = attn_block_mask_bytes(&d);
  if (bytes <= sizeof bitmap)
    soak_require(
        !attn_block_mask_build(bitmap, bytes, &d, &(attn_block_pattern){.local = 1 + below(3), .global_keys = below(2)}),
        "attn_block_mask_build");
  const int64_t n = 1 + below(TOKENS);
  for (int64_t i = 0; i < n; i++) parent[i] = (int32_t)below(i + 1) - 1;
  soak_require(!attn_tree_mask(tree, TOKENS + PREFIX, parent, n, below(PREFIX)), "attn_tree_mask");
}

struct guest {
  attn_plan *plan;
  attn_args args;
  attn_status status;
};

static void *visit(void *argument)
{
  struct guest *g = argument;
  g->status = attn_run(g->plan, &g->args);
  return NULL;
}

/* One plan from two threads, each with its own workspace. */
static void two_guests(void)
{
  const attn_desc d = some_desc();
  const size_t n = (size_t)(d.B * d.Hq * d.Sq * d.Dv);
  float *o[2] = {soak_outputs(n), soak_outputs(n)};
  struct guest guest[2];
  pthread_t thread[2];
  attn_plan *plan;
  if (!soak_require(!attn_plan_create(&plan, &d, &(attn_options){.threads = 1 + (int)below(3)}), "attn_plan_create"))
    goto end;
  const attn_args args = some_args(&d, NULL);
  for (int i = 0; i < 2; i++) {
    guest[i] = (struct guest){.plan = plan, .args = args, .status = ATTN_ERR_BUSY};
    guest[i].args.o = o[i];
    guest[i].args.workspace_bytes = attn_plan_workspace_bytes(plan);
    guest[i].args.workspace = soak_outputs(guest[i].args.workspace_bytes / sizeof(float) + 1);
    if (pthread_create(&thread[i], NULL, visit, &guest[i])) abort();
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(thread[i], NULL);
    soak_require(!guest[i].status, "attn_run in a thread");
    free(guest[i].args.workspace);
  }
  soak_require(!memcmp(o[0], o[1], n * sizeof(float)), "a plan's bits in two threads");
  attn_plan_destroy(plan);
end:
  free(o[0]);
  free(o[1]);
}

static void refusals(void)
{
  attn_desc d = some_desc();
  attn_plan *plan = (attn_plan *)&d;
  int64_t *const field[] = {&d.B, &d.Hq, &d.Hkv, &d.Sq, &d.Skv, &d.Dqk, &d.Dv, &d.q.b, &d.k.s, &d.window_left};
  const int64_t at = below(10);
  *field[at] = at >= 7 || below(2) ? -1 - below(9) : INT64_MAX; /* sizes too large, or something negative */
  if (at == 9) d.flags |= ATTN_WINDOW_LEFT;
  const attn_status status = attn_plan_create(&plan, &d, NULL);
  soak_require(status && !plan && *attn_error_message(), "a plan that must be refused");
  attn_cache *cache = (attn_cache *)&d;
  const attn_cache_desc c = {.B = 1, .Hkv = 1, .Dqk = 8, .Dv = 8, .capacity = 9, .page_size = 1 + below(15)};
  soak_require(attn_cache_create(&cache, &c) && !cache, "a cache that must be refused");
  attn_rope *rope = (attn_rope *)&d;
  soak_require(attn_rope_create(&rope, &(attn_rope_desc){.dims = 1 + 2 * below(9)}) && !rope,
               "a rope that must be refused");
}

void soak_call(struct draw *of)
{
  chance = of;
  static void (*const calls[])(void) = {a_case,  a_case, a_case,      a_cache, a_cache,    a_cache,  a_cache, a_cache,
                                        a_layer, a_rope, some_scores, masks,   two_guests, refusals, a_merge, sequences};
  calls[below(sizeof calls / sizeof *calls)]();
}

void soak_forget(void)
{
  for (int i = 0; i < CACHES; i++) drop_cache(&cached[i]);
}
