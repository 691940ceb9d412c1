/* The optional fields of a case's name; what a layer is compared with: float64 written out once more, without a word in
 * common; what sequences of different lengths count as, and that each is compared with its own keys. */
#include "../../bench/expect.h"
#include "../../bench/keys.h"
#include "../../bench/layer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ATTENTION "attn/fwd_f32_scalar/f32/B:2/Hq:4/Hkv:2/Sq:5/Skv:7/Dqk:8/Dv:6/causal"
#define SEQUENCES "attn/fwd_f32_scalar/f32/B:5/Hq:4/Hkv:2/Sq:5/Skv:9/Dqk:8/Dv:6/causal"

static void names_come_back(void **state)
{
  (void)state;
  const struct {
    const char *name, *description;
    int64_t Wq, Wkv, Wo;
  } cases[] = {
      {ATTENTION "/T:1", "B2 H4/2 S5x7 D8,6 causal", 0, 0, 0},
      {ATTENTION "/Wq:20/Wkv:30/Wo:10/T:2", "B2 H4/2 S5x7 D8,6 causal layer 20,30>10", 20, 30, 10},
      {ATTENTION "/Wq:20/Wkv:20/Wo:0/T:2", "B2 H4/2 S5x7 D8,6 causal layer 20", 20, 20, 0},
      {ATTENTION "/kv:i8/cache:cold/T:2", "B2 H4/2 S5x7 D8,6 causal kv:i8 cold", 0, 0, 0},
      {ATTENTION "/cache:hot/T:2", "B2 H4/2 S5x7 D8,6 causal hot", 0, 0, 0},
      {ATTENTION "/seqs:5x5,1x7/kv:f32/T:2", "B2 H4/2 S5x7 D8,6 causal 5x5,1x7 kv:f32", 0, 0, 0},
      {SEQUENCES "/seqs:2*3-5x5-9,3*1x2/cache:cold/T:1", "B5 H4/2 S5x9 D8,6 causal 2*3-5x5-9,3*1x2 cold", 0, 0, 0}};
  char name[BENCH_CASE_NAME_BYTES], text[128];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct bench_case c, plain;
    if (!bench_case_parse(&c, cases[i].name, text, sizeof text)) fail_msg("%s: %s", cases[i].name, text);
    assert_true(c.shape.Wq == cases[i].Wq && c.shape.Wkv == cases[i].Wkv && c.shape.Wo == cases[i].Wo);
    assert_string_equal(bench_case_print(&c, name), cases[i].name);
    assert_string_equal(bench_shape_describe(&c.shape, text, sizeof text), cases[i].description);
    assert_true(bench_case_parse(&plain, ATTENTION "/T:1", text, sizeof text));
    assert_int_equal(bench_shape_equal(&c.shape, &plain.shape), i == 0);
    assert_int_equal(bench_shape_is_layer(&c.shape), c.shape.Wq > 0);
  }
}

