/* Output files appear complete or not at all, and leave nothing behind. */
#include "temporary.h"

#include "../tools/atomic_file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[TEMPORARY_BYTES];

static int enter_folder(void **state)
{
  (void)state;
  return !mkdtemp(temporary_path(folder, "test_atomic")) || chdir(folder);
}

static int leave_folder(void **state)
{
  (void)state;
  DIR *d = opendir(".");
  for (struct dirent *e; d && (e = readdir(d));) unlink(e->d_name);
  if (d) closedir(d);
  return chdir("/") || rmdir(folder);
}

static int files_here(void)
{
  int n = 0;
  DIR *d = opendir(".");
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
  closedir(d);
  return n;
}

static void put(const char *path, const char *text)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
}

static void assert_holds(const char *path, const char *text)
{
  char got[64] = "";
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  assert_true(fgets(got, sizeof got, f) || !*text);
  fclose(f);
  assert_string_equal(got, text);
}

static void appears_on_commit_only(void **state)
{
  (void)state;
  struct atomic_file f;
  struct complaint why;
  put("a", "old");
  assert_int_equal(chmod("a", 0640), 0);
  assert_true(atomic_file_open(&f, "a", &why));
  fputs("new", f.stream);
  fflush(f.stream);
  assert_holds("a", "old");
  assert_true(atomic_file_finish(&f, &why));
  assert_holds("a", "old");
  assert_true(atomic_file_publish(&f, &why));
  assert_holds("a", "new");
  assert_int_equal(files_here(), 1);
  struct stat st;
  assert_int_equal(stat("a", &st), 0);
  assert_int_equal(st.st_mode & 0777, 0640);
  atomic_file_discard(&f); /* of a published file: nothing */
  assert_holds("a", "new");
}

static void discard_leaves_the_old(void **state)
{
  (void)state;
  struct atomic_file f, g;
  struct complaint why;
  put("a", "old");
  assert_true(atomic_file_open(&f, "a", &why));
  assert_true(atomic_file_open(&g, "b", &why));
  fputs("new", f.stream);
  assert_true(atomic_file_finish(&f, &why));
  atomic_file_discard(&f);
  atomic_file_discard(&g);
  assert_holds("a", "old");
  assert_int_equal(files_here(), 1);
}

static void follows_a_link(void **state)
{
  (void)state;
  struct atomic_file f;
  struct complaint why;
  struct stat st;
  put("a", "old");
  assert_int_equal(symlink("a", "link"), 0);
  assert_true(atomic_file_open(&f, "link", &why));
  fputs("new", f.stream);
  assert_true(atomic_file_commit(&f, &why));
  assert_holds("a", "new");
  assert_int_equal(lstat("link", &st), 0);
  assert_true(S_ISLNK(st.st_mode));
  assert_int_equal(symlink("nowhere", "dangling"), 0);
  assert_false(atomic_file_open(&f, "dangling", &why));
  assert_non_null(strstr(why.text, "leads nowhere"));
}

static void refuses(void **state)
{
  (void)state;
  struct atomic_file f;
  struct complaint why;
  assert_false(atomic_file_open(&f, "no/such/folder/x", &why));
  assert_non_null(strstr(why.text, "no/such/folder/x"));
  assert_false(atomic_file_open(&f, ".", &why));
  assert_non_null(strstr(why.text, "folder"));
  assert_false(atomic_file_open(&f, "", &why));
  assert_int_equal(files_here(), 0);
}

static void full_disk(void **state)
{
  (void)state;
  struct atomic_file f;
  struct complaint why;
  assert_true(atomic_file_open(&f, "/dev/full", &why));
  fputs("new", f.stream);
  assert_false(atomic_file_commit(&f, &why));
  assert_non_null(strstr(why.text, "No space left"));

  const struct rlimit old = {RLIM_INFINITY, RLIM_INFINITY}, small = {8192, RLIM_INFINITY};
  put("a", "old");
  assert_true(atomic_file_open(&f, "a", &why));
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  for (int i = 0; i < 100000; i++) fputc('x', f.stream);
  const bool ok = atomic_file_commit(&f, &why);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  assert_false(ok);
  assert_holds("a", "old");
  assert_int_equal(files_here(), 1);
}

static void end_in_the_middle(int number)
{
  int status;
  put("a", "old");
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    struct atomic_file f, g;
    struct complaint why;
    if (!atomic_file_open(&f, "a", &why) || !atomic_file_open(&g, "b", &why)) _exit(99);
    fputs("half", f.stream);
    fflush(f.stream);
    if (number) raise(number);
    exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  if (number) {
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
  } else {
    assert_int_equal(status, 0);
  }
  assert_holds("a", "old");
  assert_int_equal(files_here(), 1);
}

static void signals_clean_up(void **state)
{
  (void)state;
  end_in_the_middle(SIGINT);
  end_in_the_middle(SIGTERM);
  end_in_the_middle(SIGHUP);
}

static void exit_cleans_up(void **state)
{
  (void)state;
  end_in_the_middle(0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
  const struct CMUnitTest tests[] = {
      IN_FOLDER(appears_on_commit_only),
      IN_FOLDER(discard_leaves_the_old),
      IN_FOLDER(follows_a_link),
      IN_FOLDER(refuses),
      IN_FOLDER(full_disk),
      IN_FOLDER(signals_clean_up),
      IN_FOLDER(exit_cleans_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
