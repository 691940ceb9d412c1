#include "cache.h"

#include "error.h"
#include "memory.h"

#include "../kernels/reference/half.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_PAGE = ATTN_KEY_STRETCH, MOST_PAGE = 1 << 30 };

static attn_status check_desc(const attn_cache_desc *d)
{
  const struct {
    const char *name;
    int64_t value;
  } sizes[] = {{"B", d->B}, {"Hkv", d->Hkv}, {"Dqk", d->Dqk}, {"Dv", d->Dv}, {"capacity", d->capacity}};
  if (d->dtype != ATTN_F32 && d->dtype != ATTN_F16 && d->dtype != ATTN_BF16 && d->dtype != ATTN_I8)
    return attn_fail(ATTN_ERR_INVALID, "dtype = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16, ATTN_I8", (int)d->dtype);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i].value < 1)
      return attn_fail(ATTN_ERR_INVALID, "%s = %lld is less than 1", sizes[i].name, (long long)sizes[i].value);
  if (d->page_size == 0) {
    if (d->pages)
      return attn_fail(ATTN_ERR_INVALID, "pages = %lld with page_size = 0; give the tokens of a page", (long long)d->pages);
    return ATTN_OK;
  }
  if (d->page_size < LEAST_PAGE || d->page_size > MOST_PAGE || (d->page_size & (d->page_size - 1)))
    return attn_fail(ATTN_ERR_INVALID, "page_size = %lld is not a power of two within %d..%d; 0 makes a contiguous cache",
                     (long long)d->page_size, LEAST_PAGE, MOST_PAGE);
  if (d->pages < 1 || d->pages > INT32_MAX)
    return attn_fail(ATTN_ERR_INVALID, "pages = %lld is not within 1..%d", (long long)d->pages, INT32_MAX);
  return ATTN_OK;
}

/* n * a * b * bytes, or false. */
static bool product(int64_t n, int64_t a, int64_t b, size_t bytes, size_t *out)
{
  int64_t x;
  return !__builtin_mul_overflow(n, a, &x) && !__builtin_mul_overflow(x, b, &x) &&
         !__builtin_mul_overflow(x, (int64_t)bytes, &x) && x <= PTRDIFF_MAX / 4 && (*out = (size_t)x) == (size_t)x;
}

/* n, up to a multiple of `of`; INT64_MAX: too large. */
static int64_t whole(int64_t n, int64_t of) { return n > INT64_MAX - of ? INT64_MAX : (n + of - 1) / of * of; }

static attn_status lay_out(struct attn_cache *c)
{
  const attn_cache_desc *d = &c->desc;
  const bool paged = d->page_size != 0;
  const int64_t wanted = paged ? d->page_size : d->capacity, rooms = paged ? d->pages : d->B;
  const int64_t room = whole(wanted, ATTN_KEY_STRETCH);
  const int64_t interleave = ATTN_INTERLEAVE(d->dtype);
  const int64_t step_k = whole(d->Dqk, interleave), step_v = whole(d->Dv, interleave > 1 ? ATTN_KEY_STRETCH : 1);
  int64_t tokens;
  size_t unused;
  if (room == INT64_MAX || __builtin_mul_overflow(rooms, room, &tokens) ||
      !product(tokens, d->Hkv, step_k, attn_element_bytes(d->dtype), &c->k_bytes) ||
      !product(tokens, d->Hkv, step_v, attn_element_bytes(d->dtype), &c->v_bytes) ||
      !product(tokens, d->Hkv, 1, sizeof(float), &c->scale_bytes) || !product(d->B, d->capacity, 1, 8, &unused))
    return attn_fail(ATTN_ERR_OVERFLOW,
                     "%lld %s of %lld tokens with %lld heads of %lld and %lld elements exceed the address space",
                     (long long)rooms, paged ? "pages" : "sequences", (long long)wanted, (long long)d->Hkv,
                     (long long)d->Dqk, (long long)d->Dv);
  c->interleave = interleave;
  c->k_stride = (attn_strides){d->Hkv * room * step_k, room * step_k, step_k, ATTN_KEY_STRETCH};
  c->v_stride = (attn_strides){d->Hkv * room * step_v, room * step_v, step_v, 1};
  c->scale_b = d->Hkv * room;
  c->scale_h = room;
  if (!paged) return ATTN_OK;
  c->k_page = c->k_stride.b;
  c->v_page = c->v_stride.b;
  c->scale_page = c->scale_b;
  c->k_stride.b = c->v_stride.b = c->scale_b = 0;
  c->page_shift = __builtin_ctzll((unsigned long long)d->page_size);
  c->table_pages = (d->capacity - 1) / d->page_size + 1;
  return ATTN_OK;
}

