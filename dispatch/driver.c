/* Runs a plan: checks the buffers, hands units to OpenMP threads, turns row maxima and sums into LSE. The only OpenMP. */
#include "error.h"
#include "parallel.h"
#include "sequences.h"
#include "topology.h"

#include "../kernels/reference/half.h"
#include "../kernels/reference/oracle.h"

#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libgomp's threads do not survive fork(): a child that starts a parallel region would wait for them forever. It
 * computes alone instead, with the same result. */
static atomic_bool pool_in_use, pool_lost;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static void in_child(void) { pool_lost = atomic_load(&pool_in_use); }
static void watch_fork(void) { pthread_atfork(NULL, NULL, in_child); }

/* libgomp ends the process if the system refuses it a thread. So before a pool grows, as many threads are started here,
 * each by the one before it and waiting for the next, so that all exist at once and no list of them is needed. */
static void *start_next(void *argument)
{
  int *left = argument;
  pthread_t next;
  if (*left == 0) return NULL;
  --*left;
  if (pthread_create(&next, NULL, start_next, left))
    ++*left;
  else
    pthread_join(next, NULL);
  return NULL;
}

/* How many of that many threads the calling thread's pool can have. */
static int startable(int threads)
{
  static _Thread_local int had = 1;
  if (threads <= had) return threads;
  int left = threads - 1;
  start_next(&left);
  if (left == 0) return had = threads;
  const char *debug = getenv("ATTN_DEBUG");
  if (debug && !strcmp(debug, "1"))
    fprintf(stderr, "attn: the system refuses %d threads; computing with %d\n", threads, threads - left);
  return threads - left;
}

struct buffer {
  const char *name;
  const void *start;
  size_t bytes;
};

/* Where sequences begin and the last one ends: none may end before it begins or beyond what there is. */
static attn_status check_starts(const char *name, const int64_t *starts, int64_t B, const char *size, int64_t most)
{
  for (int64_t b = 0; b <= B; b++) {
    if (starts[b] < 0 || starts[b] > most)
      return attn_fail(ATTN_ERR_INVALID, "%s[%lld] = %lld is not within 0..%s = %lld", name, (long long)b,
                       (long long)starts[b], size, (long long)most);
    if (b && starts[b] < starts[b - 1])
      return attn_fail(ATTN_ERR_INVALID, "%s[%lld] = %lld is less than %s[%lld] = %lld; sequences stand one after another",
                       name, (long long)b, (long long)starts[b], name, (long long)b - 1, (long long)starts[b - 1]);
  }
  return ATTN_OK;
}

