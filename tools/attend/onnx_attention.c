#include "onnx_attention.h"

#include "mask_shape.h"

#include "../../dispatch/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of onnx.TensorProto. */
enum { TYPE_FLOAT = 1, TYPE_FLOAT16 = 10, TYPE_DOUBLE = 11, TYPE_BFLOAT16 = 16 };

/* A tensor as [B][H][S][D]. */
struct view {
  int64_t n[4], stride[4];
};

static void append(char *list, size_t bytes, const char *name)
{
  const size_t used = strlen(list);
  snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", name);
}

char *onnx_attention_missing(const struct onnx_attention *op, char *buffer, size_t bytes)
{
  char text[64];
  buffer[0] = 0;
  for (int i = ONNX_Q; i <= ONNX_V; i++) {
    const enum npy_dtype dtype = op->input[i].header.dtype;
    if (!op->input[i].data || (dtype != NPY_BOOL && dtype != NPY_I64)) continue;
    snprintf(text, sizeof text, "%s tensors", npy_dtype_name(dtype));
    append(buffer, bytes, text);
    break;
  }
  /* The softmax is in f32. That is more than a 16-bit softmax_precision asks for, and as near to double as outputs that
   * were summed in f32 can show: the comparison decides. */
  const int64_t precision = op->softmax_precision;
  if (precision && precision != TYPE_FLOAT && precision != TYPE_FLOAT16 && precision != TYPE_DOUBLE &&
      precision != TYPE_BFLOAT16) {
    snprintf(text, sizeof text, "softmax_precision %lld", (long long)precision);
    append(buffer, bytes, text);
  }
  if (op->wanted[ONNX_QK] && op->qk_matmul_output_mode > ATTN_SCORE_WEIGHT) {
    snprintf(text, sizeof text, "qk_matmul_output_mode %lld", (long long)op->qk_matmul_output_mode);
    append(buffer, bytes, text);
  }
  return buffer;
}

/* 4-D tensors are [B][H][S][D], 3-D ones [B][S][H*D] with the number of heads from an attribute. */
static bool view_of(struct view *v, const struct npy_header *h, const char *name, int64_t heads, struct complaint *why)
{
  char shape[256];
  npy_shape_text(h, shape, sizeof shape);
  if (h->rank == 4) {
    if (heads && heads != h->shape[1])
      return complain(why, "%s %s: the attribute says %lld heads", name, shape, (long long)heads);
    for (int i = 0; i < 4; i++) {
      v->n[i] = h->shape[i];
      v->stride[i] = h->stride[i];
    }
    return true;
  }
  if (h->rank != 3) return complain(why, "%s %s has neither 3 nor 4 dimensions", name, shape);
  if (heads <= 0) return complain(why, "%s %s: 3-D tensors need q_num_heads and kv_num_heads", name, shape);
  if (h->shape[2] % heads) return complain(why, "%s %s does not divide into %lld heads", name, shape, (long long)heads);
  const int64_t size = h->shape[2] / heads;
  *v = (struct view){.n = {h->shape[0], heads, h->shape[1], size},
                     .stride = {h->stride[0], size * h->stride[2], h->stride[1], h->stride[2]}};
  return true;
}

/* Room for a contiguous tensor. */
static bool allocate(struct npy_array *a, enum npy_dtype dtype, int rank, const int64_t *shape, struct complaint *why)
{
  const size_t element_bytes = dtype == NPY_F64 ? 8 : dtype == NPY_F32 ? 4 : 2;
  size_t bytes = element_bytes;
  int64_t stride = 1;
  *a = (struct npy_array){.header = {.dtype = dtype, .rank = rank, .element_bytes = element_bytes}};
  for (int i = rank - 1; i >= 0; i--) {
    a->header.shape[i] = shape[i];
    a->header.stride[i] = stride;
    if (__builtin_mul_overflow(bytes, (size_t)shape[i], &bytes) || bytes > PTRDIFF_MAX / 2)
      return complain(why, "a tensor exceeds the address space");
    stride *= shape[i] ? shape[i] : 1;
  }
  a->header.data_bytes = bytes;
  a->header.count = (int64_t)(bytes / element_bytes);
  a->data = aligned_alloc(64, (bytes + 64) / 64 * 64);
  return a->data || complain(why, "no memory for a tensor of %zu bytes", bytes);
}

