/* attn_layer against golden values from float64 (tests/layer_golden.py), its threads, its workspace, what it refuses. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/linear.h"

#include <math.h>

#include "layer_golden.h"

enum { CASES = sizeof golden_cases / sizeof *golden_cases };

/* Everything a case needs, of the layer's types. */
struct made {
  attn_layer_desc desc;
  attn_layer_weights weights;
  attn_layer_args args;
  int32_t *tokens;
  int64_t outputs;
  void *owned[32];
  int n;
};

static void *keep(struct made *m, void *p)
{
  assert_non_null(p);
  m->owned[m->n++] = p;
  return p;
}

static const void *rounded(struct made *m, size_t n, unsigned seed, float factor)
{
  float *x = keep(m, pattern(n, seed));
  for (size_t i = 0; i < n; i++) x[i] *= factor;
  if (m->desc.weights == ATTN_F32) return x;
  uint16_t *half = keep(m, malloc(n * sizeof *half));
  for (size_t i = 0; i < n; i++) attn_element_put(m->desc.weights, half, (int64_t)i, x[i]);
  return half;
}

static const void *weights(struct made *m, int64_t outputs, int64_t inputs, unsigned seed)
{
  const float factor = (float)exp2(nearbyint(log2(1.7 / sqrt((double)inputs))));
  return rounded(m, (size_t)(outputs * inputs), seed, factor);
}

static struct made make(const struct golden_case *c)
{
  struct made m = {.desc = {.weights = c->dtype,
                            .query_width = c->query_width,
                            .key_width = c->key_width,
                            .value_width = c->value_width,
                            .output_width = c->output_width,
                            .vocabulary = c->vocabulary}};
  m.desc.attention = (attn_desc){.B = c->B,
                                 .Hq = c->Hq,
                                 .Hkv = c->Hkv,
                                 .Sq = c->Sq,
                                 .Skv = c->Skv,
                                 .Dqk = c->Dqk,
                                 .Dv = c->Dv,
                                 .flags = c->causal ? ATTN_CAUSAL : 0};
  m.weights.q = weights(&m, c->Hq * c->Dqk, c->query_width, 11);
  m.weights.k = weights(&m, c->Hkv * c->Dqk, c->key_width, 12);
  m.weights.v = weights(&m, c->Hkv * c->Dv, c->value_width, 13);
  m.weights.q_bias = rounded(&m, (size_t)(c->Hq * c->Dqk), 21, 1);
  m.weights.k_bias = rounded(&m, (size_t)(c->Hkv * c->Dqk), 22, 1);
  m.weights.v_bias = rounded(&m, (size_t)(c->Hkv * c->Dv), 23, 1);
  if (c->output_width) {
    m.weights.o = weights(&m, c->output_width, c->Hq * c->Dv, 14);
    m.weights.o_bias = rounded(&m, (size_t)c->output_width, 24, 1);
  }
  if (c->vocabulary) {
    int32_t *tokens = keep(&m, malloc((size_t)(c->B * c->Sq) * sizeof *tokens));
    for (int64_t i = 0; i < c->B * c->Sq; i++) tokens[i] = (int32_t)((7 * i + 3) % c->vocabulary);
    m.weights.embedding = weights(&m, c->vocabulary, c->query_width, 30);
    m.args.query_tokens = m.tokens = tokens;
  } else {
    m.args.query = keep(&m, pattern((size_t)(c->B * c->Sq * c->query_width), 1));
    if (!c->is_self) {
      m.args.key = keep(&m, pattern((size_t)(c->B * c->Skv * c->key_width), 2));
      m.args.value = keep(&m, pattern((size_t)(c->B * c->Skv * c->value_width), 3));
    }
  }
  m.outputs = c->B * c->Sq * (c->output_width ? c->output_width : c->Hq * c->Dv);
  m.args.output = keep(&m, pattern((size_t)m.outputs, 4));
  assert_true((size_t)m.n <= sizeof m.owned / sizeof *m.owned);
  return m;
}