static attn_status check_args(const struct attn_plan *plan, const attn_args *args)
{
  const struct attn_extents *e = &plan->extents;
  const struct buffer in[] = {{"q", args->q, e->q},
                              {"k", args->k, e->k},
                              {"v", args->v, e->v},
                              {"mask", args->mask, e->mask},
                              {"alibi_slopes", args->alibi_slopes, e->alibi_slopes},
                              {"sinks", args->sinks, e->sinks},
                              {"kv_lengths", args->kv_lengths, e->kv_lengths},
                              {"q_starts", args->q_starts, e->q_starts},
                              {"kv_starts", args->kv_starts, e->kv_starts},
                              {"blocks", args->blocks, e->blocks}};
  enum { INPUTS = sizeof in / sizeof *in };
  const struct buffer out[] = {{"o", args->o, e->o}, {"lse", args->lse, args->lse ? e->lse : 0}};
  for (int i = 0; i < INPUTS; i++)
    if (in[i].bytes && !in[i].start)
      return attn_fail(ATTN_ERR_INVALID, "%s is NULL; the plan needs %zu bytes there", in[i].name, in[i].bytes);
  if (e->o && !args->o) return attn_fail(ATTN_ERR_INVALID, "o is NULL; the plan writes %zu bytes there", e->o);
  for (int o = 0; o < 2; o++)
    for (int i = 0; i <= INPUTS; i++) {
      const struct buffer *a = &out[o], *b = i < INPUTS ? &in[i] : &out[!o];
      const uintptr_t a0 = (uintptr_t)a->start, b0 = (uintptr_t)b->start;
      if (a->bytes && b->bytes && a0 < b0 + b->bytes && b0 < a0 + a->bytes)
        return attn_fail(ATTN_ERR_ALIAS, "%s (%zu bytes) overlaps %s (%zu bytes); outputs need memory of their own",
                         a->name, a->bytes, b->name, b->bytes);
    }
  for (int64_t b = 0; e->kv_lengths && b < plan->problem.B; b++)
    if (args->kv_lengths[b] < 0 || args->kv_lengths[b] > plan->problem.Skv)
      return attn_fail(ATTN_ERR_INVALID, "kv_lengths[%lld] = %lld is not within 0..Skv = %lld", (long long)b,
                       (long long)args->kv_lengths[b], (long long)plan->problem.Skv);
  attn_status status = ATTN_OK;
  if (e->q_starts) status = check_starts("q_starts", args->q_starts, plan->problem.B, "Sq", plan->problem.Sq);
  if (!status && e->kv_starts)
    status = check_starts("kv_starts", args->kv_starts, plan->problem.B, "Skv", plan->problem.Skv);
  if (status) return status;
  if (args->workspace && args->workspace_bytes < plan->workspace_bytes)
    return attn_fail(ATTN_ERR_INVALID, "workspace_bytes = %zu is less than the plan's %zu (attn_plan_workspace_bytes)",
                     args->workspace_bytes, plan->workspace_bytes);
  return ATTN_OK;
}

static void write_lse(const struct attn_problem *p, float *lse, const struct attn_unit *u)
{
  const double ln2 = 0.69314718055994530942;
  for (int64_t r = u->row0; r < u->row1; r++) {
    const float sum = u->row_sum[r - u->row0];
    lse[u->b * p->lse.b + attn_row_head(p, u->hkv, r) * p->lse.h + attn_row_query(p, r) * p->lse.s] =
        sum == 0 ? -INFINITY : (float)(ln2 * (u->row_max[r - u->row0] + log2((double)sum)));
  }
}

/* No key, or head sizes of 0: not worth a kernel, the definition itself is quick enough. */
static attn_status run_degenerate(const struct attn_plan *plan, const attn_args *args)
{
  const struct attn_problem *p = &plan->problem;
  double *row = malloc(((size_t)p->Dv + (size_t)p->Skv + 1) * sizeof *row), lse;
  int64_t *lengths = malloc(((size_t)p->B + 1) * sizeof *lengths);
  for (int64_t b = 0; row && lengths && b < p->B; b++) {
    struct attn_sequence s;
    lengths[b] = attn_sequence_place(&s, p, args, b);
    struct attn_problem own = attn_sequence_problem(p, s.queries);
    if (p->kv_starts) { /* the definition multiplies by hidden keys as well: there must be none behind the last */
      own.Skv = own.mask_length = lengths[b];
      own.diagonal += lengths[b] - p->Skv;
    }
    attn_args its = attn_sequence_args(&s, p, args);
    its.kv_lengths = lengths;
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < s.queries; i++) {
        attn_oracle_row(&own, &its, b, h, i, row, &lse, row + p->Dv);
        for (int64_t d = 0; d < p->Dv; d++)
          attn_element_put(p->dtype, its.o, b * p->o.b + h * p->o.h + i * p->o.s + d * p->o.d, (float)row[d]);
        if (its.lse) its.lse[b * p->lse.b + h * p->lse.h + i * p->lse.s] = (float)lse;
      }
  }
  const bool done = row && lengths;
  free(row);
  free(lengths);
  return done ? ATTN_OK : attn_fail(ATTN_ERR_NO_MEMORY, "no memory for a row of Dv = %lld", (long long)p->Dv);
}

