#include "baseline.h"

#include "../child.h"
#include "rounds.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first line of what a program prints. False: it failed. */
static bool first_line(char *line, size_t bytes, const char *const *argv)
{
  struct child_output output;
  const struct child child = {.path = argv[0], .argv = (char *const *)argv, .from = STDOUT_FILENO};
  const bool ok = !child_run(&child, &output) && output.status == 0 && output.bytes > 0;
  if (ok) snprintf(line, bytes, "%.*s", (int)strcspn(output.text, "\n"), output.text);
  child_output_free(&output);
  return ok;
}

static bool build_revision(struct baseline *b, const char *revision, struct complaint *why)
{
  char top[PATH_MAX - 128], commit[64], wanted[512], tree[PATH_MAX], log[PATH_MAX + 16], program[PATH_MAX + 32];
  snprintf(wanted, sizeof wanted, "%s^{commit}", revision);
  if (!first_line(top, sizeof top, (const char *const[]){"git", "rev-parse", "--show-toplevel", NULL}))
    return complain(why, "%s: no such file, build or folder, and here is no git repository to look for a revision",
                    revision);
  if (!first_line(commit, sizeof commit,
                  (const char *const[]){"git", "rev-parse", "--verify", "--quiet", "--end-of-options", wanted, NULL}))
    return complain(why, "%s: no such file, build, folder or git revision", revision);
  snprintf(tree, sizeof tree, "%s/build/baseline/%.12s", top, commit);
  snprintf(log, sizeof log, "%s.log", tree);
  snprintf(program, sizeof program, "%s/build/attnbench", tree);
  snprintf(b->label, sizeof b->label, "%.100s (%.12s)", revision, commit);
  fprintf(stderr, "attnbench gate: building %s in %s\n", b->label, tree);
  /* A tree that was removed by hand is still in git's list: prune. make decides what has to be built. */
  static const char script[] =
      "mkdir -p \"$1/build/baseline\" && exec >\"$3\" 2>&1 && unset MAKEFLAGS MAKELEVEL MFLAGS BUILD && "
      "git -C \"$1\" worktree prune && "
      "{ [ -e \"$2/Makefile\" ] || git -C \"$1\" worktree add --force --detach \"$2\" \"$4\"; } && "
      "make -C \"$2\" -j\"$(nproc)\" build/attnbench";
  const char *const argv[] = {"sh", "-c", script, "sh", top, tree, log, commit, NULL};
  const struct child child = {.path = "sh", .argv = (char *const *)argv, .from = STDOUT_FILENO};
  struct child_output output;
  const bool ok = !child_run(&child, &output) && output.status == 0;
  child_output_free(&output);
  if (!ok) return complain(why, "%s: could not be built: see %s", revision, log);
  b->program = rounds_open(program, why);
  return b->program >= 0;
}

bool baseline_open(struct baseline *b, const char *text, struct complaint *why)
{
  struct stat s;
  *b = (struct baseline){.program = -1};
  snprintf(b->label, sizeof b->label, "%s", text);
  if (strcmp(text, "-")) {
    if (stat(text, &s)) return build_revision(b, text, why);
    if (S_ISDIR(s.st_mode) || (S_ISREG(s.st_mode) && !access(text, X_OK))) {
      b->program = rounds_open(text, why);
      return b->program >= 0;
    }
  }
  return results_read(&b->results, text, why->text, sizeof why->text);
}

void baseline_close(struct baseline *b)
{
  if (b->program >= 0) close(b->program);
  results_free(&b->results);
}
