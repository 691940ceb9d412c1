#include "rounds_options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  OPTION_MIN_TIME = 0x1000,
  OPTION_ISA,
  OPTION_REPETITIONS,
  OPTION_ROUNDS,
  OPTION_CLOCK,
  OPTION_FIGURE,
  OPTION_ALPHA,
  OPTION_SEED
};

const struct rounds_options rounds_options_defaults = {
    .min_time_s = 0.005, .alpha = 0.05, .repetitions = 7, .most_rounds = 60, .seed = 1};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0,
     "Which cases (as in `attnbench run'; default: the quick preset's shapes, one kernel each, all cores)", 10},
    {"preset", 'p', "NAME", 0, "Set of shapes", 10},
    {"case", 'c', "NAME", 0, "Exactly this case, by the name that a report gives it; may be repeated", 10},
    {"filter", 'f', "REGEX", 0, "Only cases whose name matches (POSIX extended)", 10},
    {"kernel", 'k', "LIST", 0, "Only these kernels, separated by commas", 10},
    {"isa", OPTION_ISA, "LIST", 0, "Only kernels of these ISAs: scalar, avx2, avx512, avx512bf16, amx, neon, neonbf16", 10},
    {"threads", 't', "LIST", 0, "Thread counts, 'all' for every core", 10},
    {NULL, 0, NULL, 0, "How they are measured", 11},
    {"rounds", OPTION_ROUNDS, "N", 0, "At most this many rounds; default 60", 11},
    {"min-time", OPTION_MIN_TIME, "SECONDS", 0, "Shortest repetition; default 0.005", 11},
    {"repetitions", OPTION_REPETITIONS, "N", 0, "Repetitions in a process; default 7", 11},
    {"clock", OPTION_CLOCK, "CLOCK", 0, "real, cpu, or auto (the default): cpu for cases on one thread", 11},
    {"figure", OPTION_FIGURE, "WHICH", 0, "What stands for a process: fastest (the default) or median repetition", 11},
    {"alpha", OPTION_ALPHA, "P", 0, "Probability of a false verdict, all cases and looks together; default 0.05", 11},
    {"seed", OPTION_SEED, "N", 0, "Seed of the order of visits; default 1", 11},
    {"quiet", 'q', NULL, 0, "No progress", 11},
    {0}};

double rounds_options_number(struct argp_state *state, const char *option, const char *text, double least, double most)
{
  char *end;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value >= least && value <= most))
    argp_error(state, "%s: '%s' is not a number within %g..%g", option, text, least, most);
  return value;
}

static int choice(struct argp_state *state, const char *option, const char *text, const char *const *names)
{
  char list[128] = "";
  for (int i = 0; names[i]; i++) {
    if (!strcmp(text, names[i])) return i;
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", names[i]);
  }
  argp_error(state, "%s: '%s' is not one of: %s", option, text, list);
  return 0;
}

static void pass_on(struct argp_state *state, struct rounds_options *o, const char *option, const char *value)
{
  if (o->arguments == 2 * ROUNDS_OPTIONS_MAX_ARGUMENTS)
    argp_error(state, "more than %d options of selection", ROUNDS_OPTIONS_MAX_ARGUMENTS);
  o->argument[o->arguments++] = option;
  o->argument[o->arguments++] = value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  static const char *const clocks[] = {"auto", "real", "cpu", NULL}, *const figures[] = {"fastest", "median", NULL};
  struct rounds_options *o = state->input;
  switch (key) {
  case 'p': pass_on(state, o, "--preset", arg); break;
  case 'c': pass_on(state, o, "--case", arg); break;
  case 'f': pass_on(state, o, "--filter", arg); break;
  case 'k': pass_on(state, o, "--kernel", arg); break;
  case OPTION_ISA: pass_on(state, o, "--isa", arg); break;
  case 't': pass_on(state, o, "--threads", arg); break;
  case OPTION_ROUNDS: o->most_rounds = (int)rounds_options_number(state, "--rounds", arg, 6, ROUNDS_MAX); break;
  case OPTION_MIN_TIME: o->min_time_s = rounds_options_number(state, "--min-time", arg, 1e-6, 3600); break;
  case OPTION_REPETITIONS: o->repetitions = (int)rounds_options_number(state, "--repetitions", arg, 1, 10000); break;
  case OPTION_CLOCK: o->clock = (enum rounds_clock)choice(state, "--clock", arg, clocks); break;
  case OPTION_FIGURE: o->figure = (enum rounds_figure)choice(state, "--figure", arg, figures); break;
  case OPTION_ALPHA: o->alpha = rounds_options_number(state, "--alpha", arg, 1e-9, 0.5); break;
  case OPTION_SEED: o->seed = (uint64_t)rounds_options_number(state, "--seed", arg, 0, 1e15); break;
  case 'q': o->quiet = true; break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

const struct argp rounds_options_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

/* The name without its kernel. */
static const char *after_kernel(const char *name)
{
  const char *kernel = strchr(name, '/'), *rest = kernel ? strchr(kernel + 1, '/') : NULL;
  return rest ? rest : name;
}

int rounds_options_names(const struct rounds_options *o, int program, char **text, const char *name[ROUNDS_MAX_CASES],
                         struct complaint *why)
{
  static const char *const otherwise[] = {"--preset", "quick", "--threads", "all", NULL};
  int n = 0;
  *text = rounds_list(program, NULL, o->arguments ? o->argument : otherwise, why);
  if (!*text) return 0;
  for (char *line = *text, *next; line && *line; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    bool known = false;
    for (int i = 0; i < n && !o->arguments; i++) known |= !strcmp(after_kernel(line), after_kernel(name[i]));
    if (known) continue;
    if (n == ROUNDS_MAX_CASES) {
      complaint_set(why, "more than %d cases: select fewer", ROUNDS_MAX_CASES);
      return 0;
    }
    name[n++] = line;
  }
  if (!n) complaint_set(why, "no case matches");
  return n;
}

int rounds_options_looks(const struct rounds_options *o, int cases, int look[ROUNDS_MAX_LOOKS])
{
  int looks = 0;
  /* All rounds of one sign give 2 / 2^n. Ten looks are assumed; one more round than needed forgives nothing yet. */
  int n = (int)ceil(log2(2 * 10 * cases / o->alpha)) + 1;
  while (n < o->most_rounds && looks < ROUNDS_MAX_LOOKS - 1) {
    look[looks++] = n;
    n += n / 3 > 2 ? n / 3 : 2;
  }
  look[looks++] = o->most_rounds;
  return looks;
}
