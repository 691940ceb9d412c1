/* New tokens into a cache, row by row: a row's bits depend on the row alone, so one token at a time, chunks and everything
 * at once leave the same cache. */
#include "cache.h"
#include "error.h"

#include "../kernels/reference/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What is appended, K or V. */
struct source {
  attn_dtype dtype;
  const void *base;
  attn_strides stride;
  int64_t width;
};

/* A row of keys, turned, takes the place of the row in the source. */
static struct source turn_row(const struct source *s, int64_t from, const struct attn_rope *rope, int64_t position,
                              float *row)
{
  for (int64_t d = 0; d < s->width; d++) row[d] = attn_element_get(s->dtype, s->base, from + d * s->stride.d);
  attn_rope_turn(rope, position, row, 1);
  return (struct source){ATTN_F32, row, {0, 0, 0, 1}, s->width};
}

/* `beside` elements, a power of two, go beside each other, the next ones `step` times as far away. */
static inline int64_t place(int64_t d, int64_t beside, int64_t step)
{
  const int64_t within = d & (beside - 1);
  return (d - within) * step + within;
}

static inline __attribute__((always_inline)) void put_places(attn_dtype dtype, void *to, int64_t at, const int64_t beside,
                                                             int64_t step, const struct source *s, int64_t from)
{
  if (dtype != s->dtype || s->stride.d != 1)
    for (int64_t d = 0; d < s->width; d++)
      attn_element_put(dtype, to, at + place(d, beside, step), attn_element_get(s->dtype, s->base, from + d * s->stride.d));
  else if (dtype == ATTN_F32)
    for (int64_t d = 0; d < s->width; d++) ((float *)to)[at + place(d, beside, step)] = ((const float *)s->base)[from + d];
  else
    for (int64_t d = 0; d < s->width; d++)
      ((uint16_t *)to)[at + place(d, beside, step)] = ((const uint16_t *)s->base)[from + d];
}

static void put_row(attn_dtype dtype, void *to, int64_t at, int64_t beside, int64_t step, const struct source *s,
                    int64_t from)
{
  if (beside == 1)
    put_places(dtype, to, at, 1, step, s, from);
  else
    put_places(dtype, to, at, beside, step, s, from);
}

/* No scale is smaller: weight times scale must not become subnormal. Values below half of it become 0. */
static const float least_scale = 0x1p-100f;

/* int8 of the row in units of its scale, which is returned. */
static float quantise_row(int8_t *to, int64_t beside, int64_t step, const struct source *s, int64_t from)
{
  float largest = 0;
  bool finite = true;
  for (int64_t d = 0; d < s->width; d++) {
    const float x = fabsf(attn_element_get(s->dtype, s->base, from + d * s->stride.d));
    finite &= isfinite(x) != 0;
    if (x > largest) largest = x;
  }
  if (!finite || largest == 0) {
    for (int64_t d = 0; d < s->width; d++) to[place(d, beside, step)] = 0;
    return finite ? 0 : NAN;
  }
  const float scale = largest / 127 < least_scale ? least_scale : largest / 127;
  for (int64_t d = 0; d < s->width; d++)
    to[place(d, beside, step)] =
        (int8_t)lrint((double)attn_element_get(s->dtype, s->base, from + d * s->stride.d) / (double)scale);
  return scale;
}

static attn_status check_source(const struct source *s, const char *name, int64_t heads, int64_t n)
{
  const int64_t sizes[] = {heads, n, s->width}, strides[] = {s->stride.h, s->stride.s, s->stride.d};
  static const char dims[] = "hsd";
  int64_t last = 0;
  if (n && !s->base) return attn_fail(ATTN_ERR_INVALID, "%s is NULL; give %lld tokens", name, (long long)n);
  for (int i = 0; i < 3; i++) {
    int64_t span;
    if (strides[i] < 0)
      return attn_fail(ATTN_ERR_INVALID, "%s_stride.%c = %lld is negative; strides count elements forward", name, dims[i],
                       (long long)strides[i]);
    if (n && (__builtin_mul_overflow(sizes[i] - 1, strides[i], &span) || __builtin_add_overflow(last, span, &last) ||
              last >= PTRDIFF_MAX / 4))
      return attn_fail(ATTN_ERR_OVERFLOW, "%s_stride.%c = %lld exceeds the address space", name, dims[i],
                       (long long)strides[i]);
  }
  return ATTN_OK;
}

static attn_strides default_stride(const attn_strides *given, int64_t heads, int64_t width)
{
  return given->h || given->s || given->d ? *given : (attn_strides){0, width, heads * width, 1};
}

