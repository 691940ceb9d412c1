/* Masks made: block patterns against their definition, trees of speculative tokens against their paths; K and V in one
 * buffer (latent attention: 576 and 512). */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>

static bool bit(const uint8_t *bitmap, int64_t row, int64_t y, int64_t x) { return bitmap[y * row + x / 8] >> x % 8 & 1; }

static void patterns_follow_their_definition(void **state)
{
  (void)state;
  static const attn_block_pattern patterns[] = {
      {0}, {.local = 1}, {.local = 3}, {.stride = 4}, {.global_keys = 2}, {.global_queries = 1}, {2, 5, 1, 1}};
  static const attn_desc descs[] = {{.Sq = 100, .Skv = 300, .blocks = {.queries = 16, .keys = 16}},
                                    {.Sq = 64, .Skv = 64, .blocks = {.queries = 64, .keys = 8}},
                                    {.Sq = 1, .Skv = 257, .blocks = {.queries = 1, .keys = 32}},
                                    {.Sq = 90, .Skv = 40, .causal_offset = -7, .blocks = {.queries = 7, .keys = 5}}};
  for (size_t n = 0; n < sizeof descs / sizeof *descs; n++)
    for (size_t w = 0; w < sizeof patterns / sizeof *patterns; w++) {
      const attn_desc *d = &descs[n];
      const attn_block_pattern *p = &patterns[w];
      const int64_t keys = d->blocks.keys, across = (d->Skv + keys - 1) / keys, row = (across + 7) / 8;
      const size_t bytes = attn_block_mask_bytes(d);
      uint8_t *bitmap = malloc(bytes);
      assert_int_equal(bytes, row * ((d->Sq + d->blocks.queries - 1) / d->blocks.queries));
      if (attn_block_mask_build(bitmap, bytes, d, p)) fail_msg("%s", attn_error_message());
      for (int64_t y = 0; y * d->blocks.queries < d->Sq; y++)
        for (int64_t x = 0; x < across; x++) {
          bool wanted = x < p->global_keys || y < p->global_queries || (p->stride && (x + 1) % p->stride == 0);
          for (int64_t i = y * d->blocks.queries; i < (y + 1) * d->blocks.queries && i < d->Sq; i++) {
            const double position = (double)(i + d->Skv - d->Sq + d->causal_offset), own = floor(position / (double)keys);
            wanted |= p->local > 0 && fabs((double)x - own) < (double)p->local;
          }
          if (bit(bitmap, row, y, x) != wanted) fail_msg("desc %zu, pattern %zu: block %d, %d", n, w, (int)y, (int)x);
        }
      assert_int_equal(attn_block_mask_set(bitmap, bytes, d, 0, across - 1, 0), ATTN_OK);
      assert_false(bit(bitmap, row, 0, across - 1));
      assert_int_equal(attn_block_mask_set(bitmap, bytes, d, 0, across, 1), ATTN_ERR_INVALID);
      assert_int_equal(attn_block_mask_build(bitmap, bytes - 1, d, p), ATTN_ERR_INVALID);
      free(bitmap);
    }
}

/* Each token of the tree gets what it would get behind the prefix and its own ancestors alone. */
static void a_tree_is_its_paths(void **state)
{
  (void)state;
  enum { PREFIX = 83, N = 9, SKV = PREFIX + N, ROW = SKV + 4, D = 16 };
  static const int32_t parent[N] = {-1, 0, 0, 1, 1, 2, -1, 6, 5}, wrong[2] = {-1, 1};
  uint8_t mask[N * ROW];
  assert_int_equal(attn_tree_mask(mask, ROW, wrong, 2, PREFIX), ATTN_ERR_INVALID);
  assert_mentions("parent[1] = 1");
  assert_int_equal(attn_tree_mask(mask, ROW, parent, N, PREFIX), ATTN_OK);
  const attn_desc d = {.B = 1,
                       .Hq = 2,
                       .Hkv = 1,
                       .Sq = N,
                       .Skv = SKV,
                       .Dqk = D,
                       .Dv = D,
                       .mask = {.kind = ATTN_MASK_BOOL, .stride = {0, 0, ROW, 1}}};
  struct buffers b = make_buffers(&d);
  b.args.mask = mask;
  if (attn_forward(&d, NULL, &b.args)) fail_msg("%s", attn_error_message());
  for (int i = 0; i < N; i++) {
    float k[SKV * D], v[SKV * D], o[2 * D], q[2 * D];
    int64_t keys = PREFIX;
    memcpy(k, b.k, sizeof(float) * PREFIX * D);
    memcpy(v, b.v, sizeof(float) * PREFIX * D);
    for (int at = i; at >= 0; at = parent[at], keys++) {
      memcpy(k + keys * D, b.k + (PREFIX + at) * D, sizeof(float) * D);
      memcpy(v + keys * D, b.v + (PREFIX + at) * D, sizeof(float) * D);
    }
    for (int h = 0; h < 2; h++) memcpy(q + h * D, b.q + (h * N + i) * D, sizeof(float) * D);
    const attn_desc alone = {.B = 1, .Hq = 2, .Hkv = 1, .Sq = 1, .Skv = keys, .Dqk = D, .Dv = D};
    if (attn_forward(&alone, NULL, &(attn_args){.q = q, .k = k, .v = v, .o = o})) fail_msg("%s", attn_error_message());
    for (int h = 0; h < 2; h++)
      for (int e = 0; e < D; e++) assert_true(fabsf(o[h * D + e] - b.o[(h * N + i) * D + e]) < 2e-6f);
  }
  free_buffers(&b);
}