static void destroy(struct made *m)
{
  for (int i = 0; i < m->n; i++) free(m->owned[i]);
}

static void run(struct made *m, const attn_options *options, void *workspace)
{
  attn_layer *layer;
  if (attn_layer_create(&layer, &m->desc, &m->weights, options)) fail_msg("%s", attn_error_message());
  char *room = NULL;
  if (workspace) { /* of the least size, at an odd address */
    room = malloc(attn_layer_workspace_bytes(layer) + 3);
    assert_non_null(room);
    m->args.workspace = room + 3;
    m->args.workspace_bytes = attn_layer_workspace_bytes(layer);
  }
  for (int64_t i = 0; i < m->outputs; i++) m->args.output[i] = NAN;
  if (attn_layer_run(layer, &m->args)) fail_msg("%s", attn_error_message());
  m->args.workspace = NULL;
  free(room);
  attn_layer_destroy(layer);
}

static void golden_values_on_every_isa(void **state)
{
  (void)state;
  for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
    if (!attn_isa_exists((enum attn_isa)isa)) continue;
    const attn_options options = {.isa = attn_isa_name((enum attn_isa)isa)};
    double worst = 0;
    for (int n = 0; n < CASES; n++) {
      const struct golden_case *c = &golden_cases[n];
      struct made m = make(c);
      run(&m, &options, NULL);
      assert_int_equal(c->count, ((size_t)m.outputs + (size_t)c->every - 1) / (size_t)c->every);
      for (size_t i = 0; i < c->count; i++) {
        const double error = fabs((double)m.args.output[i * (size_t)c->every] - c->values[i]);
        if (!(error <= 1e-5)) fail_msg("%s, %s, element %zu: off by %g", options.isa, c->name, i * (size_t)c->every, error);
        if (error > worst) worst = error;
      }
      destroy(&m);
    }
    print_message("%s: largest error %.2g\n", options.isa, worst);
  }
}

static void the_same_bits_on_any_number_of_threads_and_in_any_workspace(void **state)
{
  (void)state;
  for (int n = 0; n < CASES; n++) {
    struct made m = make(&golden_cases[n]);
    run(&m, &(attn_options){.threads = 1}, NULL);
    float *first = malloc((size_t)m.outputs * sizeof *first);
    assert_non_null(first);
    memcpy(first, m.args.output, (size_t)m.outputs * sizeof *first);
    for (int threads = 2; threads <= 5; threads++) {
      run(&m, &(attn_options){.threads = threads}, &m);
      assert_memory_equal(first, m.args.output, (size_t)m.outputs * sizeof *first);
    }
    free(first);
    destroy(&m);
  }
}

/* Rows that are a whole number of units and of tiles: scratch ends with them, and nothing beyond it is read, which the
 * sanitizers see, for what follows is smaller than a tile of such wide rows. */
static void rows_that_fill_their_units(void **state)
{
  (void)state;
  enum { ROWS = 96 };
  struct golden_case c = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = ROWS, .Skv = 5, .Dqk = 4, .Dv = 4};
  c.query_width = 1 << 14;
  c.key_width = c.value_width = 8;
  struct made full = make(&c);
  c.Sq--;
  struct made fewer = make(&c);
  run(&full, &(attn_options){.threads = 1}, &full);
  run(&fewer, &(attn_options){.threads = 1}, &fewer);
  assert_memory_equal(full.args.output, fewer.args.output, (size_t)fewer.outputs * sizeof(float));
  for (int64_t i = fewer.outputs; i < full.outputs; i++) assert_true(isfinite(full.args.output[i]));
  destroy(&full);
  destroy(&fewer);
}

