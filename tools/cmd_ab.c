/* attnbench ab: two builds, kernels, ISAs, thread counts or environments, in turn, until it is clear which is faster. */
#include "compare/ab_sides.h"
#include "atomic_file.h"
#include "case_text.h"
#include "command.h"
#include "grid_table.h"

#include "../bench/verdict.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_JSON = 0x100, OPTION_MARKDOWN };

struct options {
  struct rounds_options rounds;
  const char *side[2], *json, *markdown;
  int sides;
  double margin;
};

struct decision {
  struct stats_interval effect; /* of B against A */
  double p;
  int n;
  bool decided;
  enum verdict verdict;
};

static volatile int stop;
static void on_interrupt(int number)
{
  (void)number;
  stop = 1;
}

static const char doc[] =
    "Time A and B in turn, each visit a process of its own, until it is clear which is faster."
    "\vA and B are\n"
    "  a build:       the path of an attnbench, or of a folder with attnbench or build/attnbench in it\n"
    "  kernel:NAME    the same shapes by two kernels of this build (a bare name of a kernel will do)\n"
    "  isa:NAME       the kernels of one ISA against their namesakes of another\n"
    "  threads:N      the same cases on two numbers of threads\n"
    "  env:NAME=VALUE[,NAME=VALUE...]  this build with these variables set; env: alone sets none\n"
    "and both are of one sort.\n\n"
    "A round visits A and B once per case, in random order and then mirrored (ABBA or BAAB). A visit checks the kernel "
    "against "
    "the oracle and keeps the fastest of several short repetitions. The effect is the median over the rounds of ln B - ln "
    "A, "
    "with the interval of the sign test, which assumes of the rounds only that they are independent.\n\n"
    "The rounds are looked at several times, each look at a level of alpha / looks (Bonferroni), the cases of a look "
    "corrected by Holm: the probability that any unchanged case is called faster or slower, at any look, is at most alpha. "
    "The same holds for calling a case the same whose true change is beyond the margin. Decided cases are not run "
    "again.\n\n"
    "Examples:\n"
    "  attnbench ab ../old/build ./build --threads 1\n"
    "  attnbench ab kernel:fwd_f32_avx2 kernel:fwd_f32_avx512 --preset models\n"
    "  attnbench ab threads:1 threads:2 --kernel fwd_f32_avx2\n"
    "  attnbench ab env: env:OMP_WAIT_POLICY=passive --threads all\n\n"
    "Exit codes: 0 all decided, B nowhere slower; 1 B is slower in a case; 2 usage or nothing to run; 3 wrong result; 5 a "
    "case "
    "stayed inconclusive and none is slower; 130 interrupted.";