static void wrong_fields_are_named(void **state)
{
  (void)state;
  const struct {
    const char *name, *says;
  } cases[] = {{ATTENTION "/Wq:20/T:1", "Wkv:<number>"},
               {ATTENTION "/Wq:20/Wkv:30/T:1", "Wo:<number>"},
               {ATTENTION "/Wq:20", "Wkv:<number>"},
               {ATTENTION "/Wkv:20/T:1", "T:<number>"},
               {ATTENTION "/kv:i4/T:1", "kv 'i4'"},
               {ATTENTION "/cache:warm/T:1", "cache 'warm'"},
               {ATTENTION "/cache:hot/kv:i8/T:1", "'kv:i8' stands where T:<number>"},
               {ATTENTION "/kv:i8/Wq:20/Wkv:30/Wo:10/T:1", "'Wq:20' stands where T:<number>"},
               {"attn/x/f16/B:1/Hq:1/Hkv:1/Sq:5/Skv:7/Dqk:8/Dv:6/none/kv:i8/T:1", "f16"},
               {ATTENTION "/seqs:5x5,1x6/T:1", "Skv: 7 is not 6"},
               {ATTENTION "/seqs:4x5,1x7/T:1", "Sq: 5 is not 4"},
               {ATTENTION "/seqs:5x7/T:1", "B: 2 is not 1"},
               {ATTENTION "/seqs:2*5x/T:1", "'2*5x' does not begin"},
               {ATTENTION "/seqs:1*5x7,5x7/T:1", "'1*5x7,5x7' does not begin"},
               {ATTENTION "/seqs:5x7,/T:1", "'' does not begin"},
               {ATTENTION "/seqs:5x7,05x7/T:1", "'05x7' does not begin"},
               {ATTENTION "/seqs:5x7,0x7/T:1", "'0x7' does not begin"},
               {ATTENTION "/seqs:5x7,4-5x7/T:1", "'4-5x7' does not begin"},
               {ATTENTION "/seqs:2*5x7-7/T:1", "'2*5x7-7' does not begin"},
               {ATTENTION "/seqs:2*5x7-6/T:1", "'2*5x7-6' does not begin"},
               {ATTENTION "/seqs:2*5x4294967296/T:1", "'2*5x4294967296' does not begin"},
               {ATTENTION "/seqs:2*5x3-7/T:1", "more queries than keys"},
               {ATTENTION "/seqs:65536*1x1,1x1/T:1", "65537 sequences are more"},
               {ATTENTION "/seqs:1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1/T:1", "more than 12 runs"},
               {ATTENTION "/kv:f32/seqs:2*5x7/T:1", "'seqs:2*5x7' stands where T:<number>"},
               {ATTENTION "/seqs:2*5x7/Wq:20/Wkv:30/Wo:10/T:1", "'Wq:20' stands where T:<number>"},
               {"attn/x/f32/B:1/Hq:1/Hkv:1/Sq:5/Skv:7/Dqk:8/Dv:6/bool/seqs:5x7/T:1", "masks of their own"},
               {"attn/x/f32/B:1/Hq:1/Hkv:1/Sq:5/Skv:7/Dqk:8/Dv:6/blocks50/seqs:5x7/T:1", "masks of their own"},
               {ATTENTION "/Wq:0/Wkv:30/Wo:10/T:1", "Wq: 0"},
               {ATTENTION "/Wq:20/Wkv:30/Wo:-1/T:1", "Wo: '-1'"},
               {ATTENTION "/Wq:20/Wkv:30/Wo:4294967296/T:1", "Wo: 4294967296"},
               {ATTENTION "/Wq:20/Wkv:30/Wo:10", "T:<number>"},
               {ATTENTION "/Wq:20/Wkv:30/Wo:10/T:1/more", "'more'"},
               {"attn/x/f16/B:1/Hq:1/Hkv:1/Sq:5/Skv:7/Dqk:8/Dv:6/none/Wq:20/Wkv:30/Wo:10/T:1", "f16"}};
  char text[256];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct bench_case c;
    if (bench_case_parse(&c, cases[i].name, text, sizeof text)) fail_msg("%s is taken", cases[i].name);
    if (!strstr(text, cases[i].says)) fail_msg("%s: '%s' lacks %s", cases[i].name, text, cases[i].says);
  }
}

/* Row n of x W^T + bias, output o. */
static double linear(const double *x, const void *weights, const void *bias, int64_t o, int64_t inputs)
{
  double sum = (double)((const float *)bias)[o];
  for (int64_t d = inputs - 1; d >= 0; d--) sum += x[d] * (double)((const float *)weights)[o * inputs + d];
  return sum;
}

static const double *wide(const float *x, int64_t n, double *to)
{
  for (int64_t d = 0; d < n; d++) to[d] = (double)x[d];
  return to;
}

