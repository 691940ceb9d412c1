/* KV caches: what they hold, what they refuse, and that nothing is written then. */
#include "problem.h"

#include "../../dispatch/internal.h"

#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

enum { B = 3, HKV = 2, HQ = 6, DQK = 12, DV = 10, CAPACITY = 70, PAGE = 16, PAGES = 20 };

static attn_cache_desc cache_desc(attn_dtype dtype, bool paged)
{
  return (attn_cache_desc){.dtype = dtype,
                           .B = B,
                           .Hkv = HKV,
                           .Dqk = DQK,
                           .Dv = DV,
                           .capacity = CAPACITY,
                           .page_size = paged ? PAGE : 0,
                           .pages = paged ? PAGES : 0};
}

static attn_cache *make(attn_dtype dtype, bool paged)
{
  const attn_cache_desc d = cache_desc(dtype, paged);
  attn_cache *cache;
  assert_int_equal(attn_cache_create(&cache, &d), ATTN_OK);
  return cache;
}

/* Tokens [from, from + n) of a sequence that exists in f32, [token][head][element]. */
struct text {
  float *k, *v;
};
static struct text make_text(unsigned seed)
{
  return (struct text){pattern((size_t)CAPACITY * HKV * DQK, seed), pattern((size_t)CAPACITY * HKV * DV, seed + 1)};
}
static void free_text(struct text *t)
{
  free(t->k);
  free(t->v);
}
static attn_tokens tokens(const struct text *t, int64_t from, int64_t n)
{
  return (attn_tokens){.dtype = ATTN_F32, .n = n, .k = t->k + from * HKV * DQK, .v = t->v + from * HKV * DV};
}
static void append(attn_cache *c, int64_t b, const struct text *t, int64_t from, int64_t n)
{
  const attn_tokens some = tokens(t, from, n);
  if (attn_cache_append(c, b, &some)) fail_msg("%s", attn_error_message());
}

/* Output bits of a plan over the cache; Sq queries, causal. */
static void attend(attn_cache *c, int64_t queries, float *o)
{
  const attn_desc d = {.B = B, .Hq = HQ, .Sq = queries, .flags = ATTN_CAUSAL};
  float *q = pattern((size_t)(B * HQ * queries * DQK), 77);
  attn_plan *plan;
  if (attn_plan_create_cached(&plan, &d, c, NULL)) fail_msg("%s", attn_error_message());
  if (attn_run(plan, &(attn_args){.q = q, .o = o})) fail_msg("%s", attn_error_message());
  attn_plan_destroy(plan);
  free(q);
}

/* Where element d of the key at place j stands in a head's K. */
static int64_t key_in_view(const attn_cache_view *v, int64_t j, int64_t d)
{
  const int64_t n = v->interleave, lane = j % ATTN_CACHE_BLOCK;
  return (j - lane) * v->k_stride.s + d / n * n * v->k_stride.d + lane * n + d % n;
}

static int64_t value_in_view(const attn_cache_view *v, int64_t j, int64_t d)
{
  return j / v->interleave * v->interleave * v->v_stride.s + d * v->interleave + j % v->interleave;
}

static void refused(attn_status got, attn_status expected, const char *field, const char *value)
{
  if (got != expected)
    fail_msg("%s instead of %s: %s", attn_status_name(got), attn_status_name(expected), field ? field : "");
  assert_mentions(field);
  assert_mentions(value);
}

static void bad_descriptions(void **state)
{
  (void)state;
  attn_cache *c = (attn_cache *)1;
  attn_cache_desc d = cache_desc(ATTN_F16, false);
  refused(attn_cache_create(NULL, &d), ATTN_ERR_INVALID, "cache", NULL);
  refused(attn_cache_create(&c, NULL), ATTN_ERR_INVALID, "desc", NULL);
  assert_null(c);
  int64_t *const sizes[] = {&d.B, &d.Hkv, &d.Dqk, &d.Dv, &d.capacity};
  static const char *const names[] = {"B", "Hkv", "Dqk", "Dv", "capacity"};
  for (int i = 0; i < 5; i++) {
    const int64_t good = *sizes[i];
    *sizes[i] = 0;
    refused(attn_cache_create(&c, &d), ATTN_ERR_INVALID, names[i], "0");
    *sizes[i] = -4;
    refused(attn_cache_create(&c, &d), ATTN_ERR_INVALID, names[i], "-4");
    *sizes[i] = INT64_MAX;
    refused(attn_cache_create(&c, &d), ATTN_ERR_OVERFLOW, NULL, NULL);
    *sizes[i] = good;
  }
  d.dtype = (attn_dtype)9;
  refused(attn_cache_create(&c, &d), ATTN_ERR_INVALID, "dtype", "9");
  d = cache_desc(ATTN_F16, true);
  for (int i = 0; i < 4; i++) {
    d.page_size = (int64_t[]){-16, 8, 24, 1ll << 40}[i];
    refused(attn_cache_create(&c, &d), ATTN_ERR_INVALID, "page_size", NULL);
  }
  d.page_size = 1 << 30; /* the largest: what is refused is the whole */
  d.Dqk = INT64_MAX / 4;
  refused(attn_cache_create(&c, &d), ATTN_ERR_OVERFLOW, "pages of 1073741824 tokens", NULL);
  d.Dqk = DQK;
  d.page_size = 0;
  refused(attn_cache_create(&c, &d), ATTN_ERR_INVALID, "pages", "20");
  d.page_size = 16;
  d.pages = 0;
  refused(attn_cache_create(&c, &d), ATTN_ERR_INVALID, "pages", "0");
  d.pages = 20;
  d.capacity = INT64_MAX / 16; /* the pages would fit, the tables of so many would not */
  refused(attn_cache_create(&c, &d), ATTN_ERR_OVERFLOW, "20 pages of 16 tokens", NULL);
  assert_null(c);
}

