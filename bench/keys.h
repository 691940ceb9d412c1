/* Where K and V of a case lie: in the tensors themselves or in an attn_cache; in one place, or in so many that no call
 * finds them in the CPU's caches. Fields of a case's name, both optional:
 *
 *   kv:<f32|f16|bf16|i8>   K and V are in a contiguous KV cache of that type
 *   cache:<hot|cold>       every call reads the same K and V (as without the field); or copies of them take turns */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include "tensors.h"
#include "timing.h"

struct bench_keys {
  int count; /* of calls: they are to take turns */
  struct bench_call *call;
  attn_args *args;
  attn_cache **cache; /* [count], if K and V are in caches */
  void **copy;        /* [2 * count] of K and V, if they are tensors; the first pair is not ours */
  size_t k_bytes, v_bytes;
};

/* Bytes of K and V that a call reads: scales of int8 included. */
double bench_keys_bytes(const struct bench_shape *shape, const struct attn_extents *extents);

/* Plans of *t's shape, on its q and o. False and a message in note. */
bool bench_keys_create(struct bench_keys *keys, const struct bench_shape *shape, const struct bench_tensors *t,
                       const attn_options *options, char *note, size_t note_bytes);
void bench_keys_destroy(struct bench_keys *keys);

#endif
