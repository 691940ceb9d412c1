#include "case.h"

#include "refuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  attn_dtype dtype;
  const char *name;
} dtypes[] = {{ATTN_F32, "f32"}, {ATTN_F16, "f16"}, {ATTN_BF16, "bf16"}, {ATTN_I8, "i8"}};
enum { KV_DTYPES = sizeof dtypes / sizeof *dtypes, DTYPES = KV_DTYPES - 1 /* int8 is a type of K and V only */ };
static const char *const cache_names[] = {"hot", "cold"};

/* The sizes in the order of the name. One table for reading and for printing, so the two cannot disagree. */
static const struct {
  const char *name;
  size_t offset;
} sizes[] = {{"B", offsetof(struct bench_shape, B)},     {"Hq", offsetof(struct bench_shape, Hq)},
             {"Hkv", offsetof(struct bench_shape, Hkv)}, {"Sq", offsetof(struct bench_shape, Sq)},
             {"Skv", offsetof(struct bench_shape, Skv)}, {"Dqk", offsetof(struct bench_shape, Dqk)},
             {"Dv", offsetof(struct bench_shape, Dv)}};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* Of a layer: after the mask, all of them or none. */
static const struct {
  const char *name;
  size_t offset;
  int least;
} widths[] = {{"Wq", offsetof(struct bench_shape, Wq), 1},
              {"Wkv", offsetof(struct bench_shape, Wkv), 1},
              {"Wo", offsetof(struct bench_shape, Wo), 0}};
enum { WIDTHS = sizeof widths / sizeof *widths };
static const long long size_limit = 1ll << 31, thread_limit = 4096;

static int64_t *field_at(struct bench_shape *shape, size_t offset) { return (int64_t *)((char *)shape + offset); }

/* "key:number" with a plain decimal number in least..limit. */
static bool parse_field(int64_t *value, const char *field, const char *key, long long least, long long limit, char *error,
                        size_t bytes)
{
  const size_t length = strlen(key);
  if (strncmp(field, key, length) || field[length] != ':')
    return fail(error, bytes, "'%s' stands where %s:<number> belongs", field, key);
  const char *digits = field + length + 1;
  if (!*digits || strspn(digits, "0123456789") != strlen(digits) || (digits[0] == '0' && digits[1]))
    return fail(error, bytes, "%s: '%s' is not a plain decimal number", key, digits);
  errno = 0;
  const long long number = strtoll(digits, NULL, 10);
  if (errno || number < least || number > limit)
    return fail(error, bytes, "%s: %s is not within %lld..%lld", key, digits, least, limit);
  *value = number;
  return true;
}

static bool parse_word(int *index, const char *field, const char *what, const char *const *names, int n, char *error,
                       size_t bytes)
{
  char list[128] = "";
  for (int i = 0; i < n; i++) {
    if (!strcmp(field, names[i])) {
      *index = i;
      return true;
    }
    const size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", names[i]);
  }
  return fail(error, bytes, "%s '%s' is not one of: %s", what, field, list);
}

