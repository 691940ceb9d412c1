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
  return of_key * (double)s->B * (double)s->Hkv * (double)s->Skv;
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
  for (int64_t b = 0; b < p->B && !status; b++) {
    const attn_tokens tokens = {.dtype = p->dtype,
                                .n = p->Skv,
                                .k = (const char *)t->args.k + (size_t)(b * p->k.b) * bytes,
                                .v = (const char *)t->args.v + (size_t)(b * p->v.b) * bytes,
                                .k_stride = p->k,
                                .v_stride = p->v};
    status = attn_cache_append(cache, b, &tokens);
  }
  return status;
}

static attn_status make_cached(struct bench_keys *keys, int i, const struct bench_shape *s, const struct bench_tensors *t,
                               const attn_options *options)
{
  const attn_cache_desc desc = {
      .dtype = bench_kv_dtype(s->kv), .B = s->B, .Hkv = s->Hkv, .Dqk = s->Dqk, .Dv = s->Dv, .capacity = s->Skv};
  attn_status status = attn_cache_create(&keys->cache[i], &desc);
  if (!status) status = fill_cache(keys->cache[i], t);
  if (!status) status = attn_plan_create_cached(&keys->call[i].plan, &t->desc, keys->cache[i], options);
  keys->args[i].k = keys->args[i].v = NULL;
  return status;
}

static bool copy_tensors(struct bench_keys *keys, int i, const struct bench_tensors *t)
{
  void *k = keys->copy[2 * i] = bench_memory_map(keys->k_bytes, 0);
  void *v = keys->copy[2 * i + 1] = bench_memory_map(keys->v_bytes, 0);
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
    ok = !(s->kv ? make_cached(keys, i, s, t, options) : attn_plan_create(&keys->call[i].plan, &t->desc, options));
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
  for (int i = 0; keys->call && i < keys->count; i++) {
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