/* x [rows][depth] by w [outputs][depth] on the best kernel of an ISA for `of_rows` rows. */
static void project(const char *isa, const float *x, const float *w, const float *bias, float *y, int64_t rows,
                    int64_t depth, int64_t outputs, int64_t of_rows)
{
  struct attn_restrictions r;
  struct attn_weights packed;
  assert_int_equal(attn_restrictions_get(&r, &(attn_options){.isa = isa}), ATTN_OK);
  assert_int_equal(attn_weights_pack(&packed, &r, "w", ATTN_F32, w, bias, outputs, depth, of_rows), ATTN_OK);
  const size_t floats = attn_weights_scratch(&packed);
  float *scratch = aligned_alloc(64, floats * sizeof *scratch);
  assert_non_null(scratch);
  attn_weights_apply(&packed, x, y, rows, 1, ATTN_PLACE_NONE, scratch, floats);
  free(scratch);
  attn_weights_free(&packed);
}

/* The kernels of projections at the edges of their tiles: right, and a row's bits do not depend on its neighbours. */
static void projections_on_every_isa(void **state)
{
  (void)state;
  static const int64_t rows[] = {1, 12, 13, 31, 33, 100}, depths[] = {1, 16, 31, 33, 96}, outputs[] = {1, 17, 32, 70};
  for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
    for (int n = 0; attn_isa_exists((enum attn_isa)isa) && n < 6 * 5 * 4; n++) {
      const char *name = attn_isa_name((enum attn_isa)isa);
      const int64_t R = rows[n % 6], D = depths[n / 6 % 5], N = outputs[n / 30];
      float *x = pattern((size_t)(R * D), 1), *w = pattern((size_t)(N * D), 2), *bias = pattern((size_t)N, 3);
      float *y = pattern((size_t)(R * N), 4), *alone = pattern((size_t)N, 5);
      project(name, x, w, bias, y, R, D, N, R);
      for (int64_t i = 0; i < R * N; i++) {
        double exact = (double)bias[i % N], size = fabs(exact);
        for (int64_t d = 0; d < D; d++) {
          const double product = (double)x[i / N * D + d] * (double)w[i % N * D + d];
          exact += product;
          size += fabs(product);
        }
        if (!(fabs((double)y[i] - exact) <= 1e-6 * size))
          fail_msg("%s, %d x %d x %d: y[%d] is %.9g, not %.9g", name, (int)R, (int)D, (int)N, (int)i, (double)y[i], exact);
      }
      project(name, x + (R - 1) * D, w, bias, alone, 1, D, N, R);
      assert_memory_equal(alone, y + (R - 1) * N, (size_t)N * sizeof *y);
      free(x);
      free(w);
      free(bias);
      free(y);
      free(alone);
    }
}

/* What is not finite, or nearly so, makes of its own outputs what products and sums make of it, and of no others anything.
 */
static void projections_of_extremes(void **state)
{
  (void)state;
  enum { R = 40, D = 40, N = 40, AT = 35 };
  static const float extremes[] = {INFINITY, -INFINITY, NAN, 0x1.fffffep127f, 0x1p-149f};
  for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
    for (size_t n = 0; attn_isa_exists((enum attn_isa)isa) && n < 2 * sizeof extremes / sizeof *extremes; n++) {
      const bool in_x = n % 2;
      const float extreme = extremes[n / 2];
      float *x = pattern(R * D, 1), *w = pattern(N * D, 2), y[R * N];
      (in_x ? x : w)[AT * D + AT] = extreme;
      for (int i = 0; i < R; i++) /* what it meets: of either sign, or 0 */
        (in_x ? w : x)[i * D + AT] = (float)(i % 3 - 1) / 4;
      project(attn_isa_name((enum attn_isa)isa), x, w, NULL, y, R, D, N, R);
      for (int i = 0; i < R * N; i++) {
        double exact = 0, size = 0;
        for (int d = 0; d < D; d++) {
          exact += (double)x[i / N * D + d] * (double)w[i % N * D + d];
          size += fabs((double)x[i / N * D + d] * (double)w[i % N * D + d]);
        }
        const double got = (double)y[i];
        if (!(isfinite(exact) ? fabs(got - exact) <= 1e-6 * size : isnan(exact) ? isnan(got) : got == exact))
          fail_msg("%s, %g in %s: y[%d][%d] is %g, not %g", attn_isa_name((enum attn_isa)isa), (double)extreme,
                   in_x ? "x" : "w", i / N, i % N, got, exact);
      }
      free(x);
      free(w);
    }
}

