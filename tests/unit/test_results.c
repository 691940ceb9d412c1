/* Reading results: what is in a good file, and that no bad one does harm (the sanitized build watches). */
#include "../../bench/results.h"

#include "../kernels/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static const char good[] =
    "{\"context\": {\"date\": \"2024-02-29T12:00:00+00:00\", \"host_name\": \"h\", \"num_cpus\": 2, \"cpu_model\": \"cpu\","
    " \"method_version\": \"1\", \"json_schema_version\": 1, \"load_avg\": [1.5]},\n"
    "\"benchmarks\": [\n"
    "{\"name\": \"b/1\", \"run_name\": \"b/1\", \"run_type\": \"iteration\", \"real_time\": 2.5, \"cpu_time\": 2,"
    " \"time_unit\": \"us\", \"label\": \"first\", \"gflops\": 12.5, \"repetitions\": 2},\n"
    "{\"name\": \"a\", \"run_type\": \"iteration\", \"real_time\": 7, \"cpu_time\": 2, \"time_unit\": \"ns\"},\n"
    "{\"name\": \"b/1\", \"run_name\": \"b/1\", \"run_type\": \"iteration\", \"real_time\": 3e0, \"time_unit\": \"us\","
    " \"cycles\": 7},\n"
    "{\"name\": \"b/1_median\", \"run_name\": \"b/1\", \"run_type\": \"aggregate\", \"aggregate_name\": \"median\","
    " \"real_time\": 99, \"time_unit\": \"us\"},\n"
    "{\"name\": \"c_mean\", \"run_name\": \"c\", \"run_type\": \"aggregate\", \"aggregate_name\": \"mean\","
    " \"real_time\": 1, \"time_unit\": \"s\"},\n"
    "{\"name\": \"d\", \"run_name\": \"d\", \"run_type\": \"iteration\", \"error_occurred\": true, \"real_time\": 0,"
    " \"time_unit\": \"ns\"}],\n"
    "\"left_out\": [{\"name\": \"x\"}]}\n";

static char error[1024];

static void reads_a_good_file(void **state)
{
  (void)state;
  struct results r;
  if (!results_parse(&r, "good.json", good, strlen(good), error, sizeof error)) fail_msg("%s", error);
  assert_string_equal(r.path, "good.json");
  assert_string_equal(r.cpu, "cpu");
  assert_string_equal(r.commit, "");
  assert_int_equal(r.cpus, 2);
  assert_int_equal(r.count, 3);
  assert_int_equal(r.left_out, 2);
  const struct results_case *b = results_find(&r, "b/1");
  assert_ptr_equal(b, &r.c[0]);
  assert_string_equal(b->label, "first");
  assert_int_equal(b->times, 2);
  assert_true(b->time_ns[0] == 2500 && b->time_ns[1] == 3000);
  assert_true(b->cpu_ns[0] == 2000 && isnan(b->cpu_ns[1]));
  assert_false(b->only_aggregate);
  assert_int_equal(b->counters, 2);
  assert_string_equal(b->counter[0].name, "gflops");
  assert_true(b->counter[0].value[0] == 12.5 && isnan(b->counter[0].value[1]));
  assert_string_equal(b->counter[1].name, "cycles");
  assert_true(isnan(b->counter[1].value[0]) && b->counter[1].value[1] == 7);
  assert_true(json_is_array(json_object_get(r.rest, "left_out")) && !json_object_get(r.rest, "benchmarks"));
  assert_true(results_find(&r, "c")->only_aggregate && results_find(&r, "c")->time_ns[0] == 1e9);
  assert_true(results_find(&r, "a")->time_ns[0] == 7);
  assert_null(results_find(&r, "d"));
  results_free(&r);
}

