#include "problem.h"

#include "error.h"

#include "../kernels/reference/half.h"

#include <float.h>
#include <math.h>
#include <string.h>

struct tensor {
  const char *name;
  attn_strides *strides;
  int64_t n[4]; /* b h s d */
  size_t element_bytes;
  bool output;
};

static const char *const dim_names[4] = {"b", "h", "s", "d"};

static void strides_as_array(const attn_strides *s, int64_t out[4])
{
  out[0] = s->b;
  out[1] = s->h;
  out[2] = s->s;
  out[3] = s->d;
}

enum { MOST_SEQUENCES = INT32_MAX };

static bool has_elements(const int64_t n[4]) { return n[0] && n[1] && n[2] && n[3]; }

static size_t extent_bytes(const int64_t n[4], const attn_strides *strides, size_t element_bytes)
{
  int64_t stride[4], last = 0;
  if (!has_elements(n)) return 0;
  strides_as_array(strides, stride);
  for (int i = 0; i < 4; i++) last += (n[i] - 1) * stride[i];
  return ((size_t)last + 1) * element_bytes;
}

static attn_status check_extent(const struct tensor *t)
{
  int64_t stride[4], last = 0;
  strides_as_array(t->strides, stride);
  for (int i = 0; i < 4; i++) {
    int64_t span;
    if (has_elements(t->n) &&
        (__builtin_mul_overflow(t->n[i] - 1, stride[i], &span) || __builtin_add_overflow(last, span, &last) ||
         last >= PTRDIFF_MAX / (int64_t)t->element_bytes))
      return attn_fail(
          ATTN_ERR_OVERFLOW,
          "%s: size %lld with stride %lld in dimension %s exceeds the address space; use a smaller shape or stride",
          t->name, (long long)t->n[i], (long long)stride[i], dim_names[i]);
  }
  return ATTN_OK;
}

/* Sufficient and, for tensors cut from bigger ones, necessary: taken by growing stride, each dimension steps over the
 * whole of the smaller ones. */
static attn_status check_no_overlap(const struct tensor *t)
{
  int64_t stride[4], n[4];
  int order[4] = {0, 1, 2, 3};
  if (!has_elements(t->n)) return ATTN_OK;
  strides_as_array(t->strides, stride);
  memcpy(n, t->n, sizeof n);
  for (int i = 0; i < 4; i++)
    for (int j = i + 1; j < 4; j++)
      if (stride[order[j]] < stride[order[i]]) {
        const int x = order[i];
        order[i] = order[j];
        order[j] = x;
      }
  int64_t inner = 1;
  for (int i = 0; i < 4; i++) {
    const int dim = order[i];
    if (n[dim] == 1) continue;
    if (stride[dim] < inner)
      return attn_fail(ATTN_ERR_INVALID, "%s stride %s = %lld: elements of this output overlap; it must be at least %lld",
                       t->name, dim_names[dim], (long long)stride[dim], (long long)inner);
    inner += (n[dim] - 1) * stride[dim];
  }
  return ATTN_OK;
}

static attn_status fill_contiguous(const struct tensor *t, attn_layout layout)
{
  const int64_t h = t->n[1], s = t->n[2], d = t->n[3];
  int64_t inner, batch;
  if (__builtin_mul_overflow(layout == ATTN_BHSD ? s : h, d, &inner) ||
      __builtin_mul_overflow(layout == ATTN_BHSD ? h : s, inner, &batch))
    return attn_fail(ATTN_ERR_OVERFLOW, "%s: %lld heads x %lld positions x %lld elements exceeds the address space",
                     t->name, (long long)h, (long long)s, (long long)d);
  *t->strides = layout == ATTN_BHSD ? (attn_strides){batch, inner, d, 1} : (attn_strides){batch, d, inner, 1};
  return ATTN_OK;
}

static attn_status check_tensor(const struct tensor *t, attn_layout layout)
{
  int64_t stride[4];
  attn_status status = ATTN_OK;
  strides_as_array(t->strides, stride);
  for (int i = 0; i < 4; i++)
    if (stride[i] < 0)
      return attn_fail(ATTN_ERR_INVALID, "%s stride %s = %lld is negative; strides count elements forward", t->name,
                       dim_names[i], (long long)stride[i]);
  if (!stride[0] && !stride[1] && !stride[2] && !stride[3]) status = fill_contiguous(t, layout);
  if (!status) status = check_extent(t);
  if (!status && t->output) status = check_no_overlap(t);
  return status;
}