static const struct argp_option argp_options[] = {
    {"margin", 'm', "PERCENT", 0, "Changes within this are the same; default 2", 1},
    {"json", OPTION_JSON, "FILE", 0, "Write verdicts and all rounds as JSON", 1},
    {"markdown", OPTION_MARKDOWN, "FILE", 0, "Write the table as Markdown", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = &o->rounds; break;
  case 'm': o->margin = rounds_options_number(state, "--margin", arg, 0, 99) / 100; break;
  case OPTION_JSON: o->json = arg; break;
  case OPTION_MARKDOWN: o->markdown = arg; break;
  case ARGP_KEY_ARG:
    if (o->sides == 2) argp_error(state, "'%s' is a third side: there are A and B", arg);
    o->side[o->sides++] = arg;
    break;
  case ARGP_KEY_END:
    if (o->sides < 2) argp_error(state, "A and B are needed, see --help");
    break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

struct ab {
  const struct options *o;
  struct rounds rounds;
  struct decision *decision; /* [cases] */
  int look[ROUNDS_MAX_LOOKS], looks, rejected;
};

static void show(const struct rounds *r, int c, void *context)
{
  const struct ab *ab = context;
  char name[200], left[64] = "";
  int open = 0, round = r->done[c];
  for (int i = 0; i < r->cases; i++) open += !r->skip[i];
  if (r->visits >= 2) {
    const double most = r->spent_s / (round ? round : 1) * (ab->o->rounds.most_rounds - round);
    if (round) snprintf(left, sizeof left, ", at most %.0f s left", most);
  }
  fprintf(stderr, "\r\033[Kround %d of at most %d, %d of %d cases open%s  %.90s", round + 1, ab->o->rounds.most_rounds,
          open, r->cases, left, case_short(r->side[0].name[c], name, sizeof name));
}

/* Effect, interval and p of a case after the rounds so far. */
static bool look_at(struct ab *ab, int c)
{
  struct decision *d = &ab->decision[c];
  const struct rounds *r = &ab->rounds;
  double difference[ROUNDS_MAX];
  int slower = 0, changed = 0;
  d->n = r->done[c];
  for (int i = 0; i < d->n; i++) {
    difference[i] = rounds_value(r, c, i, 1) - rounds_value(r, c, i, 0);
    slower += difference[i] > 0;
    changed += difference[i] != 0;
  }
  d->effect = stats_median_interval(difference, d->n, 1 - ab->o->rounds.alpha / (ab->looks * r->cases));
  d->p = stats_sign_test(slower, changed);
  return !isnan(d->effect.estimate);
}

/* Holm, step by step; a case that was called faster or slower at an earlier look has left the family, others have not. */
static void decide(struct ab *ab)
{
  const struct rounds *r = &ab->rounds;
  for (bool found = true; found;) {
    int smallest = -1;
    found = false;
    for (int c = 0; c < r->cases; c++)
      if (!ab->decision[c].decided && (smallest < 0 || ab->decision[c].p < ab->decision[smallest].p)) smallest = c;
    if (smallest < 0) return;
    struct decision *d = &ab->decision[smallest];
    const bool significant = d->p <= ab->o->rounds.alpha / ab->looks / (r->cases - ab->rejected);
    d->verdict = verdict_of(&d->effect, significant, ab->o->margin);
    if (!significant || d->verdict == VERDICT_INCONCLUSIVE) break;
    found = d->decided = true;
    ab->rejected += d->verdict != VERDICT_SAME;
  }
  for (int c = 0; c < r->cases; c++) {
    struct decision *d = &ab->decision[c];
    if (d->decided) continue;
    d->verdict = verdict_of(&d->effect, false, ab->o->margin);
    d->decided = d->verdict == VERDICT_SAME;
  }
}

static bool measure(struct ab *ab, struct complaint *why)
{
  struct rounds *r = &ab->rounds;
  const bool progress = !ab->o->rounds.quiet && isatty(STDERR_FILENO);
  bool ok = true, open = true;
  for (int l = 0, round = 0; l < ab->looks && ok && open; l++) {
    for (; round < ab->look[l] && ok; round++) ok = rounds_one_more(r, progress ? show : NULL, ab, why);
    for (int c = 0; c < r->cases && ok; c++)
      if (!ab->decision[c].decided) ok = look_at(ab, c) || complain(why, "no memory");
    if (ok) decide(ab);
    open = false;
    for (int c = 0; c < r->cases; c++) {
      r->skip[c] = ab->decision[c].decided;
      open |= !r->skip[c];
    }
  }
  if (progress) fputs("\r\033[K", stderr);
  return ok;
}

static void print_table(FILE *out, const struct ab *ab, enum grid_format format)
{
  struct grid_table table = {0};
  const struct rounds *r = &ab->rounds;
  grid_add(&table, 8, (const char *const[]){"<case of A", "A", "B", "B/A", "<B is", "interval of change", "p", "rounds"});
  for (int c = 0; c < r->cases; c++) {
    const struct decision *d = &ab->decision[c];
    char name[400], a[32], b[32], ratio[32], words[64], interval[64], p[32], n[16];
    double of[2][ROUNDS_MAX];
    for (int i = 0; i < d->n; i++)
      for (int s = 0; s < 2; s++) of[s][i] = rounds_value(r, c, i, s);
    if (format == GRID_TEXT)
      case_short(r->side[0].name[c], name, sizeof name);
    else
      snprintf(name, sizeof name, "%s", r->side[0].name[c]);
    duration_text(exp(stats_median(of[0], d->n)), a, sizeof a);
    duration_text(exp(stats_median(of[1], d->n)), b, sizeof b);
    snprintf(ratio, sizeof ratio, "%.3f", exp(d->effect.estimate));
    verdict_text(d->verdict, &d->effect, ab->o->margin, words, sizeof words);
    verdict_interval_text(&d->effect, interval, sizeof interval);
    snprintf(p, sizeof p, "%.2g", d->p);
    snprintf(n, sizeof n, "%d", d->n);
    grid_add(&table, 8, (const char *const[]){name, a, b, ratio, words, interval, p, n});
  }
  fprintf(out, "A  %s\nB  %s\n\n", r->side[0].label, r->side[1].label);
  grid_print(out, &table, format);
  fprintf(out,
          "\nTimes: median over the rounds of the %s repetition of a process. %d case%s, up to %d looks, together at most "
          "%g %% "
          "chance of\na false verdict; intervals hold together at that level. p: sign test, to compare with %.2g.\n",
          ab->o->rounds.figure == ROUNDS_FASTEST ? "fastest" : "median", r->cases, r->cases == 1 ? "" : "s", ab->looks,
          100 * ab->o->rounds.alpha, ab->o->rounds.alpha / ab->looks / r->cases);
  grid_free(&table);
}

static bool write_json(FILE *out, const struct ab *ab)
{
  const struct rounds *r = &ab->rounds;
  json_t *root = json_object(), *cases = json_array();
  for (int c = 0; c < r->cases; c++) {
    const struct decision *d = &ab->decision[c];
    json_t *entry = json_object(), *rounds = json_array();
    json_object_set_new(entry, "a", json_string(r->side[0].name[c]));
    json_object_set_new(entry, "b", json_string(r->side[1].name[c]));
    json_object_set_new(entry, "verdict", json_string(verdict_name(d->verdict)));
    json_object_set_new(entry, "ratio", json_real(exp(d->effect.estimate)));
    if (isfinite(d->effect.low) && isfinite(d->effect.high)) {
      json_object_set_new(entry, "ratio_low", json_real(exp(d->effect.low)));
      json_object_set_new(entry, "ratio_high", json_real(exp(d->effect.high)));
    }
    json_object_set_new(entry, "p", json_real(d->p));
    for (int i = 0; i < d->n; i++)
      json_array_append_new(rounds, json_pack("[f, f]", exp(rounds_value(r, c, i, 0)), exp(rounds_value(r, c, i, 1))));
    json_object_set_new(entry, "rounds_ns", rounds);
    json_array_append_new(cases, entry);
  }
  json_object_set_new(root, "looks", json_integer(ab->looks));
  json_object_set_new(root, "alpha", json_real(ab->o->rounds.alpha));
  json_object_set_new(root, "margin", json_real(ab->o->margin));
  json_object_set_new(root, "cases", cases);
  const bool ok =
      json_array_size(cases) == (size_t)r->cases && !json_dumpf(root, out, JSON_INDENT(2)) && fputc('\n', out) != EOF;
  json_decref(root);
  return ok;
}

static int judge(const struct ab *ab)
{
  bool slower = false, open = false;
  for (int c = 0; c < ab->rounds.cases; c++) {
    slower |= ab->decision[c].verdict == VERDICT_SLOWER;
    open |= ab->decision[c].verdict == VERDICT_INCONCLUSIVE;
  }
  return slower ? EXIT_REGRESSION : open ? EXIT_INCONCLUSIVE : 0;
}

static int run(struct ab *ab, struct complaint *why)
{
  struct atomic_file json = {0}, markdown = {0};
  const struct options *o = ab->o;
  int code = EXIT_USAGE;
  if ((!o->json || atomic_file_open(&json, o->json, why)) &&
      (!o->markdown || atomic_file_open(&markdown, o->markdown, why))) {
    if (!measure(ab, why))
      code = ab->rounds.failure ? ab->rounds.failure : EXIT_USAGE;
    else {
      print_table(stdout, ab, GRID_TEXT);
      if (o->markdown) print_table(markdown.stream, ab, GRID_MARKDOWN);
      bool ok = !o->json || write_json(json.stream, ab) || ferror(json.stream) || complain(why, "%s: no memory", o->json);
      ok = ok && (!o->json || atomic_file_commit(&json, why)) && (!o->markdown || atomic_file_commit(&markdown, why));
      if (ok) code = judge(ab);
      if (ok) why->text[0] = 0;
    }
  }
  atomic_file_discard(&json);
  atomic_file_discard(&markdown);
  return code;
}

int cmd_ab(int argc, char **argv)
{
  static struct options o = {.margin = 0.02};
  static const struct argp_child children[] = {{&rounds_options_argp, 0, NULL, 0}, {0}};
  const struct argp argp = {argp_options, parse, "A B", doc, children, NULL, NULL};
  o.rounds = rounds_options_defaults;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  struct ab_sides sides;
  struct complaint why = {{0}};
  int code = EXIT_USAGE;
  if (ab_sides_make(&sides, o.side, &o.rounds, &why)) {
    struct ab ab = {.o = &o,
                    .rounds = {.sides = 2,
                               .cases = sides.cases,
                               .side = sides.side,
                               .min_time_s = o.rounds.min_time_s,
                               .repetitions = o.rounds.repetitions,
                               .clock = o.rounds.clock,
                               .figure = o.rounds.figure,
                               .random = o.rounds.seed,
                               .stop = &stop},
                    .decision = calloc((size_t)sides.cases, sizeof *ab.decision)};
    ab.looks = rounds_options_looks(&o.rounds, sides.cases, ab.look);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, NULL);
    if (rounds_prepare(&ab.rounds) && ab.decision)
      code = run(&ab, &why);
    else
      complaint_set(&why, "no memory");
    rounds_free(&ab.rounds);
    free(ab.decision);
  }
  ab_sides_free(&sides);
  if (why.text[0]) fprintf(stderr, "%s: %s\n", argv[0], why.text);
  return code;
}
