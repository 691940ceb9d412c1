/* Rotary embedding: frequencies of every scaling against their formulas, every kernel's fused turning against the oracle in
 * float64, appending to a cache, what is refused. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>

enum { DIMS = 64, PAIRS = DIMS / 2 };
static const double pi = 3.14159265358979323846;

static const attn_rope_desc ropes[] = {
    {.dims = DIMS},
    {.dims = DIMS, .base = 500000, .scaling = ATTN_ROPE_LINEAR, .factor = 4},
    {.dims = DIMS, .scaling = ATTN_ROPE_DYNAMIC, .factor = 2, .context = 2048, .length = 6000},
    {.dims = DIMS, .scaling = ATTN_ROPE_YARN, .factor = 16, .context = 4096},
    {.dims = DIMS, .base = 500000, .scaling = ATTN_ROPE_LLAMA3, .factor = 8, .context = 8192},
};
enum { ROPES = sizeof ropes / sizeof *ropes };

/* Written anew from the papers and the models' published code. */
static double wanted_frequency(const attn_rope_desc *d, int i)
{
  const double base = d->base == 0 ? 10000 : d->base, f = exp(-2.0 * i / DIMS * log(base)), turns = 8192 * f / (2 * pi);
  const double low = floor(DIMS * log(4096 / (32 * 2 * pi)) / (2 * log(base))),
               high = ceil(DIMS * log(4096 / (2 * pi)) / (2 * log(base)));
  switch (d->scaling) {
  case ATTN_ROPE_LINEAR: return f / 4;
  case ATTN_ROPE_DYNAMIC: return exp(-2.0 * i / DIMS * log(base * pow(2 * 6000 / 2048.0 - 1, DIMS / (DIMS - 2.0))));
  case ATTN_ROPE_YARN: {
    const double ramp = fmin(1, fmax(0, (i - low) / (high - low)));
    return f * (1 - ramp) + f / 16 * ramp;
  }
  case ATTN_ROPE_LLAMA3: {
    const double smooth = (turns - 1) / 3;
    return turns > 4 ? f : turns < 1 ? f / 8 : (1 - smooth) * f / 8 + smooth * f;
  }
  default: return f;
  }
}

static attn_rope *make(const attn_rope_desc *d)
{
  attn_rope *rope;
  if (attn_rope_create(&rope, d)) fail_msg("%s", attn_error_message());
  return rope;
}

static void frequencies_and_angles_follow_the_formulas(void **state)
{
  (void)state;
  static const int64_t positions[] = {0, 1, 77, 1023, 1024, 131071, 1048575, -1, -5000};
  for (int n = 0; n < ROPES; n++)
    for (int pairing = 0; pairing < 2; pairing++) {
      attn_rope_desc d = ropes[n];
      d.pairing = (attn_rope_pairing)pairing;
      attn_rope *rope = make(&d);
      const double magnitude = d.scaling == ATTN_ROPE_YARN ? 0.1 * log(16) + 1 : 1;
      for (size_t at = 0; at < sizeof positions / sizeof *positions; at++) {
        float *x = pattern(DIMS + 3, 1), *y = pattern(DIMS + 3, 1);
        assert_int_equal(attn_rope_apply(rope, ATTN_F32, y, 1, 1, DIMS + 3, (attn_strides){0}, positions[at]), ATTN_OK);
        for (int i = 0; i < PAIRS; i++) {
          const int a = pairing ? 2 * i : i, b = pairing ? 2 * i + 1 : i + PAIRS;
          const double angle = (double)positions[at] * wanted_frequency(&d, i), c = cos(angle), s = sin(angle);
          assert_true(fabs((double)y[a] - magnitude * ((double)x[a] * c - (double)x[b] * s)) < 5e-7);
          assert_true(fabs((double)y[b] - magnitude * ((double)x[b] * c + (double)x[a] * s)) < 5e-7);
        }
        assert_memory_equal(x + DIMS, y + DIMS, 3 * sizeof *x); /* beyond dims nothing turns */
        free(x);
        free(y);
      }
      attn_rope_destroy(rope);
    }
}

