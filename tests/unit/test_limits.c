/* Where numbers end: sizes near PTRDIFF_MAX, windows and offsets near INT64_MAX, nothing at all, no alignment. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"
#include "../../dispatch/quota.h"
#include "../temporary.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pair by pair, as attn.h defines what is visible. */
static double counted_flops(const attn_desc *d, const struct attn_problem *p)
{
  double pairs = 0;
  for (int64_t i = 0; i < d->Sq; i++)
    for (int64_t j = 0; j < p->mask_length; j++) {
      const int64_t c = i + (d->Skv - d->Sq) + d->causal_offset;
      const bool left = d->flags & ATTN_WINDOW_LEFT && j < c - d->window_left;
      const bool right = (d->flags & ATTN_CAUSAL && j > c) || (d->flags & ATTN_WINDOW_RIGHT && j > c + d->window_right);
      pairs += !left && !right;
    }
  return 2 * pairs * (double)(d->Dqk + d->Dv) * (double)d->B * (double)d->Hq;
}

static void flops_are_those_of_the_visible_pairs(void **state)
{
  (void)state;
  static const int64_t offsets[] = {0, 3, -4, 30, -30}, windows[] = {0, 1, 5, 40};
  for (unsigned n = 0; n < 5 * 16 * 6; n++) {
    attn_desc d = {.B = 2, .Hq = 3, .Hkv = 1, .Sq = 1 + n % 17, .Skv = 1 + n % 23, .Dqk = 4, .Dv = 5};
    d.causal_offset = offsets[n % 5];
    d.window_left = windows[n / 5 % 4];
    d.window_right = windows[n / 20 % 4];
    d.flags = (n & 1 ? ATTN_CAUSAL : 0u) | (n & 2 ? ATTN_WINDOW_LEFT : 0u) | (n & 4 ? ATTN_WINDOW_RIGHT : 0u);
    if (n % 3 == 0) d.mask = (attn_mask){.kind = ATTN_MASK_BOOL, .length = (d.Skv + 1) / 2};
    struct attn_problem p;
    assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
    assert_true(attn_problem_flops(&p) == counted_flops(&d, &p));
  }
}

/* Counting the visible pairs of this query by query took hours: longer than any suite may. */
static void a_plan_of_a_long_sequence_is_made(void **state)
{
  (void)state;
  const attn_desc d = {.B = 1,
                       .Hq = 1,
                       .Hkv = 1,
                       .Sq = (int64_t)1 << 50,
                       .Skv = (int64_t)1 << 50,
                       .Dqk = 64,
                       .Dv = 64,
                       .flags = ATTN_CAUSAL};
  attn_plan *plan;
  const attn_status status = attn_plan_create(&plan, &d, NULL);
  assert_true(status == ATTN_OK || status == ATTN_ERR_NO_MEMORY);
  attn_plan_destroy(plan);
}

/* The last byte of the bitmaps of a block mask may be the last of the address space, and no later one. */
static void bitmaps_near_the_end(void **state)
{
  (void)state;
  enum { LINES = 3, BYTES = 2 }; /* of 5 queries, and of 9 blocks of keys */
  attn_desc d = small_desc();
  d.blocks = (attn_block_mask){.queries = 2, .keys = 1};
  struct attn_problem p;
  for (int more = 0; more < 2; more++) {
    d.B = 2, d.Hq = d.Hkv = 1;
    d.blocks.h = 0;
    d.blocks.b = INT64_MAX - LINES * BYTES + more;
    assert_int_equal(attn_problem_resolve(&p, &d), more ? ATTN_ERR_OVERFLOW : ATTN_OK);
    d.B = 1, d.Hq = 2;
    d.blocks.h = d.blocks.b;
    assert_int_equal(attn_problem_resolve(&p, &d), more ? ATTN_ERR_OVERFLOW : ATTN_OK);
    d.B = 3, d.Hq = 3;
    d.blocks.b = INT64_MAX / 4;
    d.blocks.h = (INT64_MAX - 2 * d.blocks.b - LINES * BYTES) / 2 + more;
    assert_int_equal(attn_problem_resolve(&p, &d), more ? ATTN_ERR_OVERFLOW : ATTN_OK);
  }
}

