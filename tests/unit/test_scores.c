/* attn_scores() against the float64 oracle, at every stage and over blocks; what it refuses. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>
#include <stdio.h>

static const float slopes[4] = {0.5f, 0.25f, 0.125f, 0.0625f}, sinks[4] = {0.3f, -1, -INFINITY, 2};
static const int64_t lengths[2] = {140, 77};

/* Everything at once, over three tiles of keys and two of queries. */
static attn_desc full_desc(void)
{
  return (attn_desc){.B = 2,
                     .Hq = 4,
                     .Hkv = 2,
                     .Sq = 37,
                     .Skv = 150,
                     .Dqk = 11,
                     .Dv = 3,
                     .flags = ATTN_CAUSAL | ATTN_WINDOW_LEFT | ATTN_ALIBI | ATTN_SINKS | ATTN_KV_LENGTHS,
                     .window_left = 90,
                     .causal_offset = 2,
                     .softcap = 1.5f,
                     .mask = {.kind = ATTN_MASK_ADDITIVE, .length = 139, .stride = {0, 37 * 139, 139, 1}}};
}

static float *make_mask(const attn_desc *d)
{
  const size_t n = (size_t)(d->Hq * d->Sq * d->mask.length);
  float *mask = pattern(n, 9);
  for (size_t i = 0; i < n; i += 5) mask[i] = -INFINITY;
  return mask;
}

static attn_args with_extras(const struct buffers *b, const float *mask)
{
  attn_args args = b->args;
  args.mask = mask;
  args.alibi_slopes = slopes;
  args.sinks = sinks;
  args.kv_lengths = lengths;
  return args;
}

/* One score in float64. *visible: whether no rule hides the key. */
static double score(const attn_desc *d, const attn_args *a, attn_score_stage stage, int64_t b, int64_t h, int64_t i,
                    int64_t j)
{
  const float *q = (const float *)a->q + ((b * d->Hq + h) * d->Sq + i) * d->Dqk;
  const float *k = (const float *)a->k + ((b * d->Hkv + h / (d->Hq / d->Hkv)) * d->Skv + j) * d->Dqk;
  double s = 0;
  for (int64_t e = 0; e < d->Dqk; e++) s += (double)q[e] * (double)k[e];
  s /= sqrt((double)d->Dqk);
  if (stage >= ATTN_SCORE_CAPPED && d->softcap != 0) s = (double)d->softcap * tanh(s / (double)d->softcap);
  if (stage < ATTN_SCORE_BIASED) return s;
  const int64_t position = i + a->kv_lengths[b] - d->Sq + d->causal_offset;
  if (j > position || j < position - d->window_left || j >= a->kv_lengths[b] || j >= d->mask.length) return -INFINITY;
  s -= (double)a->alibi_slopes[h] * fabs((double)(position - j));
  return s + (double)((const float *)a->mask)[h * d->mask.stride.h + i * d->mask.stride.s + j];
}

static void assert_near(double got, double wanted, double most, const char *what, int64_t at)
{
  if (got == wanted || fabs(got - wanted) <= most * fmax(1, fabs(wanted))) return;
  fail_msg("%s %lld: %.9g instead of %.9g", what, (long long)at, got, wanted);
}

static void every_stage_agrees_with_the_definition(void **state)
{
  (void)state;
  const attn_desc d = full_desc();
  struct buffers b = make_buffers(&d);
  float *mask = make_mask(&d);
  const attn_args a = with_extras(&b, mask);
  const size_t n = (size_t)(d.B * d.Hq * d.Sq * d.Skv);
  float *s = malloc(n * sizeof *s);
  for (int stage = ATTN_SCORE_RAW; stage <= ATTN_SCORE_BIASED; stage++) {
    memset(s, 0x7f, n * sizeof *s);
    assert_int_equal(attn_scores(&d, NULL, &a, &(attn_score_block){.stage = (attn_score_stage)stage}, s), ATTN_OK);
    for (size_t x = 0; x < n; x++) {
      const int64_t j = (int64_t)x % d.Skv, i = (int64_t)x / d.Skv % d.Sq, head = (int64_t)x / (d.Skv * d.Sq);
      assert_near((double)s[x], score(&d, &a, (attn_score_stage)stage, head / d.Hq, head % d.Hq, i, j), 2e-6, "score",
                  (int64_t)x);
    }
  }
  free(s);
  free(mask);
  free_buffers(&b);
}