/* Of one head only the stride of heads may be 0: only where all three are do the rows lie one after another. */
static void rows_lie_as_the_strides_say(void **state)
{
  (void)state;
  enum { N = 3, STEP = DIMS + 5, FIRST = 7 };
  attn_rope *rope = make(&ropes[0]);
  float *apart = pattern(N * STEP, 1), *wanted = pattern(N * STEP, 1);
  for (int64_t n = 0; n < N; n++)
    assert_int_equal(attn_rope_apply(rope, ATTN_F32, wanted + n * STEP, 1, 1, DIMS, (attn_strides){0}, FIRST + n), ATTN_OK);
  assert_int_equal(attn_rope_apply(rope, ATTN_F32, apart, 1, N, DIMS, (attn_strides){0, 0, STEP, 1}, FIRST), ATTN_OK);
  assert_memory_equal(wanted, apart, N * STEP * sizeof *wanted);
  attn_rope_destroy(rope);
  free(apart);
  free(wanted);
}

static int check(const struct attn_kernel *kernel, const attn_rope *rope, int64_t queries)
{
  enum { KEYS = 70, D = DIMS + 5, DV = 20, HQ = 4, HKV = 2, B = 2 };
  static const int64_t lengths[B] = {70, 33};
  const attn_desc d = {.dtype = kernel->dtype,
                       .B = B,
                       .Hq = HQ,
                       .Hkv = HKV,
                       .Sq = queries,
                       .Skv = KEYS,
                       .Dqk = D,
                       .Dv = DV,
                       .flags = ATTN_CAUSAL | ATTN_KV_LENGTHS,
                       .causal_offset = 3,
                       .rope = rope};
  const double most = d.dtype == ATTN_F32 ? 5e-6 : d.dtype == ATTN_F16 ? 1e-3 : 8e-3;
  const attn_options options = {.threads = 1, .kernel = kernel->name};
  struct attn_problem p;
  attn_plan *plan;
  if (attn_problem_resolve(&p, &d)) fail_msg("%s", attn_error_message());
  const attn_status status = attn_plan_create(&plan, &d, &options);
  if (status == ATTN_ERR_UNSUPPORTED) return 0;
  if (status) fail_msg("%s", attn_error_message());
  struct buffers b = make_buffers(&d); /* f32 patterns, converted in place: no type is larger */
  const struct {
    float *x;
    int64_t n;
  } in[] = {{b.q, B * HQ * queries * D}, {b.k, B * HKV * KEYS * D}, {b.v, B * HKV * KEYS * DV}};
  for (int t = 0; t < 3; t++)
    for (int64_t i = 0; i < in[t].n; i++) {
      const float x = in[t].x[i];
      attn_element_put(d.dtype, in[t].x, i, x);
    }
  b.args.kv_lengths = lengths;
  if (attn_run(plan, &b.args)) fail_msg("%s", attn_error_message());
  attn_plan_destroy(plan);
  double row[DV], lse, scores[KEYS];
  for (int64_t n = 0; n < B * HQ * queries; n++) {
    attn_oracle_row(&p, &b.args, n / queries / HQ, n / queries % HQ, n % queries, row, &lse, scores);
    for (int64_t e = 0; e < DV; e++) {
      const double got = (double)attn_element_get(d.dtype, b.o, n * DV + e);
      if (!(fabs(got - row[e]) <= most)) fail_msg("%s, row %d: %.9g instead of %.9g", kernel->name, (int)n, got, row[e]);
    }
  }
  free_buffers(&b);
  return 1;
}

static void every_kernel_turns_its_queries(void **state)
{
  (void)state;
  int checked = 0;
  for (int n = 0; n < ROPES; n++)
    for (int pairing = 0; pairing < 2; pairing++) {
      attn_rope_desc desc = ropes[n];
      desc.pairing = (attn_rope_pairing)pairing;
      attn_rope *rope = make(&desc);
      for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
        if ((*k)->dtype != ATTN_I8) checked += check(*k, rope, 1) + check(*k, rope, 15);
      attn_rope_destroy(rope);
    }
  print_message("%d kernels, ropes and phases\n", checked);
  assert_true(checked > 50);
}