/* The cache's bits and the output's do not depend on how the tokens came. */
static void chunks_leave_the_same_bits(void **state)
{
  (void)state;
  static const attn_dtype dtypes[] = {ATTN_F32, ATTN_F16, ATTN_BF16, ATTN_I8};
  struct text text[B];
  for (int b = 0; b < B; b++) text[b] = make_text(10 * (unsigned)b + 1);
  static const int64_t lengths[B] = {53, 70, 0};
  for (int t = 0; t < 4; t++) {
    attn_cache *whole = make(dtypes[t], false), *single = make(dtypes[t], false), *paged = make(dtypes[t], true);
    for (int b = 0; b < B; b++) {
      int32_t pages[5];
      for (int i = 0; i < 5; i++) pages[i] = (b * 5 + i) * 7 % PAGES;
      assert_int_equal(attn_cache_set_pages(paged, b, pages, 5), ATTN_OK);
      append(whole, b, &text[b], 0, lengths[b]);
      for (int64_t i = 0; i < lengths[b]; i++) append(single, b, &text[b], i, 1);
      for (int64_t i = 0, n; i < lengths[b]; i += n) {
        n = lengths[b] - i < 11 ? lengths[b] - i : 11;
        append(paged, b, &text[b], i, n);
      }
      attn_cache_view v, w, x;
      assert_int_equal(attn_cache_look(whole, b, &v), ATTN_OK);
      assert_int_equal(attn_cache_look(single, b, &w), ATTN_OK);
      assert_int_equal(attn_cache_look(paged, b, &x), ATTN_OK);
      assert_int_equal(v.length, lengths[b]);
      assert_int_equal(x.length, lengths[b]);
      const size_t bytes = attn_element_bytes(dtypes[t]);
      for (int64_t h = 0; h < HKV; h++)
        for (int64_t j = 0; j < lengths[b]; j++) {
          for (int64_t d = 0; d < DQK; d++) {
            const int64_t at = b * v.k_stride.b + h * v.k_stride.h + key_in_view(&v, j, d);
            const int64_t there = x.pages[j / PAGE] * x.k_page + h * x.k_stride.h + key_in_view(&x, j % PAGE, d);
            assert_memory_equal((const char *)v.k + (size_t)at * bytes, (const char *)w.k + (size_t)at * bytes, bytes);
            assert_memory_equal((const char *)v.k + (size_t)at * bytes, (const char *)x.k + (size_t)there * bytes, bytes);
          }
          for (int64_t d = 0; d < DV; d++) {
            const int64_t at = b * v.v_stride.b + h * v.v_stride.h + value_in_view(&v, j, d);
            const int64_t there = x.pages[j / PAGE] * x.v_page + h * x.v_stride.h + value_in_view(&x, j % PAGE, d);
            assert_memory_equal((const char *)v.v + (size_t)at * bytes, (const char *)w.v + (size_t)at * bytes, bytes);
            assert_memory_equal((const char *)v.v + (size_t)at * bytes, (const char *)x.v + (size_t)there * bytes, bytes);
          }
          if (dtypes[t] != ATTN_I8) continue;
          const int64_t scale = b * v.scale_b + h * v.scale_h + j;
          assert_memory_equal(v.k_scale + scale, w.k_scale + scale, sizeof(float));
          assert_memory_equal(v.v_scale + scale, w.v_scale + scale, sizeof(float));
        }
    }
    for (int64_t queries = 1; queries < 40; queries += 19) {
      float o[3][B * HQ * 40 * DV];
      attn_cache *caches[3] = {whole, single, paged};
      for (int i = 0; i < 3; i++) attend(caches[i], queries, o[i]);
      assert_memory_equal(o[0], o[1], sizeof(float) * (size_t)(B * HQ * queries * DV));
      assert_memory_equal(o[0], o[2], sizeof(float) * (size_t)(B * HQ * queries * DV));
      for (int64_t i = 0; i < HQ * queries * DV; i++) assert_true(o[0][2 * HQ * queries * DV + i] == 0); /* no tokens */
    }
    attn_cache_destroy(whole);
    attn_cache_destroy(single);
    attn_cache_destroy(paged);
  }
  for (int b = 0; b < B; b++) free_text(&text[b]);
}

/* Tokens of the cache's own type, one by one up to the last, are the bits of all at once. */
static void tokens_of_the_same_type(void **state)
{
  (void)state;
  struct text text = make_text(51);
  uint16_t k[CAPACITY * HKV * DQK], v[CAPACITY * HKV * DV];
  float o[2][B * HQ * DV];
  for (int i = 0; i < CAPACITY * HKV * DQK; i++) attn_element_put(ATTN_F16, k, i, text.k[i]);
  for (int i = 0; i < CAPACITY * HKV * DV; i++) attn_element_put(ATTN_F16, v, i, text.v[i]);
  for (int single = 0; single < 2; single++) {
    attn_cache *c = make(ATTN_F16, false);
    for (int at = 0, n = single ? 1 : CAPACITY; at < CAPACITY; at += n) {
      const attn_tokens t = {.dtype = ATTN_F16, .n = n, .k = k + at * HKV * DQK, .v = v + at * HKV * DV};
      if (attn_cache_append(c, 0, &t)) fail_msg("%s", attn_error_message());
    }
    attend(c, 1, o[single]);
    attn_cache_destroy(c);
  }
  assert_memory_equal(o[0], o[1], sizeof o[0]);
  free_text(&text);
}

