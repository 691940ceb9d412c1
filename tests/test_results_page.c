/* The page of results: a section is appended once and replaced from then on, and nothing else changes. */
#include "temporary.h"

#include "../tools/results/results_page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *merge(const char *old, const char *heading, const char *section)
{
  char *text;
  size_t bytes;
  FILE *out = open_memstream(&text, &bytes);
  assert_non_null(out);
  results_page_merge(out, old, heading, section);
  assert_int_equal(fclose(out), 0);
  return text;
}

static void expect(const char *old, const char *heading, const char *section, const char *want)
{
  char *got = merge(old, heading, section);
  assert_string_equal(got, want);
  free(got);
}

static void appends_to_a_page(void **state)
{
  (void)state;
  expect("# R\n\ntext\n", "A", "one\n", "# R\n\ntext\n\n## A\n\none\n");
  expect("# R\n\n## A\n\none\n", "B", "two", "# R\n\n## A\n\none\n\n## B\n\ntwo\n");
  expect("no newline at the end", "A", "one", "no newline at the end\n\n## A\n\none\n");
  expect("", "A", "one", "## A\n\none\n");
}

static void replaces_only_its_section(void **state)
{
  (void)state;
  const char *page = "# R\n\n## A\n\none\n\n## B\n\ntwo\n### sub\nmore\n\n## C\n\nthree\n";
  expect(page, "A", "new", "# R\n\n## A\n\nnew\n\n## B\n\ntwo\n### sub\nmore\n\n## C\n\nthree\n");
  expect(page, "B", "new", "# R\n\n## A\n\none\n\n## B\n\nnew\n\n## C\n\nthree\n");
  expect(page, "C", "new", "# R\n\n## A\n\none\n\n## B\n\ntwo\n### sub\nmore\n\n## C\n\nnew\n");
}

static void names_that_begin_alike_differ(void **state)
{
  (void)state;
  expect("## CPU 10\n\nten\n", "CPU 1", "one", "## CPU 10\n\nten\n\n## CPU 1\n\none\n");
  expect("## CPU\r\n\r\nold\r\n", "CPU", "new", "## CPU\n\nnew\n");
}

static void twice_is_the_same_as_once(void **state)
{
  (void)state;
  char *first = merge(NULL, "A", "one\n\n"), *second = merge(first, "A", "one\n\n"), *other = merge(first, "B", "two");
  assert_string_equal(first, second);
  expect(other, "A", "one\n\n", other);
  free(first);
  free(second);
  free(other);
}

static void reads_what_is_there(void **state)
{
  (void)state;
  char *text, path[TEMPORARY_BYTES];
  struct complaint why;
  const int file = mkstemp(temporary_path(path, "results-page"));
  assert_true(file >= 0);
  assert_int_equal(write(file, "abc", 3), 3);
  assert_true(results_page_read(&text, path, &why));
  assert_string_equal(text, "abc");
  free(text);
  close(file);
  unlink(path);
  assert_true(results_page_read(&text, path, &why));
  assert_null(text);
  assert_false(results_page_read(&text, "/", &why));
  assert_non_null(strstr(why.text, "/"));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appends_to_a_page),
      cmocka_unit_test(replaces_only_its_section),
      cmocka_unit_test(names_that_begin_alike_differ),
      cmocka_unit_test(twice_is_the_same_as_once),
      cmocka_unit_test(reads_what_is_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
