#include "tensors.h"

#include "memory.h"
#include "team.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t bench_random(uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Box and Muller 1958, two numbers a step. */
void bench_fill_normal(float *to, size_t n, uint64_t seed, uint64_t stream)
{
  uint64_t state = seed * 0x9e3779b97f4a7c15u ^ stream;
  state = bench_random(&state);
  for (size_t i = 0; i < n; i += 2) {
    const uint64_t bits = bench_random(&state);
    const float u = ((float)(bits >> 40) + 0.5f) * 0x1p-24f, angle = (float)(bits & 0xffffff) * 0x1p-24f * 6.2831853f;
    const float radius = sqrtf(-2 * logf(u));
    to[i] = radius * cosf(angle);
    if (i + 1 < n) to[i + 1] = radius * sinf(angle);
  }
}

enum { FILL_BLOCK = 1 << 14, MASK_TENSOR = 4 };

enum fill_kind { FILL_NORMAL, FILL_BOOL, FILL_BLOCKS };
struct fill {
  enum fill_kind kind;
  attn_dtype dtype; /* of FILL_NORMAL */
  void *to;
  size_t n;
  uint64_t seed, tensor;
  uint64_t hidden_of_8; /* of 8 entries of a boolean mask, on average */
  int64_t row;          /* its length */
};

/* Whether keys of column x are visible to queries of row y: decided by the place alone, so that parts filled by different
 * threads agree, and a mask of bytes with one of bits. */
static bool block_is_visible(uint64_t seed, uint64_t hidden_of_8, uint64_t y, uint64_t x)
{
  uint64_t state = seed ^ (uint64_t)MASK_TENSOR << 48 ^ y << 24 ^ x;
  return (bench_random(&state) & 7) >= hidden_of_8;
}

/* Blocks have random streams of their own: the content does not depend on who fills them. */
static void fill_part(void *context, int thread, int threads)
{
  const struct fill *f = context;
  const size_t blocks = (f->n + FILL_BLOCK - 1) / FILL_BLOCK;
  const size_t begin = blocks * (size_t)thread / (size_t)threads, end = blocks * (size_t)(thread + 1) / (size_t)threads;
  for (size_t b = begin; b < end; b++) {
    const size_t at = b * FILL_BLOCK, n = f->n - at < FILL_BLOCK ? f->n - at : FILL_BLOCK;
    const uint64_t stream = f->tensor << 48 ^ b;
    float normal[FILL_BLOCK];
    if (f->kind == FILL_BOOL) {
      uint64_t state = f->seed ^ stream;
      for (size_t i = 0; i < n; i++) ((uint8_t *)f->to)[at + i] = (bench_random(&state) & 7) >= f->hidden_of_8;
      continue;
    }
    if (f->kind == FILL_BLOCKS) {
      for (size_t i = at; i < at + n; i++)
        ((uint8_t *)f->to)[i] = block_is_visible(f->seed, f->hidden_of_8, i / (size_t)f->row / BENCH_MASK_BLOCK,
                                                 i % (size_t)f->row / BENCH_MASK_BLOCK);
      continue;
    }
    bench_fill_normal(normal, n, f->seed, stream);
    for (size_t i = 0; i < n; i++) attn_element_put(f->dtype, f->to, (int64_t)(at + i), normal[i]);
  }
}

bool bench_fill_team(float *to, size_t n, uint64_t seed, uint64_t tensor, int threads)
{
  struct fill fill = {.kind = FILL_NORMAL, .dtype = ATTN_F32, .to = to, .n = n, .seed = seed, .tensor = tensor};
  return bench_team_run(threads, fill_part, &fill);
}

/* K or V as what a cache of another type can hold of it, so that the oracle, which reads the tensors, sees what kernels
 * see. */
struct rounding {
  attn_dtype dtype;
  float *x;
  int64_t rows, n; /* of a row: one token of one head */
};