/* No element is addressed, so no extent overflows; sums of sizes did. */
static void sizes_without_an_element(void **state)
{
  (void)state;
  attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = 5, .Skv = INT64_MAX, .Dqk = 0, .Dv = 0, .flags = ATTN_CAUSAL};
  d.causal_offset = INT64_MAX;
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "Skv = 9223372036854775807", "address space");
  d.B = 0;
  d.Skv = 5;
  d.Sq = INT64_MAX - 1;
  assert_refused(&d, NULL, ATTN_ERR_OVERFLOW, "Sq = 9223372036854775806", "address space");
  struct attn_problem p;
  d = (attn_desc){.B = 1, .Hq = 1, .Hkv = 1, .Dqk = INT64_MAX - 1, .Dv = 3};
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  assert_true(attn_problem_flops(&p) == 0);
}

/* Running it went through all batches. */
static void batches_without_a_query(void **state)
{
  (void)state;
  const attn_desc d = {.B = (int64_t)1 << 60, .Hq = 1, .Hkv = 1, .Sq = 0, .Skv = 0, .Dqk = 1, .Dv = 1};
  float lse = 1;
  assert_int_equal(attn_forward(&d, NULL, &(attn_args){.lse = &lse}), ATTN_OK);
  assert_true(lse == 1);
}

/* The quotient of score and cap, and the cap in units of log2, left the range of f32: NaN. */
static void a_large_softcap(void **state)
{
  (void)state;
  attn_desc d = small_desc(), none = d;
  struct buffers b = make_buffers(&d), plain = make_buffers(&none);
  d.softcap = 1e30f;
  assert_int_equal(attn_forward(&d, NULL, &b.args), ATTN_OK);
  assert_int_equal(attn_forward(&none, NULL, &plain.args), ATTN_OK);
  for (size_t i = 0; i < b.o_floats; i++) assert_true(fabsf(b.o[i] - plain.o[i]) < 1e-5f);
  d.softcap = 3e38f;
  assert_refused(&d, NULL, ATTN_ERR_INVALID, "softcap = 3e+38", "1e+30");
  free_buffers(&b);
  free_buffers(&plain);
}

/* Offsets into a tensor without elements overflowed. */
static void strides_of_nothing(void **state)
{
  (void)state;
  attn_desc d = {.B = 3, .Hq = 1, .Hkv = 1, .Sq = 3, .Skv = 3, .Dqk = 0, .Dv = 2};
  float v[18], o[18] = {0};
  d.q = (attn_strides){INT64_MAX - 1, INT64_MAX - 1, INT64_MAX - 1, 1};
  d.k = d.q;
  for (int i = 0; i < 18; i++) v[i] = (float)i;
  assert_int_equal(attn_forward(&d, NULL, &(attn_args){.v = v, .o = o}), ATTN_OK);
  assert_true(o[0] == 2 && o[17] == 15); /* scores of 0: the mean */
  d = (attn_desc){.B = 0, .Hq = 1, .Hkv = 1, .Sq = 3, .Skv = 3, .Dqk = INT64_MAX - 1, .Dv = 7};
  d.q = d.k = (attn_strides){1, 1, 1, 1};
  assert_int_equal(attn_forward(&d, NULL, &(attn_args){.o = o}), ATTN_OK); /* so did the sum of its head sizes */
}

static void extreme_windows_and_offsets(void **state)
{
  (void)state;
  static const int64_t extremes[] = {INT64_MAX, INT64_MIN, INT64_MAX - 1, (int64_t)1 << 62, -((int64_t)1 << 62)};
  for (unsigned n = 0; n < 5 * 8; n++) {
    attn_desc d = small_desc();
    d.flags = ATTN_CAUSAL | (n & 8 ? ATTN_WINDOW_LEFT : 0u) | (n & 16 ? ATTN_WINDOW_RIGHT : 0u);
    d.causal_offset = extremes[n % 5];
    d.window_left = d.window_right = INT64_MAX;
    struct buffers b = make_buffers(&d);
    assert_int_equal(attn_forward(&d, NULL, &b.args), ATTN_OK);
    const bool sees = d.causal_offset > 0; /* all keys, or none */
    for (size_t i = 0; i < b.o_floats; i++) assert_true(sees ? isfinite(b.o[i]) && b.o[i] != 0 : b.o[i] == 0);
    for (size_t i = 0; i < b.lse_floats; i++) assert_true(sees ? isfinite(b.lse[i]) : b.lse[i] == -INFINITY);
    free_buffers(&b);
  }
}

