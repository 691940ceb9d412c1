#include "rounds.h"

#include "../child.h"
#include "../command.h"

#include "../../bench/case.h"
#include "../../bench/clock.h"
#include "../../bench/results.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JSON_FD = 3 };
static const double visit_limit_s = 1800;

int rounds_open(const char *path, struct complaint *why)
{
  static const char *const below[] = {"", "/attnbench", "/build/attnbench"};
  char candidate[4096];
  for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
    struct stat s;
    if ((size_t)snprintf(candidate, sizeof candidate, "%s%s", path, below[i]) >= sizeof candidate) break;
    if (stat(candidate, &s) || !S_ISREG(s.st_mode) || access(candidate, X_OK)) continue;
    int fd = open(candidate, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fd <= JSON_FD) { /* the child's descriptors would take its place */
      const int higher = fcntl(fd, F_DUPFD_CLOEXEC, JSON_FD + 1);
      close(fd);
      fd = higher;
    }
    if (fd < 0) complaint_set(why, "%s: cannot be opened: %s", candidate, strerror(errno));
    return fd;
  }
  complaint_set(why, "%s: neither an executable attnbench nor a folder with attnbench or build/attnbench in it", path);
  return -1;
}

static int run_build(int program, char *const *env, char *const *argv, int from, struct child_output *output)
{
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", program);
  const struct child child = {.path = path, .argv = argv, .env = env, .from = from, .limit_s = visit_limit_s};
  return child_run(&child, output);
}

/* The child's own last words without "attnbench run: " in front, on one line. */
static const char *last_words(const struct child_output *output, char *text, size_t bytes)
{
  const char *said = strstr(output->said, "run: ") ? strstr(output->said, "run: ") + 5 : output->said;
  snprintf(text, bytes, "%.*s", (int)strcspn(said, "\n"), said);
  if (!*text)
    snprintf(text, bytes, output->status >= 128 ? "killed by signal %d" : "exit code %d",
             output->status >= 128 ? output->status - 128 : output->status);
  return text;
}

char *rounds_list(int program, char *const *env, const char *const *arguments, struct complaint *why)
{
  int n = 0;
  while (arguments[n]) n++;
  const char **argv = calloc((size_t)n + 4, sizeof *argv);
  struct child_output output = {0};
  if (!argv) {
    complaint_set(why, "no memory");
    return NULL;
  }
  argv[0] = "attnbench";
  argv[1] = "run";
  argv[2] = "--list";
  memcpy(argv + 3, arguments, (size_t)n * sizeof *argv);
  const int failed = run_build(program, env, (char *const *)argv, STDOUT_FILENO, &output);
  char words[512], *text = NULL;
  if (failed)
    complaint_set(why, "cannot be started: %s", strerror(failed));
  else if (output.status)
    complaint_set(why, "%s", last_words(&output, words, sizeof words));
  else {
    text = output.text;
    output.text = NULL;
  }
  child_output_free(&output);
  free(argv);
  return text;
}

bool rounds_knows_times_only(int program)
{
  struct complaint why;
  char *list = rounds_list(program, NULL, (const char *const[]){"--times-only", NULL}, &why);
  free(list);
  return list != NULL;
}

bool rounds_prepare(struct rounds *r)
{
  const size_t cases = (size_t)r->cases;
  r->skip = calloc(cases, sizeof *r->skip);
  r->done = calloc(cases, sizeof *r->done);
  r->ln = calloc(cases * ROUNDS_MAX * (size_t)r->sides, sizeof *r->ln);
  r->spent_s = 0;
  r->visits = r->failure = 0;
  return r->skip && r->done && r->ln;
}

void rounds_free(struct rounds *r)
{
  free(r->skip);
  free(r->done);
  free(r->ln);
  free(r->context);
  r->skip = NULL;
  r->done = NULL;
  r->ln = NULL;
  r->context = NULL;
}

static double *value_at(const struct rounds *r, int c, int round, int side)
{
  return &r->ln[((size_t)c * ROUNDS_MAX + (size_t)round) * (size_t)r->sides + (size_t)side];
}

double rounds_value(const struct rounds *r, int c, int round, int side) { return *value_at(r, c, round, side); }

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