/* Another sequence's length, or the capacity, changes no bit. */
static void neighbours_do_not_matter(void **state)
{
  (void)state;
  struct text text = make_text(5);
  attn_cache *c = make(ATTN_F16, false);
  float before[B * HQ * DV], after[B * HQ * DV];
  append(c, 1, &text, 0, 40);
  attend(c, 1, before);
  append(c, 0, &text, 0, 70);
  append(c, 2, &text, 0, 3);
  attend(c, 1, after);
  assert_memory_equal(before + HQ * DV, after + HQ * DV, sizeof(float) * HQ * DV);
  attn_cache_destroy(c);
  free_text(&text);
}

static void full_and_truncated(void **state)
{
  (void)state;
  struct text text = make_text(9);
  attn_cache *c = make(ATTN_BF16, false);
  float first[B * HQ * DV], again[B * HQ * DV];
  append(c, 0, &text, 0, 50);
  attend(c, 1, first);
  append(c, 0, &text, 50, 20);
  attn_tokens more = tokens(&text, 0, 1);
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_INVALID, "capacity", "70");
  assert_int_equal(attn_cache_length(c, 0), 70);
  refused(attn_cache_set_length(c, 0, 71), ATTN_ERR_INVALID, "length", "71");
  refused(attn_cache_set_length(c, 0, -1), ATTN_ERR_INVALID, "length", "-1");
  assert_int_equal(attn_cache_set_length(c, 0, 50), ATTN_OK);
  refused(attn_cache_set_length(c, 0, 51), ATTN_ERR_INVALID, "length", "51"); /* contiguous: forgotten is forgotten */
  attend(c, 1, again);
  assert_memory_equal(first, again, sizeof first);
  more.n = 21;
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_INVALID, "n = 21", "20");
  more.n = -1;
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_INVALID, "n = -1", NULL);
  more.n = 1;
  more.k = NULL;
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_INVALID, "k is NULL", NULL);
  more = tokens(&text, 0, 1);
  more.v_stride.s = -3;
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_INVALID, "v_stride.s", "-3");
  more = tokens(&text, 0, 2);
  more.k_stride.s = INT64_MAX;
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_OVERFLOW, "k_stride.s", NULL);
  more.dtype = ATTN_I8;
  refused(attn_cache_append(c, 0, &more), ATTN_ERR_INVALID, "tokens.dtype", "3");
  refused(attn_cache_append(c, 3, &more), ATTN_ERR_INVALID, "b = 3", NULL);
  refused(attn_cache_append(NULL, 0, &more), ATTN_ERR_INVALID, "cache", NULL);
  refused(attn_cache_set_pages(c, 0, NULL, 0), ATTN_ERR_INVALID, "contiguous", NULL);
  assert_int_equal(attn_cache_length(c, -1), -1);
  attend(c, 1, again); /* none of this was written */
  assert_memory_equal(first, again, sizeof first);
  attn_cache_destroy(c);
  free_text(&text);
}

static void bad_page_tables(void **state)
{
  (void)state;
  struct text text = make_text(3);
  attn_cache *c = make(ATTN_I8, true);
  float first[B * HQ * DV], again[B * HQ * DV];
  attn_tokens some = tokens(&text, 0, 20);
  refused(attn_cache_append(c, 0, &some), ATTN_ERR_INVALID, "pages", "20");
  assert_int_equal(attn_cache_set_pages(c, 0, (int32_t[]){4, 19}, 2), ATTN_OK);
  append(c, 0, &text, 0, 20);
  attend(c, 1, first);
  refused(attn_cache_set_pages(c, 0, (int32_t[]){4, 20}, 2), ATTN_ERR_INVALID, "pages[1]", "20");
  refused(attn_cache_set_pages(c, 0, (int32_t[]){-1, 4}, 2), ATTN_ERR_INVALID, "pages[0]", "-1");
  refused(attn_cache_set_pages(c, 0, (int32_t[]){4}, 1), ATTN_ERR_INVALID, "n = 1", "20");
  refused(attn_cache_set_pages(c, 0, (int32_t[]){1, 2, 3, 4, 5, 6}, 6), ATTN_ERR_INVALID, "n = 6", "5");
  refused(attn_cache_set_pages(c, 0, NULL, 2), ATTN_ERR_INVALID, "pages is NULL", NULL);
  refused(attn_cache_set_length(c, 0, 33), ATTN_ERR_INVALID, "length", "33");
  some.n = 13;
  refused(attn_cache_append(c, 0, &some), ATTN_ERR_INVALID, "n = 13", NULL);
  assert_int_equal(attn_cache_length(c, 0), 20);
  attend(c, 1, again);
  assert_memory_equal(first, again, sizeof first);
  attn_cache_destroy(c);
  free_text(&text);
}

