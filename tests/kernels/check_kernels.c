/* check_kernels: every kernel of libattn against the float64 oracle, on every edge it has. Needs libattn.a and libc only,
 * so that one static file can be run in an emulator or on a machine without this tree. */
#include "case.h"
#include "crash.h"
#include "exp2_check.h"
#include "half_check.h"
#include "verify.h"

#include <argp.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  OPTION_ISA = 256,
  OPTION_GRID,
  OPTION_SEED,
  OPTION_LIST,
  OPTION_CASE,
  OPTION_STRIDE,
  OPTION_NO_EXP2,
  OPTION_PART,
  OPTION_COUNT,
  OPTION_TIES
};
enum { FAILURES_SHOWN = 5 };

struct settings {
  const char *kernels, *isas, *match;
  enum grid grid;
  uint64_t seed, stride;
  unsigned part, parts; /* cases part, part + parts, part + 2 * parts ... */
  unsigned count;       /* of a random grid, for each kernel */
  bool list, no_exp2, loose_f16_ties, verbose, quirks_given;
};

static const char *const grid_names[] = {"full", "quick", "emulated", "random"};

static const struct argp_option options[] = {
    {"kernel", 'k', "LIST", 0, "Only these kernels (comma-separated names)", 0},
    {"isa", OPTION_ISA, "LIST", 0, "Only kernels and exp2 of these ISAs (scalar, avx2, avx512, neon)", 0},
    {"grid", OPTION_GRID, "GRID", 0, "full (default), quick (sanitizers), emulated (few vector operations) or random", 0},
    {"count", OPTION_COUNT, "N", 0, "Cases of the random grid for each kernel (default 1000)", 0},
    {"seed", OPTION_SEED, "N", 0, "Seed of all data (default: from the clock); printed at the start", 0},
    {"case", OPTION_CASE, "TEXT", 0, "Only cases whose name contains TEXT", 0},
    {"exp2-stride", OPTION_STRIDE, "N", 0, "exp2: every N-th float (default 1 in the full grid: all of them)", 0},
    {"part", OPTION_PART, "K/N", 0,
     "Only the K-th of N equal parts of the cases; exp2 belongs to the first, f16 and bf16 to the last", 0},
    {"loose-f16-ties", OPTION_TIES, NULL, 0,
     "Accept a midpoint rounded to either f16 neighbour (Bochs 2.7 does not round to even)", 0},
    {"no-exp2", OPTION_NO_EXP2, NULL, 0, "Leave exp2 out", 0},
    {"list", OPTION_LIST, NULL, 0, "List kernels and the number of their cases, run nothing", 0},
    {"verbose", 'v', NULL, 0, "A line for each case", 0},
    {0}};

static uint64_t parse_number(struct argp_state *state, const char *what, const char *text)
{
  char *end;
  const uint64_t n = strtoull(text, &end, 0);
  if (!*text || *end) argp_error(state, "%s: '%s' is not a number", what, text);
  return n;
}

