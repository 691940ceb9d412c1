/* The name of a case, which is its reproducer:
 *   attn/<kernel>/<dtype>/B:1/Hq:32/Hkv:8/Sq:1/Skv:4096/Dqk:128/Dv:128/<mask>[/<options>]/T:16[/real_time]
 * (masks: mask.h). Options: Wq:768/Wkv:1024/Wo:768, all or none, makes it a whole layer (layer.h): the widths of the query,
 * of the key and value, and of the output (0: no output projection). Or any of seqs:2*512x512,14*1x4096: how long which
 * sequence is (sequences.h); kv:i8 and cache:cold: where K and V lie (keys.h), dtype is then that of q and o.
 * Parsed strictly, so that a name pasted from a report either runs exactly that case or says which field is wrong. */
#ifndef BENCH_CASE_H
#define BENCH_CASE_H

#include "mask.h"
#include "sequences.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where K and V lie: keys.h. */
enum bench_kv { BENCH_KV_TENSORS, BENCH_KV_F32, BENCH_KV_F16, BENCH_KV_BF16, BENCH_KV_I8 };
enum bench_cache { BENCH_CACHE_AS_IT_COMES, BENCH_CACHE_HOT, BENCH_CACHE_COLD };
static inline attn_dtype bench_kv_dtype(enum bench_kv kv) { return (attn_dtype)(kv - BENCH_KV_F32); }

/* What is computed: all that decides the content of the buffers. */
struct bench_shape {
  attn_dtype dtype;
  int64_t B, Hq, Hkv, Sq, Skv, Dqk, Dv;
  bench_mask mask;
  int64_t Wq, Wkv, Wo; /* of a layer; Wq 0: attention alone */
  enum bench_kv kv;
  enum bench_cache cache;
  struct bench_sequences seqs; /* their number is B, the most queries and keys of one Sq and Skv */
};

/* Of the kernels that compute it: of K and V. */
static inline attn_dtype bench_shape_kernel_dtype(const struct bench_shape *s)
{
  return s->kv ? bench_kv_dtype(s->kv) : s->dtype;
}

/* What is timed: a shape by a kernel on a number of threads. */
enum { BENCH_KERNEL_NAME_BYTES = 64, BENCH_CASE_NAME_BYTES = 320 };
struct bench_case {
  char kernel[BENCH_KERNEL_NAME_BYTES];
  struct bench_shape shape;
  int threads;
};

/* True if text is the name of a case; otherwise error says which field is wrong, its value and what it should be. The
 * kernel need not exist: that depends on the machine, the grammar does not. */
bool bench_case_parse(struct bench_case *out, const char *text, char *error, size_t error_bytes);

/* Writes the canonical name. Returns name. */
char *bench_case_print(const struct bench_case *c, char name[BENCH_CASE_NAME_BYTES]);

/* "B1 H32/8 S2048 D128 causal": the shape for a person. Returns text. */
char *bench_shape_describe(const struct bench_shape *shape, char *text, size_t bytes);

static inline bool bench_shape_is_layer(const struct bench_shape *shape) { return shape->Wq > 0; }

bool bench_shape_equal(const struct bench_shape *a, const struct bench_shape *b);
bool bench_case_equal(const struct bench_case *a, const struct bench_case *b);

static inline bool bench_shape_has_sequences(const struct bench_shape *shape) { return shape->seqs.runs > 0; }

/* The description of the shape's tensors: contiguous BHSD, or BSHD if its sequences lie one behind the other. */
attn_desc bench_shape_desc(const struct bench_shape *shape);

const char *bench_dtype_name(attn_dtype dtype);

#endif