static attn_status check_mask(struct attn_problem *p, const attn_desc *desc)
{
  p->mask_kind = desc->mask.kind;
  p->mask_length = p->Skv;
  if (desc->mask.kind == ATTN_MASK_NONE) return ATTN_OK;
  if (desc->mask.kind != ATTN_MASK_BOOL && !attn_mask_adds(desc->mask.kind))
    return attn_fail(ATTN_ERR_INVALID, "mask.kind = %d is not one of ATTN_MASK_NONE, _BOOL, _ADDITIVE, _ADDITIVE_F16",
                     (int)desc->mask.kind);
  if (desc->mask.length < 0 || desc->mask.length > p->Skv)
    return attn_fail(ATTN_ERR_INVALID, "mask.length = %lld is not within 0..Skv = %lld", (long long)desc->mask.length,
                     (long long)p->Skv);
  if (desc->mask.length) p->mask_length = desc->mask.length;
  p->mask = desc->mask.stride;
  if (!p->mask.b && !p->mask.h && !p->mask.s && !p->mask.d) p->mask = (attn_strides){0, 0, p->mask_length, 1};
  const struct tensor mask = {
      "mask", &p->mask, {p->B, p->Hq, p->Sq, p->mask_length}, attn_mask_element(p->mask_kind), false};
  return check_tensor(&mask, ATTN_BHSD);
}

attn_status attn_blocks_resolve(struct attn_problem *p, const attn_block_mask *blocks)
{
  const struct {
    const char *name;
    int64_t value;
  } fields[] = {{"queries", blocks->queries}, {"keys", blocks->keys}, {"b", blocks->b}, {"h", blocks->h}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (fields[i].value < 0)
      return attn_fail(ATTN_ERR_INVALID, "blocks.%s = %lld is negative", fields[i].name, (long long)fields[i].value);
  if (!blocks->queries != !blocks->keys)
    return attn_fail(ATTN_ERR_INVALID, "blocks of %lld queries x %lld keys: give both, or 0 for no block mask",
                     (long long)blocks->queries, (long long)blocks->keys);
  if (!blocks->keys) return ATTN_OK;
  const int64_t across = p->Skv ? (p->Skv - 1) / blocks->keys + 1 : 0, down = p->Sq ? (p->Sq - 1) / blocks->queries + 1 : 0;
  p->block_queries = blocks->queries;
  p->block_keys = blocks->keys;
  p->block_row = across / 8 + (across % 8 != 0);
  p->block_b = blocks->b;
  p->block_h = blocks->h;
  int64_t last, span;
  if (p->B && p->Hq &&
      (__builtin_mul_overflow(down, p->block_row, &last) || __builtin_mul_overflow(p->B - 1, blocks->b, &span) ||
       __builtin_add_overflow(last, span, &last) || __builtin_mul_overflow(p->Hq - 1, blocks->h, &span) ||
       __builtin_add_overflow(last, span, &last)))
    return attn_fail(ATTN_ERR_OVERFLOW, "blocks.b = %lld, blocks.h = %lld: the bitmaps exceed the address space",
                     (long long)blocks->b, (long long)blocks->h);
  return ATTN_OK;
}

static attn_status check_rope(struct attn_problem *p, const attn_rope *rope, int64_t offset)
{
  p->rope = rope;
  if (!rope) return ATTN_OK;
  if (rope->desc.dims > p->Dqk)
    return attn_fail(ATTN_ERR_INVALID, "rope turns %lld elements, but Dqk = %lld", (long long)rope->desc.dims,
                     (long long)p->Dqk);
  const int64_t most = ATTN_ROPE_POSITIONS / 2; /* Sq, Skv and the offset add up to a position */
  if (p->Sq >= most || p->Skv > 2 * most - 1 || offset <= -most || offset >= most || p->Skv + offset >= 2 * most)
    return attn_fail(ATTN_ERR_INVALID,
                     "with a rope Sq = %lld and causal_offset = %lld must be below %lld, and Skv = %lld below %lld",
                     (long long)p->Sq, (long long)offset, (long long)most, (long long)p->Skv, 2 * (long long)most);
  return ATTN_OK;
}

/* Kernels divide scores by the cap and multiply it by log2(e): neither may leave the normal range of f32. */
#define MOST_SOFTCAP 1e30f

/* How many there are of q, o and lse, and of k and v. */
static int64_t q_batches(const struct attn_problem *p) { return p->q_starts ? 1 : p->B; }
static int64_t kv_batches(const struct attn_problem *p) { return p->kv_starts ? 1 : p->B; }

/* Sequences one after another: what goes with them. */
static attn_status check_starts(const struct attn_problem *p, const attn_desc *desc)
{
  if (!p->q_starts && !p->kv_starts) return ATTN_OK;
  const char *flag = p->q_starts ? "ATTN_Q_STARTS" : "ATTN_KV_STARTS";
  if (p->kv_starts && p->kv_lengths)
    return attn_fail(ATTN_ERR_INVALID, "flags has ATTN_KV_STARTS and ATTN_KV_LENGTHS; the starts say the lengths");
  if (desc->mask.kind != ATTN_MASK_NONE)
    return attn_fail(ATTN_ERR_INVALID, "mask.kind = %d with %s: masks are for sequences of one size; make a plan for each",
                     (int)desc->mask.kind, flag);
  if (desc->blocks.queries || desc->blocks.keys)
    return attn_fail(ATTN_ERR_INVALID, "blocks of %lld queries x %lld keys with %s: masks are for sequences of one size",
                     (long long)desc->blocks.queries, (long long)desc->blocks.keys, flag);
  if (p->B > MOST_SEQUENCES)
    return attn_fail(ATTN_ERR_OVERFLOW, "B = %lld with %s: at most %lld sequences", (long long)p->B, flag,
                     (long long)MOST_SEQUENCES);
  return ATTN_OK;
}

/* Positions and windows beyond this reach over any tensor; sums of a few stay far from overflow. */
#define FAR ((int64_t)1 << 60)

static attn_status check_sizes(const attn_desc *desc)
{
  const struct {
    const char *name;
    int64_t value;
  } sizes[] = {{"B", desc->B},     {"Hq", desc->Hq},   {"Hkv", desc->Hkv}, {"Sq", desc->Sq},
               {"Skv", desc->Skv}, {"Dqk", desc->Dqk}, {"Dv", desc->Dv}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i].value < 0)
      return attn_fail(ATTN_ERR_INVALID, "%s = %lld is negative; give the number of elements", sizes[i].name,
                       (long long)sizes[i].value);
  if (desc->Hq && (!desc->Hkv || desc->Hq % desc->Hkv))
    return attn_fail(ATTN_ERR_INVALID, "Hq = %lld is not a multiple of Hkv = %lld; each KV head serves Hq/Hkv query heads",
                     (long long)desc->Hq, (long long)desc->Hkv);
  return ATTN_OK;
}

