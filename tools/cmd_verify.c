/* attnbench verify: every kernel that this CPU can run against the float64 oracle, over a grid of odd problems. */
#include "command.h"

#include "../bench/verify.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_KERNELS = 64, EXIT_INTERRUPTED = 128 + SIGINT };
enum { OPTION_SEED = 's', OPTION_KERNEL = 'k', OPTION_CASE = 'c', OPTION_QUIET = 'q' };

struct options {
  const char *kernels;
  uint64_t seed;
  int only; /* index of the one case; -1: all */
  bool quiet;
};

struct subject {
  const struct attn_kernel *kernel;
  struct verify_tally tally;
};

static volatile sig_atomic_t stop;
static void on_interrupt(int number)
{
  (void)number;
  stop = 1;
}

static const struct argp_option argp_options[] = {
    {"kernel", OPTION_KERNEL, "LIST", 0, "Only these kernels, separated by commas; `attnbench info` lists them", 0},
    {"seed", OPTION_SEED, "N", 0, "Seed of the problems and their content; default 1", 0},
    {"case", OPTION_CASE, "N", 0, "Only this case of the seed, as a failure names it", 0},
    {"quiet", OPTION_QUIET, NULL, 0, "Print failures only", 0},
    {0}};

static const char doc[] =
    "Compare every kernel that this CPU can run with the float64 oracle.\v"
    "The grid: all pairs of query and key counts around the tile sizes, each with random heads and groups, head sizes, "
    "causality and offsets, boolean and additive masks (broadcast, short), layouts and odd strides, rows that see no key, "
    "NaN in hidden keys. Checked are O, LSE, that one and two threads give the same bits, and that nothing else was "
    "written.\n\n"
    "Examples:\n"
    "  attnbench verify\n"
    "  attnbench verify --seed 42 --kernel fwd_f32_avx2,fwd_f32_avx512\n"
    "  attnbench verify --seed 42 --case 117 --kernel fwd_f32_avx2\n\n"
    "Exit codes: 0 all right, 2 usage or nothing to verify, 3 a kernel is wrong, 130 interrupted.";

