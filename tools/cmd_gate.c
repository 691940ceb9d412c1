/* attnbench gate: for CI. Is this build slower than the baseline, by more than this machine's own noise? */
#include "atomic_file.h"
#include "compare/baseline_history.h"
#include "command.h"
#include "compare/gate_report.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_JUNIT = 0x100, OPTION_MARKDOWN, OPTION_CANDIDATE, OPTION_SAME_MACHINE, OPTION_DB, OPTION_MACHINE };
enum { SUMMARY_MAX_BYTES = 1 << 20 };

struct options {
  struct rounds_options rounds;
  const char *baseline, *candidate, *junit, *markdown;
  struct baseline_history history;
  double threshold;
  bool same_machine;
};

/* The one baseline that is a word; a file or a revision of that name is ./history or refs/heads/history. */
#define HISTORY "history"

static volatile int stop;
static void on_interrupt(int number)
{
  (void)number;
  stop = 1;
}

static const char doc[] =
    "Tell whether this build is slower than a baseline, by more than this machine's noise."
    "\vThe baseline is a build (an attnbench, or a folder with one), a revision of the git repository here (it is checked "
    "out and "
    "built below build/baseline/), or a file of results, or the word history: the runs of this machine in `attnbench "
    "history'.\n\n"
    "Against a build or revision, every round visits the baseline twice and the candidate once, in random order and then "
    "mirrored, each visit a process of its own. Baseline against itself shows what noise does in these very rounds: the "
    "smallest detectable change. A case is slower if the whole interval of its change lies beyond that, and fails the gate "
    "if "
    "a second series of rounds says so again. It passes when the whole interval lies below the threshold. What is neither "
    "after --rounds is inconclusive, which is not a pass. A single false alarm among all cases has a probability of at "
    "most alpha in each of the two series that must agree.\n\n"
    "Against a file there is one process to compare with, made at another time: changes within 95 % of the differences "
    "between processes here are noise, and a file of another machine gets no verdict. A build is the better baseline. Of a "
    "history, "
    "a case is the medians of its runs since it last changed for good (the latest 20; of fewer than 6, the latest run): "
    "what "
    "differs from run to run is part of the noise.\n\n"
    "In GitHub Actions the table goes to the step summary ($GITHUB_STEP_SUMMARY), and what is not passed becomes "
    "annotations.\n\n"
    "Examples:\n"
    "  attnbench gate --baseline origin/main\n"
    "  attnbench gate --baseline ../main/build --preset models --threads 1 --junit gate.xml\n"
    "  attnbench gate --baseline v1.json --filter /causal/\n"
    "  attnbench gate --baseline history --db postgresql://perf@db/attnbench --preset quick\n\n"
    "Exit codes: 0 passed, 1 a case is slower, 2 usage or nothing to run, 3 wrong result, 5 inconclusive, 130 interrupted.";