static attn_status check_window(int64_t *window, const char *name, int64_t value, bool used)
{
  *window = -1;
  if (!used) return ATTN_OK;
  if (value < 0)
    return attn_fail(ATTN_ERR_INVALID, "%s = %lld is negative; without its flag the window is unlimited", name,
                     (long long)value);
  *window = value < FAR ? value : FAR;
  return ATTN_OK;
}

static attn_status check_positions(struct attn_problem *p, const attn_desc *desc)
{
  if (p->Sq > FAR || p->Skv > FAR) /* possible where a size of 0 leaves no element to address */
    return attn_fail(ATTN_ERR_OVERFLOW, "%s = %lld exceeds the address space", p->Sq > FAR ? "Sq" : "Skv",
                     (long long)(p->Sq > FAR ? p->Sq : p->Skv));
  p->causal = desc->flags & ATTN_CAUSAL;
  p->alibi = desc->flags & ATTN_ALIBI;
  p->sinks = desc->flags & ATTN_SINKS;
  int64_t offset = desc->causal_offset;
  if (offset < -FAR) offset = -FAR;
  if (offset > FAR) offset = FAR;
  p->diagonal = p->Skv - p->Sq + offset;
  const int64_t most = INT32_MAX / 4; /* kernels count the distance of ALiBi in 32 bits */
  if (p->alibi && (offset <= -most || offset >= most || p->Skv >= most || p->Sq >= most))
    return attn_fail(ATTN_ERR_INVALID, "with ATTN_ALIBI Sq, Skv and causal_offset (%lld) must be below %lld",
                     (long long)desc->causal_offset, (long long)most);
  attn_status status = check_window(&p->window_left, "window_left", desc->window_left, desc->flags & ATTN_WINDOW_LEFT);
  if (!status) status = check_rope(p, desc->rope, offset);
  if (!status) status = attn_blocks_resolve(p, &desc->blocks);
  if (!status) status = check_window(&p->window_right, "window_right", desc->window_right, desc->flags & ATTN_WINDOW_RIGHT);
  return status;
}

