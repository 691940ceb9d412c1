/* The buffers of a shape: seeded normal inputs, and an output. */
#ifndef BENCH_TENSORS_H
#define BENCH_TENSORS_H

#include "case.h"

#include "../dispatch/internal.h"
#include "../dispatch/problem.h"

struct bench_tensors {
  attn_desc desc;
  struct attn_problem problem; /* desc with every default filled in */
  struct attn_extents extents;
  attn_args args;
  double flops;    /* useful ones: attn_problem_flops(), or the sum of them over the sequences */
  float *per_head; /* [2][Hq]: slopes of ALiBi, sinks */
  int64_t *starts; /* [2][B + 1]: q_starts and kv_starts of sequences of different lengths; NULL: they have one */
  bool owned;      /* false: a view of another's buffers */
};

/* Bytes that the tensors of a shape take. SIZE_MAX: more than the address space. */
size_t bench_tensors_bytes(const struct bench_shape *shape);

/* What problem and tensors of sequence b would be, if it were alone: of tensors with starts. */
struct attn_problem bench_tensors_sequence(const struct bench_tensors *t, int64_t b, attn_args *args);

/* How often the rows [Hq][Sq] of q and o are there: B, but once if the sequences lie one behind the other. */
static inline int64_t bench_tensors_batches(const struct bench_tensors *t) { return t->starts ? 1 : t->problem.B; }

/* Inputs ~ N(0, 1), the same for a seed whatever the threads; boolean masks as mask.h says; first touched by threads
 * threads. False and a message in error: no memory, or the shape is too big. */
bool bench_tensors_create(struct bench_tensors *t, const struct bench_shape *shape, uint64_t seed, int threads, char *error,
                          size_t error_bytes);

/* The last queries of the first heads of the first batches of *whole, on the same buffers with the same keys: as much of it
 * as most_flops allow, but enough rows to occupy all threads. *whole itself if it is small enough, or has sequences of
 * different lengths. Returns whether it was cut. */
bool bench_tensors_slice(struct bench_tensors *slice, const struct bench_tensors *whole, double most_flops, int threads);

/* Makes every output element NaN, so that one that was never written cannot pass. */
void bench_tensors_poison(struct bench_tensors *t);

void bench_tensors_destroy(struct bench_tensors *t);

/* n numbers ~ N(0, 1), the same whatever the threads, which fill and first touch them; tensor: which of a shape's. False:
 * no threads. */
bool bench_fill_team(float *to, size_t n, uint64_t seed, uint64_t tensor, int threads);

/* n numbers ~ N(0, 1); sequences of different streams are independent. */
void bench_fill_normal(float *to, size_t n, uint64_t seed, uint64_t stream);

/* The next number of a sequence: every bit random (splitmix64, Steele, Lea and Flood 2014). */
uint64_t bench_random(uint64_t *state);

#endif
