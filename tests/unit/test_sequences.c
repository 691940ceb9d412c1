/* Sequences of different lengths in one call: each has the result, bit for bit, that it has alone, and that is the
 * oracle's; rows of no sequence are left as they were; what is refused. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>
#include <stdio.h>

enum { MOST = 7 };

/* Starts of B sequences with lengths that `length` draws, with room before the first. */
static void draw_starts(int64_t *starts, int64_t B, int64_t (*length)(void))
{
  starts[0] = draw(3);
  for (int64_t b = 0; b < B; b++) starts[b + 1] = starts[b] + length();
}

static int64_t some_queries(void)
{
  const int64_t kind = draw(6);
  return kind == 0 ? 0 : kind < 3 ? 1 : kind == 3 ? 1 + draw(8) : 1 + draw(150);
}
static int64_t some_keys(void) { return draw(8) ? draw(300) : 0; }

/* A batch; rows and keys of a batch dimension, or of all sequences. */
struct batch {
  attn_desc d;
  attn_args args;
  int64_t q_starts[MOST + 1], kv_starts[MOST + 1], lengths[MOST], rows, keys;
  float slopes[12], sinks[12];
};

static attn_strides contiguous(const struct batch *t, int64_t H, int64_t S, int64_t D)
{
  return t->d.layout == ATTN_BHSD ? (attn_strides){H * S * D, S * D, D, 1} : (attn_strides){S * H * D, D, H * D, 1};
}

static void draw_shape(struct batch *t, int turn)
{
  attn_desc *d = &t->d;
  *d =
      (attn_desc){.dtype = (attn_dtype)(turn % 3), .layout = (attn_layout)draw(2), .B = 1 + draw(MOST), .Hkv = 1 + draw(2)};
  d->Hq = d->Hkv * (int64_t[]){1, 2, 5, 6}[draw(4)];
  d->Dqk = 1 + draw(40);
  d->Dv = 1 + draw(40);
  d->flags = turn % 4 == 0 ? ATTN_Q_STARTS : turn % 4 == 1 ? ATTN_KV_STARTS : ATTN_Q_STARTS | ATTN_KV_STARTS;
  if (turn % 8 == 0) d->flags |= ATTN_KV_LENGTHS;
  if (draw(2)) d->flags |= ATTN_CAUSAL;
  if (draw(4) == 0) d->causal_offset = draw(40) - 20;
  if (draw(4) == 0) d->flags |= ATTN_WINDOW_LEFT, d->window_left = draw(60);
  if (draw(8) == 0) d->flags |= ATTN_ALIBI;
  if (draw(8) == 0) d->flags |= ATTN_SINKS;
  if (draw(8) == 0) d->softcap = 3;
  for (int h = 0; h < 12; h++) t->slopes[h] = 0.01f * (float)h, t->sinks[h] = (float)h - 6;
}

static void draw_lengths(struct batch *t)
{
  const attn_desc *d = &t->d;
  draw_starts(t->q_starts, d->B, some_queries);
  draw_starts(t->kv_starts, d->B, some_keys);
  for (int64_t b = 0; b < d->B; b++) t->lengths[b] = draw(d->Skv + 1);
}

/* Sequence b alone, by its own description, with its outputs somewhere else. */
static void alone(const struct batch *t, int64_t b, attn_desc *d, attn_args *args)
{
  const bool q_starts = t->d.flags & ATTN_Q_STARTS, kv_starts = t->d.flags & ATTN_KV_STARTS;
  *d = t->d;
  *args = t->args;
  d->B = 1;
  d->flags &= ~(unsigned)(ATTN_Q_STARTS | ATTN_KV_STARTS | ATTN_KV_LENGTHS);
  d->q = contiguous(t, d->Hq, t->rows, d->Dqk);
  d->o = contiguous(t, d->Hq, t->rows, d->Dv);
  d->k = contiguous(t, d->Hkv, t->keys, d->Dqk);
  d->v = contiguous(t, d->Hkv, t->keys, d->Dv);
  d->lse = (attn_strides){t->rows * d->Hq, t->rows, 1, 1};
  if (q_starts) d->Sq = t->q_starts[b + 1] - t->q_starts[b];
  d->Skv = kv_starts ? t->kv_starts[b + 1] - t->kv_starts[b] : t->d.flags & ATTN_KV_LENGTHS ? t->lengths[b] : t->d.Skv;
  const int64_t query = q_starts ? t->q_starts[b] * d->q.s : b * d->q.b;
  const int64_t key = kv_starts ? t->kv_starts[b] * d->k.s : b * d->k.b;
  const int64_t value = kv_starts ? t->kv_starts[b] * d->v.s : b * d->v.b;
  args->q = at(t->args.q, d->dtype, query);
  args->k = at(t->args.k, d->dtype, key);
  args->v = at(t->args.v, d->dtype, value);
  args->q_starts = args->kv_starts = args->kv_lengths = NULL;
  static const int64_t none = 0; /* Skv = 0 is answered without a kernel: its LSE of a sink alone is more exact */
  if (d->Skv == 0) {
    d->Skv = 1;
    d->flags |= ATTN_KV_LENGTHS;
    args->kv_lengths = &none;
  }
}