static long long whole_number(struct argp_state *state, const char *option, const char *text, long long most)
{
  char *end;
  errno = 0;
  const long long n = strtoll(text, &end, 10);
  if (end == text || *end || errno || n < 0 || n > most)
    argp_error(state, "%s: '%s' is not a whole number within 0..%lld", option, text, most);
  return n;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case OPTION_KERNEL: o->kernels = arg; break;
  case OPTION_SEED: o->seed = (uint64_t)whole_number(state, "--seed", arg, INT64_MAX); break;
  case OPTION_CASE: o->only = (int)whole_number(state, "--case", arg, bench_grid_count() - 1); break;
  case OPTION_QUIET: o->quiet = true; break;
  case ARGP_KEY_ARG: argp_error(state, "'%s' is no option", arg); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

/* True if list is NULL or names the kernel. */
static bool is_listed(const char *list, const char *name)
{
  if (!list) return true;
  for (const char *at = list; at; at = strchr(at, ','), at += at != NULL) {
    const size_t length = strcspn(at, ",");
    if (strlen(name) == length && !strncmp(at, name, length)) return true;
  }
  return false;
}

static bool all_exist(const char *list)
{
  for (const char *at = list; at; at = strchr(at, ','), at += at != NULL) {
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
    if (attn_kernel_find(name)) continue;
    fprintf(stderr, "attnbench verify: --kernel: there is no kernel '%s'; this build has:", name);
    for (const struct attn_kernel *const *k = attn_kernels; *k; k++) fprintf(stderr, " %s", (*k)->name);
    fputc('\n', stderr);
    return false;
  }
  return true;
}

/* The kernels to verify; tells about those that cannot run. -1: a name or the environment is wrong. */
static int choose(struct subject *subjects, const struct options *o)
{
  struct attn_restrictions restrictions;
  int n = 0;
  if (o->kernels && !all_exist(o->kernels)) return -1;
  if (attn_restrictions_get(&restrictions, NULL)) {
    fprintf(stderr, "attnbench verify: %s\n", attn_error_message());
    return -1;
  }
  for (const struct attn_kernel *const *k = attn_kernels; *k && n < MAX_KERNELS; k++) {
    struct attn_restrictions named = restrictions;
    char buffer[200];
    if (!is_listed(o->kernels, (*k)->name)) continue;
    if (!named.kernel) named.kernel = *k; /* those for comparison run when named */
    const char *obstacle = attn_kernel_obstacle(*k, NULL, &named, buffer, sizeof buffer);
    if (!obstacle)
      subjects[n++].kernel = *k;
    else if (!o->quiet)
      printf("%-26s not verified: %s\n", (*k)->name, obstacle);
  }
  return n;
}

static bool verify_case(struct subject *subjects, int n, attn_dtype dtype, int index, uint64_t seed)
{
  struct grid_case c;
  struct verify_truth truth;
  char why[400];
  bool ok = true;
  if (!bench_grid_create(&c, seed, index, dtype, why, sizeof why) || !bench_truth_create(&truth, &c)) {
    fprintf(stderr, "attnbench verify: case %d: no memory\n", index);
    return false;
  }
  for (int i = 0; i < n; i++) {
    struct subject *s = &subjects[i];
    if (s->kernel->dtype != dtype) continue;
    if (s->kernel->flags & ATTN_KERNEL_ONLY_CACHES || (s->kernel->supports && !s->kernel->supports(&c.problem))) {
      s->tally.unsupported++;
      continue;
    }
    if (bench_verify_case(s->kernel, &c, &truth, &s->tally, why, sizeof why)) continue;
    ok = false;
    printf("WRONG %s: %s\n  %s\n  again: attnbench verify --seed %llu --case %d --kernel %s\n", s->kernel->name, why,
           c.text, (unsigned long long)seed, index, s->kernel->name);
  }
  bench_truth_destroy(&truth);
  bench_grid_destroy(&c);
  return ok;
}

static void print_tallies(const struct subject *subjects, int n)
{
  printf("%-26s %6s %10s %11s %13s %13s\n", "kernel", "cases", "2 threads", "blind rows", "max error O", "max error LSE");
  for (int i = 0; i < n; i++) {
    const struct verify_tally *t = &subjects[i].tally;
    printf("%-26s %6d %10d %11d %13.1e %13.1e  ", subjects[i].kernel->name, t->cases, t->on_two_threads, t->blind_rows,
           t->o_error, t->lse_error);
    if (t->failures)
      printf("WRONG in %d cases\n", t->failures);
    else
      printf(t->cases == 0    ? "not checked here: no case suits it\n"
             : t->unsupported ? "ok (%d cases not supported)\n"
                              : "ok\n",
             t->unsupported);
  }
}

static int verify(struct subject *subjects, int n, const struct options *o)
{
  const int first = o->only < 0 ? 0 : o->only, last = o->only < 0 ? bench_grid_count() - 1 : o->only;
  const bool progress = !o->quiet && isatty(STDERR_FILENO);
  bool ok = true;
  for (int index = first; index <= last && !stop; index++) {
    if (progress) fprintf(stderr, "\r[%d/%d] ", index - first + 1, last - first + 1);
    for (attn_dtype dtype = ATTN_F32; dtype <= ATTN_BF16; dtype++) {
      bool needed = false;
      for (int i = 0; i < n; i++) needed |= subjects[i].kernel->dtype == dtype;
      if (needed) ok &= verify_case(subjects, n, dtype, index, o->seed);
    }
  }
  if (progress) fputs("\r\033[K", stderr);
  if (!o->quiet) print_tallies(subjects, n);
  if (!ok) return EXIT_WRONG;
  if (stop) fputs("attnbench verify: interrupted\n", stderr);
  return stop ? EXIT_INTERRUPTED : 0;
}

int cmd_verify(int argc, char **argv)
{
  static struct subject subjects[MAX_KERNELS];
  static const struct argp argp = {argp_options, parse, NULL, doc, NULL, NULL, NULL};
  struct options o = {.seed = 1, .only = -1};
  argp_err_exit_status = EXIT_USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  const int n = choose(subjects, &o);
  if (n < 0) return EXIT_USAGE;
  if (n == 0) {
    fputs("attnbench verify: none of these kernels can run here\n", stderr);
    return EXIT_USAGE;
  }
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, NULL);
  return verify(subjects, n, &o);
}