/* A prefix written once serves two sequences; neither can write into it. */
static void shared_prefix(void **state)
{
  (void)state;
  struct text prefix = make_text(21), tail = make_text(31);
  attn_cache *shared = make(ATTN_F16, true), *alone = make(ATTN_F16, false);
  float o[2][B * HQ * DV];
  assert_int_equal(attn_cache_set_pages(shared, 0, (int32_t[]){8, 3, 11}, 3), ATTN_OK);
  append(shared, 0, &prefix, 0, 36); /* two pages and a bit */
  assert_int_equal(attn_cache_set_pages(shared, 1, (int32_t[]){8, 3, 5}, 3), ATTN_OK);
  attn_tokens more = tokens(&tail, 0, 1);
  refused(attn_cache_append(shared, 1, &more), ATTN_ERR_INVALID, "page 8", "2 times");
  assert_int_equal(attn_cache_set_length(shared, 1, 32), ATTN_OK);
  append(shared, 1, &tail, 0, 9);
  append(shared, 0, &prefix, 36, 2); /* its last page is its own */
  append(alone, 0, &prefix, 0, 38);
  append(alone, 1, &prefix, 0, 32);
  append(alone, 1, &tail, 0, 9);
  attend(shared, 1, o[0]);
  attend(alone, 1, o[1]);
  assert_memory_equal(o[0], o[1], sizeof o[0]);
  assert_int_equal(attn_cache_set_length(shared, 0, 32), ATTN_OK);
  assert_int_equal(attn_cache_set_pages(shared, 0, NULL, 0), ATTN_ERR_INVALID); /* its tokens need them */
  assert_int_equal(attn_cache_set_length(shared, 0, 0), ATTN_OK);
  assert_int_equal(attn_cache_set_pages(shared, 0, NULL, 0), ATTN_OK);
  assert_int_equal(attn_cache_set_length(shared, 1, 30), ATTN_OK);
  append(shared, 1, &tail, 0, 1); /* page 3 is used once now */
  attn_cache_destroy(shared);
  attn_cache_destroy(alone);
  free_text(&prefix);
  free_text(&tail);
}

static void quantised_within_half_a_step(void **state)
{
  (void)state;
  struct text text = make_text(41);
  text.k[5] = 0x1p-140f;
  for (int d = 0; d < DQK; d++) text.k[HKV * DQK + d] = 0;
  text.v[2 * HKV * DV] = NAN;
  attn_cache *c = make(ATTN_I8, false);
  append(c, 0, &text, 0, 60);
  attn_cache_view view;
  assert_int_equal(attn_cache_look(c, 0, &view), ATTN_OK);
  for (int64_t j = 0; j < 60; j++)
    for (int64_t h = 0; h < HKV; h++) {
      const float scale = view.k_scale[h * view.scale_h + j];
      for (int64_t d = 0; d < DQK; d++) {
        const int8_t k = ((const int8_t *)view.k)[h * view.k_stride.h + key_in_view(&view, j, d)];
        assert_true(k >= -127);
        assert_true(fabsf(k * scale - text.k[(j * HKV + h) * DQK + d]) <= 0.5001f * scale);
      }
      const float v_scale = view.v_scale[h * view.scale_h + j];
      for (int64_t d = 0; d < DV && j != 2; d++) {
        const int8_t v = ((const int8_t *)view.v)[h * view.v_stride.h + value_in_view(&view, j, d)];
        assert_true(fabsf(v * v_scale - text.v[(j * HKV + h) * DV + d]) <= 0.5001f * v_scale);
      }
    }
  assert_true(isnan(view.v_scale[2]) && !isnan(view.v_scale[3]));
  attn_cache_destroy(c);
  free_text(&text);
}

/* int8 times rows of 16 bits: every product as large as it can be, in more of them than 32 bits have room for. */
static void long_rows_do_not_overflow(void **state)
{
  (void)state;
  enum { KEYS = 20, D = 700 };
  static float k[KEYS * D], v[KEYS], q[D];
  for (int i = 0; i < KEYS * D; i++) k[i] = 1;
  for (int i = 0; i < KEYS; i++) v[i] = 3;
  for (int d = 0; d < D; d++) q[d] = 1;
  const attn_cache_desc cd = {.dtype = ATTN_I8, .B = 1, .Hkv = 1, .Dqk = D, .Dv = 1, .capacity = KEYS};
  const attn_desc desc = {.B = 1, .Hq = 1, .Sq = 1};
  attn_cache *c;
  assert_int_equal(attn_cache_create(&c, &cd), ATTN_OK);
  assert_int_equal(attn_cache_append(c, 0, &(attn_tokens){.dtype = ATTN_F32, .n = KEYS, .k = k, .v = v}), ATTN_OK);
  int ran = 0;
  for (const struct attn_kernel *const *kernel = attn_kernels; *kernel; kernel++) {
    attn_plan *plan;
    float o, lse;
    if ((*kernel)->dtype != ATTN_I8) continue;
    const attn_status status = attn_plan_create_cached(&plan, &desc, c, &(attn_options){.kernel = (*kernel)->name});
    if (status == ATTN_ERR_UNSUPPORTED) continue; /* by this CPU, or by ATTN_ISA */
    assert_int_equal(status, ATTN_OK);
    assert_int_equal(attn_run(plan, &(attn_args){.q = q, .o = &o, .lse = &lse}), ATTN_OK);
    attn_plan_destroy(plan);
    if (!(fabs((double)lse - sqrt(D) - log(KEYS)) < 1e-3)) fail_msg("%s: lse %g", (*kernel)->name, (double)lse);
    assert_true(fabsf(o - 3) < 1e-3f);
    ran++;
  }
  assert_true(ran > 0);
  attn_cache_destroy(c);
}

/* Box and Muller over a linear congruential generator. */
static float normal(uint64_t *state)
{
  double u[2];
  for (int i = 0; i < 2; i++) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    u[i] = ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
  }
  return (float)(sqrt(-2 * log(u[0])) * cos(6.283185307179586 * u[1]));
}

/* The experiment of docs/numerics.md: root-mean-square error of int8 relative to O, with three channels of K and two of V
 * `outlier` times as large as the others. */
