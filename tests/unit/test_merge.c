/* attn_merge(): keys split at random and merged are attended to as a whole; what hides a part; what is refused. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>
#include <stdio.h>

enum { MOST_PARTS = 5 };

/* The largest difference from the oracle, relative to the largest |o| of a part; of LSE, absolute. */
struct error {
  double o, lse;
};
static struct error compare(const attn_desc *d, const attn_args *args, const void *o, const float *lse, double largest)
{
  struct attn_problem p;
  struct error error = {0, 0};
  assert_int_equal(attn_problem_resolve(&p, d), ATTN_OK);
  double *row = malloc(sizeof *row * (size_t)(d->Dv + d->Skv + 1)), expected;
  assert_non_null(row);
  for (int64_t r = 0; r < d->B * d->Hq * d->Sq; r++) {
    attn_oracle_row(&p, args, r / d->Sq / d->Hq, r / d->Sq % d->Hq, r % d->Sq, row, &expected, row + d->Dv);
    for (int64_t e = 0; e < d->Dv; e++) {
      const double off = fabs((double)attn_element_get(d->dtype, o, r * d->Dv + e) - row[e]);
      if (!(off <= error.o)) error.o = off;
    }
    if (expected == -INFINITY)
      assert_true(lse[r] == -INFINITY);
    else if (!(fabs((double)lse[r] - expected) <= error.lse))
      error.lse = fabs((double)lse[r] - expected);
  }
  free(row);
  if (largest > 0) error.o /= largest;
  return error;
}

/* Keys cut at random places, where parts may be empty, attended to part by part. */
static void split_and_merge(int turn, struct error *worst)
{
  attn_desc d = {.dtype = (attn_dtype)(turn % 3), .B = 1 + draw(2), .Hkv = 1 + draw(2), .Sq = 1 + draw(20)};
  d.Hq = d.Hkv * (1 + draw(3));
  d.Skv = draw(200);
  d.Dqk = 1 + draw(40);
  d.Dv = 1 + draw(150);
  if (turn % 2) d.flags |= ATTN_CAUSAL, d.causal_offset = draw(30) - 15;
  if (turn % 5 == 0) d.flags |= ATTN_SINKS;
  const float sinks[6] = {0.5f, -1, -INFINITY, 2, 0, 1};
  const int64_t rows = d.B * d.Hq * d.Sq, n = 1 + draw(MOST_PARTS);
  const attn_args args = {.q = converted(d.dtype, (size_t)(rows * d.Dqk), (unsigned)turn),
                          .k = converted(d.dtype, (size_t)(d.B * d.Hkv * d.Skv * d.Dqk), (unsigned)turn + 1),
                          .v = converted(d.dtype, (size_t)(d.B * d.Hkv * d.Skv * d.Dv), (unsigned)turn + 2),
                          .sinks = sinks};
  attn_part part[MOST_PARTS];
  double largest = 0;
  for (int64_t i = 0, from = 0; i < n; i++) {
    const int64_t to = i + 1 == n ? d.Skv : from + draw(d.Skv - from + 1);
    attn_desc some = d;
    some.Skv = to - from;
    some.causal_offset += d.Skv - to; /* positions count from the part's own end */
    some.k = (attn_strides){d.Hkv * d.Skv * d.Dqk, d.Skv * d.Dqk, d.Dqk, 1};
    some.v = (attn_strides){d.Hkv * d.Skv * d.Dv, d.Skv * d.Dv, d.Dv, 1};
    if (i) some.flags &= ~(unsigned)ATTN_SINKS;
    part[i] = (attn_part){.dtype = d.dtype, .o = pattern((size_t)(rows * d.Dv), 5), .lse = pattern((size_t)rows, 6)};
    attn_args these = args;
    these.k = at(args.k, d.dtype, from * d.Dqk);
    these.v = at(args.v, d.dtype, from * d.Dv);
    these.o = (void *)part[i].o;
    these.lse = (float *)part[i].lse;
    if (attn_forward(&some, NULL, &these)) fail_msg("%s", attn_error_message());
    for (int64_t e = 0; e < rows * d.Dv; e++)
      largest = fmax(largest, fabs((double)attn_element_get(d.dtype, part[i].o, e)));
    from = to;
  }
  const attn_merge_desc m = {.dtype = d.dtype, .B = d.B, .Hq = d.Hq, .Sq = d.Sq, .Dv = d.Dv};
  void *o = pattern((size_t)(rows * d.Dv), 7);
  float *lse = pattern((size_t)rows, 8);
  if (attn_merge(&m, part, n, o, lse, &(attn_options){.threads = 3})) fail_msg("%s", attn_error_message());
  const struct error error = compare(&d, &args, o, lse, largest);
  if (!(error.o <= worst[d.dtype].o)) worst[d.dtype].o = error.o;
  if (!(error.lse <= worst[d.dtype].lse)) worst[d.dtype].lse = error.lse;
  void *const own_o = (void *)part[n / 2].o; /* in place, by one thread: the same bits */
  float *const own_lse = (float *)part[n / 2].lse;
  assert_int_equal(attn_merge(&m, part, n, own_o, own_lse, &(attn_options){.threads = 1}), ATTN_OK);
  assert_memory_equal(own_o, o, (size_t)(rows * d.Dv) * attn_element_bytes(d.dtype));
  assert_memory_equal(own_lse, lse, (size_t)rows * sizeof *lse);
  for (int64_t i = 0; i < n; i++) free((void *)part[i].o), free((void *)part[i].lse);
  free((void *)args.q), free((void *)args.k), free((void *)args.v), free(o), free(lse);
}

