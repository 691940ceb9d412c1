/* The keys and values of a case in a cache. */
#ifndef TESTS_CACHED_H
#define TESTS_CACHED_H

#include "tensors.h"

/* page_size 0: contiguous, filled at once; otherwise its pages are shuffled and it is filled in small chunks. NULL, with
 * attn_error_message() set, if libattn refuses. */
attn_cache *cached_make(const struct tensors *t, attn_dtype dtype, int64_t page_size, uint64_t seed);

/* Lets the K and V of a case in f32 be what a cache of type dtype holds, for the oracle. To be freed: *k and *v. */
void cached_read_back(const attn_cache *cache, attn_dtype dtype, struct tensors *t, float **k, float **v);

#endif
