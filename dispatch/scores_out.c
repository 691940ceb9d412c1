/* attn_scores(): the scores as an output, at any stage, a block of rows at a time.
 *
 * Tiles of query rows and keys, as in the kernels, but what the kernels keep in registers is written out here, in
 * natural units; the softmax is taken in the output itself, so that no buffer grows with Skv. */
#include "error.h"
#include "parallel.h"
#include "problem.h"

#include "../kernels/reference/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE_ROWS = 32, TILE_KEYS = 64, THREAD_ALIGN = 64 };

static const double flops_per_thread = 1e6; /* below, waking a thread costs more than it brings */

struct block {
  struct attn_problem p;
  const attn_args *args;
  attn_score_stage stage;
  int64_t batch, batches, head, heads, query, queries, tiles; /* tiles: of TILE_ROWS queries, for each head */
  attn_strides stride;
  float *out;
  float *scratch; /* [threads][scratch_floats] */
  size_t scratch_floats;
};

/* A row of a tile. */
struct row {
  struct attn_range visible; /* as far as positions and lengths say */
  int64_t position;          /* of the query among the keys */
  int64_t mask_at;           /* mask element of key 0 */
  const uint8_t *blocks;     /* its row of the block mask */
  float *out;                /* score of key 0 */
  float max;
};

static void pack_queries(const struct block *c, int64_t b, int64_t h, int64_t i0, int64_t rows, float *q)
{
  const struct attn_problem *p = &c->p;
  const int64_t shift = p->diagonal + (p->kv_lengths ? c->args->kv_lengths[b] - p->Skv : 0);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t d = 0; d < p->Dqk; d++)
      q[r * p->Dqk + d] = attn_element_get(p->dtype, c->args->q, b * p->q.b + h * p->q.h + (i0 + r) * p->q.s + d * p->q.d);
    if (p->rope) attn_rope_turn(p->rope, i0 + r + shift, q + r * p->Dqk, 1);
  }
}

/* k[d][TILE_KEYS]; keys beyond the last are 0. */
static void pack_keys(const struct block *c, int64_t b, int64_t h, int64_t j0, int64_t keys, float *k)
{
  const struct attn_problem *p = &c->p;
  const int64_t head = b * p->k.b + h / p->G * p->k.h;
  for (int64_t j = 0; j < TILE_KEYS; j++)
    for (int64_t d = 0; d < p->Dqk; d++)
      k[d * TILE_KEYS + j] = j < keys ? attn_element_get(p->dtype, c->args->k, head + (j0 + j) * p->k.s + d * p->k.d) : 0;
}

static void multiply(const float *restrict q, const float *restrict k, int64_t depth, float scale, float *restrict s)
{
  int64_t d = 0;
  memset(s, 0, TILE_KEYS * sizeof *s);
  for (; d + 4 <= depth; d += 4, k += 4 * TILE_KEYS) { /* four at a time: s is in memory, not in registers */
    const float a = q[d], b = q[d + 1], c = q[d + 2], e = q[d + 3];
#pragma omp simd
    for (int j = 0; j < TILE_KEYS; j++)
      s[j] += (a * k[j] + b * k[TILE_KEYS + j]) + (c * k[2 * TILE_KEYS + j] + e * k[3 * TILE_KEYS + j]);
  }
  for (; d < depth; d++, k += TILE_KEYS)
    for (int j = 0; j < TILE_KEYS; j++) s[j] += q[d] * k[j];
  for (int j = 0; j < TILE_KEYS; j++) s[j] *= scale;
}

/* ALiBi, mask and range; a hidden key's score becomes -inf by selection: a NaN of it vanishes. */
static void add_bias(const struct block *c, const struct row *row, float slope, int64_t j0, int64_t keys, float *s)
{
  const struct attn_problem *p = &c->p;
  for (int64_t n = 0; n < keys; n++) {
    const int64_t j = j0 + n, at = row->mask_at + j * p->mask.d;
    if (j < row->visible.first || j >= row->visible.limit) {
      s[n] = -INFINITY;
      continue;
    }
    if (p->alibi) s[n] -= slope * (float)(j < row->position ? row->position - j : j - row->position);
    if (p->mask_kind == ATTN_MASK_BOOL && !((const uint8_t *)c->args->mask)[at]) s[n] = -INFINITY;
    if (attn_mask_adds(p->mask_kind)) {
      const float bias = attn_bias_get(p->mask_kind, c->args->mask, at);
      s[n] = bias == -INFINITY ? -INFINITY : s[n] + bias;
    }
    if (row->blocks && !(row->blocks[j / p->block_keys / 8] >> j / p->block_keys % 8 & 1)) s[n] = -INFINITY;
  }
}

static void store(const struct block *c, struct row *row, int64_t j0, int64_t keys, const float *s)
{
  float *out = row->out + j0 * c->stride.d;
  for (int64_t n = 0; n < keys; n++) {
    out[n * c->stride.d] = s[n];
    if (s[n] > row->max || isnan(s[n])) row->max = s[n]; /* a NaN stays: no score is greater */
  }
}