static void parts_make_the_whole(void **state)
{
  (void)state;
  static const double rounding[] = {0, 0x1p-11, 0x1p-8}; /* of the part, and again of the merged output */
  struct error worst[3] = {{0, 0}};
  for (int turn = 0; turn < 300; turn++) split_and_merge(turn, worst);
  for (int t = 0; t < 3; t++) {
    print_message("dtype %d: error of O %.2g of the parts' largest, of LSE %.2g\n", t, worst[t].o, worst[t].lse);
    if (!(worst[t].o <= 4e-6 + 2 * rounding[t])) fail_msg("O of dtype %d: %g", t, worst[t].o);
    if (!(worst[t].lse <= 4e-6)) fail_msg("LSE of dtype %d: %g", t, worst[t].lse);
    assert_true(worst[t].o > 0); /* else nothing was compared */
  }
}

static const attn_merge_desc row4 = {.B = 1, .Hq = 1, .Sq = 1, .Dv = 4};

static void hidden_and_not_a_number(void **state)
{
  (void)state;
  const float a[4] = {1, -2, 3, 0x1p-149f}, b[4] = {5, 6, 7, 8}, bad[4] = {NAN, INFINITY, -INFINITY, 1};
  const float lse[] = {-3.25f, -INFINITY, NAN, INFINITY, 600, 700};
  float o[4], out;
  const attn_part seen = {.o = a, .lse = &lse[0]}, unseen = {.o = bad, .lse = &lse[1]};
  assert_int_equal(attn_merge(&row4, (attn_part[]){unseen, seen, unseen}, 3, o, &out, NULL), ATTN_OK);
  assert_memory_equal(o, a, sizeof o); /* what one part saw comes back as it was */
  assert_true(out == lse[0]);
  for (int parts = 0; parts < 3; parts++) {
    memset(o, 0x55, sizeof o);
    assert_int_equal(attn_merge(&row4, (attn_part[]){unseen, unseen}, parts, o, &out, NULL), ATTN_OK);
    for (int d = 0; d < 4; d++) assert_true(o[d] == 0);
    assert_true(out == -INFINITY);
  }
  for (int x = 2; x < 4; x++)
    for (int order = 0; order < 2; order++) {
      const attn_part other = {.o = b, .lse = &lse[x]};
      assert_int_equal(attn_merge(&row4, (attn_part[]){order ? seen : other, order ? other : seen}, 2, o, &out, NULL),
                       ATTN_OK);
      for (int d = 0; d < 4; d++) assert_true(isnan(o[d]));
      assert_true(isnan(out));
    }
  const attn_part broken = {.o = bad, .lse = &lse[0]}, plain = {.o = b, .lse = &lse[0]};
  assert_int_equal(attn_merge(&row4, (attn_part[]){plain, broken}, 2, o, &out, NULL), ATTN_OK);
  assert_true(isnan(o[0]) && o[1] == INFINITY && o[2] == -INFINITY && fabsf(o[3] - 4.5f) < 1e-6f);
  assert_true(fabsf(out - (lse[0] + logf(2))) < 1e-6f);
  /* exp(700) is far beyond f32, exp(100) is the ratio */
  assert_int_equal(attn_merge(&row4, (attn_part[]){{.o = a, .lse = &lse[4]}, {.o = b, .lse = &lse[5]}}, 2, o, &out, NULL),
                   ATTN_OK);
  assert_memory_equal(o, b, sizeof o);
  assert_true(out == 700);
}