static attn_status check_room(const struct attn_cache *c, int64_t b, int64_t n)
{
  const int64_t length = c->length[b], free_tokens = c->desc.capacity - length;
  if (n < 0 || n > free_tokens)
    return attn_fail(ATTN_ERR_INVALID,
                     "n = %lld tokens are not within 0..%lld, the free room of sequence %lld (capacity %lld)", (long long)n,
                     (long long)free_tokens, (long long)b, (long long)c->desc.capacity);
  if (!c->table_pages || n == 0) return ATTN_OK;
  if (length + n > c->page_count[b] << c->page_shift)
    return attn_fail(
        ATTN_ERR_INVALID,
        "n = %lld tokens after %lld need more than the %lld pages of sequence %lld; attn_cache_set_pages first",
        (long long)n, (long long)length, (long long)c->page_count[b], (long long)b);
  for (int64_t i = length >> c->page_shift; i <= (length + n - 1) >> c->page_shift; i++) {
    const int32_t page = attn_cache_pages(c, b)[i];
    if (c->uses[page] > 1)
      return attn_fail(ATTN_ERR_INVALID,
                       "page %d, the next of sequence %lld, stands in the tables %d times; give it a page of its own",
                       (int)page, (long long)b, (int)c->uses[page]);
  }
  return ATTN_OK;
}

static void append_token(struct attn_cache *c, int64_t b, int64_t h, int64_t key, const struct source *k, int64_t from_k,
                         const struct source *v, int64_t from_v)
{
  const int32_t *pages = attn_cache_pages(c, b);
  const int64_t page = pages ? pages[key >> c->page_shift] : 0, at = pages ? key & (c->desc.page_size - 1) : key;
  const int64_t lane = at % ATTN_KEY_STRETCH, step = c->k_stride.d, n = c->interleave;
  const int64_t head_k = page * c->k_page + b * c->k_stride.b + h * c->k_stride.h;
  const int64_t head_v = page * c->v_page + b * c->v_stride.b + h * c->v_stride.h;
  const int64_t to_k = head_k + (at - lane) * c->k_stride.s + lane * n;
  const int64_t to_v = head_v + at / n * n * c->v_stride.s + at % n;
  if (lane == 0) { /* kernels read whole stretches, and whole pairs and quads of values */
    const size_t element = attn_element_bytes(c->desc.dtype);
    memset(c->k + (size_t)to_k * element, 0, (size_t)(c->k_stride.s * ATTN_KEY_STRETCH) * element);
    if (n > 1) memset(c->v + (size_t)to_v * element, 0, (size_t)(c->v_stride.s * ATTN_KEY_STRETCH) * element);
  }
  if (c->desc.dtype != ATTN_I8) {
    put_row(c->desc.dtype, c->k, to_k, n, step, k, from_k);
    put_row(c->desc.dtype, c->v, to_v, 1, n, v, from_v);
    return;
  }
  const int64_t scale = page * c->scale_page + b * c->scale_b + h * c->scale_h + at;
  c->k_scale[scale] = quantise_row((int8_t *)c->k + to_k, n, step, k, from_k);
  c->v_scale[scale] = quantise_row((int8_t *)c->v + to_v, 1, n, v, from_v);
}

static attn_status check_rope(const struct attn_cache *c, int64_t b, const attn_tokens *t)
{
  if (t->rope->desc.dims > c->desc.Dqk)
    return attn_fail(ATTN_ERR_INVALID, "tokens.rope turns %lld elements, but Dqk = %lld", (long long)t->rope->desc.dims,
                     (long long)c->desc.Dqk);
  if (c->length[b] + t->n > ATTN_ROPE_POSITIONS)
    return attn_fail(ATTN_ERR_INVALID, "n = %lld tokens after %lld: with a rope positions lie below %d", (long long)t->n,
                     (long long)c->length[b], (int)ATTN_ROPE_POSITIONS);
  return ATTN_OK;
}

attn_status attn_cache_append(attn_cache *c, int64_t b, const attn_tokens *t)
{
  attn_status status = attn_cache_check(c, b);
  if (status) return status;
  if (!t) return attn_fail(ATTN_ERR_INVALID, "tokens is NULL");
  if (t->dtype != ATTN_F32 && t->dtype != ATTN_F16 && t->dtype != ATTN_BF16)
    return attn_fail(ATTN_ERR_INVALID, "tokens.dtype = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16", (int)t->dtype);
  const int64_t heads = c->desc.Hkv;
  const struct source k = {t->dtype, t->k, default_stride(&t->k_stride, heads, c->desc.Dqk), c->desc.Dqk};
  const struct source v = {t->dtype, t->v, default_stride(&t->v_stride, heads, c->desc.Dv), c->desc.Dv};
  status = check_room(c, b, t->n);
  if (!status) status = check_source(&k, "k", heads, t->n);
  if (!status) status = check_source(&v, "v", heads, t->n);
  if (!status && t->rope) status = check_rope(c, b, t);
  float *row = NULL;
  if (!status && t->rope) {
    row = malloc((size_t)c->desc.Dqk * sizeof *row);
    if (!row) status = attn_fail(ATTN_ERR_NO_MEMORY, "no memory for a row of Dqk = %lld", (long long)c->desc.Dqk);
  }
  if (status) return status;
  for (int64_t h = 0; h < heads; h++)
    for (int64_t i = 0; i < t->n; i++) {
      const int64_t at = c->length[b] + i, from_k = h * k.stride.h + i * k.stride.s,
                    from_v = h * v.stride.h + i * v.stride.s;
      if (row) {
        const struct source turned = turn_row(&k, from_k, t->rope, at, row);
        append_token(c, b, h, at, &turned, 0, &v, from_v);
      } else {
        append_token(c, b, h, at, &k, from_k, &v, from_v);
      }
    }
  free(row);
  c->length[b] += t->n;
  return ATTN_OK;
}