/* Copies a view into positions at, at + 1 ... of the sequence of a contiguous [B][H][S][D]. */
static void copy_sequence(struct npy_array *to, int64_t at, const struct view *v, const void *from)
{
  const size_t e = to->header.element_bytes;
  const int64_t *s = to->header.stride;
  for (int64_t b = 0; b < v->n[0]; b++)
    for (int64_t h = 0; h < v->n[1]; h++)
      for (int64_t i = 0; i < v->n[2]; i++)
        for (int64_t d = 0; d < v->n[3]; d++)
          memcpy((char *)to->data + e * (size_t)(b * s[0] + h * s[1] + (at + i) * s[2] + d),
                 (const char *)from +
                     e * (size_t)(b * v->stride[0] + h * v->stride[1] + i * v->stride[2] + d * v->stride[3]),
                 e);
}

/* present = past followed by the new keys or values, as [B][Hkv][P + S][D]. */
static bool make_present(struct npy_array *present, const struct npy_array *past, const struct view *new, const void *data,
                         enum npy_dtype dtype, const char *name, struct complaint *why)
{
  struct view old = {.n = {new->n[0], new->n[1], 0, new->n[3]}};
  if (past->data) {
    if (past->header.rank != 4 || !view_of(&old, &past->header, name, 0, why))
      return complain(why, "%s has %d dimensions instead of 4", name, past->header.rank);
    if (past->header.dtype != dtype)
      return complain(why, "%s is %s, Q is %s", name, npy_dtype_name(past->header.dtype), npy_dtype_name(dtype));
    if (old.n[0] != new->n[0] || old.n[1] != new->n[1] || old.n[3] != new->n[3]) {
      char shape[256];
      return complain(why, "%s %s does not fit batch %lld, %lld heads of size %lld", name,
                      npy_shape_text(&past->header, shape, sizeof shape), (long long)new->n[0], (long long)new->n[1],
                      (long long)new->n[3]);
    }
  }
  int64_t total;
  if (__builtin_add_overflow(old.n[2], new->n[2], &total)) return complain(why, "%s: too long", name);
  const int64_t shape[4] = {new->n[0], new->n[1], total, new->n[3]};
  if (!allocate(present, dtype, 4, shape, why)) return false;
  if (past->data) copy_sequence(present, 0, &old, past->data);
  copy_sequence(present, old.n[2], new, data);
  return true;
}

static double element(const struct npy_array *a, int64_t at)
{
  switch (a->header.dtype) {
  case NPY_F16: return (double)attn_f16_to_f32(((const uint16_t *)a->data)[at]);
  case NPY_BF16: return (double)attn_bf16_to_f32(((const uint16_t *)a->data)[at]);
  case NPY_F32: return (double)((const float *)a->data)[at];
  case NPY_F64: return ((const double *)a->data)[at];
  case NPY_BOOL: return ((const uint8_t *)a->data)[at];
  case NPY_I64: return (double)((const int64_t *)a->data)[at];
  }
  return NAN;
}

/* The same array in f32, with the same strides. */
static bool as_f32(struct npy_array *f32, const struct npy_array *from, struct complaint *why)
{
  if (!allocate(f32, NPY_F32, from->header.rank, from->header.shape, why)) return false;
  memcpy(f32->header.stride, from->header.stride, sizeof f32->header.stride); /* the order of elements stays */
  for (int64_t i = 0; i < from->header.count; i++) ((float *)f32->data)[i] = (float)element(from, i);
  return true;
}

/* Replaces a contiguous f32 array by one of another type. */
static bool round_to(struct npy_array *a, enum npy_dtype dtype, struct complaint *why)
{
  struct npy_array from = *a;
  if (dtype == NPY_F32) return true;
  if (!allocate(a, dtype, from.header.rank, from.header.shape, why)) {
    *a = from;
    return false;
  }
  for (int64_t i = 0; i < from.header.count; i++) {
    const float x = ((const float *)from.data)[i];
    if (dtype == NPY_F64)
      ((double *)a->data)[i] = (double)x;
    else
      attn_element_put(dtype == NPY_F16 ? ATTN_F16 : ATTN_BF16, a->data, i, x);
  }
  npy_free(&from);
  return true;
}

enum { F32_Q, F32_K, F32_V, F32_MASK, F32_COPIES };

struct call {
  attn_desc desc;
  attn_args args;
  struct npy_array copy[F32_COPIES]; /* of float64 tensors, and of masks of other types than f32 */
};