static void round_part(void *context, int thread, int threads)
{
  const struct rounding *r = context;
  for (int64_t row = r->rows * thread / threads; row < r->rows * (thread + 1) / threads; row++) {
    float *x = r->x + row * r->n, most = 0;
    for (int64_t d = 0; d < r->n; d++) most = fmaxf(most, fabsf(x[d]));
    const float scale = most / 127;
    for (int64_t d = 0; d < r->n; d++) {
      float stored; /* room for any type */
      if (r->dtype == ATTN_I8) {
        x[d] = most > 0 ? rintf(x[d] / scale) * scale : 0;
      } else {
        attn_element_put(r->dtype, &stored, 0, x[d]);
        x[d] = attn_element_get(r->dtype, &stored, 0);
      }
    }
  }
}

static bool round_keys(const struct bench_tensors *t, const struct bench_shape *s, int threads)
{
  const attn_dtype dtype = bench_shape_kernel_dtype(s);
  if (dtype == s->dtype) return true;
  struct rounding k = {dtype, (float *)t->args.k, (int64_t)(t->extents.k / sizeof(float)) / s->Dqk, s->Dqk}, v = k;
  v.x = (float *)t->args.v;
  v.n = s->Dv;
  return bench_team_run(threads, round_part, &k) && bench_team_run(threads, round_part, &v);
}

/* How the mask of a shape is filled. */
static struct fill fill_mask(const struct bench_tensors *t, const struct bench_shape *shape, void *mask, uint64_t seed)
{
  const enum bench_mask_kind kind = bench_mask_kind(shape->mask);
  const attn_mask_kind type = t->problem.mask_kind;
  return (struct fill){.kind = type != ATTN_MASK_BOOL           ? FILL_NORMAL
                               : kind == BENCH_MASK_BOOL_BLOCKS ? FILL_BLOCKS
                                                                : FILL_BOOL,
                       .dtype = type == ATTN_MASK_ADDITIVE_F16 ? ATTN_F16 : ATTN_F32,
                       .to = mask,
                       .n = t->extents.mask / attn_mask_element(type),
                       .seed = seed,
                       .tensor = MASK_TENSOR,
                       .hidden_of_8 = kind == BENCH_MASK_BOOL ? 1 : 4,
                       .row = shape->Skv};
}

static bool fill_bitmap(const struct bench_tensors *t, uint8_t *bitmap, uint64_t seed)
{
  const attn_block_mask *block = &t->desc.blocks;
  for (int64_t y = 0; y * block->queries < t->desc.Sq; y++)
    for (int64_t x = 0; x * block->keys < t->desc.Skv; x++)
      if (attn_block_mask_set(bitmap, t->extents.blocks, &t->desc, y, x,
                              block_is_visible(seed, 4, (uint64_t)y, (uint64_t)x)))
        return false;
  return true;
}

/* Where the sequences begin. False: no memory. */
static bool lay_sequences(struct bench_tensors *t, const struct bench_sequences *s)
{
  const int64_t B = bench_sequences_count(s);
  if (!s->runs) return true;
  t->starts = calloc(2 * (size_t)(B + 1), sizeof *t->starts);
  if (!t->starts) return false;
  int64_t *q = t->starts, *kv = q + B + 1;
  for (int64_t b = 0; b < B; b++) {
    const struct bench_sequence at = bench_sequence_at(s, b);
    q[b + 1] = q[b] + at.queries;
    kv[b + 1] = kv[b] + at.keys;
  }
  t->args.q_starts = q;
  t->args.kv_starts = kv;
  return true;
}

struct attn_problem bench_tensors_sequence(const struct bench_tensors *t, int64_t b, attn_args *args)
{
  const struct attn_problem *p = &t->problem;
  const int64_t q0 = t->args.q_starts[b], kv0 = t->args.kv_starts[b], element = (int64_t)attn_element_bytes(p->dtype);
  struct attn_problem own = *p;
  own.B = 1;
  own.Sq = t->args.q_starts[b + 1] - q0;
  own.Skv = own.mask_length = t->args.kv_starts[b + 1] - kv0;
  own.diagonal += p->Sq - p->Skv + own.Skv - own.Sq;
  own.q_starts = own.kv_starts = false;
  *args = t->args;
  args->q = (const char *)t->args.q + q0 * p->q.s * element;
  args->o = (char *)t->args.o + q0 * p->o.s * element;
  args->k = (const char *)t->args.k + kv0 * p->k.s * element;
  args->v = (const char *)t->args.v + kv0 * p->v.s * element;
  return own;
}

