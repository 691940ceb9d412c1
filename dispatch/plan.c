#include "plan.h"

#include "blocking.h"
#include "cpu.h"
#include "error.h"
#include "memory.h"
#include "parallel.h"
#include "sequences.h"
#include "topology.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 4096 };
/* Work worth a thread: about 20 us of it. Below, waking one costs more than it brings. */
static const double flops_per_thread = 1e6;

attn_status attn_choose_threads(int *threads, const attn_options *options)
{
  const char *text = getenv("ATTN_NUM_THREADS");
  *threads = options ? options->threads : 0;
  if (*threads < 0 || *threads > MAX_THREADS)
    return attn_fail(ATTN_ERR_INVALID, "options.threads = %d is not within 0..%d; 0 takes all allowed cores", *threads,
                     MAX_THREADS);
  if (*threads) return ATTN_OK;
  if (text && *text) {
    char *end;
    errno = 0;
    const long n = strtol(text, &end, 10);
    if (*end || errno || n < 1 || n > MAX_THREADS)
      return attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_NUM_THREADS=%s is not a number within 1..%d", text, MAX_THREADS);
    *threads = (int)n;
  } else {
    *threads = attn_topology_get()->default_threads;
  }
  return ATTN_OK;
}

static int64_t div_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

static int64_t most_parts(const struct attn_kernel *kernel, int64_t keys)
{
  const int64_t parts = div_up(keys, kernel->key_span);
  return parts < ATTN_MOST_PARTS ? parts : ATTN_MOST_PARTS;
}

/* Large units amortise the packing of K and V; enough of them keep the threads busy to the end. A row's bits do not
 * depend on its unit, so the partition may follow the number of threads. */
static void partition(struct attn_plan *plan)
{
  const struct attn_problem *p = &plan->problem;
  const int64_t heads = (p->q_starts ? 1 : p->B) * p->Hkv, rows = p->G * p->Sq, tile = plan->kernel->row_tile;
  int64_t unit = div_up(rows, tile) * tile;
  if (!(plan->kernel->flags & ATTN_KERNEL_WHOLE_HEAD)) {
    const int64_t rows_of_unit = p->blocking.unit_rows ? p->blocking.unit_rows : plan->kernel->unit_rows;
    const int64_t most = rows_of_unit / tile * tile; /* below about a hundred rows, packing costs a tenth and more */
    const int64_t least = most < 96 ? most : div_up(96, tile) * tile;
    const int64_t wanted = plan->threads == 1 ? 1 : plan->threads * (p->causal ? 6 : 4);
    if (unit > most) unit = most;
    while (heads * div_up(rows, unit) < wanted && unit / 2 >= least) unit = div_up(unit / 2, tile) * tile;
    unit = div_up(div_up(rows, div_up(rows, unit)), tile) * tile; /* of equal size */
  }
  if (plan->kernel->key_span && unit > plan->kernel->unit_rows) unit = plan->kernel->unit_rows / tile * tile;
  int64_t parts = 1;
  if (plan->kernel->key_span && unit >= rows) parts = most_parts(plan->kernel, p->mask_length);
  plan->unit_rows = unit;
  plan->blocks = div_up(rows, unit);
  plan->units = heads * plan->blocks * parts;
  plan->heavy_first = p->causal;
  plan->by_sequence = parts > 1 || p->kv_lengths || p->q_starts || p->kv_starts;
  if (plan->threads > plan->units && !p->q_starts) plan->threads = (int)plan->units;
}

/* What the partitions of the runs may need at most. False: more than the address space. */
static bool size_partitions(struct attn_plan *plan)
{
  const struct attn_problem *p = &plan->problem;
  const struct attn_kernel *splitter = plan->few ? plan->few : plan->kernel;
  size_t each = sizeof(struct attn_sequence) + sizeof(int64_t);
  if (!plan->by_sequence) return true;
  if (__builtin_mul_overflow((size_t)p->B, each, &plan->sequence_bytes)) return false;
  if (!splitter->key_span) return true;
  const int64_t rows = p->G * p->Sq < splitter->unit_rows ? p->G * p->Sq : splitter->unit_rows;
  const int64_t all = p->Skv / splitter->key_span + p->B;
  int64_t parts = most_parts(splitter, p->mask_length), count = 0; /* both kernels may split keys, each its own way */
  if (plan->kernel->key_span && most_parts(plan->kernel, p->mask_length) > parts)
    parts = most_parts(plan->kernel, p->mask_length);
  if (parts == 1) return true;
  if (__builtin_mul_overflow(parts, p->B, &count)) return false;
  if (p->kv_starts && count > all) count = all; /* so many fill Skv keys */
  each = sizeof(float) * (size_t)attn_part_floats(rows, p->Dv);
  return !__builtin_mul_overflow((size_t)p->Hkv, each, &each) &&
         !__builtin_mul_overflow((size_t)count, each, &plan->part_bytes);
}