static double int8_error(float k_outlier, float v_outlier)
{
  enum { KEYS = 4096, D = 128, GROUP = 4 };
  uint64_t state = 1;
  float *k = malloc(sizeof *k * KEYS * D), *v = malloc(sizeof *v * KEYS * D), q[GROUP * D], o[2][GROUP * D];
  assert_true(k && v);
  for (int i = 0; i < KEYS * D; i++) {
    const int d = i % D;
    k[i] = normal(&state) * (d == 3 || d == 40 || d == 77 ? k_outlier : 1);
    v[i] = normal(&state) * (d == 5 || d == 100 ? v_outlier : 1);
  }
  for (int i = 0; i < GROUP * D; i++) q[i] = normal(&state);
  for (int t = 0; t < 2; t++) {
    const attn_cache_desc d = {.dtype = t ? ATTN_I8 : ATTN_F32, .B = 1, .Hkv = 1, .Dqk = D, .Dv = D, .capacity = KEYS};
    const attn_desc desc = {.B = 1, .Hq = GROUP, .Sq = 1};
    attn_cache *c;
    attn_plan *plan;
    assert_int_equal(attn_cache_create(&c, &d), ATTN_OK);
    assert_int_equal(attn_cache_append(c, 0, &(attn_tokens){.dtype = ATTN_F32, .n = KEYS, .k = k, .v = v}), ATTN_OK);
    assert_int_equal(attn_plan_create_cached(&plan, &desc, c, NULL), ATTN_OK);
    assert_int_equal(attn_run(plan, &(attn_args){.q = q, .o = o[t]}), ATTN_OK);
    attn_plan_destroy(plan);
    attn_cache_destroy(c);
  }
  double error = 0, size = 0;
  for (int i = 0; i < GROUP * D; i++) {
    error += (double)(o[1][i] - o[0][i]) * (double)(o[1][i] - o[0][i]);
    size += (double)o[0][i] * (double)o[0][i];
  }
  free(k);
  free(v);
  return sqrt(error / size);
}

static void int8_error_is_as_documented(void **state)
{
  (void)state;
  static const struct {
    float k, v;
    double bound;
  } kinds[] = {{1, 1, 0.015}, {20, 1, 0.15}, {1, 20, 0.04}, {20, 20, 0.15}};
  for (int i = 0; i < 4; i++) {
    const double error = int8_error(kinds[i].k, kinds[i].v);
    print_message("int8, outlier channels x%g in K, x%g in V: rms error %.2g of O\n", (double)kinds[i].k,
                  (double)kinds[i].v, error);
    if (!(error <= kinds[i].bound)) fail_msg("%g > %g", error, kinds[i].bound);
    assert_true(error > 1e-3); /* else it was not int8 */
  }
}

static void plans_over_caches(void **state)
{
  (void)state;
  attn_cache *c = make(ATTN_F16, false);
  attn_plan *plan;
  attn_desc d = {.B = B, .Hq = HQ, .Sq = 1, .Dv = 11};
  refused(attn_plan_create_cached(&plan, &d, c, NULL), ATTN_ERR_INVALID, "Dv = 11", "10");
  d.Dv = 0;
  refused(attn_plan_create_cached(&plan, &d, NULL, NULL), ATTN_ERR_INVALID, "cache", NULL);
  assert_null(plan);
  refused(attn_plan_create_cached(&plan, &d, c, &(attn_options){.kernel = "fwd_f16_scalar"}), ATTN_ERR_UNSUPPORTED,
          "fwd_f16_scalar", "cache");
  assert_int_equal(attn_plan_create_cached(&plan, &d, c, NULL), ATTN_OK);
  float q[B * HQ * DQK] = {0}, o[B * HQ * DV] = {7};
  refused(attn_run(plan, &(attn_args){.q = q, .k = q, .o = o}), ATTN_ERR_INVALID, "k is not NULL", NULL);
  refused(attn_run(plan, &(attn_args){.q = q, .v = q, .o = o}), ATTN_ERR_INVALID, "v is not NULL", NULL);
  attn_cache_view view;
  assert_int_equal(attn_cache_look(c, 0, &view), ATTN_OK);
  refused(attn_run(plan, &(attn_args){.q = q, .o = (void *)view.v}), ATTN_ERR_ALIAS, "overlaps v", NULL);
  assert_true(o[0] == 7);
  attn_plan_destroy(plan);
  d.dtype = ATTN_I8;
  refused(attn_plan_create_cached(&plan, &d, c, NULL), ATTN_ERR_INVALID, "dtype", "3");
  attn_cache_destroy(c);
}

/* One query for each of `group` heads over a cache of one KV head. */
static void attend_group(const attn_cache *c, int64_t group, float *o)
{
  const attn_desc desc = {.B = 1, .Hq = group, .Sq = 1};
  float *q = pattern((size_t)(group * 64), 5);
  attn_plan *plan;
  if (attn_plan_create_cached(&plan, &desc, c, NULL)) fail_msg("%s", attn_error_message());
  assert_true(attn_plan_workspace_bytes(plan) <= (size_t)64 << 20);
  if (attn_run(plan, &(attn_args){.q = q, .o = o})) fail_msg("%s", attn_error_message());
  attn_plan_destroy(plan);
  free(q);
}

enum { CHUNK = 4096 };

/* The same 4096 tokens `times` times over; pages, if there are any, from the last to the first. */
static attn_cache *make_repeating(attn_dtype dtype, int64_t times, int64_t page_size, const attn_tokens *chunk)
{
  const int64_t tokens = times * chunk->n, pages = page_size ? tokens / page_size : 0;
  const attn_cache_desc d = {
      .dtype = dtype, .B = 1, .Hkv = 1, .Dqk = 64, .Dv = 64, .capacity = tokens, .page_size = page_size, .pages = pages};
  attn_cache *c;
  assert_int_equal(attn_cache_create(&c, &d), ATTN_OK);
  int32_t *table = malloc(sizeof *table * (size_t)(pages + 1));
  assert_non_null(table);
  for (int64_t i = 0; i < pages; i++) table[i] = (int32_t)(pages - 1 - i);
  if (pages) assert_int_equal(attn_cache_set_pages(c, 0, table, pages), ATTN_OK);
  for (int64_t i = 0; i < times; i++)
    if (attn_cache_append(c, 0, chunk)) fail_msg("%s", attn_error_message());
  assert_int_equal(attn_cache_append(c, 0, chunk), ATTN_ERR_INVALID); /* full */
  assert_int_equal(attn_cache_length(c, 0), tokens);
  free(table);
  return c;
}