static void sequences_of_length_0(void **state)
{
  (void)state;
  for (int which = 0; which < 7; which++) {
    attn_desc d = small_desc();
    int64_t *const sizes[] = {&d.B, &d.Hq, &d.Sq, &d.Skv, &d.Dqk, &d.Dv, &d.Skv};
    *sizes[which] = 0;
    if (which == 1) d.Hkv = 0;
    if (which == 6) d.flags = ATTN_CAUSAL | ATTN_WINDOW_LEFT;
    struct buffers b = make_buffers(&d);
    assert_int_equal(attn_forward(&d, NULL, &b.args), ATTN_OK);
    for (size_t i = 0; i < b.o_floats && d.Skv == 0; i++) assert_true(b.o[i] == 0);
    for (size_t i = 0; i < b.lse_floats && d.Skv == 0; i++) assert_true(b.lse[i] == -INFINITY);
    free_buffers(&b);
  }
}

/* attn.h asks for the element's alignment, and of a workspace for none. */
static void least_alignment(void **state)
{
  (void)state;
  const attn_desc d = {.B = 1, .Hq = 2, .Hkv = 1, .Sq = 40, .Skv = 70, .Dqk = 24, .Dv = 40};
  struct buffers b = make_buffers(&d);
  attn_plan *plan;
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = 2}), ATTN_OK);
  assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
  float *first = malloc(b.o_floats * sizeof *first);
  assert_non_null(first);
  memcpy(first, b.o, b.o_floats * sizeof *first);
  const size_t room = attn_plan_workspace_bytes(plan);
  char *workspace = malloc(room + 8);
  assert_non_null(workspace);
  for (int skew = 0; skew < 8; skew++) {
    memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
    b.args.workspace = workspace + skew;
    b.args.workspace_bytes = room;
    assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
    assert_memory_equal(first, b.o, b.o_floats * sizeof *first);
  }
  free(workspace);
  free(first);
  attn_plan_destroy(plan);
  free_buffers(&b);
}

/* More threads than cores, than work, than rows: the same bits. */
static void up_to_256_threads(void **state)
{
  (void)state;
  const attn_desc d = {.B = 2, .Hq = 4, .Hkv = 2, .Sq = 300, .Skv = 300, .Dqk = 32, .Dv = 32, .flags = ATTN_CAUSAL};
  struct buffers b = make_buffers(&d);
  assert_int_equal(attn_forward(&d, &(attn_options){.threads = 1}, &b.args), ATTN_OK);
  float *one = malloc(b.o_floats * sizeof *one);
  assert_non_null(one);
  memcpy(one, b.o, b.o_floats * sizeof *one);
  for (int threads = 2; threads <= 256; threads += threads < 9 ? 1 : threads / 2) {
    memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
    assert_int_equal(attn_forward(&d, &(attn_options){.threads = threads}, &b.args), ATTN_OK);
    assert_memory_equal(one, b.o, b.o_floats * sizeof *one);
  }
  assert_int_equal(attn_forward(&d, &(attn_options){.threads = 256}, &b.args), ATTN_OK);
  assert_memory_equal(one, b.o, b.o_floats * sizeof *one);
  free(one);
  free_buffers(&b);
}

/* Files of a made-up cgroup tree below a temporary folder. */
static char folder[TEMPORARY_BYTES];

static void put(const char *name, const char *text)
{
  char path[TEMPORARY_BYTES + 256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
  }
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
}

static double quota(const char *own)
{
  char path[TEMPORARY_BYTES + 8];
  put("own", own);
  snprintf(path, sizeof path, "%s/own", folder);
  return attn_cgroup_quota(path, folder);
}