static attn_status take_blocking(struct attn_plan *plan, const struct attn_blocking *given)
{
  struct attn_blocking blocking = given ? *given : (struct attn_blocking){0};
  int64_t step, most;
  if (!given) return attn_blocking_choose(&plan->problem.blocking, plan->kernel, &plan->problem);
  for (int i = 0; i < ATTN_BLOCKING_FIELDS; i++) {
    const int64_t value = *attn_blocking_field(&blocking, i);
    if (!attn_blocking_allows(plan->kernel, i, value, &step, &most))
      return attn_fail(ATTN_ERR_INVALID, "%s = %lld: kernel %s takes multiples of %lld up to %lld; 0 leaves it the choice",
                       attn_blocking_name(i), (long long)value, plan->kernel->name, (long long)step, (long long)most);
  }
  plan->problem.blocking = blocking;
  return ATTN_OK;
}

static attn_status size_workspace(struct attn_plan *plan)
{
  size_t kernel_bytes = (plan->kernel->scratch_bytes(&plan->problem, plan->unit_rows) + 63) & ~(size_t)63, bytes;
  plan->most_rows = plan->unit_rows;
  if (plan->few) {
    if (plan->most_rows < plan->few->unit_rows) plan->most_rows = plan->few->unit_rows;
    const size_t few_bytes = (plan->few->scratch_bytes(&plan->problem, plan->few->unit_rows) + 63) & ~(size_t)63;
    if (few_bytes > kernel_bytes) kernel_bytes = few_bytes;
  }
  if (kernel_bytes > PTRDIFF_MAX ||
      __builtin_add_overflow(kernel_bytes, 2 * sizeof(float) * (size_t)plan->most_rows + ATTN_SCRATCH_ALIGN - 1, &bytes))
    goto overflow;
  plan->scratch_bytes = bytes & ~(size_t)(ATTN_SCRATCH_ALIGN - 1);
  if (__builtin_mul_overflow(plan->scratch_bytes, (size_t)plan->threads, &bytes) ||
      __builtin_add_overflow(bytes, (size_t)ATTN_SCRATCH_ALIGN, &plan->workspace_bytes))
    goto overflow;
  if (!size_partitions(plan) || __builtin_add_overflow(plan->workspace_bytes, plan->part_bytes, &plan->workspace_bytes) ||
      __builtin_add_overflow(plan->workspace_bytes, plan->sequence_bytes, &plan->workspace_bytes) ||
      plan->workspace_bytes > PTRDIFF_MAX)
    goto overflow;
  plan->workspace = attn_reserve(plan->workspace_bytes, plan->scratch_bytes);
  if (!plan->workspace)
    return attn_fail(ATTN_ERR_NO_MEMORY, "workspace of %zu bytes (%d threads): no memory; use fewer threads",
                     plan->workspace_bytes, plan->threads);
  return ATTN_OK;
overflow:
  return attn_fail(ATTN_ERR_OVERFLOW, "the workspace of kernel %s for this shape exceeds the address space",
                   plan->kernel->name);
}

/* The problem of a plan over a cache: that of tensors with a length per batch, whose K and V lie elsewhere. */
static attn_status resolve_cached(struct attn_problem *p, const attn_desc *desc, const struct attn_cache *c)
{
  attn_desc d = *desc;
  const struct {
    const char *name;
    int64_t *given, wanted;
  } sizes[] = {{"B", &d.B, c->desc.B},
               {"Hkv", &d.Hkv, c->desc.Hkv},
               {"Skv", &d.Skv, c->desc.capacity},
               {"Dqk", &d.Dqk, c->desc.Dqk},
               {"Dv", &d.Dv, c->desc.Dv}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    if (*sizes[i].given && *sizes[i].given != sizes[i].wanted)
      return attn_fail(ATTN_ERR_INVALID, "%s = %lld, but %lld in the cache; 0 takes the cache's", sizes[i].name,
                       (long long)*sizes[i].given, (long long)sizes[i].wanted);
    *sizes[i].given = sizes[i].wanted;
  }
  if (d.flags & ATTN_KV_STARTS)
    return attn_fail(ATTN_ERR_INVALID, "flags has ATTN_KV_STARTS, but the plan reads a cache, which knows its lengths");
  d.k = (attn_strides){0, 0, 0, 1}; /* the cache's own are checked there */
  d.v = d.k;
  d.flags |= ATTN_KV_LENGTHS;
  const attn_status status = attn_problem_resolve(p, &d);
  if (status) return status;
  p->cached = true;
  p->kv_dtype = c->desc.dtype;
  p->k = c->k_stride;
  p->v = c->v_stride;
  p->page_shift = c->page_shift;
  p->k_page = c->k_page;
  p->v_page = c->v_page;
  p->scale_b = c->scale_b;
  p->scale_h = c->scale_h;
  p->scale_page = c->scale_page;
  return ATTN_OK;
}