/* The error of a sequence's rows against the oracle, relative to the largest of them. */
static double error_of(const attn_desc *d, const attn_args *args, const void *o)
{
  struct attn_problem p;
  assert_int_equal(attn_problem_resolve(&p, d), ATTN_OK);
  double *row = malloc(sizeof *row * (size_t)(d->Dv + d->Skv + 1)), lse, error = 0, largest = 1e-30;
  assert_non_null(row);
  for (int64_t h = 0; h < d->Hq; h++)
    for (int64_t i = 0; i < d->Sq; i++) {
      attn_oracle_row(&p, args, 0, h, i, row, &lse, row + d->Dv);
      for (int64_t e = 0; e < d->Dv; e++) {
        const double off = fabs((double)attn_element_get(d->dtype, o, h * p.o.h + i * p.o.s + e * p.o.d) - row[e]);
        if (!(off <= error)) error = off;
        largest = fmax(largest, fabs(row[e]));
      }
    }
  free(row);
  return error / largest;
}

/* Runs the plan in a workspace of just the promised size, then each sequence alone, and compares all of both outputs. */
static void compare(const struct batch *t, attn_plan *plan, double *worst)
{
  const attn_desc *d = &t->d;
  const int64_t q_batches = d->flags & ATTN_Q_STARTS ? 1 : d->B, o_n = q_batches * d->Hq * t->rows * d->Dv;
  const int64_t lse_n = q_batches * d->Hq * t->rows;
  const size_t o_bytes = (size_t)o_n * attn_element_bytes(d->dtype), lse_bytes = (size_t)lse_n * sizeof(float);
  void *o = converted(d->dtype, (size_t)o_n, 1), *expected = converted(d->dtype, (size_t)o_n, 1);
  float *lse = pattern((size_t)lse_n, 2), *expected_lse = pattern((size_t)lse_n, 2);
  attn_args args = t->args;
  args.o = o;
  args.lse = lse;
  args.workspace_bytes = attn_plan_workspace_bytes(plan);
  args.workspace = malloc(args.workspace_bytes);
  if (attn_run(plan, &args)) fail_msg("%s", attn_error_message());
  free(args.workspace);
  for (int64_t b = 0; b < d->B; b++) {
    attn_desc one;
    attn_args its;
    alone(t, b, &one, &its);
    const int64_t query = d->flags & ATTN_Q_STARTS ? t->q_starts[b] : 0, batch = d->flags & ATTN_Q_STARTS ? 0 : b;
    its.o = at(expected, d->dtype, query * one.o.s + batch * one.o.b);
    its.lse = expected_lse + query + batch * one.lse.b;
    if (attn_forward(&one, NULL, &its)) fail_msg("%s", attn_error_message());
    const double error = error_of(&one, &its, at(o, d->dtype, query * one.o.s + batch * one.o.b));
    if (!(error <= *worst)) *worst = error;
  }
  assert_memory_equal(o, expected, o_bytes);
  assert_memory_equal(lse, expected_lse, lse_bytes);
  free(o), free(expected), free(lse), free(expected_lse);
}