static void a_cache_turns_what_is_appended(void **state)
{
  (void)state;
  enum { N = 9, H = 2 };
  attn_rope *rope = make(&ropes[3]);
  float *k = pattern(N * H * DIMS, 1), *v = pattern(N * H * DIMS, 2), *turned = pattern(N * H * DIMS, 1);
  const attn_strides stride = {0, DIMS, H * DIMS, 1};
  attn_cache *cache;
  attn_cache_view view;
  assert_int_equal(attn_cache_create(&cache, &(attn_cache_desc){.B = 1, .Hkv = H, .Dqk = DIMS, .Dv = DIMS, .capacity = N}),
                   0);
  for (int at = 0; at < N; at += 3) { /* three at a time */
    const attn_tokens t = {.n = 3, .k = k + at * H * DIMS, .v = v + at * H * DIMS, .rope = rope};
    assert_int_equal(attn_cache_append(cache, 0, &t), ATTN_OK);
  }
  assert_int_equal(attn_rope_apply(rope, ATTN_F32, turned, H, N, DIMS, stride, 0), ATTN_OK);
  assert_int_equal(attn_cache_look(cache, 0, &view), ATTN_OK);
  for (int j = 0; j < N; j++)
    for (int h = 0; h < H; h++)
      for (int d = 0; d < DIMS; d++) /* nine keys stand in one block */
        assert_memory_equal((const float *)view.k + h * view.k_stride.h + j + d * view.k_stride.d,
                            turned + (j * H + h) * DIMS + d, sizeof *k);
  attn_cache_destroy(cache);
  attn_rope_destroy(rope);
  free(k);
  free(v);
  free(turned);
}

static void refuses(attn_rope_desc d, const char *field)
{
  attn_rope *rope = (attn_rope *)1;
  assert_int_equal(attn_rope_create(&rope, &d), ATTN_ERR_INVALID);
  assert_null(rope);
  assert_mentions(field);
}

static void bad_ropes_are_refused(void **state)
{
  (void)state;
  refuses((attn_rope_desc){.dims = 7}, "dims = 7");
  refuses((attn_rope_desc){.dims = 8, .base = -2}, "base");
  refuses((attn_rope_desc){.dims = 8, .scaling = ATTN_ROPE_LINEAR}, "factor = 0");
  refuses((attn_rope_desc){.dims = 8, .scaling = ATTN_ROPE_YARN, .factor = 2}, "context = 0");
  refuses((attn_rope_desc){.dims = 8, .scaling = ATTN_ROPE_LLAMA3, .factor = 2, .context = 9, .low_freq_factor = 5},
          "low_freq");
  refuses((attn_rope_desc){.dims = (1 << 16) + 2}, "dims = 65538");
  attn_rope_destroy(make(&(attn_rope_desc){.dims = 1 << 16}));
  attn_rope *rope = make(&ropes[0]);
  attn_desc d = small_desc();
  d.rope = rope;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "rope", "64");
  d.Dqk = DIMS;
  d.causal_offset = ATTN_ROPE_POSITIONS / 2;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "causal_offset = 524288", NULL);
  float x[DIMS];
  assert_int_equal(attn_rope_apply(rope, ATTN_F32, x, 1, 2, DIMS, (attn_strides){0}, ATTN_ROPE_POSITIONS - 1),
                   ATTN_ERR_INVALID);
  attn_rope_destroy(rope);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(frequencies_and_angles_follow_the_formulas),
      cmocka_unit_test(rows_lie_as_the_strides_say),
      cmocka_unit_test(every_kernel_turns_its_queries),
      cmocka_unit_test(a_cache_turns_what_is_appended),
      cmocka_unit_test(bad_ropes_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
