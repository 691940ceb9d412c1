/* attnbench peers: the comparison is a Python program, because what it compares with are Python packages. Found in the
 * source tree that this binary was built in, then run in place of this process. */
#include "command.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char script_below_tree[] = "tools/peers/main.py";

/* The folder of this binary, without a slash at its end; false if the system does not tell. */
static int own_folder(char *folder, size_t bytes)
{
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return (size_t)snprintf(folder, bytes, "%s", dirname(path)) < bytes;
}

/* The tree is above the build folder, or where the command was called (BUILD may lie anywhere). */
static int find_script(char *script, size_t bytes, const char *folder)
{
  if ((size_t)snprintf(script, bytes, "%s/../%s", folder, script_below_tree) < bytes && !access(script, R_OK)) return 1;
  return (size_t)snprintf(script, bytes, "%s", script_below_tree) < bytes && !access(script, R_OK);
}

int cmd_peers(int argc, char **argv)
{
  char folder[PATH_MAX], script[PATH_MAX + sizeof script_below_tree + 4];
  if (!own_folder(folder, sizeof folder)) {
    fprintf(stderr, "%s: cannot find out where this program stands: /proc/self/exe: %s\n", argv[0], strerror(errno));
    return EXIT_USAGE;
  }
  if (!find_script(script, sizeof script, folder)) {
    fprintf(stderr, "%s: no %s beside %s or here; the comparison runs from a source tree: make peers\n", argv[0],
            script_below_tree, folder);
    return EXIT_USAGE;
  }
  const char *python = getenv("PYTHON");
  if (!python || !*python) python = "python3";
  char no_bytecode[] = "-B", build_option[] = "--build";
  char **command = calloc((size_t)argc + 5, sizeof *command);
  if (!command) {
    fprintf(stderr, "%s: no memory\n", argv[0]);
    return EXIT_USAGE;
  }
  int n = 0;
  command[n++] = (char *)python;
  command[n++] = no_bytecode;
  command[n++] = script;
  command[n++] = build_option;
  command[n++] = folder;
  memcpy(command + n, argv + 1, (size_t)(argc - 1) * sizeof *command);
  execvp(python, command);
  fprintf(stderr, "%s: %s: %s; Python 3 is needed (Debian: python3, python3-venv), or name another with PYTHON=\n", argv[0],
          python, strerror(errno));
  free(command);
  return EXIT_USAGE;
}