static double count_flops(const struct bench_tensors *t)
{
  attn_args unused;
  double flops = 0;
  if (!t->args.q_starts) return attn_problem_flops(&t->problem);
  for (int64_t b = 0; b < t->problem.B; b++) {
    const struct attn_problem own = bench_tensors_sequence(t, b, &unused);
    flops += attn_problem_flops(&own);
  }
  return flops;
}

static bool resolve(struct bench_tensors *t, char *error, size_t error_bytes)
{
  if (attn_problem_resolve(&t->problem, &t->desc)) {
    snprintf(error, error_bytes, "%s", attn_error_message());
    return false;
  }
  t->extents = attn_problem_extents(&t->problem);
  return true;
}

static size_t sum_bytes(const struct attn_extents *e)
{
  const size_t bytes[] = {e->q, e->k, e->v, e->o, e->mask, e->blocks};
  size_t sum = 0;
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
    if (__builtin_add_overflow(sum, bytes[i], &sum)) return SIZE_MAX;
  return sum;
}

size_t bench_tensors_bytes(const struct bench_shape *shape)
{
  struct bench_tensors t = {.desc = bench_shape_desc(shape)};
  char ignored[8];
  return resolve(&t, ignored, sizeof ignored) ? sum_bytes(&t.extents) : SIZE_MAX;
}

bool bench_tensors_create(struct bench_tensors *t, const struct bench_shape *shape, uint64_t seed, int threads, char *error,
                          size_t error_bytes)
{
  *t = (struct bench_tensors){.desc = bench_shape_desc(shape), .owned = true};
  if (!resolve(t, error, error_bytes)) return false;
  const struct attn_extents *e = &t->extents;
  void *q = bench_memory_map(e->q), *k = bench_memory_map(e->k), *v = bench_memory_map(e->v);
  void *mask = e->mask ? bench_memory_map(e->mask) : NULL, *blocks = e->blocks ? bench_memory_map(e->blocks) : NULL;
  t->args = (attn_args){.q = q, .k = k, .v = v, .o = bench_memory_map(e->o), .mask = mask, .blocks = blocks};
  t->per_head = malloc(2 * (size_t)shape->Hq * sizeof *t->per_head);
  const bool laid = lay_sequences(t, &shape->seqs);
  if (!laid || !q || !k || !v || !t->args.o || (e->mask && !mask) || (e->blocks && !blocks) || !t->per_head) {
    snprintf(error, error_bytes, "no memory for tensors of %zu MiB", sum_bytes(e) >> 20);
    bench_tensors_destroy(t);
    return false;
  }
  t->flops = count_flops(t);
  for (int64_t h = 0; h < shape->Hq; h++) t->per_head[h] = exp2f(-8 * (float)(h + 1) / (float)shape->Hq);
  bench_fill_normal(t->per_head + shape->Hq, (size_t)shape->Hq, seed, 5);
  t->args.alibi_slopes = t->per_head;
  t->args.sinks = t->per_head + shape->Hq;
  const size_t element = attn_element_bytes(shape->dtype);
  const struct fill fills[] = {{FILL_NORMAL, shape->dtype, q, e->q / element, seed, 1, 0, 0},
                               {FILL_NORMAL, shape->dtype, k, e->k / element, seed, 2, 0, 0},
                               {FILL_NORMAL, shape->dtype, v, e->v / element, seed, 3, 0, 0},
                               fill_mask(t, shape, mask, seed)};
  if (blocks && !fill_bitmap(t, blocks, seed)) {
    snprintf(error, error_bytes, "%s", attn_error_message());
    bench_tensors_destroy(t);
    return false;
  }
  for (size_t i = 0; i < sizeof fills / sizeof *fills; i++)
    if (fills[i].n && !bench_team_run(threads, fill_part, (void *)&fills[i])) {
      snprintf(error, error_bytes, "%d threads could not be started", threads);
      bench_tensors_destroy(t);
      return false;
    }
  if (round_keys(t, shape, threads)) return true;
  snprintf(error, error_bytes, "%d threads could not be started", threads);
  bench_tensors_destroy(t);
  return false;
}