static void cgroup_quotas(void **state)
{
  (void)state;
  assert_non_null(mkdtemp(temporary_path(folder, "test_limits")));
  assert_true(attn_cgroup_quota("/nonexistent", folder) == 0);
  assert_true(quota("0::/\n") == 0); /* no limit anywhere */
  put("a/cpu.max", "150000 100000\n");
  put("a/b/cpu.max", "max 100000\n");
  put("a/b/c/cpu.max", "400000 100000\n");
  assert_true(quota("0::/a\n") == 1.5);
  assert_true(quota("0::/a/b\n") == 1.5);        /* that of the parent */
  assert_true(quota("0::/a/b/c\n") == 1.5);      /* the tightest, not the nearest */
  assert_true(quota("0::/a/b/gone/d\n") == 1.5); /* a namespace hides part of the path */
  assert_true(quota("0::/elsewhere\n") == 0);
  put("cpu.max", "50000 100000\n");
  assert_true(quota("0::/a/b\n") == 0.5);
  put("cpu.max", "max\n");
  static const char *const odd[] = {"", "0 0\n", "-1 100000\n", "100000 0\n", "nan nan\n", "words\n", "100000 -5\n"};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    put("odd/cpu.max", odd[i]);
    assert_true(quota("0::/odd\n") == 0);
  }
  put("cpu/old/cpu.cfs_quota_us", "250000\n");
  put("cpu/old/cpu.cfs_period_us", "100000\n");
  put("cpu/half/cpu.cfs_quota_us", "250000\n"); /* without its period */
  put("cpu/least/cpu.cfs_quota_us", "1\n");
  put("cpu/least/cpu.cfs_period_us", "4\n");
  put("least/cpu.max", "1 4\n");
  put("cpu/free/cpu.cfs_quota_us", "-1\n");
  put("cpu/free/cpu.cfs_period_us", "100000\n");
  assert_true(quota("5:memory:/old\n4:cpu,cpuacct:/old\n0::/\n") == 2.5);
  assert_true(quota("4:cpu,cpuacct:/free\n") == 0);
  assert_true(quota("4:cpu:/half\n") == 0);
  assert_true(quota("4:cpu:/least\n") == 0.25);
  assert_true(quota("0::/least\n") == 0.25);
  static const char *const broken[] = {"", "\n", ":", "::", "0:", "0::", "nonsense\n", "4:cpu\n", "0::no/slash\n"};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) assert_true(quota(broken[i]) == 0);
  char command[TEMPORARY_BYTES + 16];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  assert_int_equal(system(command), 0);
}

/* Values of mean 0 cancel, the rounding of sums does not: with one chain of so many keys it would be beyond the bar. */
static void sums_of_many_keys(void **state)
{
  (void)state;
  enum { S = 40, DV = 24 };
  const attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = S, .Skv = 131072, .Dqk = 8, .Dv = DV};
  struct buffers b = make_buffers(&d);
  struct attn_problem p;
  double *exact = malloc(((size_t)S * DV + (size_t)d.Skv) * sizeof *exact), lse, largest = 0;
  int kernels = 0;
  assert_non_null(exact);
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  for (int64_t i = 0; i < S; i += 13) {
    attn_oracle_row(&p, &b.args, 0, 0, i, exact + i * DV, &lse, exact + S * DV);
    for (int64_t x = 0; x < DV; x++) largest = fmax(largest, fabs(exact[i * DV + x]));
  }
  for (const struct attn_kernel *const *kernel = attn_kernels; *kernel; kernel++) {
    attn_plan *plan;
    if ((*kernel)->dtype != ATTN_F32 || attn_plan_create(&plan, &d, &(attn_options){.kernel = (*kernel)->name})) continue;
    assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
    attn_plan_destroy(plan);
    kernels++;
    double worst = 0;
    for (int64_t i = 0; i < S; i += 13)
      for (int64_t x = 0; x < DV; x++) worst = fmax(worst, fabs((double)b.o[i * DV + x] - exact[i * DV + x]));
    if (!(worst <= 2e-6 * largest)) fail_msg("%s: error %g of %g", (*kernel)->name, worst, largest);
  }
  assert_true(kernels > 0);
  free(exact);
  free_buffers(&b);
}

/* Runs d with every kernel in f32 that can and has none of those flags; each element of o must be `expected`, to a
 * hundred-thousandth. */