/* From scores to probabilities. */
static void normalise(const struct block *c, const struct row *row, float sink)
{
  const int64_t step = c->stride.d, skv = c->p.Skv;
  const float max = sink > row->max ? sink : row->max;
  double sum = sink == -INFINITY ? 0 : (double)expf(sink - max);
  float *out = row->out;
  for (int64_t j = row->visible.first; j < row->visible.limit; j++) {
    float *w = &out[j * step];
    if (*w == -INFINITY) continue;
    *w = expf(*w - max);
    sum += (double)*w;
  }
  const double factor = 1 / sum;
  for (int64_t j = 0; j < skv; j++) {
    float *w = &out[j * step];
    *w = *w == -INFINITY || j < row->visible.first || j >= row->visible.limit ? 0 : (float)((double)*w * factor);
  }
}

static void run_tile(void *context, int64_t index, int thread)
{
  const struct block *c = context;
  const struct attn_problem *p = &c->p;
  const int64_t tile = index % c->tiles, head = index / c->tiles;
  const int64_t b = c->batch + head / c->heads, h = c->head + head % c->heads, i0 = c->query + tile * TILE_ROWS;
  const int64_t end = c->query + c->queries, rows = end - i0 < TILE_ROWS ? end - i0 : TILE_ROWS;
  const int64_t length = p->kv_lengths ? c->args->kv_lengths[b] : p->Skv;
  const float slope = p->alibi ? c->args->alibi_slopes[h] : 0, sink = p->sinks ? c->args->sinks[h] : -INFINITY;
  float *k = c->scratch + (size_t)thread * c->scratch_floats, *q = k + TILE_KEYS * p->Dqk;
  struct row row[TILE_ROWS];
  for (int64_t r = 0; r < rows; r++)
    row[r] = (struct row){
        .visible = attn_query_range(p, length, i0 + r),
        .position = i0 + r + p->diagonal + length - p->Skv,
        .mask_at = b * p->mask.b + h * p->mask.h + (i0 + r) * p->mask.s,
        .out = c->out + (b - c->batch) * c->stride.b + (h - c->head) * c->stride.h + (i0 + r - c->query) * c->stride.s,
        .blocks = !p->block_keys
                      ? NULL
                      : c->args->blocks + b * p->block_b + h * p->block_h + (i0 + r) / p->block_queries * p->block_row,
        .max = -INFINITY};
  pack_queries(c, b, h, i0, rows, q);
  for (int64_t j0 = 0; j0 < p->Skv; j0 += TILE_KEYS) {
    const int64_t keys = p->Skv - j0 < TILE_KEYS ? p->Skv - j0 : TILE_KEYS;
    /* Neither end of the visible range falls as the rows go on. */
    const bool hidden = // NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): there is at least one row
        c->stage >= ATTN_SCORE_BIASED && (j0 >= row[rows - 1].visible.limit || j0 + keys <= row[0].visible.first);
    if (!hidden) pack_keys(c, b, h, j0, keys, k);
    for (int64_t r = 0; r < rows; r++) {
      float s[TILE_KEYS];
      if (hidden) {
        for (int j = 0; j < TILE_KEYS; j++) s[j] = -INFINITY;
      } else {
        multiply(q + r * p->Dqk, k, p->Dqk, (float)p->scale, s);
        if (c->stage >= ATTN_SCORE_CAPPED && p->softcap != 0)
          for (int64_t j = 0; j < keys; j++) s[j] = p->softcap * tanhf(s[j] / p->softcap);
        if (c->stage >= ATTN_SCORE_BIASED) add_bias(c, &row[r], slope, j0, keys, s);
      }
      store(c, &row[r], j0, keys, s);
    }
  }
  for (int64_t r = 0; r < rows && c->stage == ATTN_SCORE_WEIGHT; r++) normalise(c, &row[r], sink);
}

static attn_status take_range(int64_t *first, int64_t *count, const char *name, int64_t from, int64_t wanted, int64_t all)
{
  if (from < 0 || from > all)
    return attn_fail(ATTN_ERR_INVALID, "block.%s = %lld is not within 0..%lld", name, (long long)from, (long long)all);
  if (wanted < 0 || wanted > all - from)
    return attn_fail(ATTN_ERR_INVALID, "block: %lld from .%s = %lld on; there are %lld (0 asks for all the rest)",
                     (long long)wanted, name, (long long)from, (long long)(all - from));
  *first = from;
  *count = wanted ? wanted : all - from;
  return ATTN_OK;
}