static void weights_agree_with_the_oracle(void **state)
{
  (void)state;
  const attn_desc d = full_desc();
  struct buffers b = make_buffers(&d);
  float *mask = make_mask(&d);
  const attn_args a = with_extras(&b, mask);
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  float *w = malloc((size_t)(d.B * d.Hq * d.Sq * d.Skv) * sizeof *w);
  double *row = malloc((size_t)d.Skv * sizeof *row), o[3], lse;
  assert_int_equal(attn_scores(&d, NULL, &a, &(attn_score_block){.stage = ATTN_SCORE_WEIGHT}, w), ATTN_OK);
  for (int64_t r = 0; r < d.B * d.Hq * d.Sq; r++) {
    attn_oracle_row(&p, &a, r / d.Sq / d.Hq, r / d.Sq % d.Hq, r % d.Sq, o, &lse, row);
    for (int64_t j = 0; j < d.Skv; j++) assert_near((double)w[r * d.Skv + j], row[j], 2e-6, "weight", r * d.Skv + j);
  }
  free(row);
  free(w);
  free(mask);
  free_buffers(&b);
}

/* Any block, with any strides, on any number of threads, holds the bits of the whole; nothing else is written. */
static void blocks_hold_the_same_bits(void **state)
{
  (void)state;
  const attn_desc d = full_desc();
  struct buffers b = make_buffers(&d);
  float *mask = make_mask(&d);
  const attn_args a = with_extras(&b, mask);
  const size_t n = (size_t)(d.B * d.Hq * d.Sq * d.Skv);
  float *whole = malloc(n * sizeof *whole), *part = malloc(2 * n * sizeof *part);
  assert_int_equal(
      attn_scores(&d, &(attn_options){.threads = 1}, &a, &(attn_score_block){.stage = ATTN_SCORE_WEIGHT}, whole), ATTN_OK);
  const attn_score_block blocks[] = {{.batch = 1, .batches = 1, .head = 2, .heads = 1, .query = 3, .queries = 1},
                                     {.head = 1, .heads = 2, .query = 30},
                                     {.query = 36, .batches = 2},
                                     {.heads = 3, .queries = 33}};
  for (size_t x = 0; x < sizeof blocks / sizeof *blocks; x++) {
    attn_score_block k = blocks[x];
    const int64_t batches = k.batches ? k.batches : d.B - k.batch, heads = k.heads ? k.heads : d.Hq - k.head;
    const int64_t queries = k.queries ? k.queries : d.Sq - k.query;
    k.stage = ATTN_SCORE_WEIGHT;
    k.stride = (attn_strides){heads * queries * d.Skv * 2, 2, heads * d.Skv * 2, heads * 2}; /* every second element */
    for (size_t y = 0; y < 2 * n; y++) part[y] = -7;
    assert_int_equal(attn_scores(&d, &(attn_options){.threads = 3}, &a, &k, part), ATTN_OK);
    int64_t written = 0;
    for (size_t y = 0; y < 2 * n; y++) written += part[y] != -7;
    assert_int_equal(written, batches * heads * queries * d.Skv);
    for (int64_t bb = 0; bb < batches; bb++)
      for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < queries; i++)
          for (int64_t j = 0; j < d.Skv; j++) {
            const float *wanted = whole + (((k.batch + bb) * d.Hq + k.head + h) * d.Sq + k.query + i) * d.Skv + j;
            const float *got = part + bb * k.stride.b + h * k.stride.h + i * k.stride.s + j * k.stride.d;
            assert_memory_equal(got, wanted, sizeof *got);
          }
  }
  free(part);
  free(whole);
  free(mask);
  free_buffers(&b);
}