#if defined(__SANITIZE_THREAD__)
#define SHADOWED 1 /* every byte has several of its own beside it */
#elif defined(__has_feature)
#define SHADOWED (__has_feature(thread_sanitizer) || __has_feature(memory_sanitizer))
#else
#define SHADOWED 0
#endif

static size_t resident_bytes(bool peak)
{
  struct rusage usage;
  if (peak) return getrusage(RUSAGE_SELF, &usage) ? 0 : (size_t)usage.ru_maxrss << 10;
  size_t pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%*s %zu", &pages), 1);
  fclose(f);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Attention over repeated keys is that over the keys themselves, however many parts they make. 128k tokens in pages and a
 * million in int8, which need little beside the cache. */
static void long_caches(void **state)
{
  (void)state;
  static const struct {
    attn_dtype dtype;
    int64_t times, page_size, group;
  } cases[] = {{ATTN_F16, 32, 64, 7}, {ATTN_I8, 32, 16, 20}, {ATTN_I8, 256, 0, 1}};
  float *k = pattern(CHUNK * 64, 1), *v = pattern(CHUNK * 64, 2), o[2][20 * 64];
  const attn_tokens chunk = {.dtype = ATTN_F32, .n = CHUNK, .k = k, .v = v};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int64_t n = cases[i].group * 64;
    const size_t before = resident_bytes(false);
    attn_cache *all = make_repeating(cases[i].dtype, cases[i].times, cases[i].page_size, &chunk);
    attend_group(all, cases[i].group, o[0]);
    const size_t each = attn_element_bytes(cases[i].dtype) * 128 + (cases[i].dtype == ATTN_I8 ? 8 : 0);
    const size_t held = each * (size_t)(cases[i].times * CHUNK), peak = resident_bytes(true);
    const size_t beyond = peak > before + held ? peak - before - held : 0;
    print_message("%lld tokens: cache %zu MiB, peak %.1f MiB beyond it\n", (long long)(cases[i].times * CHUNK), held >> 20,
                  (double)beyond / 0x1p20);
    if (held > (size_t)100 << 20 && !SHADOWED) assert_true(beyond <= (size_t)64 << 20);
    attn_cache_destroy(all);
    attn_cache *once = make_repeating(cases[i].dtype, 1, 0, &chunk);
    attend_group(once, cases[i].group, o[1]);
    attn_cache_destroy(once);
    float largest = 0, error = 0;
    for (int64_t e = 0; e < n; e++) {
      largest = fmaxf(largest, fabsf(o[1][e]));
      error = fmaxf(error, fabsf(o[0][e] - o[1][e]));
    }
    /* int8: a repeated key falls in other blocks, whose weights have other steps of 2^-15 of the largest */
    const float bound = cases[i].dtype == ATTN_I8 ? 0x1p-14f : 2e-6f;
    if (!(largest > 0 && error <= bound * largest)) fail_msg("error %g of %g", (double)error, (double)largest);
  }
  free(k);
  free(v);
}

/* Groups that fill no tile of rows, in pages and not: the same bits; in f32 also what tensors give. */
static void odd_groups(void **state)
{
  (void)state;
  static const int64_t groups[] = {1, 5, 6, 7, 20};
  float *k = pattern(CHUNK * 64, 1), *v = pattern(CHUNK * 64, 2), o[3][20 * 64];
  const attn_tokens chunk = {.dtype = ATTN_F32, .n = CHUNK, .k = k, .v = v};
  for (int dtype = ATTN_F32; dtype <= ATTN_I8; dtype++) {
    attn_cache *plain = make_repeating((attn_dtype)dtype, 1, 0, &chunk);
    attn_cache *paged = make_repeating((attn_dtype)dtype, 1, 32, &chunk);
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
      const int64_t n = groups[g] * 64;
      attend_group(plain, groups[g], o[0]);
      attend_group(paged, groups[g], o[1]);
      assert_memory_equal(o[0], o[1], sizeof(float) * (size_t)n);
      const attn_desc d = {.B = 1, .Hq = groups[g], .Hkv = 1, .Sq = 1, .Skv = CHUNK, .Dqk = 64, .Dv = 64};
      float *q = pattern((size_t)n, 5), largest = 0, error = 0;
      const attn_args args = {.q = q, .k = k, .v = v, .o = o[2]};
      if (attn_forward(&d, &(attn_options){.kernel = "fwd_f32_scalar"}, &args)) fail_msg("%s", attn_error_message());
      for (int64_t e = 0; e < n; e++) {
        largest = fmaxf(largest, fabsf(o[2][e]));
        error = fmaxf(error, fabsf(o[0][e] - o[2][e]));
      }
      /* of 16 bits and int8: what K and V lost when they joined, averaged over thousands of keys */
      static const float bound[] = {4e-6f, 1e-3f, 8e-3f, 2e-2f};
      if (!(error <= bound[dtype] * largest)) fail_msg("dtype %d: %g of %g", dtype, (double)error, (double)largest);
      free(q);
    }
    attn_cache_destroy(plain);
    attn_cache_destroy(paged);
  }
  free(k);
  free(v);
}