/* Half of the last n queries; the first of them begins a block, if there is a block mask. */
static int64_t half_of_queries(const struct attn_problem *p, int64_t n)
{
  const int64_t first = p->Sq - (n + 1) / 2;
  return p->Sq - (p->block_queries ? first / p->block_queries * p->block_queries : first);
}

bool bench_tensors_slice(struct bench_tensors *slice, const struct bench_tensors *whole, double most_flops, int threads)
{
  /* Units of work have about a hundred rows: this many a thread keep all threads busy to the end, as the whole would. */
  enum { FEW_QUERIES = 64, ROWS_PER_THREAD = 256 };
  const struct attn_problem *p = &whole->problem;
  struct attn_problem cut = *p;
  *slice = *whole;
  slice->owned = false;
  if (whole->starts) return false;
  while (attn_problem_flops(&cut) > most_flops && cut.B * cut.Hq * cut.Sq / 2 >= (int64_t)threads * ROWS_PER_THREAD) {
    const struct attn_problem before = cut;
    if (cut.B > 1)
      cut.B /= 2;
    else if (cut.Hkv > 1 && (cut.Hkv / 2 >= threads || cut.Sq <= FEW_QUERIES))
      cut.Hkv /= 2;
    else
      cut.Sq = half_of_queries(p, cut.Sq);
    if (cut.Sq == before.Sq && cut.B == before.B && cut.Hkv == before.Hkv) break;
    cut.Hq = cut.Hkv * p->G;
    cut.diagonal += before.Sq - cut.Sq; /* the last queries stay the last */
  }
  if (cut.B == p->B && cut.Hkv == p->Hkv && cut.Sq == p->Sq) return false;
  slice->desc.B = cut.B;
  slice->desc.Hkv = cut.Hkv;
  slice->desc.Hq = cut.Hq;
  slice->desc.Sq = cut.Sq;
  slice->desc.q = p->q;
  slice->desc.k = p->k;
  slice->desc.v = p->v;
  slice->desc.o = p->o;
  slice->desc.mask.stride = p->mask;
  const int64_t first = p->Sq - cut.Sq;
  const size_t element = attn_element_bytes(p->dtype);
  slice->args.q = (const char *)whole->args.q + (size_t)(first * p->q.s) * element;
  slice->args.o = (char *)whole->args.o + (size_t)(first * p->o.s) * element;
  if (p->mask_kind != ATTN_MASK_NONE)
    slice->args.mask = (const char *)whole->args.mask + (size_t)(first * p->mask.s) * attn_mask_element(p->mask_kind);
  if (p->block_keys) slice->args.blocks = whole->args.blocks + first / p->block_queries * p->block_row;
  char ignored[8];
  if (!resolve(slice, ignored, sizeof ignored)) return false; /* never: a part of what was valid is valid */
  slice->flops = attn_problem_flops(&slice->problem);
  return true;
}

void bench_tensors_poison(struct bench_tensors *t)
{
  const struct attn_problem *p = &t->problem;
  for (int64_t b = 0; b < bench_tensors_batches(t); b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++)
        for (int64_t d = 0; d < p->Dv; d++)
          attn_element_put(p->dtype, t->args.o, b * p->o.b + h * p->o.h + i * p->o.s + d * p->o.d, NAN);
}

void bench_tensors_destroy(struct bench_tensors *t)
{
  if (t->owned) {
    bench_memory_free((void *)t->args.q, t->extents.q);
    bench_memory_free((void *)t->args.k, t->extents.k);
    bench_memory_free((void *)t->args.v, t->extents.v);
    bench_memory_free((void *)t->args.mask, t->extents.mask);
    bench_memory_free((void *)t->args.blocks, t->extents.blocks);
    bench_memory_free(t->args.o, t->extents.o);
    free(t->per_head);
    free(t->starts);
  }
  *t = (struct bench_tensors){0};
}
