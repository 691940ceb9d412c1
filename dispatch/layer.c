/* attn_layer: embedding, projections, attention, output projection. Every buffer in between lies in one workspace. */
#include "error.h"
#include "linear.h"
#include "memory.h"
#include "parallel.h"
#include "plan.h"

#include "../kernels/reference/half.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KERNELS_BYTES = 96, PART_ALIGN = 64 };

/* Parts of the workspace, in floats unless it says bytes. */
struct parts {
  size_t query, key; /* embedded inputs; 0 without an embedding */
  size_t q, k, v, o;
  size_t scratch;       /* of a thread */
  size_t attention;     /* bytes */
  size_t bytes_of_them; /* all, with alignment */
};

struct attn_layer {
  attn_layer_desc desc;
  struct attn_weights q, k, v, o;
  const void *embedding;
  attn_plan *plan;
  attn_placement placement;
  int threads;
  struct parts parts;
  void *workspace; /* its own */
  atomic_flag busy;
  char kernels[KERNELS_BYTES];
};

static bool all_zero(const attn_strides *s) { return !s->b && !s->h && !s->s && !s->d; }

static attn_status check_widths(attn_layer_desc *d)
{
  const struct {
    const char *name;
    int64_t value;
  } fields[] = {{"query_width", d->query_width},
                {"key_width", d->key_width},
                {"value_width", d->value_width},
                {"output_width", d->output_width},
                {"vocabulary", d->vocabulary}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (fields[i].value < 0)
      return attn_fail(ATTN_ERR_INVALID, "%s = %lld is negative", fields[i].name, (long long)fields[i].value);
  if (!d->query_width) return attn_fail(ATTN_ERR_INVALID, "query_width = 0; give the elements of an input row");
  if (!d->key_width) d->key_width = d->query_width;
  if (!d->value_width) d->value_width = d->key_width;
  if (d->vocabulary && (d->key_width != d->query_width || d->value_width != d->query_width))
    return attn_fail(ATTN_ERR_INVALID,
                     "key_width = %lld, value_width = %lld: rows of the embedding have query_width = %lld; leave them 0",
                     (long long)d->key_width, (long long)d->value_width, (long long)d->query_width);
  return ATTN_OK;
}

static attn_status check_desc(attn_layer_desc *d)
{
  const attn_desc *a = &d->attention;
  if (d->weights != ATTN_F32 && d->weights != ATTN_F16 && d->weights != ATTN_BF16)
    return attn_fail(ATTN_ERR_INVALID, "weights = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16", (int)d->weights);
  if (a->dtype != ATTN_F32 || a->layout != ATTN_BHSD)
    return attn_fail(ATTN_ERR_INVALID, "attention.dtype = %d, attention.layout = %d: leave both 0, the layer chooses",
                     (int)a->dtype, (int)a->layout);
  if (a->flags & (ATTN_Q_STARTS | ATTN_KV_STARTS))
    return attn_fail(ATTN_ERR_INVALID, "attention.flags has %s: a layer's batches are of one size",
                     a->flags & ATTN_Q_STARTS ? "ATTN_Q_STARTS" : "ATTN_KV_STARTS");
  if (!all_zero(&a->q) || !all_zero(&a->k) || !all_zero(&a->v) || !all_zero(&a->o))
    return attn_fail(ATTN_ERR_INVALID, "attention: a stride of q, k, v or o is set; leave them 0, the layer lays them out");
  if (a->B < 1 || a->Hq < 1 || a->Hkv < 1 || a->Sq < 1 || a->Skv < 1 || a->Dqk < 1 || a->Dv < 1)
    return attn_fail(ATTN_ERR_INVALID,
                     "attention: B = %lld, Hq = %lld, Hkv = %lld, Sq = %lld, Skv = %lld, Dqk = %lld, Dv = %lld: a layer "
                     "needs at least 1 of each",
                     (long long)a->B, (long long)a->Hq, (long long)a->Hkv, (long long)a->Sq, (long long)a->Skv,
                     (long long)a->Dqk, (long long)a->Dv);
  return check_widths(d);
}

static attn_status pack_weights(struct attn_layer *l, const attn_layer_weights *w, const struct attn_restrictions *r)
{
  const attn_layer_desc *d = &l->desc;
  const attn_desc *a = &d->attention;
  const struct {
    const char *name;
    struct attn_weights *to;
    const void *weights, *bias;
    int64_t outputs, inputs;
  } all[] = {{"q", &l->q, w->q, w->q_bias, a->Hq * a->Dqk, d->query_width},
             {"k", &l->k, w->k, w->k_bias, a->Hkv * a->Dqk, d->key_width},
             {"v", &l->v, w->v, w->v_bias, a->Hkv * a->Dv, d->value_width},
             {"o", &l->o, w->o, w->o_bias, d->output_width, a->Hq * a->Dv}};
  const int64_t longest = a->Sq > a->Skv ? a->Sq : a->Skv;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (!all[i].outputs) {
      if (all[i].weights || all[i].bias)
        return attn_fail(ATTN_ERR_INVALID, "weights %s are given, but output_width = 0; set it or leave them NULL",
                         all[i].name);
      continue;
    }
    if (!all[i].weights)
      return attn_fail(ATTN_ERR_INVALID, "weights %s is NULL; the layer needs [%lld][%lld] elements there", all[i].name,
                       (long long)all[i].outputs, (long long)all[i].inputs);
    const attn_status status =
        attn_weights_pack(all[i].to, r, all[i].name, d->weights, all[i].weights, all[i].bias, all[i].outputs, all[i].inputs,
                          longest > INT64_MAX / a->B ? INT64_MAX : longest * a->B);
    if (status) return status;
  }
  if (!d->vocabulary != !w->embedding)
    return attn_fail(ATTN_ERR_INVALID, "vocabulary = %lld, but weights.embedding is %s; give both or neither",
                     (long long)d->vocabulary, w->embedding ? "not NULL" : "NULL");
  l->embedding = w->embedding;
  return ATTN_OK;
}

