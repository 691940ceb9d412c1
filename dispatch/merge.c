/* attn_merge(): partial results over disjoint keys, made one. A row at a time, in f64: what is merged was rounded before.
 */
#include "error.h"
#include "parallel.h"
#include "problem.h"

#include "../kernels/reference/half.h"

#include <math.h>
#include <stdio.h>

enum { CHUNK = 64, ROWS = 16 }; /* elements of a row, and rows, at a time */
/* Elements worth a thread: about 20 us of them. */
static const double elements_per_thread = 3e4;

struct merge {
  attn_merge_desc d;
  const attn_part *parts;
  int64_t n;
  void *o;
  float *lse;
  int64_t rows;
};

static bool contiguous(const attn_strides *s) { return !s->b && !s->h && !s->s && !s->d; }

/* A part's strides; those that were left 0 are contiguous. Not kept: there may be any number of parts. */
static attn_strides part_strides(const struct merge *m, const attn_strides *given, bool of_lse)
{
  const attn_merge_desc *d = &m->d;
  if (!contiguous(given)) return *given;
  if (of_lse) return (attn_strides){d->Hq * d->Sq, d->Sq, 1, 1};
  return d->layout == ATTN_BHSD ? (attn_strides){d->Hq * d->Sq * d->Dv, d->Sq * d->Dv, d->Dv, 1}
                                : (attn_strides){d->Sq * d->Hq * d->Dv, d->Dv, d->Hq * d->Dv, 1};
}

struct place {
  int64_t b, h, i;
};
static int64_t row_at(const attn_strides *s, const struct place *at) { return at->b * s->b + at->h * s->h + at->i * s->s; }

static double part_lse(const struct merge *m, int64_t n, const struct place *at)
{
  const attn_strides s = part_strides(m, &m->parts[n].lse_stride, true);
  return (double)m->parts[n].lse[row_at(&s, at)];
}

/* sum[0..count) += weight * elements [d0, d0 + count) of the part's row. */
static void add_part(const struct merge *m, int64_t n, const struct place *at, int64_t d0, int64_t count, double weight,
                     double *restrict sum)
{
  const attn_part *part = &m->parts[n];
  const attn_strides s = part_strides(m, &part->o_stride, false);
  const int64_t from = row_at(&s, at) + d0 * s.d;
  if (part->dtype == ATTN_F32)
    for (int64_t d = 0; d < count; d++) sum[d] += weight * (double)((const float *)part->o)[from + d * s.d];
  else if (part->dtype == ATTN_F16)
    for (int64_t d = 0; d < count; d++)
      sum[d] += weight * (double)attn_f16_to_f32(((const uint16_t *)part->o)[from + d * s.d]);
  else
    for (int64_t d = 0; d < count; d++)
      sum[d] += weight * (double)attn_bf16_to_f32(((const uint16_t *)part->o)[from + d * s.d]);
}

/* Everything that is read of a row is read before what may be the same memory is written. */
static void merge_row(const struct merge *m, const struct place *at)
{
  const attn_merge_desc *d = &m->d;
  double max = -INFINITY, sum = 0;
  for (int64_t n = 0; n < m->n; n++) {
    const double lse = part_lse(m, n, at);
    if (lse > max || isnan(lse)) max = lse; /* nothing exceeds NaN: it stays */
  }
  for (int64_t n = 0; n < m->n; n++) {
    const double lse = part_lse(m, n, at);
    if (lse != -INFINITY) sum += exp(lse - max);
  }
  for (int64_t d0 = 0; d0 < d->Dv; d0 += CHUNK) {
    const int64_t count = d->Dv - d0 < CHUNK ? d->Dv - d0 : CHUNK, to = row_at(&d->o, at) + d0 * d->o.d;
    double o[CHUNK] = {0};
    for (int64_t n = 0; n < m->n; n++) {
      const double lse = part_lse(m, n, at);
      if (lse != -INFINITY) add_part(m, n, at, d0, count, exp(lse - max) / sum, o);
    }
    for (int64_t x = 0; x < count; x++) attn_element_put(d->dtype, m->o, to + x * d->o.d, (float)o[x]);
  }
  if (m->lse) m->lse[row_at(&d->lse, at)] = sum == 0 ? -INFINITY : (float)(max + log(sum));
}

static void merge_rows(void *context, int64_t piece, int thread)
{
  const struct merge *m = context;
  (void)thread;
  for (int64_t row = piece * ROWS; row < m->rows && row < (piece + 1) * ROWS; row++) {
    const struct place at = {row / m->d.Sq / m->d.Hq, row / m->d.Sq % m->d.Hq, row % m->d.Sq};
    merge_row(m, &at);
  }
}

struct memory {
  const void *start;
  size_t bytes, element_bytes;
  attn_strides strides;
};

static bool overlaps(const struct memory *a, const struct memory *b)
{
  const uintptr_t a0 = (uintptr_t)a->start, b0 = (uintptr_t)b->start;
  return a->bytes && b->bytes && a0 < b0 + b->bytes && b0 < a0 + a->bytes;
}

/* Each element of the one is that element of the other, so that a row is read before it is written. */
static bool same(const struct memory *a, const struct memory *b)
{
  const attn_strides *s = &a->strides, *t = &b->strides;
  return a->start == b->start && a->element_bytes == b->element_bytes && s->b == t->b && s->h == t->h && s->s == t->s &&
         s->d == t->d;
}