static void nan_stays_with_those_who_see_it(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.flags = ATTN_CAUSAL; /* query i sees keys 0..i+4 */
  struct buffers b = make_buffers(&d);
  const size_t n = (size_t)(d.B * d.Hq * d.Sq * d.Skv);
  float *w = malloc(n * sizeof *w);
  b.k[6 * d.Dqk] = NAN; /* key 6 of batch 0, KV head 0: heads 0 and 1 */
  assert_int_equal(attn_scores(&d, NULL, &b.args, &(attn_score_block){.stage = ATTN_SCORE_WEIGHT}, w), ATTN_OK);
  for (size_t x = 0; x < n; x++) {
    const int64_t j = (int64_t)x % d.Skv, i = (int64_t)x / d.Skv % d.Sq, head = (int64_t)x / (d.Skv * d.Sq);
    if (j > i + 4)
      assert_true(w[x] == 0);
    else
      assert_int_equal(isnan(w[x]) != 0, head < 2 && i >= 2);
  }
  free(w);
  free_buffers(&b);
}

static void half_types_and_strides(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  struct buffers b = make_buffers(&d);
  const size_t nq = (size_t)(d.B * d.Hq * d.Sq * d.Dqk), nk = (size_t)(d.B * d.Hkv * d.Skv * d.Dqk);
  const size_t n = (size_t)(d.B * d.Hq * d.Sq * d.Skv);
  uint16_t *q = malloc(nq * sizeof *q), *k = malloc(nk * sizeof *k);
  float *from_half = malloc(n * sizeof *from_half), *from_float = malloc(n * sizeof *from_float);
  for (int dtype = ATTN_F16; dtype <= ATTN_BF16; dtype++) {
    for (size_t i = 0; i < nq; i++) {
      attn_element_put((attn_dtype)dtype, q, (int64_t)i, b.q[i]);
      b.q[i] = attn_element_get((attn_dtype)dtype, q, (int64_t)i);
    }
    for (size_t i = 0; i < nk; i++) {
      attn_element_put((attn_dtype)dtype, k, (int64_t)i, b.k[i]);
      b.k[i] = attn_element_get((attn_dtype)dtype, k, (int64_t)i);
    }
    d.layout = ATTN_BSHD;
    d.dtype = ATTN_F32;
    assert_int_equal(attn_scores(&d, NULL, &b.args, &(attn_score_block){0}, from_float), ATTN_OK);
    d.dtype = (attn_dtype)dtype;
    attn_args a = b.args;
    a.q = q;
    a.k = k;
    assert_int_equal(attn_scores(&d, NULL, &a, &(attn_score_block){0}, from_half), ATTN_OK);
    assert_memory_equal(from_half, from_float, n * sizeof *from_half);
  }
  free(from_float);
  free(from_half);
  free(k);
  free(q);
  free_buffers(&b);
}

static void refuses(const attn_desc *d, const attn_args *a, attn_score_block block, float *out, attn_status status,
                    const char *field, const char *value)
{
  const attn_status got = attn_scores(d, NULL, a, &block, out);
  if (got != status) fail_msg("%s instead of %s (%s)", attn_status_name(got), attn_status_name(status), field);
  assert_mentions(field);
  assert_mentions(value);
}