static const struct argp_option argp_options[] = {
    {"baseline", 'b', "WHAT", 0, "Build, git revision or file of results to compare with", 1},
    {"candidate", OPTION_CANDIDATE, "BUILD", 0, "Build to judge; default: this program", 1},
    {"threshold", 'T', "PERCENT", 0, "Slow-downs below this do not matter; default 3", 1},
    {"same-machine", OPTION_SAME_MACHINE, NULL, 0, "Take the file's host for this one (containers change their name)", 1},
    {"db", OPTION_DB, "WHERE", 0, "--baseline history: the history, as `attnbench history' has it", 1},
    {"machine", OPTION_MACHINE, "NAME", 0, "--baseline history: what this machine is called there; default: its host name",
     1},
    {"junit", OPTION_JUNIT, "FILE", 0, "Write JUnit XML", 1},
    {"markdown", OPTION_MARKDOWN, "FILE", 0, "Write Markdown", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case ARGP_KEY_INIT: state->child_inputs[0] = &o->rounds; break;
  case 'b': o->baseline = arg; break;
  case 'T': o->threshold = rounds_options_number(state, "--threshold", arg, 0.01, 1000) / 100; break;
  case OPTION_CANDIDATE: o->candidate = arg; break;
  case OPTION_SAME_MACHINE: o->same_machine = o->history.any_machine = true; break;
  case OPTION_DB: o->history.db = arg; break;
  case OPTION_MACHINE: o->history.machine = arg; break;
  case OPTION_JUNIT: o->junit = arg; break;
  case OPTION_MARKDOWN: o->markdown = arg; break;
  case ARGP_KEY_ARG: argp_error(state, "there is nothing to give but options: '%s'", arg); break;
  case ARGP_KEY_END:
    if (!o->baseline)
      argp_error(state, "--baseline is missing: a build, a git revision, a file of results, or history");
    else if (strcmp(o->baseline, HISTORY) && (o->history.db || o->history.machine))
      argp_error(state, "%s means nothing without --baseline history", o->history.db ? "--db" : "--machine");
    break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

struct job {
  struct gate gate;
  struct baseline baseline;
  char *text; /* of the names */
  const char *name[ROUNDS_MAX_CASES];
  struct gate_case *first, *second;
  int cases;
  char note[1200];
};

static bool same_case(const char *a, const char *b)
{
  static const char suffix[] = "/real_time";
  size_t na = strlen(a), nb = strlen(b);
  const size_t n = sizeof suffix - 1;
  if (na > n && !strcmp(a + na - n, suffix)) na -= n;
  if (nb > n && !strcmp(b + nb - n, suffix)) nb -= n;
  return na == nb && !strncmp(a, b, na);
}

/* The cases of the file that the candidate lists, under the file's names. */
static bool cases_of_file(struct job *j, struct options *o, struct complaint *why)
{
  const struct results *file = &j->baseline.results;
  const char *listed[ROUNDS_MAX_CASES];
  if (!o->rounds.arguments)
    for (int i = 0; i < file->count && i < ROUNDS_MAX_CASES; i++) {
      o->rounds.argument[o->rounds.arguments++] = "--case";
      o->rounds.argument[o->rounds.arguments++] = file->c[i].name;
    }
  const int n = rounds_options_names(&o->rounds, j->gate.candidate, &j->text, listed, why);
  if (!n) return false;
  for (int i = 0; i < n; i++)
    for (int k = 0; k < file->count; k++) {
      const struct results_case *c = &file->c[k];
      if (!same_case(c->name, listed[i])) continue;
      bool usable = !c->only_aggregate;
      for (int t = 0; t < c->times && rounds_on_cpu_time(o->rounds.clock, c->name); t++) usable &= c->cpu_ns[t] > 0;
      if (usable) j->name[j->cases++] = c->name;
      if (!usable)
        fprintf(stderr, "attnbench gate: left out: %s: %s has no repetitions of it with this clock\n", listed[i],
                file->path);
    }
  return j->cases || complain(why, "%s: none of the selected cases is in it", file->path);
}

/* The candidate's cases that the baseline has as well. */
static bool cases_of_build(struct job *j, const struct options *o, struct complaint *why)
{
  const char *listed[ROUNDS_MAX_CASES];
  const int n = rounds_options_names(&o->rounds, j->gate.candidate, &j->text, listed, why);
  for (int i = 0; i < n; i++) {
    struct complaint reason;
    char *known = rounds_list(j->baseline.program, NULL, (const char *const[]){"--case", listed[i], NULL}, &reason);
    if (known)
      j->name[j->cases++] = listed[i];
    else
      fprintf(stderr, "attnbench gate: left out, the baseline cannot run it: %s: %s\n", listed[i], reason.text);
    free(known);
  }
  return j->cases || (n ? complain(why, "no case that both builds have") : false);
}

static bool prepare(struct job *j, struct options *o, struct complaint *why)
{
  j->gate.candidate = rounds_open(o->candidate ? o->candidate : "/proc/self/exe", why);
  if (j->gate.candidate < 0) return false;
  if (!strcmp(o->baseline, HISTORY) ? !baseline_open_history(&j->baseline, &o->history, why)
                                    : !baseline_open(&j->baseline, o->baseline, why))
    return false;
  if (!(j->baseline.program >= 0 ? cases_of_build(j, o, why) : cases_of_file(j, o, why))) return false;
  j->first = calloc((size_t)j->cases, sizeof *j->first);
  j->second = calloc((size_t)j->cases, sizeof *j->second);
  if (!j->first || !j->second) return complain(why, "no memory");
  for (int c = 0; c < j->cases; c++) j->first[c].name = j->name[c];
  return true;
}

/* Whether the file may be compared with what the candidate measured just now; otherwise the note says why not. */
static bool file_fits(struct job *j, const struct options *o, struct complaint *why)
{
  char difference[600];
  struct results now;
  const struct results *file = &j->baseline.results;
  if (j->baseline.program >= 0) return true;
  if (!results_parse(&now, "candidate", j->gate.context, strlen(j->gate.context), why->text, sizeof why->text))
    return false;
  const bool same_method = !strcmp(now.method, file->method);
  if (!same_method)
    complaint_set(why, "%s: context.method_version is '%s', this build has '%s': their times do not mean the same",
                  file->path, file->method, now.method);
  const bool known = o->same_machine || o->history.machine;
  const char *differs = known ? NULL : results_machine_differs(file, &now, difference, sizeof difference);
  if (same_method && differs) snprintf(j->note, sizeof j->note, "Another machine measured the baseline: %s", differs);
  results_free(&now);
  return same_method;
}

/* The first series over all cases, a second over those that were slower. */
static bool measure(struct job *j, const struct options *o, struct complaint *why)
{
  j->gate.phase = "measuring";
  if (!gate_series(&j->gate, j->first, j->cases, o->rounds.seed, why)) return false;
  j->gate.exit_code = EXIT_USAGE;
  if (!file_fits(j, o, why)) return false;
  int place[ROUNDS_MAX_CASES], suspects = 0;
  struct gate_case *again = calloc((size_t)j->cases, sizeof *again);
  if (!again) return complain(why, "no memory");
  for (int c = 0; c < j->cases && !*j->note; c++)
    if (j->first[c].verdict == GATE_SLOWER) {
      again[suspects].name = j->name[c];
      place[suspects++] = c;
    }
  j->gate.phase = "confirming";
  const bool ok = !suspects || gate_series(&j->gate, again, suspects, ~o->rounds.seed, why);
  for (int i = 0; i < suspects && ok; i++) j->second[place[i]] = again[i];
  free(again);
  return ok;
}

/* Appended, as GitHub asks; a summary above its limit would be dropped whole. */
static bool write_summary(const char *path, const struct gate_report *report, struct complaint *why)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  if (memory) gate_print(memory, report, GRID_MARKDOWN);
  if (!memory || fclose(memory)) return complain(why, "GITHUB_STEP_SUMMARY: no memory");
  FILE *file = fopen(path, "ae");
  bool ok = file != NULL;
  if (ok && bytes < SUMMARY_MAX_BYTES) ok = fwrite(text, 1, bytes, file) == bytes;
  if (file && fclose(file)) ok = false;
  free(text);
  return ok || complain(why, "GITHUB_STEP_SUMMARY: %s: %s", path, strerror(errno));
}

static bool tell(const struct gate_report *report, struct atomic_file *junit, struct atomic_file *markdown,
                 struct complaint *why)
{
  const char *actions = getenv("GITHUB_ACTIONS"), *summary = getenv("GITHUB_STEP_SUMMARY");
  gate_print(stdout, report, GRID_TEXT);
  if (actions && !strcmp(actions, "true")) gate_print_annotations(stdout, report);
  if (junit->stream) gate_print_junit(junit->stream, report);
  if (markdown->stream) gate_print(markdown->stream, report, GRID_MARKDOWN);
  bool ok = (!junit->stream || atomic_file_commit(junit, why)) && (!markdown->stream || atomic_file_commit(markdown, why));
  if (summary && *summary) ok = write_summary(summary, report, why) && ok;
  return ok;
}

static int run(struct job *j, struct options *o, struct complaint *why)
{
  static const int codes[] = {[GATE_PASSED] = 0,
                              [GATE_REGRESSION] = EXIT_REGRESSION,
                              [GATE_INCONCLUSIVE] = EXIT_INCONCLUSIVE,
                              [GATE_REFUSED] = EXIT_INCONCLUSIVE};
  struct atomic_file junit = {0}, markdown = {0};
  int code = EXIT_USAGE;
  if ((!o->junit || atomic_file_open(&junit, o->junit, why)) &&
      (!o->markdown || atomic_file_open(&markdown, o->markdown, why)) && prepare(j, o, why)) {
    if (!measure(j, o, why))
      code = j->gate.exit_code;
    else {
      const struct gate_report report = {.baseline = j->baseline.label,
                                         .first = j->first,
                                         .second = j->second,
                                         .cases = j->cases,
                                         .threshold = o->threshold,
                                         .alpha = o->rounds.alpha,
                                         .note = j->note};
      if (tell(&report, &junit, &markdown, why)) code = codes[gate_outcome(&report)];
    }
  }
  atomic_file_discard(&junit);
  atomic_file_discard(&markdown);
  return code;
}

int cmd_gate(int argc, char **argv)
{
  static struct options o = {.threshold = 0.03};
  static struct job j;
  static const struct argp_child children[] = {{&rounds_options_argp, 0, NULL, 0}, {0}};
  const struct argp argp = {argp_options, parse, NULL, doc, children, NULL, NULL};
  o.rounds = rounds_options_defaults;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  struct complaint why = {{0}};
  j = (struct job){
      .gate = {.options = &o.rounds, .baseline = &j.baseline, .candidate = -1, .threshold = o.threshold, .stop = &stop},
      .baseline = {.program = -1}};
  sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, NULL);
  const int code = run(&j, &o, &why);
  if (why.text[0]) fprintf(stderr, "%s: %s\n", argv[0], why.text);
  if (j.gate.candidate >= 0) close(j.gate.candidate);
  baseline_close(&j.baseline);
  free(j.gate.context);
  free(j.text);
  free(j.first);
  free(j.second);
  return code;
}