static enum onnx_status status_of(attn_status status, struct complaint *why)
{
  if (!status) return ONNX_DONE;
  complaint_set(why, "%s", attn_error_message());
  return status == ATTN_ERR_UNSUPPORTED ? ONNX_UNSUPPORTED : ONNX_INVALID;
}

static enum onnx_status forward(struct onnx_result *r, const struct call *c, struct complaint *why)
{
  attn_plan *plan;
  attn_status status = attn_plan_create(&plan, &c->desc, NULL);
  if (!status) {
    r->kernel = attn_kernel_find(attn_plan_kernel(plan))->name; /* outlives the plan */
    status = attn_run(plan, &c->args);
  }
  attn_plan_destroy(plan);
  return status_of(status, why);
}

/* qk_matmul_output_mode counts the stages as attn_score_stage does. */
static enum onnx_status scores(struct npy_array *qk, const struct call *c, int64_t mode, struct complaint *why)
{
  const attn_desc *d = &c->desc;
  if (!allocate(qk, NPY_F32, 4, (const int64_t[]){d->B, d->Hq, d->Sq, d->Skv}, why)) return ONNX_INVALID;
  const attn_score_block block = {.stage = (attn_score_stage)mode};
  return status_of(attn_scores(d, NULL, &c->args, &block, qk->data), why);
}

static attn_strides strides_of(const int64_t *s) { return (attn_strides){s[0], s[1], s[2], s[3]}; }

static bool describe_lengths(struct call *c, const struct npy_array *nonpad, bool past, struct complaint *why)
{
  if (!nonpad->data) return true;
  const struct npy_header *h = &nonpad->header;
  if (past) return complain(why, "nonpad_kv_seqlen and past_key exclude each other");
  if (h->dtype != NPY_I64 || h->rank != 1 || h->shape[0] != c->desc.B)
    return complain(why, "nonpad_kv_seqlen is not int64[%lld]", (long long)c->desc.B);
  c->args.kv_lengths = nonpad->data;
  c->desc.flags |= ATTN_KV_LENGTHS;
  for (int64_t b = 0; b < c->desc.B; b++)
    if (c->args.kv_lengths[b] < 0 || c->args.kv_lengths[b] > c->desc.Skv)
      return complain(why, "nonpad_kv_seqlen[%lld] = %lld is not within 0..%lld", (long long)b,
                      (long long)c->args.kv_lengths[b], (long long)c->desc.Skv);
  return true;
}