static bool is_kernel_name(const char *text)
{
  return *text && strlen(text) < BENCH_KERNEL_NAME_BYTES &&
         strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

/* Where K and V lie. */
static bool parse_keys(struct bench_shape *shape, char *const *field, int n, int *at, char *error, size_t bytes)
{
  const char *names[KV_DTYPES];
  int index;
  for (int i = 0; i < KV_DTYPES; i++) names[i] = dtypes[i].name;
  if (*at < n && !strncmp(field[*at], "kv:", 3)) {
    if (!parse_word(&index, field[(*at)++] + 3, "kv", names, KV_DTYPES, error, bytes)) return false;
    if (dtypes[index].dtype != shape->dtype && shape->dtype != ATTN_F32)
      return fail(error, bytes, "kv: a cache of %s goes with q and o of f32%s%s, not %s", names[index],
                  index < DTYPES ? " or " : "", index < DTYPES ? names[index] : "", bench_dtype_name(shape->dtype));
    shape->kv = (enum bench_kv)(BENCH_KV_F32 + index);
  }
  if (*at < n && !strncmp(field[*at], "cache:", 6)) {
    if (!parse_word(&index, field[(*at)++] + 6, "cache", cache_names, 2, error, bytes)) return false;
    shape->cache = (enum bench_cache)(BENCH_CACHE_HOT + index);
  }
  return true;
}

/* How long the sequences are. */
static bool parse_sequences(struct bench_shape *s, char *const *field, int n, int *at, char *error, size_t bytes)
{
  if (*at == n || strncmp(field[*at], "seqs:", 5)) return true;
  if (!bench_sequences_parse(&s->seqs, field[(*at)++] + 5, error, bytes)) return false;
  const struct bench_sequence most = bench_sequences_most(&s->seqs);
  const struct {
    const char *name, *what;
    int64_t given, is;
  } follows[] = {{"B", "the number of sequences", s->B, bench_sequences_count(&s->seqs)},
                 {"Sq", "the most queries of a sequence", s->Sq, most.queries},
                 {"Skv", "the most keys of a sequence", s->Skv, most.keys}};
  for (size_t i = 0; i < sizeof follows / sizeof *follows; i++)
    if (follows[i].given != follows[i].is)
      return fail(error, bytes, "seqs: %s: %lld is not %lld, %s", follows[i].name, (long long)follows[i].given,
                  (long long)follows[i].is, follows[i].what);
  const attn_desc desc = bench_shape_desc(s);
  return (desc.mask.kind == ATTN_MASK_NONE && !desc.blocks.keys) ||
         fail(error, bytes,
              "seqs: masks of their own are for sequences of one size; causal, windows, softcap, alibi and "
              "sinks are for all");
}

/* What may stand between mask and threads; field[*at] is the first that does not. */
static bool parse_options(struct bench_shape *shape, char *const *field, int n, int *at, char *error, size_t bytes)
{
  if (!parse_sequences(shape, field, n, at, error, bytes) || !parse_keys(shape, field, n, at, error, bytes)) return false;
  if (shape->kv || shape->cache || bench_shape_has_sequences(shape)) return true;
  if (*at == n || strncmp(field[*at], "Wq:", 3)) return true;
  for (int i = 0; i < WIDTHS; i++, ++*at)
    if (!parse_field(field_at(shape, widths[i].offset), *at < n ? field[*at] : "", widths[i].name, widths[i].least,
                     size_limit, error, bytes))
      return false;
  return shape->dtype == ATTN_F32 ||
         fail(error, bytes, "Wq: a layer computes in f32, not %s", bench_dtype_name(shape->dtype));
}

bool bench_case_parse(struct bench_case *out, const char *text, char *error, size_t error_bytes)
{
  enum { FIELDS = 3 + SIZES + 2, MOST_FIELDS = FIELDS + WIDTHS + 1 }; /* seqs, kv and cache are no more than the widths */
  static const char grammar[] = "attn/<kernel>/<dtype>/B:n/Hq:n/Hkv:n/Sq:n/Skv:n/Dqk:n/Dv:n/<mask>/T:n";
  char copy[BENCH_CASE_NAME_BYTES], *field[MOST_FIELDS + 1], *next = copy;
  struct bench_case c = {0};
  int64_t threads;
  int n = 0, index = 0, at = 4 + SIZES;
  if (strlen(text) >= sizeof copy) return fail(error, error_bytes, "longer than %zu characters", sizeof copy - 1);
  strcpy(copy, text);
  while (next && n <= MOST_FIELDS) {
    field[n++] = next;
    next = strchr(next, '/');
    if (next) *next++ = 0;
  }
  if (n < FIELDS) return fail(error, error_bytes, "has %d of the %d fields of %s", n, FIELDS, grammar);
  if (strcmp(field[0], "attn")) return fail(error, error_bytes, "begins with '%s' instead of 'attn'", field[0]);
  if (!is_kernel_name(field[1]))
    return fail(error, error_bytes, "kernel '%s' is not a name of lower-case letters, digits and _", field[1]);
  strcpy(c.kernel, field[1]);
  const char *dtype_names[DTYPES];
  for (int i = 0; i < DTYPES; i++) dtype_names[i] = dtypes[i].name;
  if (!parse_word(&index, field[2], "dtype", dtype_names, DTYPES, error, error_bytes)) return false;
  c.shape.dtype = dtypes[index].dtype;
  for (int i = 0; i < SIZES; i++)
    if (!parse_field(field_at(&c.shape, sizes[i].offset), field[3 + i], sizes[i].name, 1, size_limit, error, error_bytes))
      return false;
  if (c.shape.Hq % c.shape.Hkv)
    return fail(error, error_bytes, "Hq: %lld is not a multiple of Hkv: %lld", (long long)c.shape.Hq,
                (long long)c.shape.Hkv);
  if (!bench_mask_parse(&c.shape.mask, field[3 + SIZES], error, error_bytes)) return false;
  if (!parse_options(&c.shape, field, n, &at, error, error_bytes)) return false;
  if (!parse_field(&threads, at < n ? field[at] : "", "T", 1, thread_limit, error, error_bytes)) return false;
  if (++at < n && (at + 1 < n || strcmp(field[at], "real_time")))
    return fail(error, error_bytes, "'%s' follows T:<threads>, where only real_time may", field[at]);
  c.threads = (int)threads;
  *out = c;
  return true;
}

char *bench_case_print(const struct bench_case *c, char name[BENCH_CASE_NAME_BYTES])
{
  struct bench_shape s = c->shape;
  char mask[BENCH_MASK_NAME_BYTES], seqs[BENCH_SEQUENCES_BYTES];
  int used = snprintf(name, BENCH_CASE_NAME_BYTES, "attn/%s/%s", c->kernel, bench_dtype_name(s.dtype));
  for (int i = 0; i < SIZES; i++)
    used += snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/%s:%lld", sizes[i].name,
                     (long long)*field_at(&s, sizes[i].offset));
  used += snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/%s", bench_mask_print(s.mask, mask));
  for (int i = 0; i < WIDTHS && s.Wq; i++)
    used += snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/%s:%lld", widths[i].name,
                     (long long)*field_at(&s, widths[i].offset));
  if (bench_shape_has_sequences(&s))
    used += snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/seqs:%s", bench_sequences_print(&s.seqs, seqs));
  if (s.kv)
    used += snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/kv:%s", bench_dtype_name(bench_kv_dtype(s.kv)));
  if (s.cache)
    used +=
        snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/cache:%s", cache_names[s.cache - BENCH_CACHE_HOT]);
  snprintf(name + used, BENCH_CASE_NAME_BYTES - (size_t)used, "/T:%d", c->threads);
  return name;
}