/* A sequence of a cache as tensors [1][Hkv][n][D] of f32. */
static void read_back(const attn_cache *c, attn_dtype dtype, float *k, float *v, int64_t Hkv, int64_t Dqk, int64_t Dv)
{
  attn_cache_view view;
  assert_int_equal(attn_cache_look(c, 0, &view), ATTN_OK);
  for (int64_t h = 0; h < Hkv; h++)
    for (int64_t j = 0; j < view.length; j++) {
      const int64_t row = h * view.length + j;
      const float k_scale = view.k_scale ? view.k_scale[h * view.scale_h + j] : 1;
      const float v_scale = view.v_scale ? view.v_scale[h * view.scale_h + j] : 1;
      for (int64_t d = 0; d < Dqk; d++)
        k[row * Dqk + d] = attn_element_get(dtype, view.k, h * view.k_stride.h + key_in_view(&view, j, d)) * k_scale;
      for (int64_t d = 0; d < Dv; d++)
        v[row * Dv + d] = attn_element_get(dtype, view.v, h * view.v_stride.h + value_in_view(&view, j, d)) * v_scale;
    }
}

/* A chunk of a prompt over a cache: enough rows to pack K and V. Every type of cache with every type of q and o, head sizes
 * and lengths that fill no vector; against the reference on what the cache holds. Pages, another capacity and tensors of
 * the same values change no bit. */
static void chunks_of_prompts(void **state)
{
  (void)state;
  enum { H = 2, G = 3, N = 333, MOST = 400, S = 97, QK = 37, VALUES = 53 };
  float *k = pattern(N * H * QK, 1), *v = pattern(N * H * VALUES, 2), *held_k = pattern(N * H * QK, 3);
  float *held_v = pattern(N * H * VALUES, 4), truth[H * G * S * VALUES], lse[3][H * G * S];
  const attn_tokens all = {.dtype = ATTN_F32, .n = N, .k = k, .v = v};
  for (int stored = ATTN_F32; stored <= ATTN_I8; stored++)
    for (int dtype = ATTN_F32; dtype <= ATTN_BF16; dtype++) {
      attn_desc d = {.dtype = (attn_dtype)dtype, .B = 1, .Hq = H * G, .Sq = S, .flags = ATTN_CAUSAL};
      void *q = converted((attn_dtype)dtype, H * G * S * QK, 5);
      float o[2][H * G * S * VALUES], *q_f32 = pattern(H * G * S * QK, 5), worst = 0, largest = 0;
      char kernel[64] = "";
      for (int paged = 0; paged < 2; paged++) {
        const attn_cache_desc desc = {.dtype = (attn_dtype)stored,
                                      .B = 1,
                                      .Hkv = H,
                                      .Dqk = QK,
                                      .Dv = VALUES,
                                      .capacity = paged ? MOST : N,
                                      .page_size = paged ? 32 : 0,
                                      .pages = paged ? 20 : 0};
        attn_cache *c;
        attn_plan *plan;
        assert_int_equal(attn_cache_create(&c, &desc), ATTN_OK);
        const int32_t pages[] = {19, 3, 7, 0, 11, 12, 2, 18, 5, 6, 17, 1};
        if (paged) assert_int_equal(attn_cache_set_pages(c, 0, pages, 12), ATTN_OK);
        if (attn_cache_append(c, 0, &all)) fail_msg("%s", attn_error_message());
        if (!paged) read_back(c, (attn_dtype)stored, held_k, held_v, H, QK, VALUES);
        if (attn_plan_create_cached(&plan, &d, c, NULL)) fail_msg("%s", attn_error_message());
        snprintf(kernel, sizeof kernel, "%s", attn_plan_kernel(plan));
        if (attn_run(plan, &(attn_args){.q = q, .o = o[paged], .lse = lse[paged]})) fail_msg("%s", attn_error_message());
        attn_plan_destroy(plan);
        attn_cache_destroy(c);
      }
      const size_t bytes = attn_element_bytes((attn_dtype)dtype) * H * G * S * VALUES;
      assert_memory_equal(o[0], o[1], bytes);
      assert_memory_equal(lse[0], lse[1], sizeof lse[0]);
      /* two of Q, which have 2^-17, and of weights; of f16 values as well, 2^-16 of whose products are left out */
      const bool f16_digits = !strcmp(kernel, "fwd_f16_amx"), digits = f16_digits || !strcmp(kernel, "decode_bf16_amx");
      if (!strstr(kernel, "_scalar")) assert_int_equal(strstr(kernel, "fwd_f32_") != NULL, stored != ATTN_I8 && !digits);
      for (int64_t i = 0; i < H * G * S * QK; i++) q_f32[i] = attn_element_get((attn_dtype)dtype, q, i);
      d = (attn_desc){.B = 1, .Hq = H * G, .Hkv = H, .Sq = S, .Skv = N, .Dqk = QK, .Dv = VALUES, .flags = ATTN_CAUSAL};
      const attn_args args = {.q = q_f32, .k = held_k, .v = held_v, .o = truth, .lse = lse[2]};
      if (attn_forward(&d, &(attn_options){.kernel = "fwd_f32_scalar"}, &args)) fail_msg("%s", attn_error_message());
      for (int64_t i = 0; i < H * G * S * VALUES; i++) {
        largest = fmaxf(largest, fabsf(truth[i]));
        worst = fmaxf(worst, fabsf(attn_element_get((attn_dtype)dtype, o[0], i) - truth[i]));
      }
      static const float bounds[] = {2e-6f, 2e-6f + 0x1p-11f, 2e-6f + 0x1p-8f};
      const float bound = bounds[dtype] + (stored == ATTN_I8 ? 0x1p-12f : f16_digits ? 0x1.8p-16f : digits ? 0x1p-16f : 0);
      if (!(largest > 0.1f && worst <= bound * largest))
        fail_msg("cache %d, q %d: %g of %g", stored, dtype, (double)worst, (double)largest);
      for (int64_t i = 0; i < H * G * S; i++)
        assert_true(fabsf(lse[0][i] - lse[2][i]) <= (stored == ATTN_I8 ? 1e-4f
                                                     : digits          ? 2e-5f
                                                                       : 3e-6f) *
                                                        fabsf(lse[2][i]));
      if ((dtype == ATTN_F32 && !strncmp(kernel, "fwd_f32_", 8)) || (dtype == ATTN_F16 && f16_digits)) {
        const attn_args tensors = {.q = q,
                                   .k = shrink((attn_dtype)dtype, held_k, N * H * QK),
                                   .v = shrink((attn_dtype)dtype, held_v, N * H * VALUES),
                                   .o = truth};
        d.dtype = (attn_dtype)dtype;
        if (attn_forward(&d, &(attn_options){.kernel = kernel}, &tensors)) fail_msg("%s", attn_error_message());
        assert_memory_equal(o[0], truth, bytes);
      }
      free(q);
      free(q_f32);
    }
  free(k);
  free(v);
  free(held_k);
  free(held_v);
}