/* One run of a plan: where it computes. */
struct run {
  const struct attn_plan *plan;
  const attn_args *args;
  int threads;
  char *scratch;                   /* [threads][plan->scratch_bytes] */
  float *parts;                    /* of sequences whose keys are split */
  struct attn_sequence *sequences; /* [B], if the plan's partition is made at each run */
  int64_t *lengths;                /* [B] likewise: their keys */
};

/* A unit of (b, hkv) with everything but rows, keys and parts filled in. */
static struct attn_unit make_unit(const struct run *run, int64_t b, int64_t hkv, char *scratch)
{
  const struct attn_plan *plan = run->plan;
  const struct attn_cache *cache = plan->cache;
  const struct attn_problem *p = &plan->problem;
  float *row_max = (float *)(scratch + plan->scratch_bytes) - 2 * plan->most_rows;
  return (struct attn_unit){.problem = p,
                            .q = run->args->q,
                            .k = run->args->k,
                            .v = run->args->v,
                            .mask = run->args->mask,
                            .o = run->args->o,
                            .pages = cache ? attn_cache_pages(cache, b) : NULL,
                            .k_scale = cache ? cache->k_scale : NULL,
                            .v_scale = cache ? cache->v_scale : NULL,
                            .b = b,
                            .hkv = hkv,
                            .key1 = p->Skv,
                            .alibi_slopes = run->args->alibi_slopes,
                            .sinks = run->args->sinks,
                            .kv_lengths = run->lengths,
                            .blocks = run->args->blocks,
                            .row_max = row_max,
                            .row_sum = row_max + plan->most_rows,
                            .scratch = scratch};
}

/* Unit `index` of the plan. */
static struct attn_unit unit_of(const struct run *run, int64_t index, char *scratch)
{
  const struct attn_plan *plan = run->plan;
  const struct attn_problem *p = &plan->problem;
  const int64_t heads = p->B * p->Hkv, rows = p->G * p->Sq;
  const int64_t head = plan->heavy_first ? index % heads : index / plan->blocks;
  const int64_t block = plan->heavy_first ? plan->blocks - 1 - index / heads : index % plan->blocks;
  struct attn_unit unit = make_unit(run, head / p->Hkv, head % p->Hkv, scratch);
  unit.row0 = block * plan->unit_rows;
  unit.row1 = unit.row0 + plan->unit_rows < rows ? unit.row0 + plan->unit_rows : rows;
  return unit;
}

static void run_unit(const struct run *run, int64_t index, char *scratch)
{
  const struct attn_plan *plan = run->plan;
  struct attn_unit unit = unit_of(run, index, scratch), soon;
  if (!plan->cache && index + run->threads < plan->units) { /* units that take equally long are taken in turns */
    soon = unit_of(run, index + run->threads, scratch);
    unit.soon = &soon;
  }
  plan->kernel->run(&unit);
  if (run->args->lse) write_lse(&plan->problem, run->args->lse, &unit);
}

/* All rows and keys of a head of a sequence, as if there were no other: *own is its problem. Returns its lse. */
static float *make_sequence_unit(struct attn_unit *unit, struct attn_problem *own, const struct run *run,
                                 const struct attn_sequence *s, int64_t hkv, char *scratch)
{
  const struct attn_problem *p = &run->plan->problem;
  const attn_args its = attn_sequence_args(s, p, run->args);
  *own = attn_sequence_problem(p, s->queries);
  *unit = make_unit(run, s->b, hkv, scratch);
  unit->problem = own;
  unit->row1 = p->G * s->queries;
  unit->q = its.q;
  unit->k = its.k;
  unit->v = its.v;
  unit->o = its.o;
  return its.lse;
}

