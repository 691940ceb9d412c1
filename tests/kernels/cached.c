#include "cached.h"

#include "rng.h"

#include "../../kernels/reference/half.h"

#include <stdlib.h>

static int64_t length_of(const struct tensors *t, int64_t b)
{
  return t->problem.kv_lengths ? t->args.kv_lengths[b] : t->problem.Skv;
}

static attn_status give_pages(attn_cache *cache, const attn_cache_desc *d, struct rng *r)
{
  const int64_t each = (d->capacity - 1) / d->page_size + 1;
  int32_t *order = malloc((size_t)d->pages * sizeof *order);
  if (!order) abort();
  for (int64_t i = 0; i < d->pages; i++) order[i] = (int32_t)i;
  for (int64_t i = d->pages - 1; i > 0; i--) {
    const int64_t other = rng_below(r, i + 1);
    const int32_t page = order[i];
    order[i] = order[other];
    order[other] = page;
  }
  attn_status status = ATTN_OK;
  for (int64_t b = 0; b < d->B && !status; b++) status = attn_cache_set_pages(cache, b, order + b * each, each);
  free(order);
  return status;
}

static attn_status fill(attn_cache *cache, const struct tensors *t, int64_t b, bool chunks, struct rng *r)
{
  const struct attn_problem *p = &t->problem;
  const size_t bytes = attn_element_bytes(p->dtype);
  attn_status status = ATTN_OK;
  for (int64_t at = 0, n; at < length_of(t, b) && !status; at += n) {
    n = length_of(t, b) - at;
    if (chunks) n = 1 + rng_below(r, n < 40 ? n : 40);
    const attn_tokens tokens = {.dtype = p->dtype,
                                .n = n,
                                .k = (const char *)t->args.k + (size_t)(b * p->k.b + at * p->k.s) * bytes,
                                .v = (const char *)t->args.v + (size_t)(b * p->v.b + at * p->v.s) * bytes,
                                .k_stride = {0, p->k.h, p->k.s, p->k.d},
                                .v_stride = {0, p->v.h, p->v.s, p->v.d}};
    status = attn_cache_append(cache, b, &tokens);
  }
  return status;
}

attn_cache *cached_make(const struct tensors *t, attn_dtype dtype, int64_t page_size, uint64_t seed)
{
  const struct attn_problem *p = &t->problem;
  attn_cache_desc d = {
      .dtype = dtype, .B = p->B, .Hkv = p->Hkv, .Dqk = p->Dqk, .Dv = p->Dv, .capacity = p->Skv, .page_size = page_size};
  if (page_size) d.pages = p->B * ((p->Skv - 1) / page_size + 1) + 3;
  struct rng r = {seed};
  attn_cache *cache;
  attn_status status = attn_cache_create(&cache, &d);
  if (!status && page_size) status = give_pages(cache, &d, &r);
  for (int64_t b = 0; b < p->B && !status; b++) status = fill(cache, t, b, page_size != 0, &r);
  if (!status) return cache;
  attn_cache_destroy(cache);
  return NULL;
}

void cached_read_back(const attn_cache *cache, attn_dtype dtype, struct tensors *t, float **k, float **v)
{
  struct attn_problem *p = &t->problem;
  const int64_t keys = p->B * p->Hkv * p->Skv;
  *k = calloc((size_t)(keys * p->Dqk), sizeof **k);
  *v = calloc((size_t)(keys * p->Dv), sizeof **v);
  if (!*k || !*v) abort();
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < p->Hkv; h++)
      for (int64_t j = 0; j < length_of(t, b); j++) {
        attn_cache_view view;
        if (attn_cache_look(cache, b, &view)) abort();
        const int64_t row = (b * p->Hkv + h) * p->Skv + j, scale = b * view.scale_b + h * view.scale_h + j;
        const int64_t n = view.interleave, lane = j % ATTN_CACHE_BLOCK;
        const int64_t key = b * view.k_stride.b + h * view.k_stride.h + (j - lane) * view.k_stride.s + lane * n;
        const int64_t value = b * view.v_stride.b + h * view.v_stride.h + j / n * n * view.v_stride.s + j % n;
        const float k_scale = view.k_scale ? view.k_scale[scale] : 1, v_scale = view.v_scale ? view.v_scale[scale] : 1;
        for (int64_t d = 0; d < p->Dqk; d++)
          (*k)[row * p->Dqk + d] = attn_element_get(dtype, view.k, key + d / n * n * view.k_stride.d + d % n) * k_scale;
        for (int64_t d = 0; d < p->Dv; d++)
          (*v)[row * p->Dv + d] = attn_element_get(dtype, view.v, value + d * n) * v_scale;
      }
  p->k = (attn_strides){p->Hkv * p->Skv * p->Dqk, p->Skv * p->Dqk, p->Dqk, 1};
  p->v = (attn_strides){p->Hkv * p->Skv * p->Dv, p->Skv * p->Dv, p->Dv, 1};
  t->args.k = *k;
  t->args.v = *v;
}