static attn_status check_inputs(const struct block *c, size_t bytes)
{
  const struct attn_extents e = attn_problem_extents(&c->p);
  const struct {
    const char *name;
    const void *start;
    size_t bytes;
  } in[] = {{"q", c->args->q, e.q},
            {"k", c->args->k, e.k},
            {"mask", c->args->mask, e.mask},
            {"alibi_slopes", c->args->alibi_slopes, e.alibi_slopes},
            {"sinks", c->args->sinks, e.sinks},
            {"kv_lengths", c->args->kv_lengths, e.kv_lengths},
            {"blocks", c->args->blocks, e.blocks}};
  const uintptr_t out = (uintptr_t)c->out;
  if (!c->out) return attn_fail(ATTN_ERR_INVALID, "scores is NULL; %zu bytes are written there", bytes);
  for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
    const uintptr_t start = (uintptr_t)in[i].start;
    if (in[i].bytes && !start)
      return attn_fail(ATTN_ERR_INVALID, "%s is NULL; the problem needs %zu bytes there", in[i].name, in[i].bytes);
    if (in[i].bytes && out < start + in[i].bytes && start < out + bytes)
      return attn_fail(ATTN_ERR_ALIAS, "scores (%zu bytes) overlaps %s (%zu bytes); outputs need memory of their own",
                       bytes, in[i].name, in[i].bytes);
  }
  for (int64_t b = 0; e.kv_lengths && b < c->p.B; b++)
    if (c->args->kv_lengths[b] < 0 || c->args->kv_lengths[b] > c->p.Skv)
      return attn_fail(ATTN_ERR_INVALID, "kv_lengths[%lld] = %lld is not within 0..Skv = %lld", (long long)b,
                       (long long)c->args->kv_lengths[b], (long long)c->p.Skv);
  return ATTN_OK;
}

static attn_status run_tiles(struct block *c, const attn_options *options)
{
  const struct attn_problem *p = &c->p;
  int threads;
  const attn_status status = attn_choose_threads(&threads, options);
  if (status) return status;
  c->tiles = (c->queries - 1) / TILE_ROWS + 1;
  const int64_t count = c->batches * c->heads * c->tiles;
  const double flops =
      2.0 * (double)c->batches * (double)c->heads * (double)c->queries * (double)p->Skv * (double)(p->Dqk + 1);
  if (flops / flops_per_thread < threads) threads = flops < flops_per_thread ? 1 : (int)(flops / flops_per_thread);
  if (threads > count) threads = (int)count;
  /* Dqk floats lie in memory already, so this cannot overflow: but 96 times as many might not be there. */
  size_t bytes;
  if (__builtin_mul_overflow((size_t)p->Dqk, (TILE_ROWS + TILE_KEYS) * sizeof(float), &bytes) ||
      __builtin_mul_overflow((bytes + THREAD_ALIGN) & ~(size_t)(THREAD_ALIGN - 1), (size_t)threads, &bytes) ||
      bytes > PTRDIFF_MAX)
    return attn_fail(ATTN_ERR_OVERFLOW, "Dqk = %lld: the scratch exceeds the address space", (long long)p->Dqk);
  c->scratch_floats = bytes / (size_t)threads / sizeof(float);
  c->scratch = aligned_alloc(THREAD_ALIGN, bytes);
  if (!c->scratch)
    return attn_fail(ATTN_ERR_NO_MEMORY, "scratch of %zu bytes (%d threads): no memory; use fewer threads", bytes, threads);
  attn_parallel_for(threads, options ? options->placement : ATTN_PLACE_CORES, count, run_tile, c);
  free(c->scratch);
  return ATTN_OK;
}

attn_status attn_scores(const attn_desc *desc, const attn_options *options, const attn_args *args,
                        const attn_score_block *block, float *scores)
{
  if (!desc || !args || !block) return attn_fail(ATTN_ERR_INVALID, "%s is NULL", !desc ? "desc" : !args ? "args" : "block");
  if (options && options->placement != ATTN_PLACE_CORES && options->placement != ATTN_PLACE_NONE)
    return attn_fail(ATTN_ERR_INVALID, "options.placement = %d is not ATTN_PLACE_CORES or ATTN_PLACE_NONE",
                     (int)options->placement);
  if ((int)block->stage < ATTN_SCORE_RAW || block->stage > ATTN_SCORE_WEIGHT)
    return attn_fail(ATTN_ERR_INVALID, "block.stage = %d is not one of ATTN_SCORE_RAW, _CAPPED, _BIASED, _WEIGHT",
                     (int)block->stage);
  struct block c = {.args = args, .stage = block->stage, .stride = block->stride, .out = scores};
  size_t bytes = 0;
  attn_status status = attn_problem_resolve(&c.p, desc);
  if (!status && (c.p.q_starts || c.p.kv_starts))
    status = attn_fail(ATTN_ERR_INVALID, "flags has %s: scores are those of batches of one size; ask for each sequence",
                       c.p.q_starts ? "ATTN_Q_STARTS" : "ATTN_KV_STARTS");
  if (!status) status = take_range(&c.batch, &c.batches, "batch", block->batch, block->batches, c.p.B);
  if (!status) status = take_range(&c.head, &c.heads, "head", block->head, block->heads, c.p.Hq);
  if (!status) status = take_range(&c.query, &c.queries, "query", block->query, block->queries, c.p.Sq);
  if (!status)
    status = attn_tensor_resolve("block.stride", &c.stride, (int64_t[]){c.batches, c.heads, c.queries, c.p.Skv},
                                 sizeof *scores, ATTN_BHSD, true, &bytes);
  if (status || !bytes) return status;
  status = check_inputs(&c, bytes);
  return status ? status : run_tiles(&c, options);
}
