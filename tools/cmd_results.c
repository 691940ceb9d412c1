/* attnbench results: checks and times every kernel of this CPU and writes what came out as a section of Markdown. */
#include "atomic_file.h"
#include "command.h"
#include "results/cpu_identity.h"
#include "results/results_page.h"

#include "../bench/build_identity.h"
#include "../bench/presets.h"
#include "../dispatch/internal.h"

#include "build_info.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char doc[] = "Check and time every kernel that this CPU can run, and write features, roofs and the table as a "
                          "section of Markdown under "
                          "the CPU's name."
                          "\vThe same as `attnbench verify' and `attnbench run --preset results', some minutes together, "
                          "in one page. With --out the "
                          "section is added to FILE, or takes the place of an earlier one of the same CPU; other sections "
                          "stay as they are. Nothing "
                          "is written if a kernel is wrong.\n"
                          "\n"
                          "Examples:\n"
                          "  attnbench results                       the section on standard output\n"
                          "  attnbench results --out docs/results.md\n"
                          "\n"
                          "Exit codes: 0 ok, 2 usage or unusable output, 3 wrong result, 130 interrupted.";

struct settings {
  const char *out, *preset;
};

static const struct argp_option options[] = {
    {"out", 'o', "FILE", 0, "Page of results to add the section to; made if it is not there", 0},
    {"preset", 'p', "NAME", 0, "Preset of `attnbench run' to time; default: results", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct settings *s = state->input;
  switch (key) {
  case 'o': s->out = arg; break;
  case 'p': s->preset = arg; break;
  case ARGP_KEY_ARG: argp_error(state, "there is nothing to give but options: '%s'", arg); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

extern char **environ;

/* Runs this program with other arguments; *text is what it wrote to descriptor `from` (a string to free()). Processes of
 * their own: a kernel that dies takes only its own with it. Returns the exit status, 128 + n for a signal, -1 with errno.
 */
static int run_self(char *const *argv, int from, char **text)
{
  int ends[2];
  size_t bytes = 0;
  *text = NULL;
  if (pipe2(ends, O_CLOEXEC)) return -1;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], from);
  pid_t child;
  errno = posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environ);
  const bool spawned = errno == 0;
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  FILE *memory = spawned ? open_memstream(text, &bytes) : NULL;
  char buffer[4096];
  for (ssize_t n; memory && (n = read(ends[0], buffer, sizeof buffer)) != 0;)
    if (n > 0)
      fwrite(buffer, 1, (size_t)n, memory);
    else if (errno != EINTR)
      break;
  close(ends[0]);
  if (!spawned) return -1;
  int status;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!memory || fclose(memory)) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The exit code of results itself if this step of it ended with `status`; 0: go on. */
static int judge(const char *name, const char *step, int status)
{
  if (status == 0) return 0;
  if (status < 0)
    fprintf(stderr, "%s: `attnbench %s' could not be started: %s\n", name, step, strerror(errno));
  else
    fprintf(stderr, "%s: `attnbench %s' ended with %d; nothing was written\n", name, step, status);
  return status == EXIT_WRONG || status >= 128 ? status : EXIT_USAGE;
}

/* Work of others that was waiting for a core before the first step: more than half a core makes the times theirs, too. */
static void describe_load(FILE *out, double load, int cores)
{
  if (load < 0)
    fputs("- load average before: unknown\n", out);
  else if (load <= 0.5)
    fprintf(out, "- load average before: %.2f\n", load);
  else
    fprintf(out,
            "- **the machine was busy** (load average %.1f on %d core%s before): the times below are not the CPU's best\n",
            load, cores, cores == 1 ? "" : "s");
}

static void describe(FILE *out, const char *preset, double load)
{
  const struct attn_topology *t = attn_topology_get();
  char date[32], features[256];
  const time_t now = time(NULL);
  struct tm utc;
  strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", gmtime_r(&now, &utc));
  const uint32_t found = attn_cpu_features();
  fprintf(out, "- %s, attnbench %s, commit %s, %s\n", date, attn_version(), build_commit(), BUILD_COMPILER);
  fprintf(out, "- %s%d core%s, L1d %zu KiB, L2 %zu KiB, L3 %zu KiB\n", cpu_is_virtual() ? "virtual machine, " : "",
          t->cores, t->cores == 1 ? "" : "s", t->l1d_bytes / 1024, t->l2_bytes / 1024, t->l3_bytes / 1024);
  describe_load(out, load, t->cores);
  fprintf(out, "- features: %s\n", found ? attn_feature_list(found, features, sizeof features) : "none that a kernel uses");
  fprintf(out, "- command: `attnbench results --preset %s`, that is `attnbench verify` and `attnbench run`\n\n", preset);
}

/* The page with the new section, into the file that was opened for it. */
static bool write_page(struct atomic_file *file, const char *path, const char *heading, const char *section,
                       struct complaint *why)
{
  char *old;
  if (!results_page_read(&old, path, why)) return false;
  results_page_merge(file->stream, old, heading, section);
  free(old);
  return atomic_file_commit(file, why);
}

int cmd_results(int argc, char **argv)
{
  const struct argp argp = {options, parse, NULL, doc, NULL, NULL, NULL};
  struct settings settings = {.preset = "results"};
  if (argp_parse(&argp, argc, argv, 0, NULL, &settings)) return EXIT_USAGE;
  enum { TABLE_FD = 3 };
  struct complaint why;
  struct atomic_file file = {0};
  /* What is bound to fail should do so before minutes of measuring. */
  if (!bench_preset_find(settings.preset)) {
    fprintf(stderr, "%s: --preset: there is no preset '%s'; `attnbench run --help' lists them\n", argv[0], settings.preset);
    return EXIT_USAGE;
  }
  if (settings.out && !atomic_file_open(&file, settings.out, &why)) {
    fprintf(stderr, "%s: --out: %s\n", argv[0], why.text);
    return EXIT_USAGE;
  }
  unsetenv("ATTN_ISA"); /* every kernel, whatever the caller's shell is limited to */
  unsetenv("ATTN_KERNEL");
  char *verify[] = {"attnbench", "verify", NULL};
  char *run[] = {"attnbench", "run", "--preset", (char *)settings.preset, "--markdown", "/dev/fd/3", NULL};
  char *checked = NULL, *table = NULL, *section = NULL;
  size_t bytes;
  double load;
  if (getloadavg(&load, 1) != 1) load = -1;
  fprintf(stderr, "%s: checking every kernel\n", argv[0]);
  int code = judge(argv[0], "verify", run_self(verify, STDOUT_FILENO, &checked));
  if (!code) {
    fprintf(stderr, "%s: timing, preset %s\n", argv[0], settings.preset);
    code = judge(argv[0], "run", run_self(run, TABLE_FD, &table));
  }
  FILE *out = code ? NULL : open_memstream(&section, &bytes);
  if (out) {
    describe(out, settings.preset, load);
    fprintf(out, "```\n%s```\n\n%s", checked, table);
    if (fclose(out)) code = EXIT_USAGE;
  }
  if (!code && section) {
    char heading[128];
    cpu_identity(heading, sizeof heading);
    if (settings.out && !write_page(&file, settings.out, heading, section, &why)) {
      /* Minutes of measuring are not lost because of a file. */
      fprintf(stderr, "%s: %s; the section follows on standard output\n", argv[0], why.text);
      code = EXIT_USAGE;
    }
    if (!settings.out || code) printf("## %s\n\n%s", heading, section);
  }
  atomic_file_discard(&file);
  free(checked);
  free(table);
  free(section);
  return code;
}
