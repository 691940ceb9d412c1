/* Bytes -> a call of attn_merge() with any sizes, strides, types and numbers of parts. libattn refuses it with a message,
 * or, if it is small, merges buffers of exactly the promised extents between guard pages, also into one of the parts: every
 * element is that of the definition, every other byte untouched. */
#include "fuzz.h"

#include "../kernels/draw.h"
#include "../kernels/guard.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"
#include "../../kernels/reference/half.h"

#include <math.h>

enum { MOST_PARTS = 4, MOST_BYTES = 1 << 15, MOST_SIZE = 1 << 12, FILL = 0x7f };

/* A tensor [B][Hq][Sq][D] with its memory. */
struct tensor {
  attn_dtype dtype;
  attn_strides strides; /* resolved */
  int64_t D;
  struct guard memory;
  unsigned char *data; /* memory's, or that of the part it lies on */
};

static int64_t number(struct draw *d, int64_t usual)
{
  static const int64_t odd[] = {0, -1, INT64_MAX, INT64_MIN, (int64_t)1 << 32, (int64_t)1 << 62, SIZE_MAX / 16};
  const uint8_t kind = draw_byte(d);
  return kind < 245 ? kind % usual : kind < 252 ? odd[kind - 245] : draw_below(d, 4096);
}

static attn_strides strides(struct draw *d)
{
  if (draw_below(d, 4)) return (attn_strides){0};
  attn_strides s;
  s.b = number(d, 200);
  s.h = number(d, 60);
  s.s = number(d, 20);
  s.d = number(d, 3);
  return s;
}

static bool is_float(attn_dtype dtype) { return dtype == ATTN_F32 || dtype == ATTN_F16 || dtype == ATTN_BF16; }

/* False: refused, or too large for this target; *small tells which. */
static bool measure(struct tensor *t, const attn_merge_desc *m, attn_dtype dtype, attn_strides given, bool of_lse,
                    bool output, size_t *bytes, bool *small)
{
  const bool contiguous = !given.b && !given.h && !given.s && !given.d;
  *t = (struct tensor){.dtype = dtype, .strides = given, .D = of_lse ? 1 : m->Dv};
  if (of_lse && !contiguous) t->strides.d = 1;
  if (!is_float(dtype) || attn_tensor_resolve("t", &t->strides, (int64_t[]){m->B, m->Hq, m->Sq, t->D},
                                              attn_element_bytes(dtype), of_lse ? ATTN_BHSD : m->layout, output, bytes))
    return false;
  *small &= *bytes < MOST_BYTES;
  return *small;
}

static int64_t place(const struct tensor *t, int64_t b, int64_t h, int64_t i, int64_t x)
{
  return b * t->strides.b + h * t->strides.h + i * t->strides.s + x * t->strides.d;
}

static void give(struct tensor *t, size_t bytes, bool begin, struct draw *d, bool of_lse)
{
  static const float rare[] = {-INFINITY, INFINITY, NAN, 700, -700, 3e38f};
  if (bytes) t->memory = guard_alloc("", bytes, begin ? GUARD_BEGIN : GUARD_END, 0, FILL);
  t->data = t->memory.data;
  for (size_t i = 0; i < bytes / attn_element_bytes(t->dtype); i++) {
    const bool odd = draw_below(d, of_lse ? 4 : 64) == 1;
    const float x = odd ? rare[draw_below(d, of_lse ? 6 : 3)] : (of_lse ? 8 : 1) * rng_unit(&d->rng);
    attn_element_put(t->dtype, t->data, (int64_t)i, x);
  }
}

static bool may_share(const struct tensor *a, const struct tensor *b)
{
  return attn_element_bytes(a->dtype) == attn_element_bytes(b->dtype) && a->memory.bytes == b->memory.bytes &&
         !memcmp(&a->strides, &b->strides, sizeof a->strides);
}