/* The good file with one text replaced. */
static char *replaced(const char *from, const char *to)
{
  const char *at = strstr(good, from);
  assert_non_null(at);
  char *text = malloc(sizeof good + strlen(to));
  assert_non_null(text);
  sprintf(text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
  return text;
}

static void names_file_and_field(void **state)
{
  (void)state;
  static const struct {
    const char *from, *to, *said;
  } bad[] = {
      {"\"real_time\": 2.5", "\"real_time\": 0", "benchmarks[0].real_time is not a positive"},
      {"\"real_time\": 2.5", "\"real_time\": \"2.5\"", "benchmarks[0].real_time is not a positive"},
      {"\"real_time\": 2.5", "\"real_time\": -1", "benchmarks[0].real_time"},
      {"\"real_time\": 2.5", "\"real_time\": NaN", "not valid JSON"},
      {"\"real_time\": 2.5", "\"real_time\": 1e999", "not valid JSON"},
      {"\"real_time\": 1, \"time_unit\": \"s\"", "\"real_time\": 1e308, \"time_unit\": \"s\"",
       "benchmarks[4].real_time is too large"},
      {"\"time_unit\": \"us\"", "\"time_unit\": \"fortnight\"", "benchmarks[0].time_unit is none of"},
      {"\"run_name\": \"b/1\"", "\"run_name\": 5", "benchmarks[0].run_name is not a string"},
      {"\"run_name\": \"b/1\"", "\"run_name\": \"\"", "benchmarks[0] has no name"},
      {"\"run_name\": \"b/1\"", "\"run_name\": \"\\u001b[2J\"", "benchmarks[0].run_name has control characters"},
      {"\"cpu_model\": \"cpu\"", "\"cpu_model\": []", "context.cpu_model is not a string"},
      {"\"num_cpus\": 2", "\"num_cpus\": -2", "context.num_cpus"},
      {"\"json_schema_version\": 1", "\"json_schema_version\": 2", "context.json_schema_version is not 1"},
      {"\"benchmarks\"", "\"bench\"", "no array 'benchmarks'"},
      {"\"context\"", "\"kontext\"", "no object 'context'"},
      {"\"a\"", "\"a\", \"name\": \"a\"", "duplicate"},
      {"\"a\"", "\"\xff\"", "not valid JSON"},
      {"\"a\"", "\033[2J", "not valid JSON"}, /* jansson quotes what it stumbled over */
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *text = replaced(bad[i].from, bad[i].to);
    struct results r;
    error[0] = 0;
    if (results_parse(&r, "bad.json", text, strlen(text), error, sizeof error)) fail_msg("%s: accepted", bad[i].to);
    if (strncmp(error, "bad.json: ", 10) || !strstr(error, bad[i].said)) fail_msg("%s: says: %s", bad[i].to, error);
    for (const char *letter = error; *letter; letter++) assert_true((unsigned char)*letter >= ' ');
    assert_null(r.c);
    free(text);
  }
}

static void other_machines(void **state)
{
  (void)state;
  char text[256];
  struct results a, b;
  char *other = replaced("\"cpu\"", "\"another\"");
  assert_true(results_parse(&a, "a", good, strlen(good), error, sizeof error));
  assert_true(results_parse(&b, "b", other, strlen(other), error, sizeof error));
  assert_null(results_machine_differs(&a, &a, text, sizeof text));
  assert_non_null(results_machine_differs(&a, &b, text, sizeof text));
  assert_non_null(strstr(text, "'another'"));
  results_free(&a);
  results_free(&b);
  free(other);
}

/* Every truncation, and bytes changed, removed and doubled at random. Most are errors, some are other good files. */
static void hostile_files_do_no_harm(void **state)
{
  (void)state;
  struct rng rng = {3};
  const size_t bytes = strlen(good);
  int refused = 0;
  for (int i = 0; i < 20000; i++) {
    char *text = malloc(2 * bytes); /* its own: a read beyond the end is seen */
    assert_non_null(text);
    size_t n = bytes;
    memcpy(text, good, bytes);
    if ((size_t)i < bytes)
      n = (size_t)i;
    else
      for (int64_t k = 1 + rng_below(&rng, 4); k > 0; k--) {
        const size_t at = (size_t)rng_below(&rng, (int64_t)n);
        switch (rng_below(&rng, 4)) {
        case 0: text[at] = (char)rng_next(&rng); break;
        case 1: text[at] = "{}[]\",:0-.eE\\u"[rng_below(&rng, 14)]; break;
        case 2:
          memmove(text + at, text + at + 1, n - at - 1);
          n--;
          break;
        default: {
          size_t length = (size_t)rng_below(&rng, 40);
          if (length > n - at) length = n - at;
          if (n + length > 2 * bytes) break;
          memmove(text + at + length, text + at, n - at);
          n += length;
        }
        }
      }
    char *exact = realloc(text, n ? n : 1);
    struct results r;
    if (results_parse(&r, "fuzzed", exact, n, error, sizeof error)) {
      for (int c = 0; c < r.count; c++) assert_true(r.c[c].times > 0 && r.c[c].time_ns[0] > 0 && r.c[c].label);
      results_free(&r);
    } else {
      refused++;
      assert_int_equal(strncmp(error, "fuzzed: ", 8), 0);
    }
    free(exact);
  }
  assert_true(refused > 10000 && refused < 20000);
}

static void deep_nesting(void **state)
{
  (void)state;
  enum { DEPTH = 100000 };
  char *text = malloc(DEPTH);
  assert_non_null(text);
  memset(text, '[', DEPTH);
  struct results r;
  assert_false(results_parse(&r, "deep", text, DEPTH, error, sizeof error));
  free(text);
}

static void files_that_are_none(void **state)
{
  (void)state;
  struct results r;
  assert_false(results_read(&r, "/nonexistent/x.json", error, sizeof error));
  assert_non_null(strstr(error, "No such file"));
  assert_false(results_read(&r, "/", error, sizeof error));
  assert_false(results_read(&r, "/dev/null", error, sizeof error));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_good_file), cmocka_unit_test(names_file_and_field),
      cmocka_unit_test(other_machines),    cmocka_unit_test(hostile_files_do_no_harm),
      cmocka_unit_test(deep_nesting),      cmocka_unit_test(files_that_are_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