/* Turned keys and queries give scores that depend on distances only: without a mask, shifting nothing, the output with a
 * rope must be that of q and k turned by hand. */
static void a_rope_turns_queries_and_keys(void **state)
{
  (void)state;
  enum { S = 12, H = 2, D = 8, W = H * D };
  attn_rope *rope;
  assert_int_equal(attn_rope_create(&rope, &(attn_rope_desc){.dims = D}), ATTN_OK);
  float *identity = calloc(W * W, sizeof *identity), *x = pattern(S * W, 1), *q = pattern(S * W, 1), *k = pattern(S * W, 1);
  float got[S * W], wanted[S * W];
  assert_non_null(identity);
  for (int i = 0; i < W; i++) identity[i * W + i] = 1;
  const attn_desc attention = {.B = 1, .Hq = H, .Hkv = H, .Sq = S, .Skv = S, .Dqk = D, .Dv = D, .rope = rope};
  const attn_layer_desc desc = {.attention = attention, .query_width = W};
  const attn_layer_weights w = {.q = identity, .k = identity, .v = identity};
  attn_layer *layer;
  assert_int_equal(attn_layer_create(&layer, &desc, &w, NULL), ATTN_OK);
  assert_int_equal(attn_layer_run(layer, &(attn_layer_args){.query = x, .output = got}), ATTN_OK);
  attn_layer_destroy(layer);
  const attn_strides stride = {0, D, W, 1};
  assert_int_equal(attn_rope_apply(rope, ATTN_F32, q, H, S, D, stride, 0), ATTN_OK);
  assert_int_equal(attn_rope_apply(rope, ATTN_F32, k, H, S, D, stride, 0), ATTN_OK);
  attn_desc by_hand = attention;
  by_hand.layout = ATTN_BSHD;
  by_hand.rope = NULL;
  assert_int_equal(attn_forward(&by_hand, NULL, &(attn_args){.q = q, .k = k, .v = x, .o = wanted}), ATTN_OK);
  for (int i = 0; i < S * W; i++) assert_true(fabsf(got[i] - wanted[i]) < 1e-5f);
  attn_rope_destroy(rope);
  free(identity);
  free(x);
  free(q);
  free(k);
}

static void refuses(const attn_layer_desc *d, const attn_layer_weights *w, attn_status status, const char *a, const char *b)
{
  attn_layer *layer = (attn_layer *)1;
  const attn_status got = attn_layer_create(&layer, d, w, NULL);
  if (got != status) fail_msg("%s instead of %s (%s)", attn_status_name(got), attn_status_name(status), a);
  assert_null(layer);
  assert_mentions(a);
  assert_mentions(b);
}