static attn_status measure(struct memory *memory, const char *name, const void *start, const struct merge *m,
                           attn_strides strides, attn_dtype dtype, bool of_lse, bool output)
{
  const attn_merge_desc *d = &m->d;
  *memory = (struct memory){start, 0, of_lse ? sizeof(float) : attn_element_bytes(dtype), strides};
  if (of_lse && !contiguous(&strides)) memory->strides.d = 1; /* ignored */
  const attn_status status =
      attn_tensor_resolve(name, &memory->strides, (int64_t[]){d->B, d->Hq, d->Sq, of_lse ? 1 : d->Dv},
                          memory->element_bytes, of_lse ? ATTN_BHSD : d->layout, output, &memory->bytes);
  if (status || start || !memory->bytes) return status;
  return attn_fail(ATTN_ERR_INVALID, "%s is NULL; %zu bytes are %s there", name, memory->bytes,
                   output ? "written" : "read");
}

static bool is_float(attn_dtype dtype) { return dtype == ATTN_F32 || dtype == ATTN_F16 || dtype == ATTN_BF16; }

static attn_status check_desc(const attn_merge_desc *d)
{
  const struct {
    const char *name;
    int64_t value;
  } sizes[] = {{"B", d->B}, {"Hq", d->Hq}, {"Sq", d->Sq}, {"Dv", d->Dv}};
  if (!is_float(d->dtype))
    return attn_fail(ATTN_ERR_INVALID, "dtype = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16", (int)d->dtype);
  if (d->layout != ATTN_BHSD && d->layout != ATTN_BSHD)
    return attn_fail(ATTN_ERR_INVALID, "layout = %d is not ATTN_BHSD or ATTN_BSHD", (int)d->layout);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (sizes[i].value < 0)
      return attn_fail(ATTN_ERR_INVALID, "%s = %lld is negative; give the number of elements", sizes[i].name,
                       (long long)sizes[i].value);
  return ATTN_OK;
}

/* Neither output may lie on the other or on a part, unless it is that part's own. */
static attn_status check_part(const struct merge *m, int64_t n, const struct memory out[2])
{
  const attn_part *part = &m->parts[n];
  char names[2][40];
  snprintf(names[0], sizeof names[0], "parts[%lld].o", (long long)n);
  snprintf(names[1], sizeof names[1], "parts[%lld].lse", (long long)n);
  if (!is_float(part->dtype))
    return attn_fail(ATTN_ERR_INVALID, "parts[%lld].dtype = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16", (long long)n,
                     (int)part->dtype);
  struct memory in[2];
  attn_status status = measure(&in[0], names[0], part->o, m, part->o_stride, part->dtype, false, false);
  if (!status) status = measure(&in[1], names[1], part->lse, m, part->lse_stride, ATTN_F32, true, false);
  for (int i = 0; i < 4 && !status; i++)
    if (overlaps(&out[i / 2], &in[i % 2]) && !(i / 2 == i % 2 && same(&out[i / 2], &in[i % 2])))
      status = attn_fail(ATTN_ERR_ALIAS, "%s overlaps %s; only the very same tensor, with its strides, may be merged into",
                         i / 2 ? "lse" : "o", names[i % 2]);
  return status;
}

attn_status attn_merge(const attn_merge_desc *desc, const attn_part *parts, int64_t n, void *o, float *lse,
                       const attn_options *options)
{
  if (!desc) return attn_fail(ATTN_ERR_INVALID, "desc is NULL");
  if (n < 0) return attn_fail(ATTN_ERR_INVALID, "n = %lld is negative; give the number of parts", (long long)n);
  if (n && !parts) return attn_fail(ATTN_ERR_INVALID, "parts is NULL; give %lld of them", (long long)n);
  if (options && options->placement != ATTN_PLACE_CORES && options->placement != ATTN_PLACE_NONE)
    return attn_fail(ATTN_ERR_INVALID, "options.placement = %d is not ATTN_PLACE_CORES or ATTN_PLACE_NONE",
                     (int)options->placement);
  struct merge m = {.d = *desc, .parts = parts, .n = n, .o = o, .lse = lse};
  struct memory out[2] = {{0}};
  int threads;
  attn_status status = check_desc(desc);
  if (!status) status = measure(&out[0], "o", o, &m, desc->o, desc->dtype, false, true);
  if (!status && lse) status = measure(&out[1], "lse", lse, &m, desc->lse, ATTN_F32, true, true);
  if (!status && overlaps(&out[0], &out[1]))
    status = attn_fail(ATTN_ERR_ALIAS, "o (%zu bytes) overlaps lse (%zu bytes)", out[0].bytes, out[1].bytes);
  for (int64_t i = 0; i < n && !status; i++) status = check_part(&m, i, out);
  if (!status) status = attn_choose_threads(&threads, options);
  if (status || (!out[0].bytes && !out[1].bytes)) return status;
  m.d.o = out[0].strides;
  m.d.lse = out[1].strides;
  m.rows = desc->B * desc->Hq * desc->Sq; /* an output has them all, so this cannot overflow */
  const double worth = (double)m.rows * (double)(desc->Dv + 8) * (double)(n + 1) / elements_per_thread;
  if (worth < threads) threads = worth < 1 ? 1 : (int)worth;
  attn_parallel_for(threads, options ? options->placement : ATTN_PLACE_CORES, (m.rows - 1) / ROWS + 1, merge_rows, &m);
  return ATTN_OK;
}
