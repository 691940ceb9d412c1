/* attnbench doctor: what about this machine makes times untrustworthy, and how to mend it. */
#include "command.h"

#include "../bench/clock.h"
#include "../bench/doctor.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPTION_JSON = 0x100, OPTION_STRICT, OPTION_SECONDS, OPTION_ROOT };

struct options {
  const char *root;
  double seconds;
  bool json, strict;
};

static const char doc[] = "Examine the machine: what makes times untrustworthy, and how to mend it."
                          "\vGovernor, turbo, SMT siblings, cgroup quota, isolated CPUs, load, large pages, virtual or "
                          "not, hardware counters; and "
                          "over some seconds of multiply-adds: other work, time stolen by the hypervisor, throttling, "
                          "drift of the frequency. `attnbench "
                          "run' does the same around its cases and writes the findings into its JSON.\n\n"
                          "A warning means that times taken now are not to be trusted; a note is worth knowing.\n\n"
                          "Examples:\n"
                          "  attnbench doctor\n"
                          "  attnbench doctor --strict && attnbench run --preset full\n\n"
                          "Exit codes: 0 examined, 2 usage, 4 with --strict: there is a warning.";

static const struct argp_option argp_options[] = {
    {"json", OPTION_JSON, NULL, 0, "Write JSON to standard output", 0},
    {"strict", OPTION_STRICT, NULL, 0, "Exit code 4 if there is a warning", 0},
    {"seconds", OPTION_SECONDS, "S", 0, "How long to watch; default 2, 0: only what can be told at once", 0},
    {"root", OPTION_ROOT, "DIR", 0, "Read DIR/proc and DIR/sys: copies from another machine", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  char *end;
  switch (key) {
  case OPTION_JSON: o->json = true; break;
  case OPTION_STRICT: o->strict = true; break;
  case OPTION_ROOT: o->root = arg; break;
  case OPTION_SECONDS:
    o->seconds = strtod(arg, &end);
    if (end == arg || *end || !(o->seconds >= 0 && o->seconds <= 3600))
      argp_error(state, "--seconds: '%s' is not a number within 0..3600", arg);
    break;
  case ARGP_KEY_ARG: argp_error(state, "there is nothing to give but options: '%s'", arg); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

/* Samples of the FMA roof on one core, with pauses, so that other work can show. */
static bool watch(struct doctor *d, double seconds)
{
  if (seconds <= 0) {
    doctor_end(d, NULL);
    return true;
  }
  struct bench_roofs *roofs = bench_roofs_create(1);
  if (!roofs) return false;
  enum attn_isa isa = ATTN_ISA_SCALAR;
  for (int i = 0; i < ATTN_ISA_COUNT; i++)
    if (bench_roofs_fma(roofs, (enum attn_isa)i, 1) > 0) isa = (enum attn_isa)i;
  for (const double until = bench_clock() + seconds; bench_clock() < until;) {
    bench_roofs_fma(roofs, isa, 1);
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  doctor_end(d, roofs);
  bench_roofs_destroy(roofs);
  return true;
}

static void print_text(const struct doctor *d)
{
  for (int i = 0; i < d->count; i++) {
    const struct doctor_finding *f = &d->finding[i];
    printf("%-8s %-11s %s\n", doctor_level_name(f->level), f->check, f->text);
    if (*f->remedy && f->level != DOCTOR_OK) printf("%-8s %-11s to mend it: %s\n", "", "", f->remedy);
  }
  const int warnings = doctor_warnings(d);
  if (warnings)
    printf("\n%d warning%s: times taken now are not to be trusted.\n", warnings, warnings == 1 ? "" : "s");
  else
    puts("\nNo warning.");
}

static bool print_json(const struct doctor *d)
{
  json_t *findings = json_array();
  for (int i = 0; i < d->count; i++) {
    const struct doctor_finding *f = &d->finding[i];
    json_array_append_new(findings, json_pack("{s:s, s:s, s:s, s:s}", "check", f->check, "level",
                                              doctor_level_name(f->level), "text", f->text, "remedy", f->remedy));
  }
  json_t *root = json_array_size(findings) == (size_t)d->count
                     ? json_pack("{s:i, s:O}", "warnings", doctor_warnings(d), "findings", findings)
                     : NULL;
  json_decref(findings);
  const bool ok = root && !json_dumpf(root, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;
  json_decref(root);
  return ok;
}

int cmd_doctor(int argc, char **argv)
{
  struct options o = {.root = "", .seconds = 2};
  const struct argp argp = {argp_options, parse, NULL, doc, NULL, NULL, NULL};
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  struct doctor d;
  doctor_begin(&d, o.root);
  if (!watch(&d, o.seconds)) return EXIT_USAGE;
  if (!o.json)
    print_text(&d);
  else if (!print_json(&d)) {
    fprintf(stderr, "%s: no memory for the JSON\n", argv[0]);
    return EXIT_USAGE;
  }
  return o.strict && doctor_warnings(&d) ? EXIT_REFUSED : 0;
}