/* All of the output of a causal layer; no value is stored in f32 on the way. */
static void compute(const struct bench_layer *l, double *out)
{
  enum { MOST = 64 };
  const struct bench_shape *s = &l->shape;
  const attn_layer_weights *w = &l->weights;
  const float *keys = l->args.key ? l->args.key : l->args.query;
  double query[MOST], key[MOST], heads[MOST], weight[MOST];
  for (int64_t n = 0; n < s->B * s->Sq; n++) {
    wide(l->args.query + n * s->Wq, s->Wq, query);
    for (int64_t h = 0; h < s->Hq; h++) {
      const int64_t g = h / (s->Hq / s->Hkv), seen = n % s->Sq + s->Skv - s->Sq + 1;
      double sum = 0;
      for (int64_t e = 0; e < s->Dv; e++) heads[h * s->Dv + e] = 0;
      for (int64_t j = 0; j < seen; j++) {
        wide(keys + (n / s->Sq * s->Skv + j) * s->Wkv, s->Wkv, key);
        double score = 0;
        for (int64_t d = 0; d < s->Dqk; d++)
          score +=
              linear(query, w->q, w->q_bias, h * s->Dqk + d, s->Wq) * linear(key, w->k, w->k_bias, g * s->Dqk + d, s->Wkv);
        sum += weight[j] = exp(score / sqrt((double)s->Dqk));
        for (int64_t e = 0; e < s->Dv; e++)
          heads[h * s->Dv + e] += weight[j] * linear(key, w->v, w->v_bias, g * s->Dv + e, s->Wkv);
      }
      for (int64_t e = 0; e < s->Dv; e++) heads[h * s->Dv + e] /= sum;
    }
    for (int64_t o = 0; o < s->Wo; o++) out[n * s->Wo + o] = linear(heads, w->o, w->o_bias, o, s->Hq * s->Dv);
    if (!s->Wo) memcpy(out + n * s->Hq * s->Dv, heads, (size_t)(s->Hq * s->Dv) * sizeof *heads);
  }
}

/* Runs the layer as described by *l and says whether it is taken for right. */
static bool passes(struct bench_layer *l, const struct bench_expectation *e)
{
  attn_layer *layer;
  bench_tensors_poison(&l->output);
  if (bench_layer_open(&layer, l, attn_kernel_find("fwd_f32_scalar"), 2) || attn_layer_run(layer, &l->args))
    fail_msg("%s", attn_error_message());
  assert_string_equal(attn_layer_kernels(layer), "linear_f32_scalar, fwd_f32_scalar");
  attn_layer_destroy(layer);
  return bench_expect_check(e, bench_layer_error_bound(&l->shape), &l->output).right;
}

static void a_layer_is_what_float64_says(void **state)
{
  (void)state;
  const struct bench_shape shapes[] = {{ATTN_F32, 2, 4, 2, 5, 7, 8, 6, BENCH_MASK_CAUSAL, 20, 30, .Wo = 10},
                                       {ATTN_F32, 2, 4, 2, 5, 7, 8, 6, BENCH_MASK_CAUSAL, 20, 30, .Wo = 0},
                                       {ATTN_F32, 1, 3, 1, 9, 9, 5, 7, BENCH_MASK_CAUSAL, 21, 21, .Wo = 13}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const struct bench_shape *s = &shapes[i];
    struct bench_tensors t;
    struct bench_layer l;
    struct bench_expectation e;
    char error[256];
    if (!bench_tensors_create(&t, s, 1, 2, error, sizeof error)) fail_msg("%s", error);
    if (!bench_layer_create(&l, s, &t, 1, 2, error, sizeof error)) fail_msg("%s", error);
    assert_true(bench_layer_expect(&e, &l, &t, 1e9, 1, 2));
    assert_int_equal(e.rows, s->B * s->Sq);
    assert_int_equal(e.width, s->Wo ? s->Wo : s->Hq * s->Dv);
    double *truth = malloc((size_t)(e.rows * e.width) * sizeof *truth);
    assert_non_null(truth);
    compute(&l, truth);
    for (int64_t n = 0; n < e.rows * e.width; n++)
      if (!(fabs(e.o[n] - truth[n]) <= 3e-7 * e.max_abs))
        fail_msg("shape %zu: [%d] %.9g, not %.9g", i, (int)n, e.o[n], truth[n]);
    assert_true(e.max_abs > 0.5);
    assert_true(passes(&l, &e));
    /* One input, weight or bias left out is seen. */
    l.weights.v_bias = NULL;
    assert_false(passes(&l, &e));
    l.weights.v_bias = l.weights.k_bias;
    assert_false(passes(&l, &e));
    free(truth);
    bench_expect_destroy(&e);
    bench_layer_destroy(&l);
    bench_tensors_destroy(&t);
  }
}