static void each_as_if_alone(void **state)
{
  (void)state;
  double worst[3] = {0};
  for (int turn = 0; turn < 120; turn++) {
    struct batch t;
    draw_shape(&t, turn);
    attn_desc *d = &t.d;
    d->Sq = d->flags & ATTN_Q_STARTS ? MOST * 150 + 6 : 1 + draw(40);
    d->Skv = d->flags & ATTN_KV_STARTS ? MOST * 300 + 6 : 1 + draw(300);
    attn_plan *plan;
    t.rows = d->Sq, t.keys = d->Skv;
    const int64_t q_n = d->flags & ATTN_Q_STARTS ? 1 : d->B, kv_n = d->flags & ATTN_KV_STARTS ? 1 : d->B;
    t.args = (attn_args){.q = converted(d->dtype, (size_t)(q_n * d->Hq * d->Sq * d->Dqk), 11),
                         .k = converted(d->dtype, (size_t)(kv_n * d->Hkv * d->Skv * d->Dqk), 12),
                         .v = converted(d->dtype, (size_t)(kv_n * d->Hkv * d->Skv * d->Dv), 13),
                         .alibi_slopes = t.slopes,
                         .sinks = t.sinks};
    if (attn_plan_create(&plan, d, &(attn_options){.threads = 1 + turn % 3})) fail_msg("%s", attn_error_message());
    for (int run = 0; run < 2; run++) {
      draw_lengths(&t);
      if (d->flags & ATTN_Q_STARTS) t.args.q_starts = t.q_starts;
      if (d->flags & ATTN_KV_STARTS) t.args.kv_starts = t.kv_starts;
      if (d->flags & ATTN_KV_LENGTHS) t.args.kv_lengths = t.lengths;
      compare(&t, plan, &worst[d->dtype]);
    }
    attn_plan_destroy(plan);
    free((void *)t.args.q), free((void *)t.args.k), free((void *)t.args.v);
  }
  static const double bound[] = {2e-6, 0x1p-11 + 2e-6, 0x1p-7 + 2e-6}; /* some bf16 kernels round weights as well */
  for (int dtype = 0; dtype < 3; dtype++) {
    print_message("dtype %d: error %.2g\n", dtype, worst[dtype]);
    if (!(worst[dtype] <= bound[dtype])) fail_msg("error %g", worst[dtype]);
    assert_true(worst[dtype] > 0);
  }
}

/* A single new token over many keys, split, beside a prompt and a sequence of nothing. */
static void long_beside_short(void **state)
{
  (void)state;
  double worst = 0;
  struct batch t = {.d = {.layout = ATTN_BSHD,
                          .B = 5,
                          .Hq = 8,
                          .Hkv = 2,
                          .Sq = 503,
                          .Skv = 15000,
                          .Dqk = 16,
                          .Dv = 24,
                          .flags = ATTN_CAUSAL | ATTN_Q_STARTS | ATTN_KV_STARTS},
                    .q_starts = {0, 1, 400, 400, 404, 503},
                    .kv_starts = {0, 9000, 9399, 9399, 13000, 13101}};
  t.rows = t.d.Sq, t.keys = t.d.Skv;
  t.args = (attn_args){.q = pattern((size_t)(t.rows * 8 * 16), 1),
                       .k = pattern((size_t)(t.keys * 2 * 16), 2),
                       .v = pattern((size_t)(t.keys * 2 * 24), 3),
                       .q_starts = t.q_starts,
                       .kv_starts = t.kv_starts};
  for (int threads = 1; threads <= 3; threads++) {
    attn_plan *plan;
    assert_int_equal(attn_plan_create(&plan, &t.d, &(attn_options){.threads = threads}), ATTN_OK);
    assert_int_equal(strncmp(attn_plan_kernel(plan), "fwd_", 4), 0);
    compare(&t, plan, &worst);
    attn_plan_destroy(plan);
  }
  /* units that are smaller than what a decode kernel takes at once change no bit */
  attn_plan *plan;
  const struct attn_kernel *kernel = NULL;
  assert_int_equal(attn_plan_create(&plan, &t.d, NULL), ATTN_OK);
  kernel = attn_kernel_find(attn_plan_kernel(plan));
  attn_plan_destroy(plan);
  const struct attn_blocking small = {.unit_rows = kernel->blocking_step ? kernel->blocking_step->unit_rows : 0};
  assert_int_equal(attn_plan_create_blocked(&plan, &t.d, &(attn_options){.threads = 2}, &small), ATTN_OK);
  compare(&t, plan, &worst);
  attn_plan_destroy(plan);
  assert_true(worst <= 2e-6);
  free((void *)t.args.q), free((void *)t.args.k), free((void *)t.args.v);
}