/* *total += a * b floats, in whole lines; false: overflow. *floats: what was added. */
static bool take(size_t *floats, size_t *total, int64_t rows, int64_t width)
{
  size_t n, bytes;
  if (__builtin_mul_overflow((size_t)rows, (size_t)width, &n) || __builtin_mul_overflow(n, sizeof(float), &bytes) ||
      __builtin_add_overflow(*total, bytes, total) || __builtin_add_overflow(*total, (size_t)PART_ALIGN, total) ||
      *total > PTRDIFF_MAX)
    return false;
  *floats = (n + 15) & ~(size_t)15;
  return true;
}

static attn_status size_workspace(struct attn_layer *l)
{
  const attn_layer_desc *d = &l->desc;
  const attn_desc *a = &d->attention;
  struct parts *p = &l->parts;
  const struct attn_weights *all[] = {&l->q, &l->k, &l->v, &l->o};
  const int64_t queries = a->B * a->Sq, keys = a->B * a->Skv; /* the plan has checked that these fit */
  size_t total = PART_ALIGN, unused;
  for (int i = 0; i < 4; i++) {
    const size_t need = attn_weights_scratch(all[i]);
    if (need > p->scratch) p->scratch = need;
  }
  p->attention = attn_plan_workspace_bytes(l->plan);
  if ((d->vocabulary &&
       (!take(&p->query, &total, queries, d->query_width) || !take(&p->key, &total, keys, d->key_width))) ||
      !take(&p->q, &total, queries, a->Hq * a->Dqk) || !take(&p->k, &total, keys, a->Hkv * a->Dqk) ||
      !take(&p->v, &total, keys, a->Hkv * a->Dv) || (l->o.kernel && !take(&p->o, &total, queries, a->Hq * a->Dv)) ||
      p->scratch > PTRDIFF_MAX || !take(&unused, &total, (int64_t)p->scratch, l->threads) ||
      __builtin_add_overflow(total, p->attention, &total))
    return attn_fail(ATTN_ERR_OVERFLOW, "the layer's workspace for this shape exceeds the address space");
  p->bytes_of_them = total;
  l->workspace = attn_reserve(total, total);
  return l->workspace ? ATTN_OK : attn_fail(ATTN_ERR_NO_MEMORY, "workspace of %zu bytes: no memory", total);
}

attn_status attn_layer_create(attn_layer **out, const attn_layer_desc *desc, const attn_layer_weights *weights,
                              const attn_options *options)
{
  if (!out) return attn_fail(ATTN_ERR_INVALID, "layer is NULL; pass the address of an attn_layer pointer");
  *out = NULL;
  if (!desc || !weights) return attn_fail(ATTN_ERR_INVALID, "%s is NULL", desc ? "weights" : "desc");
  struct attn_layer *l = calloc(1, sizeof *l);
  if (!l) return attn_fail(ATTN_ERR_NO_MEMORY, "layer of %zu bytes: no memory", sizeof *l);
  atomic_flag_clear(&l->busy);
  l->desc = *desc;
  l->placement = options ? options->placement : ATTN_PLACE_CORES;
  struct attn_restrictions restrictions;
  attn_desc attention = desc->attention;
  attention.layout = ATTN_BSHD;
  attn_status status = check_desc(&l->desc);
  if (!status) status = attn_plan_create(&l->plan, &attention, options);
  if (!status) status = attn_restrictions_get(&restrictions, options);
  if (!status) status = attn_choose_threads(&l->threads, options);
  if (!status) status = pack_weights(l, weights, &restrictions);
  if (!status) status = size_workspace(l);
  if (status) {
    attn_layer_destroy(l);
    return status;
  }
  snprintf(l->kernels, sizeof l->kernels, "%s, %s", l->q.kernel->name, attn_plan_kernel(l->plan));
  *out = l;
  return ATTN_OK;
}