/* What a row of NaN makes of the keys that see it, and of no other. */
static void nan_in_a_prompt(void **state)
{
  (void)state;
  enum { S = 40, NAN_KEY = 55 };
  for (int stored = ATTN_F32; stored <= ATTN_I8; stored++)
    for (int in_v = 0; in_v < 2; in_v++) {
      struct text text = make_text(61);
      const attn_desc d = {.B = B, .Hq = 3 * HQ, .Sq = S, .flags = ATTN_CAUSAL};
      float *q = pattern(B * 3 * HQ * S * DQK, 8), o[B * 3 * HQ * S * DV];
      attn_cache *c = make((attn_dtype)stored, false);
      attn_plan *plan;
      (in_v ? text.v : text.k)[NAN_KEY * HKV * (in_v ? DV : DQK)] = NAN; /* of head 0 */
      append(c, 0, &text, 0, CAPACITY);
      assert_int_equal(attn_plan_create_cached(&plan, &d, c, NULL), ATTN_OK);
      assert_int_equal(attn_run(plan, &(attn_args){.q = q, .o = o}), ATTN_OK);
      for (int h = 0; h < 3 * HQ; h++)
        for (int i = 0; i < S; i++)
          assert_int_equal(isnan(o[(h * S + i) * DV]) != 0, h < 3 * HQ / HKV && i + CAPACITY - S >= NAN_KEY);
      attn_plan_destroy(plan);
      attn_cache_destroy(c);
      free(q);
      free_text(&text);
    }
}

/* Tokens of NaN beyond the length, forgotten ones, change no bit: not even beside the last token, an odd one. One query,
 * and more than are decoded. */
static void forgotten_nan(void **state)
{
  (void)state;
  enum { KEPT = 37, MOST_HEADS = 8 * HKV, MANY = 300 };
  for (int stored = ATTN_F32; stored <= ATTN_I8; stored++)
    for (int64_t heads = HKV; heads <= 2 * MOST_HEADS; heads *= 2) {
      struct text text = make_text(62);
      const int64_t queries = heads > MOST_HEADS ? MANY : 1, rows = heads * queries;
      const attn_desc d = {.B = B, .Hq = heads, .Sq = queries};
      float *q = pattern(B * rows * DQK, 9), *o[2] = {pattern(B * rows * DV, 10), pattern(B * rows * DV, 11)};
      for (int64_t i = KEPT * HKV * DQK; i < CAPACITY * HKV * DQK; i++) text.k[i] = NAN;
      for (int64_t i = KEPT * HKV * DV; i < CAPACITY * HKV * DV; i++) text.v[i] = NAN;
      for (int forgets = 0; forgets < 2; forgets++) {
        attn_cache *c = make((attn_dtype)stored, false);
        attn_plan *plan;
        append(c, 0, &text, 0, forgets ? CAPACITY : KEPT);
        assert_int_equal(attn_cache_set_length(c, 0, KEPT), ATTN_OK);
        assert_int_equal(attn_plan_create_cached(&plan, &d, c, NULL), ATTN_OK);
        assert_int_equal(attn_run(plan, &(attn_args){.q = q, .o = o[forgets]}), ATTN_OK);
        attn_plan_destroy(plan);
        attn_cache_destroy(c);
      }
      for (int64_t i = 0; i < rows * DV; i++) assert_true(isfinite(o[0][i]));
      assert_memory_equal(o[0], o[1], (size_t)(rows * DV) * sizeof **o);
      free(q);
      free(o[0]);
      free(o[1]);
      free_text(&text);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_descriptions),
      cmocka_unit_test(chunks_leave_the_same_bits),
      cmocka_unit_test(tokens_of_the_same_type),
      cmocka_unit_test(neighbours_do_not_matter),
      cmocka_unit_test(full_and_truncated),
      cmocka_unit_test(bad_page_tables),
      cmocka_unit_test(shared_prefix),
      cmocka_unit_test(quantised_within_half_a_step),
      cmocka_unit_test(long_rows_do_not_overflow),
      cmocka_unit_test(int8_error_is_as_documented),
      cmocka_unit_test(plans_over_caches),
      cmocka_unit_test(chunks_of_prompts),
      cmocka_unit_test(nan_in_a_prompt),
      cmocka_unit_test(forgotten_nan),
      cmocka_unit_test(odd_groups),
      cmocka_unit_test(long_caches),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