static void run_of_sequence(const struct run *run, int64_t index, char *scratch)
{
  const struct attn_problem *p = &run->plan->problem;
  const struct attn_sequence *s = attn_sequence_of(run->sequences, p->B, index);
  struct attn_unit unit;
  struct attn_problem own;
  index -= s->first_unit;
  if (s->parts > 1) { /* neighbouring units read neighbouring memory */
    const int64_t floats = attn_part_floats(p->G * s->queries, p->Dv);
    make_sequence_unit(&unit, &own, run, s, index / s->parts, scratch);
    unit.key0 = index % s->parts * s->span;
    unit.key1 = unit.key0 + s->span < p->Skv ? unit.key0 + s->span : p->Skv;
    unit.partial = run->parts + s->first_float + index * floats;
    unit.row_max = unit.partial + unit.row1 * p->Dv;
    unit.row_sum = unit.row_max + unit.row1;
    s->kernel->run(&unit);
    return;
  }
  const int64_t block = p->causal ? s->blocks - 1 - index / p->Hkv : index / p->Hkv; /* heavy ones first */
  float *lse = make_sequence_unit(&unit, &own, run, s, index % p->Hkv, scratch);
  unit.row0 = block * s->unit_rows;
  if (unit.row1 > unit.row0 + s->unit_rows) unit.row1 = unit.row0 + s->unit_rows;
  s->kernel->run(&unit);
  if (lse) write_lse(&own, lse, &unit);
}

/* Head `index` of all heads of all sequences, if its keys were split. */
static void merge_parts(const struct run *run, int64_t index, char *scratch)
{
  const struct attn_problem *p = &run->plan->problem;
  const struct attn_sequence *s = &run->sequences[index / p->Hkv];
  const int64_t hkv = index % p->Hkv, floats = attn_part_floats(p->G * s->queries, p->Dv);
  struct attn_unit unit;
  struct attn_problem own;
  if (s->parts <= 1) return;
  float *lse = make_sequence_unit(&unit, &own, run, s, hkv, scratch);
  const struct attn_parts parts = {
      .count = s->parts, .part_stride = floats, .base = run->parts + s->first_float + hkv * s->parts * floats};
  s->kernel->merge(&unit, &parts);
  if (lse) write_lse(&own, lse, &unit);
}

static void run_units(const struct attn_plan *plan, const attn_args *args, char *workspace)
{
  char *base = (char *)(((uintptr_t)workspace + ATTN_SCRATCH_ALIGN - 1) & ~(uintptr_t)(ATTN_SCRATCH_ALIGN - 1));
  char *behind = base + (size_t)plan->threads * plan->scratch_bytes;
  struct run run = {.plan = plan, .args = args, .scratch = base};
  int64_t units = plan->units, heads = 0;
  if (plan->by_sequence) {
    run.parts = (float *)behind;
    run.sequences = (struct attn_sequence *)(behind + plan->part_bytes);
    run.lengths = (int64_t *)(run.sequences + plan->problem.B);
    units = attn_sequences_fill(run.sequences, run.lengths, plan, args);
    if (plan->part_bytes) heads = plan->problem.B * plan->problem.Hkv;
  }
  void (*const work)(const struct run *, int64_t, char *) = plan->by_sequence ? run_of_sequence : run_unit;
  const int threads = atomic_load_explicit(&pool_lost, memory_order_relaxed) ? 1 : startable(plan->threads);
  run.threads = threads;
  if (threads == 1) {
    for (int64_t i = 0; i < units; i++) work(&run, i, base);
    for (int64_t i = 0; i < heads; i++) merge_parts(&run, i, base);
    return;
  }
  pthread_once(&fork_once, watch_fork);
  atomic_store_explicit(&pool_in_use, true, memory_order_relaxed);
  const bool place = plan->placement == ATTN_PLACE_CORES && plan->threads <= attn_topology_get()->cores &&
                     omp_get_proc_bind() == omp_proc_bind_false && !omp_in_parallel();
  /* clang's runtime gives a thread that meets it for the first time the process's first affinity mask. */
  struct attn_binding callers = {0};
  if (place) attn_binding_keep(&callers);
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num();
    char *scratch = base + (size_t)thread * plan->scratch_bytes;
    struct attn_binding before = {0};
    if (place) attn_bind(thread, &before);
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t i = 0; i < units; i++) work(&run, i, scratch);
    if (heads) {
#pragma omp barrier
#pragma omp for schedule(static) nowait
      for (int64_t i = 0; i < heads; i++) merge_parts(&run, i, scratch);
    }
    if (place) attn_unbind(&before);
  }
  if (place) attn_unbind(&callers);
}