static void check_names(struct argp_state *state, const char *list, bool isa)
{
  char copy[512];
  if (snprintf(copy, sizeof copy, "%s", list) >= (int)sizeof copy) argp_error(state, "list too long: %s", list);
  for (char *save, *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
    bool known = !isa && attn_kernel_find(name);
    for (int i = 0; isa && i < ATTN_ISA_COUNT; i++) known |= !strcmp(name, attn_isa_name((enum attn_isa)i));
    if (!known) argp_error(state, "no such %s: '%s' (see --list)", isa ? "ISA" : "kernel", name);
  }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
  struct settings *s = state->input;
  switch (key) {
  case 'k': check_names(state, s->kernels = argument, false); break;
  case OPTION_ISA: check_names(state, s->isas = argument, true); break;
  case OPTION_GRID:
    for (int i = 0; i < 4; i++)
      if (!strcmp(argument, grid_names[i])) {
        s->grid = (enum grid)i;
        return 0;
      }
    argp_error(state, "--grid %s: not one of full, quick, emulated, random", argument);
    break;
  case OPTION_SEED: s->seed = parse_number(state, "--seed", argument); break;
  case OPTION_CASE: s->match = argument; break;
  case OPTION_STRIDE:
    if (!(s->stride = parse_number(state, "--exp2-stride", argument)))
      argp_error(state, "--exp2-stride must be at least 1");
    break;
  case OPTION_PART:
    if (sscanf(argument, "%u/%u", &s->part, &s->parts) != 2 || !s->part || s->part-- > s->parts)
      argp_error(state, "--part %s: not K/N with K from 1 to N", argument);
    break;
  case OPTION_COUNT:
    s->count = (unsigned)parse_number(state, "--count", argument);
    if (!s->count) argp_error(state, "--count must be at least 1");
    break;
  case OPTION_TIES: s->loose_f16_ties = true; break;
  case OPTION_NO_EXP2: s->no_exp2 = true; break;
  case OPTION_LIST: s->list = true; break;
  case 'v': s->verbose = true; break;
  case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", argument); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static bool listed(const char *list, const char *name)
{
  const size_t n = strlen(name);
  if (!list) return true;
  for (const char *at = list; (at = strstr(at, name)); at += n)
    if ((at == list || at[-1] == ',') && (at[n] == 0 || at[n] == ',')) return true;
  return false;
}

struct totals {
  long passed, failed, skipped;
};

struct run {
  const struct settings *settings;
  const struct attn_kernel *kernel;
  struct totals here;
  unsigned turn; /* counts cases, for --part */
  double error;
  char worst[sizeof((struct check_case *)0)->name];
};

static bool wanted(struct run *run, const struct check_case *c)
{
  const struct settings *s = run->settings;
  return (!s->match || strstr(c->name, s->match)) && run->turn++ % s->parts == s->part;
}

static bool count_case(const struct check_case *c, void *context)
{
  struct run *run = context;
  if (wanted(run, c)) run->here.passed++;
  return true;
}

/* Kernels go other ways on CPUs with quirks: every second case has all of them and the others none, on any machine and
 * whichever cases are chosen. */
static void choose_quirks(const struct check_case *c)
{
  char all[128] = "";
  unsigned sum = 0;
  for (uint32_t bit = 1; attn_quirk_name(bit); bit <<= 1)
    snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", *all ? "," : "", attn_quirk_name(bit));
  for (const char *at = c->name; *at; at++) sum += (unsigned char)*at;
  setenv("ATTN_QUIRKS", sum % 2 ? all : "none", 1);
}

static bool visit(const struct check_case *c, void *context)
{
  struct run *run = context;
  const struct settings *s = run->settings;
  if (!wanted(run, c)) return true;
  if (!s->quirks_given) choose_quirks(c);
  char where[640];
  snprintf(where, sizeof where, "kernel %s, case %s, seed %" PRIu64, run->kernel->name, c->name, s->seed);
  crash_set_context(where);
  const struct verdict v = verify_case(run->kernel, c, s->seed);
  if (v.skipped) {
    run->here.skipped++;
  } else if (v.ok) {
    run->here.passed++;
    if (v.error > run->error) {
      run->error = v.error;
      memcpy(run->worst, c->name, sizeof run->worst);
    }
  } else if (run->here.failed++ < FAILURES_SHOWN) {
    char count[24] = "";
    if (s->grid == GRID_RANDOM) snprintf(count, sizeof count, " --count %u", s->count);
    printf("FAIL %s: %s\n  %s\n  reproduce: --kernel %s --grid %s%s --seed %" PRIu64 " --case '%s'\n", run->kernel->name,
           c->name, v.why, run->kernel->name, grid_names[s->grid], count, s->seed, c->name);
  }
  if (s->verbose) printf("%s %s: %s\n", v.skipped ? "skip" : v.ok ? "pass" : "FAIL", run->kernel->name, c->name);
  fflush(stdout);
  return true;
}

static void check_kernel(const struct settings *s, const struct attn_kernel *kernel, struct totals *totals)
{
  struct run run = {.settings = s, .kernel = kernel};
  const struct attn_restrictions all = {.features = attn_cpu_features(), .isa = ATTN_ISA_COUNT, .kernel = kernel};
  char buffer[200];
  const char *obstacle = attn_kernel_obstacle(kernel, NULL, &all, buffer, sizeof buffer);
  if (s->list) {
    grid_visit(kernel, s->grid, s->seed, s->count, count_case, &run);
    printf("%-28s %-7s %5ld cases%s%s\n", kernel->name, attn_isa_name(kernel->isa), run.here.passed,
           obstacle ? "; not here: " : "", obstacle ? obstacle : "");
    return;
  }
  if (obstacle) {
    printf("%-28s skipped: %s\n", kernel->name, obstacle);
    totals->skipped++;
    return;
  }
  grid_visit(kernel, s->grid, s->seed, s->count, visit, &run);
  if (run.here.failed > FAILURES_SHOWN) printf("  ... and %ld more failures\n", run.here.failed - FAILURES_SHOWN);
  printf("%-28s %5ld passed, %ld failed", kernel->name, run.here.passed, run.here.failed);
  if (run.here.skipped) printf(", %ld skipped (shape not supported)", run.here.skipped);
  if (run.error > 0) printf("; largest error %.2e of max|O| (%s)", run.error, run.worst);
  printf("\n");
  fflush(stdout);
  totals->passed += run.here.passed;
  totals->failed += run.here.failed;
  totals->skipped += run.here.skipped;
}

/* "avx2" of "avx2 in range". */
static const char *isa_of(const struct exp2_version *v, char *isa, size_t bytes)
{
  snprintf(isa, bytes, "%.*s", (int)strcspn(v->name, " "), v->name);
  return isa;
}

static void check_exp2(const struct settings *s, struct totals *totals)
{
  static const uint64_t strides[] = {1, 211, 65521, 65521}; /* odd, so that low bits vary */
  const uint64_t stride = s->stride ? s->stride : strides[s->grid];
  const struct exp2_version *chosen[8];
  struct exp2_result results[8];
  char isa[16];
  int n = 0;
  for (const struct exp2_version *const *v = exp2_versions; *v; v++) {
    if (!listed(s->isas, isa_of(*v, isa, sizeof isa))) continue;
    if ((*v)->needs & ~attn_cpu_features()) {
      char list[160];
      printf("exp2 %-23s skipped: this CPU has no %s\n", (*v)->name,
             attn_feature_list((*v)->needs & ~attn_cpu_features(), list, sizeof list));
      totals->skipped++;
    } else {
      chosen[n++] = *v;
    }
  }
  if (!n) return;
  if (CRASH_CATCH()) { /* only of the special values; the sweep's own threads end the program */
    printf("FAIL exp2: %s\n", crash_signal_name(crash.signal));
    totals->failed++;
    return;
  }
  crash_set_context("exp2");
  exp2_check(chosen, n, stride, results);
  crash_disarm();
  for (int i = 0; i < n; i++) {
    const struct exp2_result *r = &results[i];
    const bool ok = r->worst_ulp <= chosen[i]->bound_ulp && !r->wrong[0];
    printf("%sexp2 %-23s %.4f ulp at most (claimed %.4g), at x = %.9g; %" PRIu64 " floats, ", ok ? "" : "FAIL ",
           chosen[i]->name, r->worst_ulp, chosen[i]->bound_ulp, (double)r->worst_x, r->floats);
    printf(stride == 1 ? "all of its domain" : "every %" PRIu64 ". and those around integers and halves", stride);
    printf("%s%s\n", r->wrong[0] ? "; " : "", r->wrong);
    *(ok ? &totals->passed : &totals->failed) += 1;
  }
}

static void check_half(const struct settings *s, struct totals *totals)
{
  for (const struct half_version *const *v = half_versions; *v; v++) {
    const uint32_t missing = (*v)->needs & ~attn_cpu_features();
    if (!listed(s->isas, (*v)->name)) continue;
    if (missing) {
      char list[160];
      printf("f16, bf16 %-18s skipped: this CPU has no %s\n", (*v)->name, attn_feature_list(missing, list, sizeof list));
      totals->skipped++;
      continue;
    }
    struct half_result r;
    half_check(*v, s->loose_f16_ties, &r);
    if (r.wrong[0])
      printf("FAIL f16, bf16 %s: %s\n", (*v)->name, r.wrong);
    else
      printf("f16, bf16 %-18s %" PRIu64 " conversions, all exact or correctly rounded%s\n", (*v)->name, r.values,
             s->loose_f16_ties ? "; ties of f16 either way" : "");
    *(r.wrong[0] ? &totals->failed : &totals->passed) += 1;
  }
}

int main(int argc, char **argv)
{
  struct settings s = {.seed = (uint64_t)time(NULL), .parts = 1, .count = 1000};
  const struct argp argp = {
      options,
      parse,
      NULL,
      "Checks every kernel that this CPU can run against the float64 oracle: tile edges, strides, masks, "
      "guard pages, special values, threads. Then exp2 over its range and the conversions of f16 and bf16. Every "
      "second case is run as on a CPU with all quirks, unless ATTN_QUIRKS is set.\v"
      "Exit status: 0 all passed, 2 wrong usage or nothing matched, 3 a kernel failed.",
      NULL,
      NULL,
      NULL};
  argp_err_exit_status = 2;
  if (argp_parse(&argp, argc, argv, 0, NULL, &s)) return 2;
  s.quirks_given = getenv("ATTN_QUIRKS") != NULL;
  crash_install();
  struct totals totals = {0};
  if (!s.list) printf("seed %" PRIu64 ", grid %s, %s\n", s.seed, grid_names[s.grid], attn_cpu_model());
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if (listed(s.kernels, (*k)->name) && listed(s.isas, attn_isa_name((*k)->isa))) check_kernel(&s, *k, &totals);
  if (s.list) return 0;
  if (!s.kernels && !s.match && !s.no_exp2 && s.part == 0) check_exp2(&s, &totals);
  if (!s.kernels && !s.match && s.part == s.parts - 1) check_half(&s, &totals);
  if (!(totals.passed + totals.failed + totals.skipped)) {
    fprintf(stderr, "check_kernels: nothing matched\n");
    return 2;
  }
  printf("%ld passed, %ld failed", totals.passed, totals.failed);
  if (totals.skipped) printf(", %ld skipped", totals.skipped);
  printf("\n");
  return totals.failed ? 3 : 0;
}