attn_status attn_cache_create(attn_cache **out, const attn_cache_desc *desc)
{
  if (!out) return attn_fail(ATTN_ERR_INVALID, "cache is NULL; pass the address of an attn_cache pointer");
  *out = NULL;
  if (!desc) return attn_fail(ATTN_ERR_INVALID, "desc is NULL");
  attn_status status = check_desc(desc);
  if (status) return status;
  struct attn_cache *c = calloc(1, sizeof *c);
  if (!c) return attn_fail(ATTN_ERR_NO_MEMORY, "cache of %zu bytes: no memory", sizeof *c);
  c->desc = *desc;
  status = lay_out(c);
  if (!status) {
    const size_t B = (size_t)desc->B;
    bool have = (c->k = attn_reserve(c->k_bytes, c->k_bytes)) && (c->v = attn_reserve(c->v_bytes, c->v_bytes)) &&
                (c->length = calloc(B, sizeof *c->length));
    if (have && desc->dtype == ATTN_I8)
      have = (c->k_scale = attn_reserve(c->scale_bytes, c->scale_bytes)) &&
             (c->v_scale = attn_reserve(c->scale_bytes, c->scale_bytes));
    if (have && c->table_pages)
      have = (c->page_count = calloc(B, sizeof *c->page_count)) &&
             (c->uses = calloc((size_t)desc->pages, sizeof *c->uses)) &&
             (c->table = calloc(B * (size_t)c->table_pages, sizeof *c->table));
    if (!have)
      status = attn_fail(ATTN_ERR_NO_MEMORY, "K of %zu and V of %zu bytes: no memory; lower capacity or pages", c->k_bytes,
                         c->v_bytes);
  }
  if (status) {
    attn_cache_destroy(c);
    return status;
  }
  *out = c;
  return ATTN_OK;
}

void attn_cache_destroy(attn_cache *c)
{
  if (!c) return;
  free(c->k);
  free(c->v);
  free(c->k_scale);
  free(c->v_scale);
  free(c->length);
  free(c->page_count);
  free(c->table);
  free(c->uses);
  free(c);
}

attn_status attn_cache_check(const struct attn_cache *c, int64_t b)
{
  if (!c) return attn_fail(ATTN_ERR_INVALID, "cache is NULL; make one with attn_cache_create");
  if (b < 0 || b >= c->desc.B)
    return attn_fail(ATTN_ERR_INVALID, "b = %lld is not within 0..%lld, the sequences of the cache", (long long)b,
                     (long long)c->desc.B - 1);
  return ATTN_OK;
}

attn_status attn_cache_set_pages(attn_cache *c, int64_t b, const int32_t *pages, int64_t n)
{
  const attn_status status = attn_cache_check(c, b);
  if (status) return status;
  if (!c->table_pages) return attn_fail(ATTN_ERR_INVALID, "the cache is contiguous (page_size = 0): it has no pages");
  if (n < 0 || n > c->table_pages)
    return attn_fail(ATTN_ERR_INVALID, "n = %lld pages is not within 0..%lld, what the capacity of %lld tokens needs",
                     (long long)n, (long long)c->table_pages, (long long)c->desc.capacity);
  if (n && !pages) return attn_fail(ATTN_ERR_INVALID, "pages is NULL; give %lld page numbers", (long long)n);
  for (int64_t i = 0; i < n; i++)
    if (pages[i] < 0 || pages[i] >= c->desc.pages)
      return attn_fail(ATTN_ERR_INVALID, "pages[%lld] = %d is not within 0..%lld", (long long)i, (int)pages[i],
                       (long long)c->desc.pages - 1);
  if (c->length[b] > n << c->page_shift)
    return attn_fail(ATTN_ERR_INVALID, "n = %lld pages do not hold the %lld tokens of sequence %lld; set its length first",
                     (long long)n, (long long)c->length[b], (long long)b);
  int32_t *table = c->table + b * c->table_pages;
  for (int64_t i = 0; i < n; i++) c->uses[pages[i]]++;
  for (int64_t i = 0; i < c->page_count[b]; i++) c->uses[table[i]]--;
  if (n > 0) memmove(table, pages, (size_t)n * sizeof *table); /* pages may be NULL when there are none */
  c->page_count[b] = n;
  return ATTN_OK;
}

attn_status attn_cache_set_length(attn_cache *c, int64_t b, int64_t length)
{
  const attn_status status = attn_cache_check(c, b);
  if (status) return status;
  int64_t most = c->length[b];
  if (c->table_pages) {
    most = c->page_count[b] << c->page_shift;
    if (most > c->desc.capacity) most = c->desc.capacity;
  }
  if (length < 0 || length > most)
    return attn_fail(ATTN_ERR_INVALID, "length = %lld is not within 0..%lld, %s of sequence %lld", (long long)length,
                     (long long)most, c->table_pages ? "the room in the pages" : "the tokens", (long long)b);
  c->length[b] = length;
  return ATTN_OK;
}

int64_t attn_cache_length(const attn_cache *c, int64_t b) { return !c || b < 0 || b >= c->desc.B ? -1 : c->length[b]; }

attn_status attn_cache_look(const attn_cache *c, int64_t b, attn_cache_view *view)
{
  const attn_status status = attn_cache_check(c, b);
  if (status) return status;
  if (!view) return attn_fail(ATTN_ERR_INVALID, "view is NULL");
  *view = (attn_cache_view){.k = c->k,
                            .v = c->v,
                            .k_scale = c->k_scale,
                            .v_scale = c->v_scale,
                            .k_stride = c->k_stride,
                            .v_stride = c->v_stride,
                            .k_page = c->k_page,
                            .v_page = c->v_page,
                            .scale_b = c->scale_b,
                            .scale_h = c->scale_h,
                            .scale_page = c->scale_page,
                            .pages = attn_cache_pages(c, b),
                            .interleave = c->interleave,
                            .length = c->length[b]};
  return ATTN_OK;
}