void attn_layer_destroy(attn_layer *l)
{
  if (!l) return;
  attn_weights_free(&l->q);
  attn_weights_free(&l->k);
  attn_weights_free(&l->v);
  attn_weights_free(&l->o);
  attn_plan_destroy(l->plan);
  free(l->workspace);
  free(l);
}

size_t attn_layer_workspace_bytes(const attn_layer *l) { return l->parts.bytes_of_them; }
const char *attn_layer_kernels(const attn_layer *l) { return l->kernels; }

static attn_status check_tokens(const struct attn_layer *l, const char *name, const int32_t *tokens, int64_t n)
{
  for (int64_t i = 0; i < n; i++)
    if (tokens[i] < 0 || tokens[i] >= l->desc.vocabulary)
      return attn_fail(ATTN_ERR_INVALID, "%s[%lld] = %d is not within 0..%lld", name, (long long)i, (int)tokens[i],
                       (long long)l->desc.vocabulary - 1);
  return ATTN_OK;
}

/* Whose keys and values: fills in what args leaves to its default. */
static attn_status resolve_inputs(const struct attn_layer *l, attn_layer_args *args)
{
  const attn_layer_desc *d = &l->desc;
  const attn_desc *a = &d->attention;
  if (d->vocabulary) {
    if (args->query || args->key || args->value)
      return attn_fail(ATTN_ERR_INVALID, "%s is not NULL, but the layer looks tokens up",
                       args->query ? "query"
                       : args->key ? "key"
                                   : "value");
    if (!args->query_tokens) return attn_fail(ATTN_ERR_INVALID, "query_tokens is NULL; give B * Sq of them");
    if (!args->key_tokens && a->Sq != a->Skv)
      return attn_fail(ATTN_ERR_INVALID, "key_tokens is NULL, but Sq = %lld and Skv = %lld differ", (long long)a->Sq,
                       (long long)a->Skv);
    attn_status status = check_tokens(l, "query_tokens", args->query_tokens, a->B * a->Sq);
    if (!status && args->key_tokens) status = check_tokens(l, "key_tokens", args->key_tokens, a->B * a->Skv);
    return status;
  }
  if (args->query_tokens || args->key_tokens)
    return attn_fail(ATTN_ERR_INVALID, "%s is not NULL, but the layer has no embedding (vocabulary = 0)",
                     args->query_tokens ? "query_tokens" : "key_tokens");
  if (!args->query) return attn_fail(ATTN_ERR_INVALID, "query is NULL");
  if (!args->key) {
    if (a->Sq != a->Skv || d->key_width != d->query_width)
      return attn_fail(ATTN_ERR_INVALID, "key is NULL, but the query is %lld x %lld and the key %lld x %lld",
                       (long long)a->Sq, (long long)d->query_width, (long long)a->Skv, (long long)d->key_width);
    args->key = args->query;
  }
  if (!args->value) {
    if (d->value_width != d->key_width)
      return attn_fail(ATTN_ERR_INVALID, "value is NULL, but value_width = %lld and key_width = %lld differ",
                       (long long)d->value_width, (long long)d->key_width);
    args->value = args->key;
  }
  return ATTN_OK;
}

