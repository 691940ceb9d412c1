/* Blocking: the tuning file's reader against right, wrong and hostile bytes, the rule for caches, and that no choice of
 * blocks makes a wrong result. */
#include "problem.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"
#include "../temporary.h"

#include <math.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first kernel of this build that has a blocking to choose; it need not run on this CPU. */
static const struct attn_kernel *tunable(void)
{
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if ((*k)->blocking_step) return *k;
  return NULL;
}

static char *text_of(const char *format, const char *kernel)
{
  static char text[1024];
  snprintf(text, sizeof text, format, kernel);
  return text;
}

static attn_status parse(struct attn_blocking *b, const char *text, int64_t Dqk, int64_t Dv)
{
  return attn_tuning_parse(b, "file", text, strlen(text), tunable(), Dqk, Dv);
}

static void right_lines(void **state)
{
  (void)state;
  struct attn_blocking b;
  const struct attn_blocking step = *tunable()->blocking_step;
  char text[1024];
  snprintf(text, sizeof text,
           "attn-tuning 1\n# comment\n\n%s Dqk=128 Dv=64 block_keys=%lld group_rows=%lld unit_rows=%lld\n"
           "%s unit_rows=%lld Dv=7 Dqk=5",
           tunable()->name, (long long)step.block_keys, (long long)(2 * step.group_rows), (long long)(3 * step.unit_rows),
           tunable()->name, (long long)step.unit_rows);
  assert_int_equal(parse(&b, text, 128, 64), ATTN_OK);
  assert_int_equal(b.block_keys, step.block_keys);
  assert_int_equal(b.group_rows, 2 * step.group_rows);
  assert_int_equal(b.unit_rows, 3 * step.unit_rows);
  assert_int_equal(parse(&b, text, 5, 7), ATTN_OK); /* any order, fields left out, no newline at the end */
  assert_int_equal(b.block_keys, 0);
  assert_int_equal(b.unit_rows, step.unit_rows);
  assert_int_equal(parse(&b, text, 64, 64), ATTN_OK); /* nothing said */
  assert_int_equal(b.block_keys + b.group_rows + b.unit_rows, 0);
  assert_int_equal(parse(&b, "attn-tuning 1", 64, 64), ATTN_OK);
}