/* o of a row and its LSE by the definition, in one pass over what was given. */
static double expected(const struct tensor *o, const struct tensor *lse, int64_t n, int64_t b, int64_t h, int64_t i,
                       int64_t x, double *all)
{
  double max = -INFINITY, sum = 0, value = 0;
  for (int64_t p = 0; p < n; p++) {
    const double l = (double)attn_element_get(ATTN_F32, lse[p].data, place(&lse[p], b, h, i, 0));
    if (l > max || isnan(l)) max = l;
  }
  *all = max;
  if (max == -INFINITY) return 0;
  for (int64_t p = 0; p < n; p++) {
    const double l = (double)attn_element_get(ATTN_F32, lse[p].data, place(&lse[p], b, h, i, 0));
    if (l == -INFINITY) continue; /* what stands in o does not matter */
    sum += exp(l - max);
    if (x >= 0) value += exp(l - max) * (double)attn_element_get(o[p].dtype, o[p].data, place(&o[p], b, h, i, x));
  }
  *all = isfinite(max) ? max + log(sum) : NAN;
  return isfinite(max) ? value / sum : NAN;
}

static bool near(double got, double wanted, double bound)
{
  return got == wanted || (isnan(got) && isnan(wanted)) || fabs(got - wanted) <= bound * fmax(1, fabs(wanted));
}

/* What the merge left against what it should have, computed before it. */
static void compare(const struct tensor *t, const attn_merge_desc *m, const double *wanted, double bound, bool shared)
{
  const size_t element = attn_element_bytes(t->dtype);
  bool *own = calloc(t->memory.bytes + 1, 1);
  REQUIRE(own);
  for (int64_t b = 0; b < m->B; b++)
    for (int64_t h = 0; h < m->Hq; h++)
      for (int64_t i = 0; i < m->Sq; i++)
        for (int64_t x = 0; x < t->D; x++) {
          const int64_t at = place(t, b, h, i, x);
          REQUIRE(near((double)attn_element_get(t->dtype, t->data, at), *wanted++, bound));
          memset(own + (size_t)at * element, 1, element);
        }
  for (size_t i = 0; !shared && i < t->memory.bytes; i++) REQUIRE(own[i] || t->data[i] == FILL);
  free(own);
}