char *bench_shape_describe(const struct bench_shape *s, char *text, size_t bytes)
{
  char heads[48], keys[48], sizes_text[48], mask[BENCH_MASK_NAME_BYTES], seqs[BENCH_SEQUENCES_BYTES], in[48], out[24];
  snprintf(heads, sizeof heads, s->Hq == s->Hkv ? "H%lld" : "H%lld/%lld", (long long)s->Hq, (long long)s->Hkv);
  snprintf(keys, sizeof keys, s->Sq == s->Skv ? "S%lld" : "S%lldx%lld", (long long)s->Sq, (long long)s->Skv);
  snprintf(sizes_text, sizeof sizes_text, s->Dqk == s->Dv ? "D%lld" : "D%lld,%lld", (long long)s->Dqk, (long long)s->Dv);
  snprintf(text, bytes, "B%lld %s %s %s%s%s%s%s%s%s%s%s", (long long)s->B, heads, keys, sizes_text, s->mask ? " " : "",
           s->mask ? bench_mask_print(s->mask, mask) : "", s->seqs.runs ? " " : "", bench_sequences_print(&s->seqs, seqs),
           s->kv ? " kv:" : "", s->kv ? bench_dtype_name(bench_kv_dtype(s->kv)) : "", s->cache ? " " : "",
           s->cache ? cache_names[s->cache - BENCH_CACHE_HOT] : "");
  if (!s->Wq) return text;
  const size_t used = strlen(text);
  snprintf(in, sizeof in, s->Wq == s->Wkv ? "%lld" : "%lld,%lld", (long long)s->Wq, (long long)s->Wkv);
  snprintf(out, sizeof out, ">%lld", (long long)s->Wo);
  snprintf(text + used, bytes - used, " layer %s%s", in, s->Wo ? out : "");
  return text;
}

bool bench_shape_equal(const struct bench_shape *a, const struct bench_shape *b)
{
  return a->dtype == b->dtype && a->B == b->B && a->Hq == b->Hq && a->Hkv == b->Hkv && a->Sq == b->Sq && a->Skv == b->Skv &&
         a->Dqk == b->Dqk && a->Dv == b->Dv && a->mask == b->mask && a->Wq == b->Wq && a->Wkv == b->Wkv && a->Wo == b->Wo &&
         a->kv == b->kv && a->cache == b->cache && bench_sequences_equal(&a->seqs, &b->seqs);
}

bool bench_case_equal(const struct bench_case *a, const struct bench_case *b)
{
  return !strcmp(a->kernel, b->kernel) && a->threads == b->threads && bench_shape_equal(&a->shape, &b->shape);
}

attn_desc bench_shape_desc(const struct bench_shape *s)
{
  attn_desc desc = {
      .dtype = s->dtype, .B = s->B, .Hq = s->Hq, .Hkv = s->Hkv, .Sq = s->Sq, .Skv = s->Skv, .Dqk = s->Dqk, .Dv = s->Dv};
  bench_mask_describe(&desc, s->mask);
  if (!bench_shape_has_sequences(s)) return desc;
  const struct bench_sequence total = bench_sequences_total(&s->seqs);
  desc.flags |= ATTN_Q_STARTS | ATTN_KV_STARTS;
  desc.layout = ATTN_BSHD;
  desc.Sq = total.queries;
  desc.Skv = total.keys;
  return desc;
}

const char *bench_dtype_name(attn_dtype dtype)
{
  for (int i = 0; i < KV_DTYPES; i++)
    if (dtypes[i].dtype == dtype) return dtypes[i].name;
  return "unknown";
}