/* Values are the first 512 elements of the keys' 576, as in the absorbed form of latent attention. */
static void keys_and_values_may_share_a_buffer(void **state)
{
  (void)state;
  enum { KEYS = 97, DQK = 576, DV = 512, HQ = 4 };
  int checked = 0;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    for (int queries = 1; queries <= 6; queries += 5) {
      const attn_dtype dtype = (*k)->dtype;
      if (dtype == ATTN_I8) continue;
      const attn_desc d = {.dtype = dtype,
                           .B = 1,
                           .Hq = HQ,
                           .Hkv = 1,
                           .Sq = queries,
                           .Skv = KEYS,
                           .Dqk = DQK,
                           .Dv = DV,
                           .flags = ATTN_CAUSAL,
                           .v = {KEYS * DQK, KEYS * DQK, DQK, 1}};
      struct attn_problem p;
      if (attn_problem_resolve(&p, &d)) fail_msg("%s", attn_error_message());
      struct buffers b = make_buffers(&d);
      for (int64_t i = 0; i < HQ * queries * DQK; i++) attn_element_put(dtype, b.q, i, b.q[i]);
      for (int64_t i = 0; i < KEYS * DQK; i++) attn_element_put(dtype, b.k, i, b.k[i]);
      b.args.v = b.k;
      const attn_status status = attn_forward(&d, &(attn_options){.kernel = (*k)->name}, &b.args);
      if (status && status != ATTN_ERR_UNSUPPORTED) fail_msg("%s", attn_error_message());
      const double most = dtype == ATTN_F32 ? 2e-6 : dtype == ATTN_F16 ? 1e-3 : 8e-3;
      double row[DV], lse, scores[KEYS];
      for (int64_t n = 0; n < HQ * queries && !status; n++) {
        attn_oracle_row(&p, &b.args, 0, n / queries, n % queries, row, &lse, scores);
        for (int64_t e = 0; e < DV; e++)
          assert_true(fabs((double)attn_element_get(dtype, b.o, n * DV + e) - row[e]) <= most);
      }
      checked += !status;
      free_buffers(&b);
    }
  print_message("%d kernels and phases\n", checked);
  assert_true(checked > 6);
}

/* Position 0 belongs to the first block, positions before it to none. */
static void a_block_that_ends_at_position_0(void **state)
{
  (void)state;
  const attn_block_pattern local = {.local = 1};
  attn_desc d = {.Sq = 4, .Skv = 8, .blocks = {.queries = 4, .keys = 4}};
  for (int before = 0; before < 2; before++) {
    uint8_t bitmap = 0xff;
    d.causal_offset = -(3 + d.Skv - d.Sq) - before; /* where the last query stands: 0 or -1 */
    assert_int_equal(attn_block_mask_build(&bitmap, 1, &d, &local), ATTN_OK);
    assert_int_equal(bitmap & 3, before ? 0 : 1);
  }
}

static void blocks_that_do_not_exist(void **state)
{
  (void)state;
  const attn_desc d = {.Sq = 7, .Skv = 9, .blocks = {.queries = 4, .keys = 4}};
  static const int64_t none[][2] = {{-1, 0}, {2, 0}, {0, -1}, {0, 3}, {INT64_MIN, 0}, {0, INT64_MAX}};
  uint8_t bitmap[2] = {0};
  assert_int_equal(attn_block_mask_set(bitmap, 2, &d, 1, 2, 1), ATTN_OK);
  assert_int_equal(bitmap[1], 4);
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
    assert_int_equal(attn_block_mask_set(bitmap, 2, &d, none[i][0], none[i][1], 1), ATTN_ERR_INVALID);
    assert_mentions("is not one of the 2 x 3");
  }
  assert_int_equal(bitmap[0], 0);
  assert_int_equal(bitmap[1], 4);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_block_that_ends_at_position_0),
      cmocka_unit_test(patterns_follow_their_definition),
      cmocka_unit_test(a_tree_is_its_paths),
      cmocka_unit_test(blocks_that_do_not_exist),
      cmocka_unit_test(keys_and_values_may_share_a_buffer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