static attn_status check_output(const struct attn_layer *l, const attn_layer_args *args)
{
  const attn_layer_desc *d = &l->desc;
  const attn_desc *a = &d->attention;
  const int64_t width = d->output_width ? d->output_width : a->Hq * a->Dv;
  const size_t bytes = (size_t)(a->B * a->Sq * width) * sizeof(float);
  const struct {
    const char *name;
    const void *start;
    int64_t elements;
  } in[] = {{"query", args->query, a->B * a->Sq * d->query_width},
            {"key", args->key, a->B * a->Skv * d->key_width},
            {"value", args->value, a->B * a->Skv * d->value_width},
            {"query_tokens", args->query_tokens, a->B * a->Sq},
            {"key_tokens", args->key_tokens, a->B * a->Skv}};
  if (!args->output) return attn_fail(ATTN_ERR_INVALID, "output is NULL; %zu bytes are written there", bytes);
  for (size_t i = 0; i < sizeof in / sizeof *in; i++) {
    const uintptr_t from = (uintptr_t)in[i].start, to = from + (size_t)in[i].elements * 4, out = (uintptr_t)args->output;
    if (from && out < to && from < out + bytes)
      return attn_fail(ATTN_ERR_ALIAS, "output (%zu bytes) overlaps %s; it needs memory of its own", bytes, in[i].name);
  }
  const attn_args *x = &args->attention;
  if (x->q || x->k || x->v || x->o || x->workspace)
    return attn_fail(ATTN_ERR_INVALID, "attention.%s is not NULL; the layer has its own",
                     x->q   ? "q"
                     : x->k ? "k"
                     : x->v ? "v"
                     : x->o ? "o"
                            : "workspace");
  if (args->workspace && args->workspace_bytes < l->parts.bytes_of_them)
    return attn_fail(ATTN_ERR_INVALID, "workspace_bytes = %zu is less than the layer's %zu (attn_layer_workspace_bytes)",
                     args->workspace_bytes, l->parts.bytes_of_them);
  return ATTN_OK;
}

static void look_up(const struct attn_layer *l, const int32_t *tokens, int64_t n, float *to)
{
  const int64_t width = l->desc.query_width;
  for (int64_t i = 0; i < n; i++)
    for (int64_t d = 0; d < width; d++)
      to[i * width + d] = attn_element_get(l->desc.weights, l->embedding, tokens[i] * width + d);
}

static float *next_part(float **at, size_t floats)
{
  float *part = *at;
  *at += floats;
  return part;
}

static attn_status run(const struct attn_layer *l, attn_layer_args *args, void *workspace)
{
  const attn_desc *a = &l->desc.attention;
  const struct parts *p = &l->parts;
  const int64_t queries = a->B * a->Sq, keys = a->B * a->Skv;
  float *at = (float *)(((uintptr_t)workspace + PART_ALIGN - 1) & ~(uintptr_t)(PART_ALIGN - 1));
  float *query = next_part(&at, p->query), *key = next_part(&at, p->key), *q = next_part(&at, p->q);
  float *k = next_part(&at, p->k), *v = next_part(&at, p->v), *o = next_part(&at, p->o);
  float *scratch = next_part(&at, p->scratch * (size_t)l->threads);
  if (l->embedding) {
    look_up(l, args->query_tokens, queries, query);
    if (args->key_tokens) look_up(l, args->key_tokens, keys, key);
    args->query = query;
    args->key = args->value = args->key_tokens ? key : query;
  }
  attn_weights_apply(&l->q, args->query, q, queries, l->threads, l->placement, scratch, p->scratch);
  attn_weights_apply(&l->k, args->key, k, keys, l->threads, l->placement, scratch, p->scratch);
  attn_weights_apply(&l->v, args->value, v, keys, l->threads, l->placement, scratch, p->scratch);
  const attn_strides key_stride = {0, a->Dqk, a->Hkv * a->Dqk, 1};
  attn_status status = ATTN_OK;
  for (int64_t b = 0; a->rope && b < a->B && !status; b++)
    status = attn_rope_apply(a->rope, ATTN_F32, k + b * a->Skv * a->Hkv * a->Dqk, a->Hkv, a->Skv, a->Dqk, key_stride, 0);
  if (status) return status;
  attn_args inner = args->attention;
  inner.q = q;
  inner.k = k;
  inner.v = v;
  inner.o = l->o.kernel ? o : args->output;
  inner.workspace = p->attention ? (void *)at : NULL;
  inner.workspace_bytes = p->attention;
  status = attn_run(l->plan, &inner);
  if (!status && l->o.kernel)
    attn_weights_apply(&l->o, o, args->output, queries, l->threads, l->placement, scratch, p->scratch);
  return status;
}

attn_status attn_layer_run(attn_layer *l, const attn_layer_args *given)
{
  if (!l || !given) return attn_fail(ATTN_ERR_INVALID, "%s is NULL", l ? "args" : "layer");
  attn_layer_args args = *given;
  attn_status status = resolve_inputs(l, &args);
  if (!status) status = check_output(l, &args);
  if (status) return status;
  if (args.workspace) return run(l, &args, args.workspace);
  if (atomic_flag_test_and_set_explicit(&l->busy, memory_order_acquire))
    return attn_fail(ATTN_ERR_BUSY,
                     "the layer's own workspace is in use by another thread; pass args.workspace of %zu bytes",
                     l->parts.bytes_of_them);
  status = run(l, &args, l->workspace);
  atomic_flag_clear_explicit(&l->busy, memory_order_release);
  return status;
}