/* Each sequence has a key more than one part holds: so many parts does a workspace have room for, and no more. */
static void the_most_parts(void **state)
{
  (void)state;
  double worst = 0;
  attn_plan *plan;
  struct batch t = {.d = {.B = 1, .Hq = 2, .Hkv = 2, .Sq = 1, .Skv = 4, .Dqk = 8, .Dv = 40}};
  assert_int_equal(attn_plan_create(&plan, &t.d, NULL), ATTN_OK);
  const int64_t span = attn_kernel_find(attn_plan_kernel(plan))->key_span;
  attn_plan_destroy(plan);
  assert_true(span > 0); /* a kernel for decoding */
  t.d.B = t.d.Sq = MOST;
  t.d.Skv = MOST * (span + 1);
  t.d.flags = ATTN_Q_STARTS | ATTN_KV_STARTS;
  for (int64_t b = 0; b <= MOST; b++) t.q_starts[b] = b, t.kv_starts[b] = b * (span + 1);
  t.rows = t.d.Sq, t.keys = t.d.Skv;
  t.args = (attn_args){.q = pattern((size_t)(t.rows * 2 * 8), 1),
                       .k = pattern((size_t)(t.keys * 2 * 8), 2),
                       .v = pattern((size_t)(t.keys * 2 * 40), 3),
                       .q_starts = t.q_starts,
                       .kv_starts = t.kv_starts};
  assert_int_equal(attn_plan_create(&plan, &t.d, NULL), ATTN_OK);
  compare(&t, plan, &worst);
  assert_true(worst <= 2e-6);
  attn_plan_destroy(plan);
  free((void *)t.args.q), free((void *)t.args.k), free((void *)t.args.v);
}

/* Chunks of prompts and single tokens over one cache, as each sequence has them over a cache of its own. */
static void over_a_cache(void **state)
{
  (void)state;
  enum { B = 4, MOST_HQ = 20, HKV = 2, D = 20, CAPACITY = 2500, ROOM = 70 };
  static const int64_t heads[] = {20, 4}; /* rows: 10, 370, 10, 250; 2, 74, 2, 50 */
  static const int64_t length[B] = {2400, 37, 0, 1100}, starts[B + 1] = {2, 3, 40, 41, 66};
  float *q = pattern(ROOM * MOST_HQ * D, 5), *tokens = pattern(CAPACITY * HKV * D, 6);
  for (int turn = 0; turn < 8; turn++) {
    const int dtype = turn % 4;
    const int64_t HQ = heads[turn / 4];
    attn_cache_desc c = {.dtype = (attn_dtype)dtype,
                         .B = B,
                         .Hkv = HKV,
                         .Dqk = D,
                         .Dv = D,
                         .capacity = CAPACITY,
                         .page_size = dtype % 2 ? 64 : 0,
                         .pages = dtype % 2 ? 160 : 0};
    attn_desc d = {.layout = ATTN_BSHD, .B = B, .Hq = HQ, .Sq = ROOM, .flags = ATTN_CAUSAL | ATTN_Q_STARTS};
    attn_cache *all, *one;
    attn_plan *plan;
    float o[ROOM * MOST_HQ * D], expected[ROOM * MOST_HQ * D], lse[ROOM * MOST_HQ], expected_lse[ROOM * MOST_HQ];
    memset(o, 1, sizeof o), memset(expected, 1, sizeof o), memset(lse, 1, sizeof lse), memset(expected_lse, 1, sizeof lse);
    assert_int_equal(attn_cache_create(&all, &c), ATTN_OK);
    for (int b = 0; b < B; b++) {
      int32_t pages[40];
      for (int i = 0; i < 40; i++) pages[i] = (7 * (40 * b + i) + 3) % 160;
      if (c.page_size) assert_int_equal(attn_cache_set_pages(all, b, pages, 40), ATTN_OK);
      const attn_tokens some = {.n = length[b], .k = tokens + b, .v = tokens + 3 * b};
      assert_int_equal(attn_cache_append(all, b, &some), ATTN_OK);
    }
    if (attn_plan_create_cached(&plan, &d, all, &(attn_options){.threads = 3})) fail_msg("%s", attn_error_message());
    if (attn_run(plan, &(attn_args){.q = q, .o = o, .lse = lse, .q_starts = starts})) fail_msg("%s", attn_error_message());
    attn_plan_destroy(plan);
    c.B = 1;
    c.page_size = c.pages = 0;
    for (int b = 0; b < B; b++) {
      d = (attn_desc){.layout = ATTN_BSHD, .B = 1, .Hq = HQ, .Sq = starts[b + 1] - starts[b], .flags = ATTN_CAUSAL};
      d.lse = (attn_strides){0, ROOM, 1, 0};
      const attn_tokens some = {.n = length[b], .k = tokens + b, .v = tokens + 3 * b};
      assert_int_equal(attn_cache_create(&one, &c), ATTN_OK);
      assert_int_equal(attn_cache_append(one, 0, &some), ATTN_OK);
      assert_int_equal(attn_plan_create_cached(&plan, &d, one, NULL), ATTN_OK);
      const attn_args args = {
          .q = q + starts[b] * HQ * D, .o = expected + starts[b] * HQ * D, .lse = expected_lse + starts[b]};
      if (attn_run(plan, &args)) fail_msg("%s", attn_error_message());
      attn_plan_destroy(plan);
      attn_cache_destroy(one);
    }
    assert_memory_equal(o, expected, sizeof o);
    assert_memory_equal(lse, expected_lse, sizeof lse);
    attn_cache_destroy(all);
  }
  free(q), free(tokens);
}

