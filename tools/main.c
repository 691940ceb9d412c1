/* attnbench: finds the subcommand and runs it; looks after standard output at the end. */
#include "command.h"

#include "attn.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COMMAND(name, group, summary) {#name, group, summary, cmd_##name},
static const struct command commands[] = {
#include "commands.h"
};
#undef COMMAND
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_version(FILE *stream, struct argp_state *state)
{
  (void)state;
  fprintf(stream, "attnbench %s\n", attn_version());
}

static void print_help(FILE *out)
{
  fputs("Usage: attnbench COMMAND [OPTION...]\n"
        "Fast attention on CPUs: measured, compared, guarded.\n",
        out);
  for (int i = 0; i < COMMANDS; i++) {
    if (i == 0 || strcmp(commands[i].group, commands[i - 1].group)) fprintf(out, "\n%s\n", commands[i].group);
    fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
  }
  fputs("\n"
        "`attnbench help COMMAND` (or `attnbench COMMAND --help`) shows options and examples; `attnbench --version`\n"
        "shows the version.\n"
        "\n"
        "Environment\n"
        "  ATTN_ISA          highest instruction set allowed: scalar, avx2, avx512, avx512bf16, amx, neon, neonbf16\n"
        "  ATTN_KERNEL       exactly this kernel; `attnbench info` lists them\n"
        "  ATTN_NUM_THREADS  threads; default: the physical cores that this process may use\n"
        "  ATTN_TUNING       file of `attnbench tune`: block sizes that were found to be best on this machine\n"
        "  ATTN_QUIRKS       none, or slow-requests, slow-pairs, shared-ports: instead of what is known of this CPU "
        "(`attnbench info`)\n"
        "  ATTN_DEBUG=1      tell on standard error what was chosen and why the others were not\n"
        "\n"
        "Exit codes\n"
        "  0 ok   1 regression   2 usage, nothing matched, or bad input   3 wrong result   4 environment refused\n"
        "  5 inconclusive\n",
        out);
}

static const struct command *find(const char *name)
{
  for (int i = 0; i < COMMANDS; i++)
    if (!strcmp(commands[i].name, name)) return &commands[i];
  return NULL;
}

enum { LONGEST_TYPO = 31 };

/* Insertions, deletions and replacements that lead from a to b; both at most LONGEST_TYPO characters. */
static int edit_distance(const char *a, const char *b)
{
  int row[LONGEST_TYPO + 1];
  const int columns = (int)strlen(b);
  for (int j = 0; j <= columns; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= columns; j++) {
      int best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[columns];
}

/* The command that was probably meant: one that begins so, or the nearest within a third of its letters. */
static const struct command *suggest(const char *typed)
{
  const struct command *nearest = NULL;
  const size_t length = strlen(typed);
  int distance = 0;
  if (length == 0 || length > LONGEST_TYPO) return NULL;
  for (int i = 0; i < COMMANDS; i++) {
    const int name_length = (int)strlen(commands[i].name);
    if (!strncmp(commands[i].name, typed, length)) return &commands[i];
    const int d = edit_distance(typed, commands[i].name);
    if (d <= (name_length + 2) / 3 && (!nearest || d < distance)) {
      nearest = &commands[i];
      distance = d;
    }
  }
  return nearest;
}

static int unknown(const char *typed)
{
  const struct command *meant = suggest(typed);
  fprintf(stderr, "attnbench: there is no command '%s'", typed);
  if (meant) fprintf(stderr, "; did you mean '%s'?", meant->name);
  fputs("\nattnbench --help lists the commands.\n", stderr);
  return EXIT_USAGE;
}

static int run(const struct command *command, int argc, char **argv)
{
  char name[64];
  snprintf(name, sizeof name, "attnbench %s", command->name);
  argv[0] = name;
  return command->run(argc, argv);
}

static int dispatch(int argc, char **argv)
{
  if (argc < 2) {
    print_help(stderr);
    return EXIT_USAGE;
  }
  const char *first = argv[1];
  if (!strcmp(first, "--version") || !strcmp(first, "-V")) {
    print_version(stdout, NULL);
    return 0;
  }
  const bool help = !strcmp(first, "--help") || !strcmp(first, "-h") || !strcmp(first, "-?") || !strcmp(first, "help");
  if (help && argc == 2) {
    print_help(stdout);
    return 0;
  }
  const struct command *command = find(help ? argv[2] : first);
  if (!command) {
    if (!help && first[0] == '-') {
      fprintf(stderr, "attnbench: unknown option '%s'; options follow the command\nattnbench --help lists the commands.\n",
              first);
      return EXIT_USAGE;
    }
    return unknown(help ? argv[2] : first);
  }
  char help_option[] = "--help";
  char *help_argv[] = {NULL, help_option, NULL};
  return help ? run(command, 2, help_argv) : run(command, argc - 1, argv + 1);
}

static bool reader_is_gone(void)
{
  struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
  return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

/* Also behind exit() inside argp: what was printed must have arrived, or the exit code must tell. A reader that went
 * away (`attnbench run | head`) wanted no more. */
static void close_stdout(void)
{
  const bool wrote = ferror(stdout) || __fpending(stdout);
  if (!wrote) return;
  errno = 0;
  if ((fflush(stdout) || ferror(stdout)) && !reader_is_gone()) {
    fprintf(stderr, "attnbench: standard output: %s\n", errno ? strerror(errno) : "an earlier write failed");
    _Exit(EXIT_USAGE);
  }
}

int main(int argc, char **argv)
{
  signal(SIGPIPE, SIG_IGN); /* not deadly: a long run whose reader has gone still writes its result files */
  argp_err_exit_status = EXIT_USAGE;
  argp_program_version_hook = print_version;
  atexit(close_stdout);
  return dispatch(argc, argv);
}