static void run(const attn_merge_desc *m, struct tensor *o, struct tensor *lse, int64_t n, bool with_lse,
                const attn_options *options, struct draw *d)
{
  const size_t rows = (size_t)(m->B * m->Hq * m->Sq);
  attn_part parts[MOST_PARTS];
  const int64_t into = n ? draw_below(d, 3 * n) : 0; /* which part the result replaces; none: another place */
  const bool share_o = into < n && may_share(&o[n], &o[into]), share_lse = into < n && may_share(&lse[n], &lse[into]);
  if (share_o) o[n].data = o[into].data;
  if (share_lse) lse[n].data = lse[into].data;
  for (int64_t p = 0; p < n; p++)
    parts[p] = (attn_part){o[p].dtype, o[p].data, (float *)lse[p].data, o[p].strides, lse[p].strides};
  double *values = calloc(rows * (size_t)m->Dv + 1, sizeof *values), *sums = calloc(rows + 1, sizeof *sums);
  REQUIRE(values && sums);
  size_t row = 0;
  for (int64_t b = 0; b < m->B; b++)
    for (int64_t h = 0; h < m->Hq; h++)
      for (int64_t i = 0; i < m->Sq; i++, row++) {
        expected(o, lse, n, b, h, i, -1, &sums[row]);
        for (int64_t x = 0; x < m->Dv; x++)
          values[row * (size_t)m->Dv + (size_t)x] = expected(o, lse, n, b, h, i, x, &sums[row]);
      }
  attn_merge_desc desc = *m;
  desc.o = o[n].strides;
  desc.lse = lse[n].strides;
  REQUIRE(attn_merge(&desc, parts, n, o[n].data, with_lse ? (float *)lse[n].data : NULL, options) == ATTN_OK);
  const double bound = m->dtype == ATTN_F32 ? 1e-6 : m->dtype == ATTN_F16 ? 1e-3 : 8e-3;
  compare(&o[n], m, values, bound, share_o);
  if (with_lse) compare(&lse[n], m, sums, 1e-6, share_lse);
  free(values);
  free(sums);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 8) return -1;
  struct draw d = {.rng = {size}, .bytes = data, .left = size};
  attn_merge_desc m = {.dtype = (attn_dtype)draw_below(&d, 5), .layout = (attn_layout)draw_below(&d, 3)};
  m.B = number(&d, 3);
  m.Hq = number(&d, 4);
  m.Sq = number(&d, 24);
  m.Dv = number(&d, 90);
  m.o = strides(&d);
  m.lse = strides(&d);
  const int64_t n = draw_below(&d, MOST_PARTS + 1);
  const bool with_lse = draw_below(&d, 4);
  const attn_options options = {.threads = draw_below(&d, 32) ? 1 : (int)draw_below(&d, 5), .placement = ATTN_PLACE_NONE};
  struct tensor o[MOST_PARTS + 1], lse[MOST_PARTS + 1]; /* the last ones: what is merged into */
  attn_part parts[MOST_PARTS];
  size_t o_bytes[MOST_PARTS + 1] = {0}, lse_bytes[MOST_PARTS + 1] = {0};
  const bool sizes = m.B >= 0 && m.Hq >= 0 && m.Sq >= 0 && m.Dv >= 0;
  bool small = m.B <= MOST_SIZE && m.Hq <= MOST_SIZE && m.Sq <= MOST_SIZE && m.Dv <= MOST_SIZE,
       fits = sizes && (m.layout == ATTN_BHSD || m.layout == ATTN_BSHD);
  fits = fits && measure(&o[n], &m, m.dtype, m.o, false, true, &o_bytes[n], &small);
  fits = fits && measure(&lse[n], &m, ATTN_F32, m.lse, true, true, &lse_bytes[n], &small);
  for (int64_t p = 0; p < n; p++) {
    parts[p] = (attn_part){(attn_dtype)draw_below(&d, 4), NULL, NULL, strides(&d), strides(&d)};
    if (draw_below(&d, 2)) parts[p].dtype = m.dtype;
    fits = fits && measure(&o[p], &m, parts[p].dtype, parts[p].o_stride, false, false, &o_bytes[p], &small);
    fits = fits && measure(&lse[p], &m, ATTN_F32, parts[p].lse_stride, true, false, &lse_bytes[p], &small);
  }
  if (!fits) {
    static float there[2];
    const bool nothing = m.B == 0 || m.Hq == 0 || m.Sq == 0;    /* to read or to write */
    if ((!small || (!with_lse && sizes)) && !nothing) return 0; /* of an LSE that nobody wants nothing is said */
    for (int64_t p = 0; p < n; p++) parts[p].o = parts[p].lse = there;
    const attn_status status = attn_merge(&m, parts, n, &there[1], with_lse ? there : NULL, &options);
    REQUIRE(status || nothing);
    if (status) require_message(attn_error_message());
    return 0;
  }
  const bool begin = draw_below(&d, 2);
  for (int64_t p = 0; p < n; p++) {
    give(&o[p], o_bytes[p], begin, &d, false);
    give(&lse[p], lse_bytes[p], begin, &d, true);
  }
  if (o_bytes[n]) o[n].memory = guard_alloc("", o_bytes[n], begin ? GUARD_BEGIN : GUARD_END, 0, FILL);
  if (lse_bytes[n]) lse[n].memory = guard_alloc("", lse_bytes[n], begin ? GUARD_BEGIN : GUARD_END, 0, FILL);
  o[n].data = o[n].memory.data;
  lse[n].data = lse[n].memory.data;
  run(&m, o, lse, n, with_lse, &options, &d);
  for (int64_t p = 0; p <= n; p++) {
    guard_free(&o[p].memory);
    guard_free(&lse[p].memory);
  }
  return 0;
}
