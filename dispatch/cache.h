/* A KV cache: made and changed by cache.c, filled by cache_append.c, read by plans. */
#ifndef ATTN_CACHE_H
#define ATTN_CACHE_H

#include "../kernels/kernel.h"

struct attn_cache {
  attn_cache_desc desc;
  int page_shift;
  int64_t table_pages; /* pages that capacity tokens need; 0: contiguous */
  char *k, *v;
  float *k_scale, *v_scale; /* int8 only */
  size_t k_bytes, v_bytes, scale_bytes;
  int64_t interleave; /* elements of a key, and keys of V, beside each other: attn_k_element() */
  attn_strides k_stride, v_stride;
  int64_t k_page, v_page, scale_b, scale_h, scale_page;
  int64_t *length;     /* [B] */
  int64_t *page_count; /* [B] pages in a sequence's table */
  int32_t *table;      /* [B][table_pages] */
  int32_t *uses;       /* [pages] how often a page stands in the tables */
};

static inline const int32_t *attn_cache_pages(const struct attn_cache *c, int64_t b)
{
  return c->table_pages ? c->table + b * c->table_pages : NULL;
}

/* Checks that b is one of the sequences. */
attn_status attn_cache_check(const struct attn_cache *cache, int64_t b);

#endif