attn_status attn_problem_resolve(struct attn_problem *p, const attn_desc *desc)
{
  if (desc->dtype != ATTN_F32 && desc->dtype != ATTN_F16 && desc->dtype != ATTN_BF16)
    return attn_fail(ATTN_ERR_INVALID, "dtype = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16", (int)desc->dtype);
  if (desc->layout != ATTN_BHSD && desc->layout != ATTN_BSHD)
    return attn_fail(ATTN_ERR_INVALID, "layout = %d is not ATTN_BHSD or ATTN_BSHD", (int)desc->layout);
  const unsigned known = ATTN_CAUSAL | ATTN_SCALE_EXPLICIT | ATTN_WINDOW_LEFT | ATTN_WINDOW_RIGHT | ATTN_ALIBI |
                         ATTN_SINKS | ATTN_KV_LENGTHS | ATTN_Q_STARTS | ATTN_KV_STARTS;
  const unsigned unknown = desc->flags & ~known;
  if (unknown) return attn_fail(ATTN_ERR_INVALID, "flags has unknown bits %#x", unknown);
  if (!isfinite(desc->scale))
    return attn_fail(ATTN_ERR_INVALID, "scale = %f is not finite; leave it 0 for 1/sqrt(Dqk)", (double)desc->scale);
  if (!isfinite(desc->softcap) || desc->softcap < 0)
    return attn_fail(ATTN_ERR_INVALID, "softcap = %f is not a positive number; leave it 0 for none", (double)desc->softcap);
  if (desc->softcap > MOST_SOFTCAP)
    return attn_fail(ATTN_ERR_INVALID, "softcap = %g is more than %g, where f32 ends; leave it 0 for none",
                     (double)desc->softcap, (double)MOST_SOFTCAP);
  attn_status status = check_sizes(desc);
  if (status) return status;

  *p = (struct attn_problem){.dtype = desc->dtype,
                             .kv_dtype = desc->dtype,
                             .B = desc->B,
                             .Hq = desc->Hq,
                             .Hkv = desc->Hkv,
                             .G = desc->Hkv ? desc->Hq / desc->Hkv : 0,
                             .Sq = desc->Sq,
                             .Skv = desc->Skv,
                             .Dqk = desc->Dqk,
                             .Dv = desc->Dv,
                             .q = desc->q,
                             .k = desc->k,
                             .v = desc->v,
                             .o = desc->o,
                             .lse = desc->lse,
                             .kv_lengths = desc->flags & ATTN_KV_LENGTHS,
                             .q_starts = desc->flags & ATTN_Q_STARTS,
                             .kv_starts = desc->flags & ATTN_KV_STARTS};
  status = check_starts(p, desc);
  if (status) return status;
  p->scale = desc->scale;
  if (desc->scale == 0 && !(desc->flags & ATTN_SCALE_EXPLICIT)) p->scale = desc->Dqk ? 1 / sqrt((double)desc->Dqk) : 0;
  p->softcap = desc->softcap;
  const double factor = p->softcap != 0 ? p->scale / (double)p->softcap : p->scale * 1.44269504088896340736;
  if (fabs(factor) > FLT_MAX)
    return attn_fail(ATTN_ERR_INVALID,
                     "scale = %g is too large: times log2(e), or divided by softcap, it must be a finite f32", p->scale);
  p->q_factor = (float)factor;

  const size_t element_bytes = attn_element_bytes(desc->dtype);
  const struct tensor tensors[] = {
      {"q", &p->q, {q_batches(p), p->Hq, p->Sq, p->Dqk}, element_bytes, false},
      {"k", &p->k, {kv_batches(p), p->Hkv, p->Skv, p->Dqk}, element_bytes, false},
      {"v", &p->v, {kv_batches(p), p->Hkv, p->Skv, p->Dv}, element_bytes, false},
      {"o", &p->o, {q_batches(p), p->Hq, p->Sq, p->Dv}, element_bytes, true},
      {"lse", &p->lse, {q_batches(p), p->Hq, p->Sq, 1}, sizeof(float), true},
  };
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors && !status; i++)
    status = check_tensor(&tensors[i], tensors[i].output && tensors[i].n[3] == 1 && !strcmp(tensors[i].name, "lse")
                                           ? ATTN_BHSD
                                           : desc->layout);
  if (p->q_starts) p->q.b = p->o.b = p->lse.b = 0; /* a sequence is found by its first query and key */
  if (p->kv_starts) p->k.b = p->v.b = 0;
  if (!status) status = check_mask(p, desc);
  if (status) return status;

  int64_t rows;
  if (__builtin_mul_overflow(p->G, p->Sq, &rows))
    return attn_fail(ATTN_ERR_OVERFLOW, "Sq = %lld times Hq/Hkv = %lld exceeds the address space", (long long)p->Sq,
                     (long long)p->G);
  return check_positions(p, desc);
}