static void assert_output(const attn_desc *d, const attn_args *args, float expected, unsigned flags)
{
  for (const struct attn_kernel *const *kernel = attn_kernels; *kernel; kernel++) {
    attn_plan *plan;
    if ((*kernel)->dtype != ATTN_F32 || (*kernel)->flags & flags) continue;
    if (attn_plan_create(&plan, d, &(attn_options){.kernel = (*kernel)->name})) continue;
    assert_int_equal(attn_run(plan, args), ATTN_OK);
    attn_plan_destroy(plan);
    for (int64_t i = 0; i < d->Sq * d->Dv; i++) {
      const float o = ((const float *)args->o)[i];
      if (!(fabsf(o / expected - 1) < 1e-5f)) fail_msg("%s: element %d is %g", (*kernel)->name, (int)i, (double)o);
    }
  }
}

/* Scores so far from 0 that the constant which rounds them cannot hold their reference: one key of the second block lies
 * far below it, and the others of both blocks must weigh the same, though only the first block's rows are plain. */
static void references_beyond_rounding(void **state)
{
  (void)state;
  enum { S = 24, BLOCK = 256, SKV = 320, DV = 8 };
  static float q[S], k[SKV], v[SKV * DV], o[S * DV];
  const attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = S, .Skv = SKV, .Dqk = 1, .Dv = DV, .scale = 0.693147180f};
  for (int i = 0; i < S; i++) q[i] = -1;
  for (int j = 0; j < SKV; j++) k[j] = 6000001 + (j == SKV - 1 ? 300.0f : 0);
  for (int i = 0; i < BLOCK * DV; i++) v[i] = 1;
  assert_output(&d, &(attn_args){.q = q, .k = k, .v = v, .o = o}, (float)BLOCK / (SKV - 1), 0);
}

/* Over 0 their weights would be 2^-20, and products with values that are nearly the smallest of all, nothing. */
static void low_scores_of_tiny_values(void **state)
{
  (void)state;
  enum { S = 24, SKV = 256, DV = 8 };
  static float q[S], k[SKV], v[SKV * DV], o[S * DV];
  const attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = S, .Skv = SKV, .Dqk = 1, .Dv = DV, .scale = 0.693147180f};
  for (int i = 0; i < S; i++) q[i] = -1;
  for (int j = 0; j < SKV; j++) k[j] = 20;
  for (int i = 0; i < SKV * DV; i++) v[i] = 1e-39f;
  assert_output(&d, &(attn_args){.q = q, .k = k, .v = v, .o = o}, 1e-39f, ATTN_KERNEL_FLUSHES);
}

/* Rows that are weighed together, some of which have a reference from keys that the others do not see. */
static void references_of_some_rows(void **state)
{
  (void)state;
  enum { S = 24, BLOCK = 256, SKV = 512, DV = 8 };
  static float q[S], k[SKV], v[SKV * DV], o[S * DV];
  static uint8_t sees[S * SKV];
  attn_desc d = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = S, .Skv = SKV, .Dqk = 1, .Dv = DV, .scale = 0.693147180f};
  d.mask.kind = ATTN_MASK_BOOL;
  for (int i = 0; i < S; i++) q[i] = -1;
  for (int j = 0; j < SKV; j++) k[j] = j < BLOCK ? 30 : 1;
  for (int i = 0; i < SKV * DV; i++) v[i] = i < BLOCK * DV ? 100 : 1;
  for (int some = 0; some < 6; some++) {
    for (int i = 0; i < S * SKV; i++) sees[i] = i % SKV >= BLOCK || i / SKV % 6 != some;
    assert_output(&d, &(attn_args){.q = q, .k = k, .v = v, .o = o, .mask = sees}, 1, 0);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(flops_are_those_of_the_visible_pairs),
      cmocka_unit_test(a_plan_of_a_long_sequence_is_made),
      cmocka_unit_test(bitmaps_near_the_end),
      cmocka_unit_test(sizes_without_an_element),
      cmocka_unit_test(batches_without_a_query),
      cmocka_unit_test(a_large_softcap),
      cmocka_unit_test(strides_of_nothing),
      cmocka_unit_test(extreme_windows_and_offsets),
      cmocka_unit_test(sequences_of_length_0),
      cmocka_unit_test(least_alignment),
      cmocka_unit_test(up_to_256_threads),
      cmocka_unit_test(sums_of_many_keys),
      cmocka_unit_test(references_beyond_rounding),
      cmocka_unit_test(low_scores_of_tiny_values),
      cmocka_unit_test(references_of_some_rows),
      cmocka_unit_test(cgroup_quotas),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