/* Sizes of 0: rows without keys are zeros or nothing, with LSE = -inf. */
static void nothing_to_see(void **state)
{
  (void)state;
  static const int64_t q_starts[] = {1, 3, 3, 4}, none[] = {0, 0, 0, 0};
  float q[64] = {0}, o[5 * 2 * 4], lse[10];
  for (int dv = 0; dv <= 4; dv += 4) {
    const attn_desc d = {.layout = ATTN_BSHD,
                         .B = 3,
                         .Hq = 2,
                         .Hkv = 1,
                         .Sq = 5,
                         .Dqk = 4,
                         .Dv = dv,
                         .flags = ATTN_Q_STARTS | ATTN_KV_STARTS};
    for (int i = 0; i < 40; i++) o[i] = 7;
    for (int i = 0; i < 10; i++) lse[i] = 7;
    const attn_args args = {.q = q, .o = o, .lse = lse, .q_starts = q_starts, .kv_starts = none};
    if (attn_forward(&d, NULL, &args)) fail_msg("%s", attn_error_message());
    for (int i = 0; i < 40; i++) assert_true(o[i] == (dv && i / 8 >= 1 && i / 8 < 4 ? 0 : 7));
    for (int i = 0; i < 10; i++) assert_true(lse[i] == (i % 5 >= 1 && i % 5 < 4 ? -INFINITY : 7));
  }
  attn_desc d = {.layout = ATTN_BSHD, .Hq = 2, .Hkv = 1, .Sq = 5, .Skv = 3, .Dqk = 4, .Dv = 4, .flags = ATTN_Q_STARTS};
  for (int i = 0; i < 40; i++) o[i] = 7;
  assert_int_equal(attn_forward(&d, NULL, &(attn_args){.q = q, .o = o, .q_starts = none}), ATTN_OK); /* no sequence */
  d.B = 3;
  d.flags |= ATTN_KV_STARTS;
  const attn_args empty = {.q = q, .k = q, .v = q, .o = o, .q_starts = none, .kv_starts = none};
  assert_int_equal(attn_forward(&d, NULL, &empty), ATTN_OK); /* three without a query */
  for (int i = 0; i < 40; i++) assert_true(o[i] == 7);
}

/* Heads of no elements: their tensors are NULL, and strides of nothing may be anything. */
static void nothing_to_multiply(void **state)
{
  (void)state;
  static const int64_t q_starts[] = {0, 1, 2}, kv_starts[] = {0, 1, 3};
  static const float v[] = {1, 2, 4};
  attn_desc d = {.B = 2, .Hq = 1, .Hkv = 1, .Sq = 2, .Skv = 3, .Dv = 1, .flags = ATTN_Q_STARTS | ATTN_KV_STARTS};
  d.q = d.k = (attn_strides){0, 0, INT64_MAX, 1};
  float o[2] = {0}, lse[2] = {9, 9};
  attn_args args = {.v = v, .o = o, .q_starts = q_starts, .kv_starts = kv_starts};
  assert_int_equal(attn_forward(&d, NULL, &args), ATTN_OK);
  assert_true(fabsf(o[0] - 1) < 1e-6f && fabsf(o[1] - 3) < 1e-6f); /* the means of the keys' values */
  d.v = d.o = d.q;
  d.Dv = 0;
  args = (attn_args){.lse = lse, .q_starts = q_starts, .kv_starts = kv_starts};
  assert_int_equal(attn_forward(&d, NULL, &args), ATTN_OK);
  assert_true(fabsf(lse[0]) < 1e-6f && fabsf(lse[1] - logf(2)) < 1e-6f);
}