/* Parts of every type and layout, one that is broadcast over the batch, into a strided f16 output. */
static void strides_and_types(void **state)
{
  (void)state;
  enum { B = 3, H = 2, S = 5, D = 70 };
  float *o = pattern(B * S * H * D, 1), *lse = pattern(B * H * S, 2), *shared_lse = pattern(H * S, 4);
  uint16_t *shared = converted(ATTN_BF16, H * S * D, 3), merged[B * H * S * (D + 1)];
  float out[B * S * H];
  memset(merged, 0x7e, sizeof merged); /* NaN */
  const attn_merge_desc m = {.dtype = ATTN_F16,
                             .layout = ATTN_BSHD,
                             .B = B,
                             .Hq = H,
                             .Sq = S,
                             .Dv = D,
                             .o = {H * S * (D + 1), S * (D + 1), D + 1, 1},
                             .lse = {S * H, 1, H, 0}};
  const attn_part part[] = {
      {.dtype = ATTN_F32, .o = o, .lse = lse},
      {.dtype = ATTN_BF16, .o = shared, .lse = shared_lse, .o_stride = {0, S * D, D, 1}, .lse_stride = {0, S, 1, 0}}};
  if (attn_merge(&m, part, 2, merged, out, NULL)) fail_msg("%s", attn_error_message());
  for (int b = 0; b < B; b++)
    for (int h = 0; h < H; h++)
      for (int i = 0; i < S; i++) {
        const double x = (double)lse[(b * H + h) * S + i], y = (double)shared_lse[h * S + i];
        const double w = 1 / (1 + exp(y - x));
        assert_true(fabs((double)out[(b * S + i) * H + h] - (x - log(w))) < 1e-6);
        for (int d = 0; d < D; d++) {
          const double expected = w * (double)o[((b * S + i) * H + h) * D + d] +
                                  (1 - w) * (double)attn_bf16_to_f32(shared[(h * S + i) * D + d]);
          const float got = attn_f16_to_f32(merged[((b * H + h) * S + i) * (D + 1) + d]);
          assert_true(fabs((double)got - expected) <= 0x1p-11);
        }
        assert_int_equal(merged[((b * H + h) * S + i) * (D + 1) + D], 0x7e7e); /* what lies between is not ours */
      }
  free(o), free(lse), free(shared), free(shared_lse);
}

