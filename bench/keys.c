#include "keys.h"

#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COPIES = 1024 };
/* Where the system does not tell, and at least: most last-level caches are smaller. */
static const size_t least_cache_bytes = (size_t)32 << 20;

double bench_keys_bytes(const struct bench_shape *s, const struct attn_extents *e)
{
  if (!s->kv) return (double)e->k + (double)e->v;
  const attn_dtype dtype = bench_kv_dtype(s->kv);
  const double of_key = (double)attn_element_bytes(dtype) * (double)(s->Dqk + s->Dv) + (dtype == ATTN_I8 ? 8 : 0);
  const int64_t keys = bench_shape_has_sequences(s) ? bench_sequences_total(&s->seqs).keys : s->B * s->Skv;
  return of_key * (double)s->Hkv * (double)keys;
}

/* Twice the last-level cache is read before the turn comes round. */
static int copies_needed(const struct bench_shape *s, const struct attn_extents *e)
{
  const size_t cache = attn_topology_get()->l3_bytes;
  const double evicted = 2 * (double)(cache > least_cache_bytes ? cache : least_cache_bytes);
  const double copies = s->cache == BENCH_CACHE_COLD ? evicted / bench_keys_bytes(s, e) + 2 : 1;
  return copies < MOST_COPIES ? (int)copies : MOST_COPIES + 1;
}

static attn_status fill_cache(attn_cache *cache, const struct bench_tensors *t)
{
  const struct attn_problem *p = &t->problem;
  const size_t bytes = attn_element_bytes(p->dtype);
  attn_status status = ATTN_OK;
  const int64_t *starts = t->args.kv_starts;
  for (int64_t b = 0; b < p->B && !status; b++) {
    const int64_t k = starts ? starts[b] * p->k.s : b * p->k.b, v = starts ? starts[b] * p->v.s : b * p->v.b;
    const attn_tokens tokens = {.dtype = p->dtype,
                                .n = starts ? starts[b + 1] - starts[b] : p->Skv,
                                .k = (const char *)t->args.k + (size_t)k * bytes,
                                .v = (const char *)t->args.v + (size_t)v * bytes,
                                .k_stride = p->k,
                                .v_stride = p->v};
    status = attn_cache_append(cache, b, &tokens);
  }
  return status;
}

/* The kernel of a case is exactly that. Where sequences differ it is the one for long ones, and others have what the
 * library takes for them, so that only the ISA is limited; but a kernel that would not be chosen is all the same used
 * alone. */
static attn_status make_plan(attn_plan **plan, const attn_desc *desc, const attn_cache *cache, const struct bench_shape *s,
                             const attn_options *options)
{
  const struct attn_kernel *named = attn_kernel_find(options->kernel);
  attn_options free_choice = *options;
  free_choice.kernel = NULL;
  free_choice.isa = named ? attn_isa_name(named->isa) : NULL;
  for (int i = bench_shape_has_sequences(s) && named ? 0 : 1; i < 2; i++) {
    const attn_options *o = i == 0 ? &free_choice : options;
    const attn_status status = cache ? attn_plan_create_cached(plan, desc, cache, o) : attn_plan_create(plan, desc, o);
    if (i == 1 || (!status && !strcmp(attn_plan_kernel(*plan), options->kernel))) return status;
    attn_plan_destroy(*plan);
  }
  return ATTN_OK;
}

/* The problem over a cache. Sequences of as many queries each, as decoding has them, are a batch of them. */
static attn_desc describe_cached(const struct bench_shape *s, const struct bench_tensors *t)
{
  attn_desc desc = t->desc;
  if (!bench_shape_has_sequences(s)) return desc;
  desc.flags &= ~(unsigned)ATTN_KV_STARTS;
  desc.Skv = s->Skv;
  if (!bench_sequences_even(&s->seqs)) return desc;
  desc.flags &= ~(unsigned)ATTN_Q_STARTS;
  desc.Sq = s->Sq;
  return desc;
}