static void refused(attn_status got, attn_status expected, const char *field, const char *value)
{
  if (got != expected) fail_msg("%s instead of %s (%s)", attn_status_name(got), attn_status_name(expected), field);
  assert_mentions(field);
  assert_mentions(value);
}

static void refusals(void **state)
{
  (void)state;
  attn_desc d = small_desc();
  d.Sq = 12;
  d.Skv = 20;
  struct buffers b = make_buffers(&d);
  d.flags = ATTN_Q_STARTS | ATTN_KV_STARTS | ATTN_KV_LENGTHS;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "ATTN_KV_STARTS", "ATTN_KV_LENGTHS");
  d.flags = ATTN_Q_STARTS;
  d.mask.kind = ATTN_MASK_BOOL;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "mask.kind = 1", "ATTN_Q_STARTS");
  d.mask.kind = ATTN_MASK_NONE;
  d.flags = ATTN_KV_STARTS;
  d.blocks = (attn_block_mask){.queries = 4, .keys = 4};
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "blocks of 4", "ATTN_KV_STARTS");
  d.blocks = (attn_block_mask){0};
  d.B = INT64_C(1) << 40;
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "B = 1099511627776", "ATTN_KV_STARTS");
  d.B = 2;
  d.flags = ATTN_Q_STARTS | ATTN_KV_STARTS;
  const attn_score_block block = {ATTN_SCORE_RAW};
  refused(attn_scores(&d, NULL, &b.args, &block, b.o), ATTN_ERR_INVALID, "ATTN_Q_STARTS", "scores");
  attn_plan *plan;
  assert_int_equal(attn_plan_create(&plan, &d, NULL), ATTN_OK);
  int64_t good[] = {0, 5, 12}, *const starts[] = {(int64_t[]){0, 13, 13}, (int64_t[]){-1, 5, 12}, (int64_t[]){0, 6, 5}},
          beyond[] = {0, 21, 21};
  static const char *const names[] = {"starts[1] = 13", "starts[0] = -1", "starts[2] = 5"};
  memset(b.o, 0x33, b.o_floats * sizeof *b.o);
  for (int i = 0; i < 6; i++) {
    attn_args args = b.args;
    args.q_starts = i < 3 ? starts[i] : good;
    args.kv_starts = i < 3 ? good : i == 3 ? beyond : starts[i - 3];
    refused(attn_run(plan, &args), ATTN_ERR_INVALID, i < 3 ? "q_starts" : "kv_starts",
            i == 3 ? "starts[1] = 21" : names[i % 3]);
  }
  attn_args args = b.args;
  args.kv_starts = good;
  refused(attn_run(plan, &args), ATTN_ERR_INVALID, "q_starts is NULL", "24 bytes");
  args.q_starts = good;
  args.kv_starts = NULL;
  refused(attn_run(plan, &args), ATTN_ERR_INVALID, "kv_starts is NULL", NULL);
  args.kv_starts = (const int64_t *)b.o;
  refused(attn_run(plan, &args), ATTN_ERR_ALIAS, "overlaps kv_starts", NULL);
  for (size_t i = 0; i < b.o_floats; i++) assert_memory_equal(&b.o[i], "3333", 4);
  attn_plan_destroy(plan);
  const attn_cache_desc c = {.B = 2, .Hkv = 2, .Dqk = 8, .Dv = 6, .capacity = 9};
  attn_cache *cache;
  assert_int_equal(attn_cache_create(&cache, &c), ATTN_OK);
  d.Skv = 0;
  refused(attn_plan_create_cached(&plan, &d, cache, NULL), ATTN_ERR_INVALID, "ATTN_KV_STARTS", "cache");
  attn_cache_destroy(cache);
  attn_layer *layer;
  const attn_layer_desc l = {.attention = d, .query_width = 8};
  refused(attn_layer_create(&layer, &l, &(attn_layer_weights){0}, NULL), ATTN_ERR_INVALID, "ATTN_Q_STARTS", "layer");
  free_buffers(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_as_if_alone), cmocka_unit_test(long_beside_short), cmocka_unit_test(the_most_parts),
      cmocka_unit_test(over_a_cache),     cmocka_unit_test(nothing_to_see),    cmocka_unit_test(nothing_to_multiply),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