static void refusals_name_the_field(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  struct buffers b = make_buffers(&d);
  static float out[2 * 4 * 5 * 9]; /* of small_desc(): or it may overlap a neighbour on the stack */
  const attn_strides far = {.b = INT64_MAX / 2, .h = 1, .s = 1, .d = 1};
  refuses(&d, &b.args, (attn_score_block){.stage = (attn_score_stage)4}, out, ATTN_ERR_INVALID, "block.stage", "4");
  refuses(&d, &b.args, (attn_score_block){.query = 6}, out, ATTN_ERR_INVALID, "block.query", "6");
  refuses(&d, &b.args, (attn_score_block){.query = -1}, out, ATTN_ERR_INVALID, "block.query", "-1");
  refuses(&d, &b.args, (attn_score_block){.query = 2, .queries = 4}, out, ATTN_ERR_INVALID, ".query = 2", "there are 3");
  refuses(&d, &b.args, (attn_score_block){.heads = INT64_MAX}, out, ATTN_ERR_INVALID, ".head", "there are 4");
  refuses(&d, &b.args, (attn_score_block){.batches = -1}, out, ATTN_ERR_INVALID, ".batch", "-1");
  refuses(&d, &b.args, (attn_score_block){.stride = {.d = -1}}, out, ATTN_ERR_INVALID, "block.stride", "-1");
  refuses(&d, &b.args, (attn_score_block){.stride = {.d = 1}}, out, ATTN_ERR_INVALID, "block.stride", NULL);
  refuses(&d, &b.args, (attn_score_block){.stride = far}, out, ATTN_ERR_OVERFLOW, "block.stride", NULL);
  refuses(&d, &b.args, (attn_score_block){0}, NULL, ATTN_ERR_INVALID, "scores is NULL", NULL);
  refuses(&d, &b.args, (attn_score_block){0}, b.k, ATTN_ERR_ALIAS, "overlaps k", NULL);
  attn_args a = b.args;
  a.q = NULL;
  refuses(&d, &a, (attn_score_block){0}, out, ATTN_ERR_INVALID, "q is NULL", NULL);
  refuses(NULL, &a, (attn_score_block){0}, out, ATTN_ERR_INVALID, "desc is NULL", NULL);
  refuses(&d, NULL, (attn_score_block){0}, out, ATTN_ERR_INVALID, "args is NULL", NULL);
  const int64_t wrong[2] = {3, 10};
  d.flags = ATTN_KV_LENGTHS;
  refuses(&d, &b.args, (attn_score_block){0}, out, ATTN_ERR_INVALID, "kv_lengths is NULL", NULL);
  a = b.args;
  a.kv_lengths = wrong;
  refuses(&d, &a, (attn_score_block){0}, out, ATTN_ERR_INVALID, "kv_lengths[1]", "10");
  d = small_desc();
  d.Hkv = 3;
  refuses(&d, &b.args, (attn_score_block){0}, out, ATTN_ERR_INVALID, "Hq", "3");
  for (int i = 0; i < 16; i++) assert_true(out[i] == 0);
  free_buffers(&b);
}

static void empty_problems_write_nothing(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  float one = 5;
  d.Skv = 0;
  assert_int_equal(attn_scores(&d, NULL, &(attn_args){0}, &(attn_score_block){0}, NULL), ATTN_OK);
  d = (attn_desc){.B = 1, .Hq = 1, .Hkv = 1, .Sq = 1, .Skv = 1, .Dqk = 0, .Dv = 0};
  assert_int_equal(attn_scores(&d, NULL, &(attn_args){0}, &(attn_score_block){.stage = ATTN_SCORE_RAW}, &one), ATTN_OK);
  assert_true(one == 0);
  assert_int_equal(attn_scores(&d, NULL, &(attn_args){0}, &(attn_score_block){.stage = ATTN_SCORE_WEIGHT}, &one), ATTN_OK);
  assert_true(one == 1);
}

/* Enough work for two threads, each with its own scratch. */
static void threads_leave_the_same_bits(void **state)
{
  (void)state;
  const attn_desc d = {.B = 1, .Hq = 2, .Hkv = 2, .Sq = 384, .Skv = 768, .Dqk = 64, .Dv = 1};
  const attn_score_block whole = {.stage = ATTN_SCORE_RAW};
  const size_t n = (size_t)(d.Hq * d.Sq * d.Skv);
  struct buffers b = make_buffers(&d);
  float *s = pattern(n, 1), *t = pattern(n, 2);
  assert_int_equal(attn_scores(&d, &(attn_options){.threads = 1}, &b.args, &whole, s), ATTN_OK);
  assert_int_equal(attn_scores(&d, &(attn_options){.threads = 3}, &b.args, &whole, t), ATTN_OK);
  assert_memory_equal(s, t, n * sizeof *s);
  free(s);
  free(t);
  free_buffers(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_stage_agrees_with_the_definition),
      cmocka_unit_test(weights_agree_with_the_oracle),
      cmocka_unit_test(blocks_hold_the_same_bits),
      cmocka_unit_test(threads_leave_the_same_bits),
      cmocka_unit_test(nan_stays_with_those_who_see_it),
      cmocka_unit_test(half_types_and_strides),
      cmocka_unit_test(refusals_name_the_field),
      cmocka_unit_test(empty_problems_write_nothing),
  };
  return cmocka_run_group_tests_name("scores", tests, NULL, NULL);
}