static attn_status make_cached(struct bench_keys *keys, int i, const struct bench_shape *s, const struct bench_tensors *t,
                               const attn_options *options)
{
  const attn_cache_desc desc = {
      .dtype = bench_kv_dtype(s->kv), .B = s->B, .Hkv = s->Hkv, .Dqk = s->Dqk, .Dv = s->Dv, .capacity = s->Skv};
  attn_status status = attn_cache_create(&keys->cache[i], &desc);
  if (!status) status = fill_cache(keys->cache[i], t);
  const attn_desc of_plan = describe_cached(s, t);
  if (!status) status = make_plan(&keys->call[i].plan, &of_plan, keys->cache[i], s, options);
  keys->args[i].k = keys->args[i].v = NULL;
  return status;
}

static bool copy_tensors(struct bench_keys *keys, int i, const struct bench_tensors *t)
{
  void *k = keys->copy[2 * i] = bench_memory_map(keys->k_bytes);
  void *v = keys->copy[2 * i + 1] = bench_memory_map(keys->v_bytes);
  if (!k || !v) return false;
  keys->args[i].k = memcpy(k, t->args.k, keys->k_bytes);
  keys->args[i].v = memcpy(v, t->args.v, keys->v_bytes);
  return true;
}

bool bench_keys_create(struct bench_keys *keys, const struct bench_shape *s, const struct bench_tensors *t,
                       const attn_options *options, char *note, size_t note_bytes)
{
  const int count = copies_needed(s, &t->extents);
  const double needed = bench_keys_bytes(s, &t->extents) * (s->kv ? count : count - 1);
  const size_t available = bench_memory_available();
  *keys = (struct bench_keys){.k_bytes = t->extents.k, .v_bytes = t->extents.v};
  if (count > MOST_COPIES) {
    snprintf(note, note_bytes, "cache:cold takes more than %d copies of K and V; they are too small", MOST_COPIES);
    return false;
  }
  if (needed > (double)available * 0.9) {
    snprintf(note, note_bytes, "K and V in %d places take %.1f GiB, %.1f GiB are available", count, needed / 0x1p30,
             (double)available / 0x1p30);
    return false;
  }
  keys->call = calloc((size_t)count, sizeof *keys->call);
  keys->args = calloc((size_t)count, sizeof *keys->args);
  keys->cache = calloc((size_t)count, sizeof *keys->cache);
  keys->copy = calloc(2 * (size_t)count, sizeof *keys->copy);
  bool ok = keys->call && keys->args && keys->cache && keys->copy;
  snprintf(note, note_bytes, "no memory for %d copies of K and V", count);
  for (; ok && keys->count < count; keys->count++) {
    const int i = keys->count;
    keys->args[i] = t->args;
    keys->call[i].args = &keys->args[i];
    if (!s->kv && i > 0) {
      keys->call[i].plan = keys->call[0].plan; /* which does not know where K and V are */
      ok = copy_tensors(keys, i, t);
      continue;
    }
    ok = !(s->kv ? make_cached(keys, i, s, t, options) : make_plan(&keys->call[i].plan, &t->desc, NULL, s, options));
    if (!ok) snprintf(note, note_bytes, "%s", attn_error_message());
  }
  if (ok)
    *note = 0;
  else
    bench_keys_destroy(keys);
  return ok;
}

void bench_keys_destroy(struct bench_keys *keys)
{
  for (int i = 0; keys->call && keys->cache && keys->copy && i < keys->count; i++) {
    if (i == 0 || keys->cache[i]) attn_plan_destroy(keys->call[i].plan);
    attn_cache_destroy(keys->cache[i]);
    bench_memory_free(keys->copy[2 * i], keys->k_bytes);
    bench_memory_free(keys->copy[2 * i + 1], keys->v_bytes);
  }
  free(keys->call);
  free(keys->args);
  free(keys->cache);
  free(keys->copy);
  *keys = (struct bench_keys){0};
}