bool rounds_on_cpu_time(enum rounds_clock clock, const char *name)
{
  struct bench_case c;
  char why[256];
  if (clock != ROUNDS_CLOCK_AUTO) return clock == ROUNDS_CLOCK_CPU;
  return bench_case_parse(&c, name, why, sizeof why) && c.threads == 1;
}

/* NaN: the results lack what is asked for. */
static double figure_of(const struct rounds *r, const struct results_case *c)
{
  double *ns = rounds_on_cpu_time(r->clock, c->name) ? c->cpu_ns : c->time_ns;
  qsort(ns, (size_t)c->times, sizeof *ns, by_value);
  const int middle = c->times / 2;
  if (r->figure == ROUNDS_FASTEST) return ns[0];
  return c->times % 2 ? ns[middle] : (ns[middle - 1] + ns[middle]) / 2;
}

static bool visit(struct rounds *r, int c, int side, double *ln, struct complaint *why)
{
  const struct rounds_side *s = &r->side[side];
  char min_time[32], repetitions[16], words[512];
  struct child_output output;
  snprintf(min_time, sizeof min_time, "%.6f", r->min_time_s);
  snprintf(repetitions, sizeof repetitions, "%d", r->repetitions);
  const char *argv[] = {"attnbench",  "run",    "--quiet",       "--json",    "/dev/fd/3", "--case", s->name[c],
                        "--min-time", min_time, "--repetitions", repetitions, NULL,        NULL};
  if (!s->whole) argv[11] = "--times-only";
  const int failed = run_build(s->program, s->env, (char *const *)argv, JSON_FD, &output);
  r->visits++;
  struct results results = {0};
  bool ok = false;
  r->failure = EXIT_USAGE;
  if (failed)
    complaint_set(why, "%s: cannot be started: %s", s->label, strerror(failed));
  else if (output.status == EXIT_WRONG) {
    r->failure = EXIT_WRONG;
    complaint_set(why, "%s: wrong result, by the oracle: %s", s->label, s->name[c]);
  } else if (output.status == 130 || (r->stop && *r->stop)) {
    r->failure = 130;
    complaint_set(why, "interrupted");
  } else if (output.status)
    complaint_set(why, "%s: %s: %s", s->label, s->name[c], last_words(&output, words, sizeof words));
  else if (!results_parse(&results, s->label, output.text, output.bytes, why->text, sizeof why->text))
    ok = false;
  else if (results.count != 1 || !(figure_of(r, &results.c[0]) > 0))
    complaint_set(why, "%s: %s: its JSON has not the time of this one case", s->label, s->name[c]);
  else {
    ok = true;
    r->failure = 0;
    *ln = log(figure_of(r, &results.c[0]));
    if (!r->context && side + 1 == r->sides) {
      r->context = output.text;
      output.text = NULL;
    }
  }
  results_free(&results);
  child_output_free(&output);
  return ok;
}

static uint64_t draw(struct rounds *r) /* splitmix64 */
{
  uint64_t z = r->random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* A random order in even rounds, its mirror image in the round after. */
static void order_of(struct rounds *r, int round, int *order)
{
  if (round % 2) {
    for (int i = 0; i < r->sides / 2; i++) {
      const int other = r->sides - 1 - i, swap = order[i];
      order[i] = order[other];
      order[other] = swap;
    }
    return;
  }
  for (int i = 0; i < r->sides; i++) {
    const int place = (int)(draw(r) % (uint64_t)(i + 1));
    order[i] = order[place];
    order[place] = i;
  }
}

bool rounds_one_more(struct rounds *r, void (*shown)(const struct rounds *, int, void *), void *context,
                     struct complaint *why)
{
  static int order[ROUNDS_MAX_CASES][ROUNDS_MAX_SIDES];
  const double began = bench_clock();
  for (int c = 0; c < r->cases; c++) {
    if (r->skip[c] || r->done[c] == ROUNDS_MAX) continue;
    order_of(r, r->done[c], order[c]);
    for (int i = 0; i < r->sides; i++) {
      if (shown) shown(r, c, context);
      if (!visit(r, c, order[c][i], value_at(r, c, r->done[c], order[c][i]), why)) return false;
    }
    r->done[c]++;
  }
  r->spent_s += bench_clock() - began;
  return true;
}