/* Sequences one after another may be long and short: the short ones have the kernel that each would have alone. */
static attn_status select_few(struct attn_plan *plan, const struct attn_restrictions *restrictions)
{
  struct attn_problem one = plan->problem;
  if (one.Sq < 1 || (plan->kernel->key_span && !plan->kernel->rows_from)) return ATTN_OK;
  one.Sq = 1;
  const attn_status status = attn_select(&plan->few, &one, restrictions);
  if (status || !plan->few->key_span || !plan->few->supports) plan->few = NULL;
  return status;
}

static attn_status create_plan(attn_plan **out, const attn_desc *desc, const struct attn_cache *cache,
                               const attn_options *options, const struct attn_blocking *blocking)
{
  if (!out) return attn_fail(ATTN_ERR_INVALID, "plan is NULL; pass the address of an attn_plan pointer");
  *out = NULL;
  if (!desc) return attn_fail(ATTN_ERR_INVALID, "desc is NULL");
  if (options && options->placement != ATTN_PLACE_CORES && options->placement != ATTN_PLACE_NONE)
    return attn_fail(ATTN_ERR_INVALID, "options.placement = %d is not ATTN_PLACE_CORES or ATTN_PLACE_NONE",
                     (int)options->placement);
  struct attn_plan *plan = calloc(1, sizeof *plan);
  if (!plan) return attn_fail(ATTN_ERR_NO_MEMORY, "plan of %zu bytes: no memory", sizeof *plan);
  atomic_flag_clear(&plan->busy);
  plan->placement = options ? options->placement : ATTN_PLACE_CORES;

  struct attn_restrictions restrictions;
  plan->cache = cache;
  attn_status status = cache ? resolve_cached(&plan->problem, desc, cache) : attn_problem_resolve(&plan->problem, desc);
  if (!status) status = attn_restrictions_get(&restrictions, options);
  if (!status) {
    plan->problem.slow_requests = restrictions.quirks & ATTN_QUIRK_SLOW_REQUESTS;
    plan->problem.shared_ports = restrictions.quirks & ATTN_QUIRK_SHARED_PORTS;
    plan->problem.near_bytes = plan->problem.slow_requests ? 0 : (int64_t)attn_topology_get()->l1d_bytes;
  }
  if (!status) status = attn_select(&plan->kernel, &plan->problem, &restrictions);
  if (!status && plan->problem.q_starts) status = select_few(plan, &restrictions);
  if (!status) status = take_blocking(plan, blocking);
  if (!status) status = attn_choose_threads(&plan->threads, options);
  if (!status) {
    const struct attn_problem *p = &plan->problem;
    plan->extents = attn_problem_extents(p);
    if (cache) {
      plan->extents.k = cache->k_bytes;
      plan->extents.v = cache->v_bytes;
    }
    if (plan->extents.o || (plan->extents.lse && p->Dv == 0)) {
      const double worth = attn_problem_flops(p) / flops_per_thread;
      if (worth < plan->threads) plan->threads = worth < 1 ? 1 : (int)worth;
      if (p->Skv > 0 && p->Dqk > 0 && p->Dv > 0) {
        partition(plan);
        status = size_workspace(plan);
      } else {
        plan->threads = 1;
      }
    } else {
      plan->threads = 1;
    }
  }
  if (status) {
    attn_plan_destroy(plan);
    return status;
  }
  *out = plan;
  return ATTN_OK;
}

attn_status attn_plan_create(attn_plan **out, const attn_desc *desc, const attn_options *options)
{
  return create_plan(out, desc, NULL, options, NULL);
}

attn_status attn_plan_create_blocked(attn_plan **out, const attn_desc *desc, const attn_options *options,
                                     const struct attn_blocking *blocking)
{
  return create_plan(out, desc, NULL, options, blocking);
}

attn_status attn_plan_create_cached(attn_plan **out, const attn_desc *desc, const attn_cache *cache,
                                    const attn_options *options)
{
  if (!cache) {
    if (out) *out = NULL;
    return attn_fail(ATTN_ERR_INVALID, "cache is NULL; make one with attn_cache_create");
  }
  return create_plan(out, desc, cache, options, NULL);
}

void attn_plan_destroy(attn_plan *plan)
{
  if (!plan) return;
  free(plan->workspace);
  free(plan);
}

const char *attn_plan_kernel(const attn_plan *plan) { return plan->kernel->name; }
const char *attn_plan_isa(const attn_plan *plan) { return attn_isa_name(plan->kernel->isa); }
struct attn_blocking attn_plan_blocking(const attn_plan *plan) { return plan->problem.blocking; }
int attn_plan_threads(const attn_plan *plan) { return plan->threads; }
size_t attn_plan_workspace_bytes(const attn_plan *plan) { return plan->workspace_bytes; }