/* The evenly spaced ones, too: 3, 4 and 5 queries over 5, 7 and 9 keys. */
static void sequences_count_what_each_sees(void **state)
{
  (void)state;
  const struct bench_sequence each[] = {{3, 5}, {4, 7}, {5, 9}, {1, 2}, {1, 2}};
  const char *name = "attn/fwd_f32_scalar/f32/B:5/Hq:4/Hkv:2/Sq:5/Skv:9/Dqk:8/Dv:6/causal/seqs:3*3-5x5-9,2*1x2/kv:i8/T:1";
  struct bench_tensors t;
  struct bench_case c;
  char error[256];
  int64_t pairs = 0, queries = 0, keys = 0;
  if (!bench_case_parse(&c, name, error, sizeof error)) fail_msg("%s", error);
  for (int64_t b = 0; b < 5; b++) {
    const struct bench_sequence at = bench_sequence_at(&c.shape.seqs, b);
    assert_true(at.queries == each[b].queries && at.keys == each[b].keys);
    for (int64_t i = 0; i < at.queries; i++) pairs += i + at.keys - at.queries + 1; /* keys up to its position */
    queries += at.queries;
    keys += at.keys;
  }
  if (!bench_tensors_create(&t, &c.shape, 1, 2, error, sizeof error)) fail_msg("%s", error);
  assert_true(t.flops == (double)(2 * 4 * pairs * (8 + 6)));
  assert_int_equal(t.extents.q, sizeof(float) * (size_t)(4 * queries * 8));
  assert_int_equal(t.extents.k, sizeof(float) * (size_t)(2 * keys * 8));
  assert_true(bench_keys_bytes(&c.shape, &t.extents) == (double)(2 * keys * (8 + 6 + 8)));
  assert_false(bench_sequences_even(&c.shape.seqs));
  bench_tensors_destroy(&t);
}

/* In tensors and in caches, with and without starts of the queries: what is right passes, and a sequence that has lost a
 * key or lies elsewhere does not. */
static void each_sequence_is_compared_with_its_own_keys(void **state)
{
  (void)state;
  const char *const names[] = {
      "attn/fwd_f32_scalar/f32/B:4/Hq:4/Hkv:2/Sq:30/Skv:60/Dqk:8/Dv:6/causal/seqs:30x30,2*1x20-60,7x33/T:1",
      "attn/decode_f32_scalar/f32/B:4/Hq:4/Hkv:2/Sq:30/Skv:60/Dqk:8/Dv:6/causal/seqs:30x30,2*1x20-60,7x33/kv:f32/T:1",
      "attn/decode_i8_scalar/f32/B:4/Hq:4/Hkv:2/Sq:2/Skv:60/Dqk:8/Dv:6/causal/seqs:4*2x20-60/kv:i8/T:1"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct bench_tensors t;
    struct bench_expectation e;
    struct bench_keys keys;
    struct bench_case c;
    char text[256];
    if (!bench_case_parse(&c, names[i], text, sizeof text)) fail_msg("%s", text);
    if (!bench_tensors_create(&t, &c.shape, 1, 2, text, sizeof text)) fail_msg("%s", text);
    assert_true(bench_expect_create(&e, &t, 1e9, 1, 2));
    assert_true(e.all && e.rows == 4 * t.args.q_starts[4]);
    const attn_options options = {.kernel = c.kernel, .threads = 1};
    if (!bench_keys_create(&keys, &c.shape, &t, &options, text, sizeof text)) fail_msg("%s", text);
    int64_t *end = &t.starts[4 + 1 + 2]; /* of the keys of the second sequence, where those of the third begin */
    for (int wrong = 0; wrong < 3; wrong++) {
      if (wrong == 2 && c.shape.kv) assert_int_equal(attn_cache_set_length(keys.cache[0], 1, *end - end[-1] - 1), ATTN_OK);
      if (wrong == 2) --*end;
      bench_tensors_poison(&t);
      if (attn_run(keys.call[0].plan, keys.call[0].args)) fail_msg("%s", attn_error_message());
      if (wrong == 1) ((float *)t.args.o)[t.extents.o / sizeof(float) - 1] += 1e-3F;
      assert_int_equal(bench_expect_check(&e, 2e-6, &t).right, wrong == 0);
    }
    bench_keys_destroy(&keys);
    bench_expect_destroy(&e);
    bench_tensors_destroy(&t);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(names_come_back), cmocka_unit_test(wrong_fields_are_named),
                                     cmocka_unit_test(a_layer_is_what_float64_says),
                                     cmocka_unit_test(sequences_count_what_each_sees),
                                     cmocka_unit_test(each_sequence_is_compared_with_its_own_keys)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