/* Everything but the mask. */
static bool describe(struct call *c, struct onnx_result *r, const struct onnx_attention *op, struct complaint *why)
{
  const struct npy_array *in = op->input;
  const enum npy_dtype dtype = in[ONNX_Q].header.dtype;
  struct npy_array *key = &r->output[ONNX_PRESENT_KEY], *value = &r->output[ONNX_PRESENT_VALUE], *y = &r->output[ONNX_Y];
  struct view q, k, v;
  if (!in[ONNX_Q].data || !in[ONNX_K].data || !in[ONNX_V].data) return complain(why, "Q, K or V is absent");
  if (in[ONNX_K].header.dtype != dtype || in[ONNX_V].header.dtype != dtype)
    return complain(why, "Q, K and V have different types");
  if (in[ONNX_K].header.rank != in[ONNX_Q].header.rank || in[ONNX_V].header.rank != in[ONNX_Q].header.rank)
    return complain(why, "Q, K and V have different numbers of dimensions");
  if (!in[ONNX_PAST_KEY].data != !in[ONNX_PAST_VALUE].data) return complain(why, "past_key and past_value belong together");
  if (!view_of(&q, &in[ONNX_Q].header, "Q", op->q_num_heads, why) ||
      !view_of(&k, &in[ONNX_K].header, "K", op->kv_num_heads, why) ||
      !view_of(&v, &in[ONNX_V].header, "V", op->kv_num_heads, why))
    return false;
  if (k.n[0] != q.n[0] || v.n[0] != q.n[0] || v.n[1] != k.n[1] || v.n[2] != k.n[2] || k.n[3] != q.n[3])
    return complain(why, "the shapes of Q, K and V do not fit together");
  if (!make_present(key, &in[ONNX_PAST_KEY], &k, in[ONNX_K].data, dtype, "past_key", why) ||
      !make_present(value, &in[ONNX_PAST_VALUE], &v, in[ONNX_V].data, dtype, "past_value", why))
    return false;
  const int64_t total = key->header.shape[2], past = total - k.n[2];
  if (value->header.shape[2] != total) return complain(why, "past_key and past_value have different lengths");

  const bool flat = in[ONNX_Q].header.rank == 3; /* Y is [B][S][H*D] as well */
  int64_t y_width;
  if (__builtin_mul_overflow(q.n[1], v.n[3], &y_width)) return complain(why, "Y exceeds the address space");
  const int64_t shape[4] = {q.n[0], flat ? q.n[2] : q.n[1], flat ? y_width : q.n[2], v.n[3]};
  if (!allocate(y, dtype == NPY_F64 ? NPY_F32 : dtype, flat ? 3 : 4, shape, why)) return false;
  const int64_t *s = y->header.stride;
  c->desc = (attn_desc){.dtype = dtype == NPY_F16    ? ATTN_F16
                                 : dtype == NPY_BF16 ? ATTN_BF16
                                                     : ATTN_F32,
                        .B = q.n[0],
                        .Hq = q.n[1],
                        .Hkv = k.n[1],
                        .Sq = q.n[2],
                        .Skv = total,
                        .Dqk = q.n[3],
                        .Dv = v.n[3],
                        .q = strides_of(q.stride),
                        .k = strides_of(key->header.stride),
                        .v = strides_of(value->header.stride),
                        .o = flat ? (attn_strides){s[0], v.n[3], s[1], 1} : strides_of(s),
                        .scale = (float)op->scale,
                        .softcap = op->softcap > 0 ? (float)op->softcap : 0,
                        .flags = (op->scale_given ? ATTN_SCALE_EXPLICIT : 0u) | (op->is_causal ? ATTN_CAUSAL : 0u) |
                                 (op->left_window >= 0 ? ATTN_WINDOW_LEFT : 0u) |
                                 (op->right_window >= 0 ? ATTN_WINDOW_RIGHT : 0u),
                        .window_left = op->left_window,
                        .window_right = op->right_window};
  c->args = (attn_args){.q = in[ONNX_Q].data, .k = key->data, .v = value->data, .o = y->data};
  if (dtype == NPY_F64) {
    if (!as_f32(&c->copy[F32_Q], &in[ONNX_Q], why) || !as_f32(&c->copy[F32_K], key, why) ||
        !as_f32(&c->copy[F32_V], value, why))
      return false;
    c->args.q = c->copy[F32_Q].data;
    c->args.k = c->copy[F32_K].data;
    c->args.v = c->copy[F32_V].data;
  }
  if (!describe_lengths(c, &in[ONNX_NONPAD], in[ONNX_PAST_KEY].data, why)) return false;
  /* Query i stands at key i + past; with lengths at i + length - Sq, which is attn.h's own alignment. */
  if (!c->args.kv_lengths) c->desc.causal_offset = past - (total - q.n[2]);
  return true;
}

static bool describe_mask(struct call *c, const struct npy_array *mask, struct complaint *why)
{
  const enum npy_dtype dtype = mask->header.dtype;
  if (!mask->data) return true;
  if (dtype == NPY_F16 || dtype == NPY_BF16 || dtype == NPY_F64) {
    if (!as_f32(&c->copy[F32_MASK], mask, why)) return false;
    mask = &c->copy[F32_MASK];
  }
  c->args.mask = mask->data;
  return mask_describe(&c->desc, &mask->header, why);
}

enum onnx_status onnx_attention_run(struct onnx_result *r, const struct onnx_attention *op, struct complaint *why)
{
  const enum npy_dtype dtype = op->input[ONNX_Q].header.dtype;
  struct npy_array *y = &r->output[ONNX_Y], *qk = &r->output[ONNX_QK];
  struct call c = {0};
  enum onnx_status status = ONNX_INVALID;
  *r = (struct onnx_result){.kernel = ""};
  if (describe(&c, r, op, why) && describe_mask(&c, &op->input[ONNX_MASK], why)) {
    status = forward(r, &c, why);
    if (!status && op->wanted[ONNX_QK]) status = scores(qk, &c, op->qk_matmul_output_mode, why);
    if (!status && ((dtype == NPY_F64 && !round_to(y, dtype, why)) || (qk->data && !round_to(qk, dtype, why))))
      status = ONNX_INVALID;
  }
  for (int i = 0; i < F32_COPIES; i++) npy_free(&c.copy[i]);
  return status;
}

void onnx_result_free(struct onnx_result *r)
{
  for (int i = 0; i < ONNX_OUTPUTS; i++) npy_free(&r->output[i]);
}