void attn_parallel_for(int threads, attn_placement placement, int64_t count,
                       void (*piece)(void *context, int64_t i, int thread), void *context)
{
  threads = atomic_load_explicit(&pool_lost, memory_order_relaxed) ? 1 : startable(threads);
  if (threads == 1) {
    for (int64_t i = 0; i < count; i++) piece(context, i, 0);
    return;
  }
  pthread_once(&fork_once, watch_fork);
  atomic_store_explicit(&pool_in_use, true, memory_order_relaxed);
  const bool place = placement == ATTN_PLACE_CORES && threads <= attn_topology_get()->cores &&
                     omp_get_proc_bind() == omp_proc_bind_false && !omp_in_parallel();
  /* clang's runtime gives a thread that meets it for the first time the process's first affinity mask. */
  struct attn_binding callers = {0};
  if (place) attn_binding_keep(&callers);
#pragma omp parallel num_threads(threads)
  {
    const int thread = omp_get_thread_num();
    struct attn_binding before = {0};
    if (place) attn_bind(thread, &before);
#pragma omp for schedule(dynamic, 1) nowait
    for (int64_t i = 0; i < count; i++) piece(context, i, thread);
    if (place) attn_unbind(&before);
  }
  if (place) attn_unbind(&callers);
}

attn_status attn_run(attn_plan *plan, const attn_args *given)
{
  if (!plan) return attn_fail(ATTN_ERR_INVALID, "plan is NULL; make one with attn_plan_create");
  if (!given) return attn_fail(ATTN_ERR_INVALID, "args is NULL");
  attn_args with_cache;
  const attn_args *args = given;
  if (plan->cache) {
    if (given->k || given->v || given->kv_lengths)
      return attn_fail(ATTN_ERR_INVALID, "%s is not NULL, but the plan reads a cache",
                       given->k   ? "k"
                       : given->v ? "v"
                                  : "kv_lengths");
    with_cache = *given;
    with_cache.k = plan->cache->k;
    with_cache.v = plan->cache->v;
    with_cache.kv_lengths = plan->cache->length;
    args = &with_cache;
  }
  const attn_status status = check_args(plan, args);
  if (status) return status;
  if (!plan->units) {
    /* nothing to write: not even a loop over batches without a query, of which there may be 2^60 */
    const bool writes = plan->extents.o || (args->lse && plan->extents.lse);
    return writes ? run_degenerate(plan, args) : ATTN_OK;
  }
  if (args->workspace) {
    run_units(plan, args, args->workspace);
    return ATTN_OK;
  }
  if (atomic_flag_test_and_set_explicit(&plan->busy, memory_order_acquire))
    return attn_fail(ATTN_ERR_BUSY,
                     "the plan's own workspace is in use by another thread; pass args.workspace of %zu bytes",
                     plan->workspace_bytes);
  run_units(plan, args, plan->workspace);
  atomic_flag_clear_explicit(&plan->busy, memory_order_release);
  return ATTN_OK;
}

attn_status attn_forward(const attn_desc *desc, const attn_options *options, const attn_args *args)
{
  attn_plan *plan;
  attn_status status = attn_plan_create(&plan, desc, options);
  if (!status) status = attn_run(plan, args);
  attn_plan_destroy(plan);
  return status;
}