static void wrong_lines(void **state)
{
  (void)state;
  static const struct {
    const char *text, *mentions;
  } cases[] = {
      {"", "line 1"},
      {"\n", "line 1"},
      {"attn-tuning 2\n", "attn-tuning 2"},
      {"attn-tuning 1\r\n", "0x0d"},
      {"attn-tuning 1\nnonsense Dqk=1 Dv=1", "line 2: there is no kernel 'nonsense'"},
      {"attn-tuning 1\nfwd_f32_scalar Dqk=1 Dv=1", "fwd_f32_scalar has no blocking"},
      {"attn-tuning 1\n\n%s Dqk=1", "line 3: Dv is missing"},
      {"attn-tuning 1\n%s Dv=1", "Dqk is missing"},
      {"attn-tuning 1\n%s", "is missing"},
      {"attn-tuning 1\n%s  Dqk=1 Dv=1", "'' stands where"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 ", "'' stands where"},
      {"attn-tuning 1\n %s Dqk=1 Dv=1", "kernel ''"},
      {"attn-tuning 1\n%s Dqk=0 Dv=1", "Dqk=0"},
      {"attn-tuning 1\n%s Dqk=-1 Dv=1", "Dqk=-1"},
      {"attn-tuning 1\n%s Dqk=01 Dv=1", "Dqk=01"},
      {"attn-tuning 1\n%s Dqk=1 Dv=99999999999999999999", "Dv=99999999999999999999"},
      {"attn-tuning 1\n%s Dqk=1 Dqk=1 Dv=1", "Dqk is given twice"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 block_keys=7", "block_keys=7: kernel"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 block_keys=0", "block_keys=0"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 block_keys=4096", "block_keys=4096"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 block_keys=", "block_keys=:"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 block_keys=0x40", "0x40"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 group_rows=100000", "group_rows=100000"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 unit_rows=1", "unit_rows=1"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 unit_rows=9223372036854775808", "unit_rows=9223372036854775808"},
      {"attn-tuning 1\n%s Dqk=1 Dv=1 threads=2", "no field 'threads'"},
      {"attn-tuning 1\n%1$s Dqk=1 Dv=1\n%1$s Dqk=1 Dv=1", "line 3: a second line"},
      {"attn-tuning 1\n# caf\xc3\xa9", "0xc3"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct attn_blocking b;
    const char *text = text_of(cases[i].text, tunable()->name);
    if (parse(&b, text, 1, 1) != ATTN_ERR_ENVIRONMENT) fail_msg("accepted: %s", text);
    assert_mentions("ATTN_TUNING=file");
    assert_mentions(cases[i].mentions);
  }
  char line[400];
  struct attn_blocking b;
  memset(line, '#', sizeof line);
  memcpy(line, "attn-tuning 1\n", 14);
  assert_int_equal(attn_tuning_parse(&b, "file", line, sizeof line, tunable(), 1, 1), ATTN_ERR_ENVIRONMENT);
  assert_mentions("longer than");
  assert_int_equal(attn_tuning_parse(&b, "file", "attn-tuning 1\n\0", 15, tunable(), 1, 1), ATTN_ERR_ENVIRONMENT);
  assert_mentions("0x00");
}

/* Whatever the bytes: refused, or a blocking that the kernel takes. Buffers of exact size, for the sanitizers. */
static void hostile_bytes(void **state)
{
  (void)state;
  static const char pieces[][20] = {" unit_rows=960",
                                    " block_keys=256",
                                    " group_rows=96",
                                    "\n",
                                    "\n",
                                    "#",
                                    " Dqk=",
                                    " Dv=",
                                    " block_keys=",
                                    " group_rows=",
                                    " unit_rows=",
                                    "1",
                                    "256",
                                    "0",
                                    "-",
                                    " ",
                                    "\xff",
                                    "\t",
                                    "%s%n",
                                    "nan",
                                    "=",
                                    "99999999999"};
  uint64_t seed = 1;
  int accepted = 0;
  for (int round = 0; round < 20000; round++) {
    char text[512];
    size_t n = (size_t)snprintf(text, sizeof text, "attn-tuning 1\n%s Dqk=1 Dv=1", tunable()->name);
    for (int i = 0; i < 4; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const char *piece = pieces[(seed >> 33) % (sizeof pieces / sizeof *pieces)];
      if ((seed >> 20) % 4) n += (size_t)snprintf(text + n, sizeof text - n, "%s", piece);
      if ((seed >> 24) % 64 == 0) text[seed % n] = (char)(seed >> 40);
    }
    char *exact = malloc(n);
    assert_non_null(exact);
    memcpy(exact, text, n);
    struct attn_blocking b;
    const attn_status status = attn_tuning_parse(&b, "file", exact, n, tunable(), 1, 1);
    free(exact);
    assert_true(status == ATTN_OK || status == ATTN_ERR_ENVIRONMENT);
    for (int f = 0; f < ATTN_BLOCKING_FIELDS && status == ATTN_OK; f++) {
      int64_t step, most;
      assert_true(attn_blocking_allows(tunable(), f, *attn_blocking_field(&b, f), &step, &most));
    }
    accepted += status == ATTN_OK;
  }
  assert_in_range(accepted, 1, 19999); /* or the texts are no test */
}

/* The library's read() of a file comes here: of a system that gives it in pieces. */
static size_t most_at_once = SIZE_MAX, given;
ssize_t read(int file, void *to, size_t bytes);
ssize_t read(int file, void *to, size_t bytes)
{
  memset(to, 0, bytes); /* MemorySanitizer does not know what a system call writes */
  const ssize_t n = syscall(SYS_read, file, to, bytes < most_at_once ? bytes : most_at_once);
  if (most_at_once != SIZE_MAX) assert_true(given + bytes <= ATTN_TUNING_MOST_BYTES + 1); /* what there is room for */
  given += n > 0 ? (size_t)n : 0;
  return n;
}

/* A file of the greatest length is read whole, a byte more is refused; at once and in pieces. */
static void the_longest_file(void **state)
{
  (void)state;
  const attn_desc desc = small_desc();
  char path[TEMPORARY_BYTES], *text = malloc(ATTN_TUNING_MOST_BYTES + 1);
  assert_non_null(text);
  memset(text, '#', ATTN_TUNING_MOST_BYTES + 1);
  for (size_t i = 99; i <= ATTN_TUNING_MOST_BYTES; i += 100) text[i] = '\n';
  memcpy(text, ATTN_TUNING_HEADER "\n", sizeof ATTN_TUNING_HEADER);
  const int file = mkstemp(temporary_path(path, "test_tuning"));
  assert_true(file >= 0);
  setenv("ATTN_TUNING", path, 1);
  for (int more = 0; more < 2; more++) {
    assert_int_equal(pwrite(file, text, ATTN_TUNING_MOST_BYTES + more, 0), ATTN_TUNING_MOST_BYTES + more);
    for (int pieces = 0; pieces < 2; pieces++) {
      attn_plan *plan;
      most_at_once = pieces ? 400000 : ATTN_TUNING_MOST_BYTES + 1;
      given = 0;
      const attn_status status = attn_plan_create(&plan, &desc, NULL);
      most_at_once = SIZE_MAX;
      assert_int_equal(status, more ? ATTN_ERR_ENVIRONMENT : ATTN_OK);
      assert_int_equal(given, ATTN_TUNING_MOST_BYTES + more);
      if (more) assert_mentions("longer");
      attn_plan_destroy(plan);
    }
  }
  unsetenv("ATTN_TUNING");
  close(file);
  unlink(path);
  free(text);
}

static void files(void **state)
{
  (void)state;
  const attn_desc desc = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = 300, .Skv = 300, .Dqk = 32, .Dv = 32};
  char path[TEMPORARY_BYTES];
  attn_plan *plan;
  const int file = mkstemp(temporary_path(path, "test_tuning"));
  assert_true(file >= 0);
  setenv("ATTN_TUNING", path, 1);
  assert_refused(&desc, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_TUNING", "line 1"); /* empty */
  static const char header[] = ATTN_TUNING_HEADER "\n";
  assert_int_equal(write(file, header, sizeof header - 1), sizeof header - 1);
  assert_int_equal(attn_plan_create(&plan, &desc, NULL), ATTN_OK);
  const struct attn_kernel *kernel = attn_kernel_find(attn_plan_kernel(plan));
  attn_plan_destroy(plan);
  if (kernel->blocking_step) {
    char line[200];
    const int64_t keys = 2 * kernel->blocking_step->block_keys;
    const int n = snprintf(line, sizeof line, "%s Dqk=32 Dv=32 block_keys=%lld\n", kernel->name, (long long)keys);
    assert_int_equal(write(file, line, (size_t)n), n);
    assert_int_equal(attn_plan_create(&plan, &desc, NULL), ATTN_OK);
    assert_int_equal(attn_plan_blocking(plan).block_keys, keys);
    attn_plan_destroy(plan);
  }
  assert_int_equal(ftruncate(file, ATTN_TUNING_MOST_BYTES + 1), 0);
  assert_refused(&desc, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_TUNING", "longer");
  close(file);
  unlink(path);
  assert_refused(&desc, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_TUNING", "No such file");
  setenv("ATTN_TUNING", "/", 1);
  assert_refused(&desc, NULL, ATTN_ERR_ENVIRONMENT, "ATTN_TUNING", "not a regular file");
  unsetenv("ATTN_TUNING");
}

static void caches(void **state)
{
  (void)state;
  const struct attn_blocking most = *tunable()->blocking_most, step = *tunable()->blocking_step;
  for (int64_t d = 1; d <= 4096; d *= 2) {
    attn_desc desc = {.dtype = tunable()->dtype, .B = 1, .Hq = 1, .Hkv = 1, .Sq = 1, .Skv = 1, .Dqk = d, .Dv = d};
    struct attn_problem p;
    assert_int_equal(attn_problem_resolve(&p, &desc), ATTN_OK);
    int64_t before = 0;
    for (size_t l2 = 1; l2 <= (size_t)1 << 40; l2 *= 2) {
      const struct attn_blocking b = attn_blocking_for_cache(tunable(), &p, l2);
      assert_in_range(b.block_keys, step.block_keys, most.block_keys);
      assert_int_equal(b.block_keys % step.block_keys, 0);
      assert_in_range(b.group_rows, step.group_rows, most.group_rows);
      assert_int_equal(b.group_rows % step.group_rows, 0);
      const int64_t floats = b.block_keys * 2 * d + b.group_rows * (2 * d + b.block_keys);
      if (b.block_keys > 64 && l2 >= 65536) assert_true((size_t)floats * sizeof(float) <= l2 / 2);
      assert_true(b.block_keys * b.group_rows >= before); /* more cache, no smaller blocks */
      before = b.block_keys * b.group_rows;
    }
    const struct attn_blocking unknown = attn_blocking_for_cache(tunable(), &p, 0);
    assert_int_equal(unknown.block_keys + unknown.group_rows + unknown.unit_rows, 0);
  }
  /* What a kernel has no use for it does not get from the largest cache; a tuning file may still give it more. */
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    const struct attn_blocking *usual = (*k)->blocking_usual;
    const attn_desc desc = {.dtype = (*k)->dtype, .B = 1, .Hq = 1, .Hkv = 1, .Sq = 1, .Skv = 1, .Dqk = 64, .Dv = 64};
    struct attn_problem p;
    if (!usual) continue;
    assert_int_equal(attn_problem_resolve(&p, &desc), ATTN_OK);
    const struct attn_blocking b = attn_blocking_for_cache(*k, &p, (size_t)1 << 40);
    assert_int_equal(b.block_keys, usual->block_keys);
    assert_int_equal(b.group_rows, usual->group_rows);
    assert_in_range(usual->block_keys, step.block_keys, (*k)->blocking_most->block_keys);
  }
}

/* Every kernel that runs here: the oracle's result with any blocking; the same bits where only rows are cut. */
static void any_blocking_is_right(void **state)
{
  (void)state;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    if (!(*k)->blocking_step || (*k)->dtype != ATTN_F32) continue;
    const attn_desc desc = {.B = 1, .Hq = 2, .Hkv = 1, .Sq = 333, .Skv = 601, .Dqk = 40, .Dv = 24, .flags = ATTN_CAUSAL};
    const attn_options options = {.kernel = (*k)->name, .threads = 2};
    attn_plan *plan;
    if (attn_plan_create(&plan, &desc, &options)) continue; /* not on this CPU */
    attn_plan_destroy(plan);
    struct buffers b = make_buffers(&desc);
    struct attn_problem p;
    assert_int_equal(attn_problem_resolve(&p, &desc), ATTN_OK);
    double *expected = malloc(b.o_floats * sizeof *expected), lse, *scratch = malloc(((size_t)p.Skv + 1) * sizeof *scratch);
    float *first = malloc(b.o_floats * sizeof *first);
    assert_true(expected && scratch && first);
    for (int64_t h = 0; h < 2; h++)
      for (int64_t i = 0; i < p.Sq; i++)
        attn_oracle_row(&p, &b.args, 0, h, i, expected + (h * p.Sq + i) * p.Dv, &lse, scratch);
    struct attn_blocking step = *(*k)->blocking_step, most = *(*k)->blocking_most;
    for (int64_t keys = 0; keys <= most.block_keys; keys += 3 * step.block_keys)
      for (int rows = 0; rows < 4; rows++) {
        const struct attn_blocking blocking = {keys,
                                               rows == 0   ? 0
                                               : rows == 1 ? step.group_rows
                                               : rows == 2 ? 3 * step.group_rows
                                                           : most.group_rows,
                                               rows == 0   ? 0
                                               : rows == 1 ? 5 * step.unit_rows
                                               : rows == 2 ? step.unit_rows
                                                           : most.unit_rows};
        memset(b.o, 0xff, b.o_floats * sizeof *b.o);
        assert_int_equal(attn_plan_create_blocked(&plan, &desc, &options, &blocking), ATTN_OK);
        assert_int_equal(attn_run(plan, &b.args), ATTN_OK);
        attn_plan_destroy(plan);
        for (size_t i = 0; i < b.o_floats; i++)
          if (!(fabs(b.o[i] - expected[i]) < 2e-6))
            fail_msg("%s block_keys=%lld case %d: o[%zu] = %g, %g expected", (*k)->name, (long long)keys, rows, i,
                     (double)b.o[i], expected[i]);
        if (rows == 0) memcpy(first, b.o, b.o_floats * sizeof *first);
        assert_memory_equal(first, b.o, b.o_floats * sizeof *first);
      }
    const struct attn_blocking odd = {.block_keys = step.block_keys + 1};
    assert_int_equal(attn_plan_create_blocked(&plan, &desc, &options, &odd), ATTN_ERR_INVALID);
    assert_mentions("block_keys");
    free(expected);
    free(scratch);
    free(first);
    free_buffers(&b);
  }
}

/* Without a file, the caches of this machine decide. */
static void plans_without_a_file(void **state)
{
  (void)state;
  const attn_desc d = small_desc();
  struct attn_problem p;
  attn_plan *plan;
  unsetenv("ATTN_TUNING");
  assert_int_equal(attn_problem_resolve(&p, &d), ATTN_OK);
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    const attn_options options = {.kernel = (*k)->name};
    if ((*k)->dtype != ATTN_F32 || attn_plan_create(&plan, &d, &options)) continue;
    const struct attn_blocking wanted = attn_blocking_default(*k, &p), got = attn_plan_blocking(plan);
    assert_memory_equal(&got, &wanted, sizeof got);
    attn_plan_destroy(plan);
  }
}

int main(void)
{
  if (!tunable()) {
    puts("0 passed, 0 failed, 1 skipped: no kernel of this architecture has a blocking to choose");
    return 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(plans_without_a_file),
                                     cmocka_unit_test(right_lines),
                                     cmocka_unit_test(wrong_lines),
                                     cmocka_unit_test(hostile_bytes),
                                     cmocka_unit_test(files),
                                     cmocka_unit_test(the_longest_file),
                                     cmocka_unit_test(caches),
                                     cmocka_unit_test(any_blocking_is_right)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