static void many_parts(void **state)
{
  (void)state;
  enum { PARTS = 20000 };
  static attn_part part[PARTS];
  float *o = pattern(PARTS * 4, 9), *lse = pattern(PARTS, 10), merged[4], out;
  double sum = 0, expected[4] = {0};
  for (int n = 0; n < PARTS; n++) {
    part[n] = (attn_part){.o = o + 4 * n, .lse = lse + n};
    sum += exp((double)lse[n]);
    for (int d = 0; d < 4; d++) expected[d] += exp((double)lse[n]) * (double)o[4 * n + d];
  }
  assert_int_equal(attn_merge(&row4, part, PARTS, merged, &out, NULL), ATTN_OK);
  for (int d = 0; d < 4; d++) assert_true(fabs((double)merged[d] - expected[d] / sum) < 1e-7);
  assert_true(fabs((double)out - log(sum)) < 1e-6);
  free(o), free(lse);
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
  float o[8] = {7}, a[8] = {0}, b[8] = {0}, lse[8] = {0}, out[8] = {7};
  attn_merge_desc m = row4;
  attn_part part[] = {{.o = a, .lse = lse}, {.o = b, .lse = lse}};
  refused(attn_merge(NULL, part, 2, o, out, NULL), ATTN_ERR_INVALID, "desc is NULL", NULL);
  refused(attn_merge(&m, NULL, 2, o, out, NULL), ATTN_ERR_INVALID, "parts is NULL", "2");
  refused(attn_merge(&m, part, -1, o, out, NULL), ATTN_ERR_INVALID, "n = -1", NULL);
  refused(attn_merge(&m, part, 2, NULL, out, NULL), ATTN_ERR_INVALID, "o is NULL", "16 bytes");
  refused(attn_merge(&m, part, 2, o, out, &(attn_options){.threads = -1}), ATTN_ERR_INVALID, "options.threads", "-1");
  refused(attn_merge(&m, part, 2, o, out, &(attn_options){.placement = (attn_placement)4}), ATTN_ERR_INVALID,
          "options.placement", "4");
  static const char *const sizes[] = {"B = -3", "Hq = -3", "Sq = -3", "Dv = -3"};
  for (int i = 0; i < 4; i++) {
    m = row4;
    *(int64_t *[]){&m.B, &m.Hq, &m.Sq, &m.Dv}[i] = -3;
    refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, sizes[i], NULL);
    *(int64_t *[]){&m.B, &m.Hq, &m.Sq, &m.Dv}[i] = INT64_MAX / 2;
    refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_OVERFLOW, "address space", NULL);
  }
  m = row4;
  m.dtype = ATTN_I8;
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "dtype", "3");
  m = row4;
  m.layout = (attn_layout)7;
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "layout", "7");
  m = row4;
  m.o = (attn_strides){0, 0, 0, 0};
  m.Sq = 2;
  m.o.d = 1; /* both rows at one place */
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "o stride s = 0", NULL);
  m = row4;
  part[1].dtype = ATTN_I8;
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "parts[1].dtype", "3");
  part[1] = (attn_part){.lse = lse};
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "parts[1].o is NULL", "16");
  part[1] = (attn_part){.o = b};
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "parts[1].lse is NULL", "4");
  part[1] = (attn_part){.o = b, .lse = lse, .o_stride = {0, 0, 0, -1}};
  refused(attn_merge(&m, part, 2, o, out, NULL), ATTN_ERR_INVALID, "parts[1].o stride d", "-1");
  part[1] = (attn_part){.o = b, .lse = lse};
  refused(attn_merge(&m, part, 2, a + 1, out, NULL), ATTN_ERR_ALIAS, "o overlaps parts[0].o", NULL);
  refused(attn_merge(&m, part, 2, lse, out, NULL), ATTN_ERR_ALIAS, "o overlaps parts[0].lse", NULL);
  refused(attn_merge(&m, part, 2, o, b + 3, NULL), ATTN_ERR_ALIAS, "lse overlaps parts[1].o", NULL);
  refused(attn_merge(&m, part, 2, o, o + 1, NULL), ATTN_ERR_ALIAS, "o", "overlaps lse");
  m.dtype = ATTN_F16; /* elements of another size would be overwritten before they are read */
  refused(attn_merge(&m, part, 2, a, out, NULL), ATTN_ERR_ALIAS, "o overlaps parts[0].o", NULL);
  assert_true(o[0] == 7 && out[0] == 7);
  for (int i = 0; i < 3; i++) { /* nothing to write is no error, and needs no memory */
    m = row4;
    *(int64_t *[]){&m.B, &m.Hq, &m.Sq}[i] = 0;
    assert_int_equal(attn_merge(&m, part, 2, NULL, NULL, NULL), ATTN_OK);
  }
  m = row4;
  m.Dv = 0;
  lse[0] = 2;
  assert_int_equal(attn_merge(&m, part, 1, NULL, out, NULL), ATTN_OK);
  assert_true(out[0] == 2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(parts_make_the_whole),
      cmocka_unit_test(hidden_and_not_a_number),
      cmocka_unit_test(strides_and_types),
      cmocka_unit_test(many_parts),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
