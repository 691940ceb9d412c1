/* What a subcommand of attnbench is, and the exit codes they all share. */
#ifndef ATTNBENCH_COMMAND_H
#define ATTNBENCH_COMMAND_H

/* 0 is success. 1 is never an error, only a verdict: scripts may rely on it. */
enum {
  EXIT_REGRESSION = 1,  /* slower than allowed */
  EXIT_USAGE = 2,       /* wrong usage, nothing matched, unusable input or output */
  EXIT_WRONG = 3,       /* a kernel computed a wrong result */
  EXIT_REFUSED = 4,     /* the environment was refused */
  EXIT_INCONCLUSIVE = 5 /* too much noise to tell */
};

/* argv[0] is "attnbench <name>", so that argp and getopt say it in usage and errors. Returns an exit code. Standard
 * output is flushed and checked by main(); SIGPIPE is ignored: writes to a closed pipe fail with EPIPE. */
typedef int command_function(int argc, char **argv);

struct command {
  const char *name;
  const char *group;   /* heading in the list of commands; those of one group stand together */
  const char *summary; /* one line */
  command_function *run;
};

/* Defined by tools/cmd_<name>.c for every line of commands.h. */
#define COMMAND(name, group, summary) command_function cmd_##name;
#include "commands.h"
#undef COMMAND

#endif