static void bad_descriptions_are_refused(void **state)
{
  (void)state;
  struct made m = make(&golden_cases[1]);
  attn_layer_desc d = m.desc;
  attn_layer_weights w = m.weights;
  d.query_width = 0;
  refuses(&d, &w, ATTN_ERR_INVALID, "query_width", "0");
  d.query_width = -3;
  refuses(&d, &w, ATTN_ERR_INVALID, "query_width", "-3");
  d = m.desc;
  d.weights = ATTN_I8;
  refuses(&d, &w, ATTN_ERR_INVALID, "weights", "3");
  d = m.desc;
  d.attention.q.s = 7;
  refuses(&d, &w, ATTN_ERR_INVALID, "stride", NULL);
  d = m.desc;
  d.attention.Dv = 0;
  refuses(&d, &w, ATTN_ERR_INVALID, "Dv = 0", NULL);
  d = m.desc;
  d.attention.Skv = 0;
  refuses(&d, &w, ATTN_ERR_INVALID, "Skv = 0", NULL);
  d.attention.Skv = 1;
  attn_layer *one;
  assert_int_equal(attn_layer_create(&one, &d, &w, NULL), ATTN_OK);
  attn_layer_destroy(one);
  d = m.desc;
  d.attention.Hkv = 3;
  refuses(&d, &w, ATTN_ERR_INVALID, "Hkv = 3", NULL);
  d = m.desc;
  d.output_width = 0;
  refuses(&d, &w, ATTN_ERR_INVALID, "output_width", "o");
  d = m.desc;
  d.vocabulary = 9;
  refuses(&d, &w, ATTN_ERR_INVALID, "vocabulary", "embedding");
  d.key_width = 9;
  refuses(&d, &w, ATTN_ERR_INVALID, "key_width", "9");
  d = m.desc;
  d.attention.Sq = INT64_MAX / 512;
  refuses(&d, &w, ATTN_ERR_OVERFLOW, NULL, NULL);
  w.k = NULL;
  refuses(&m.desc, &w, ATTN_ERR_INVALID, "weights k", "NULL");
  destroy(&m);
}

static void bad_arguments_are_refused(void **state)
{
  (void)state;
  struct made m = make(&golden_cases[1]), tokens = make(&golden_cases[3]);
  attn_layer *layer, *looking;
  const int64_t queries = m.desc.attention.B * m.desc.attention.Sq * m.desc.query_width;
  assert_int_equal(attn_layer_create(&layer, &m.desc, &m.weights, NULL), ATTN_OK);
  assert_int_equal(attn_layer_create(&looking, &tokens.desc, &tokens.weights, NULL), ATTN_OK);
  attn_layer_args a = m.args;
  assert_int_equal(attn_layer_run(NULL, &a), ATTN_ERR_INVALID);
  assert_mentions("layer is NULL");
  assert_int_equal(attn_layer_run(layer, NULL), ATTN_ERR_INVALID);
  assert_mentions("args is NULL");
  a.query = NULL;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_ERR_INVALID);
  assert_mentions("query is NULL");
  a = m.args;
  a.output = (float *)a.key + 1;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_ERR_ALIAS);
  assert_mentions("key");
  a = m.args;
  float *shared = pattern((size_t)(2 * m.outputs + queries), 1); /* side by side is no overlap */
  a.query = shared + m.outputs;
  a.output = shared;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_OK);
  a.output = shared + m.outputs + queries;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_OK);
  assert_memory_equal(shared, a.output, (size_t)m.outputs * sizeof *shared);
  free(shared);
  a = m.args;
  a.query_tokens = tokens.tokens;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_ERR_INVALID);
  assert_mentions("vocabulary");
  a = m.args;
  a.attention.q = a.query;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_ERR_INVALID);
  assert_mentions("attention.q");
  a = m.args;
  a.workspace = a.output;
  a.workspace_bytes = 12;
  assert_int_equal(attn_layer_run(layer, &a), ATTN_ERR_INVALID);
  assert_mentions("workspace_bytes = 12");
  tokens.tokens[2] = 50;
  assert_int_equal(attn_layer_run(looking, &tokens.args), ATTN_ERR_INVALID);
  assert_mentions("query_tokens[2] = 50");
  attn_layer_destroy(layer);
  attn_layer_destroy(looking);
  destroy(&m);
  destroy(&tokens);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden_values_on_every_isa),
      cmocka_unit_test(the_same_bits_on_any_number_of_threads_and_in_any_workspace),
      cmocka_unit_test(rows_that_fill_their_units),
      cmocka_unit_test(projections_on_every_isa),
      cmocka_unit_test(projections_of_extremes),
      cmocka_unit_test(a_rope_turns_queries_and_keys),
      cmocka_unit_test(bad_descriptions_are_refused),
      cmocka_unit_test(bad_arguments_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