static size_t blocks_bytes(const struct attn_problem *p)
{
  if (!p->block_keys || !p->B || !p->Hq || !p->Sq || !p->Skv) return 0;
  const int64_t rows = (p->Sq - 1) / p->block_queries + 1;
  return (size_t)((p->B - 1) * p->block_b + (p->Hq - 1) * p->block_h + rows * p->block_row);
}

struct attn_extents attn_problem_extents(const struct attn_problem *p)
{
  const size_t element_bytes = attn_element_bytes(p->dtype);
  return (struct attn_extents){
      .q = extent_bytes((int64_t[]){q_batches(p), p->Hq, p->Sq, p->Dqk}, &p->q, element_bytes),
      .k = extent_bytes((int64_t[]){kv_batches(p), p->Hkv, p->Skv, p->Dqk}, &p->k, element_bytes),
      .v = extent_bytes((int64_t[]){kv_batches(p), p->Hkv, p->Skv, p->Dv}, &p->v, element_bytes),
      .o = extent_bytes((int64_t[]){q_batches(p), p->Hq, p->Sq, p->Dv}, &p->o, element_bytes),
      .mask = p->mask_kind == ATTN_MASK_NONE ? 0
                                             : extent_bytes((int64_t[]){p->B, p->Hq, p->Sq, p->mask_length}, &p->mask,
                                                            attn_mask_element(p->mask_kind)),
      .lse = extent_bytes((int64_t[]){q_batches(p), p->Hq, p->Sq, 1}, &p->lse, sizeof(float)),
      .alibi_slopes = p->alibi ? (size_t)p->Hq * sizeof(float) : 0,
      .sinks = p->sinks ? (size_t)p->Hq * sizeof(float) : 0,
      .kv_lengths = p->kv_lengths ? (size_t)p->B * sizeof(int64_t) : 0,
      .q_starts = p->q_starts ? ((size_t)p->B + 1) * sizeof(int64_t) : 0,
      .kv_starts = p->kv_starts ? ((size_t)p->B + 1) * sizeof(int64_t) : 0,
      .blocks = blocks_bytes(p),
  };
}

attn_status attn_tensor_resolve(const char *name, attn_strides *strides, const int64_t n[4], size_t element_bytes,
                                attn_layout layout, bool output, size_t *bytes)
{
  const struct tensor t = {name, strides, {n[0], n[1], n[2], n[3]}, element_bytes, output};
  const attn_status status = check_tensor(&t, layout);
  *bytes = status ? 0 : extent_bytes(n, strides, element_bytes);
  return status;
}

/* Sum over i of [0, n) of i + c held within 0..most: what a closed form saves is hours, with a plan of 2^50 queries. */
static double sum_of_held(int64_t n, int64_t c, int64_t most)
{
  int64_t from = c < 0 ? -c : 0, full = most - c;
  if (from > n) from = n;
  if (full > n) full = n;
  if (full < 0) full = 0;
  if (from > full) from = full;
  const double slope = ((double)full - (double)from) * ((double)from + (double)full - 1 + 2 * (double)c) / 2;
  return slope + (double)(n - full) * (double)most;
}

double attn_problem_flops(const struct attn_problem *p)
{
  const int64_t right = p->causal ? 0 : p->window_right;
  double pairs = (double)p->Sq * (double)p->mask_length;
  if (right >= 0) pairs = sum_of_held(p->Sq, p->diagonal + right + 1, p->mask_length);
  if (p->window_left >= 0) pairs -= sum_of_held(p->Sq, p->diagonal - p->window_left, p->mask_length);
  return 2 * pairs * ((double)p->Dqk + (double)p->Dv) * (double)q_batches(p) * (double)p->Hq;
}
