/* attnbench run: checks and times cases, shows them as a table and writes them to files. */
#include "atomic_file.h"
#include "command.h"

#include "../bench/bars.h"
#include "../bench/clock.h"
#include "../bench/json_report.h"
#include "../bench/layer.h"
#include "../bench/scaling.h"
#include "../bench/selection.h"
#include "../bench/table.h"

#include "../dispatch/problem.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 128 + SIGINT, MAX_NAMED_CASES = 1024 };
enum { OPTION_FILTER = 'f', OPTION_KERNEL = 'k', OPTION_LIST = 'l', OPTION_PRESET = 'p', OPTION_QUIET = 'q' };
enum { OPTION_REPETITIONS = 'r', OPTION_THREADS = 't', OPTION_CASE = 'c' };
enum { OPTION_ISA = 0x100, OPTION_MIN_TIME, OPTION_JSON, OPTION_CSV, OPTION_MARKDOWN, OPTION_SEED };
enum { OPTION_SCALING = 0x200, OPTION_TIMES_ONLY, OPTION_STRICT, OPTION_COUNTERS };

enum { OUT_JSON, OUT_CSV, OUT_MARKDOWN, OUTPUTS };

struct options {
  struct bench_selection selection;
  const char *case_names[MAX_NAMED_CASES];
  struct bench_settings settings; /* repetitions and min_time_s 0: the preset's */
  const char *path[OUTPUTS];
  const char *counter_names;
  struct counters counters;
  struct doctor doctor;
  bool quiet, list, scaling, strict;
};

static volatile int stop;
static void on_interrupt(int number)
{
  (void)number;
  stop = 1;
}

static const struct argp_option argp_options[] = {
    {"preset", OPTION_PRESET, "NAME", 0, "Set of shapes, see below; default: quick, or none if --case is given", 1},
    {"case", OPTION_CASE, "NAME", 0, "Exactly this case, by the name that a report gives it; may be repeated", 1},
    {"filter", OPTION_FILTER, "REGEX", 0, "Only cases whose name matches (POSIX extended)", 1},
    {"kernel", OPTION_KERNEL, "LIST", 0, "Only these kernels, separated by commas; `attnbench info` lists them", 1},
    {"isa", OPTION_ISA, "LIST", 0, "Only kernels of these ISAs: scalar, avx2, avx512, avx512bf16, amx, neon, neonbf16", 1},
    {"threads", OPTION_THREADS, "LIST", 0, "Thread counts, 'all' for every core; default: 1,all", 1},
    {"scaling", OPTION_SCALING, NULL, 0,
     "Sweep threads from 1 to the cores and twice the cores; ends with parallel efficiencies", 1},
    {"list", OPTION_LIST, NULL, 0, "Print the names of the cases and stop", 1},
    {"repetitions", OPTION_REPETITIONS, "N", 0, "Repetitions of each case; default: the preset's", 2},
    {"min-time", OPTION_MIN_TIME, "SECONDS", 0, "Shortest repetition; default: the preset's", 2},
    {"seed", OPTION_SEED, "N", 0, "Seed of the random inputs; default 1", 2},
    {"times-only", OPTION_TIMES_ONLY, NULL, 0, "No roofs and no ratios, and the oracle checks fewer rows: starts at once",
     2},
    {"counters", OPTION_COUNTERS, "LIST", 0, "Count per call: cycles,instructions,... (a wrong name lists them all)", 2},
    {"strict", OPTION_STRICT, NULL, 0, "Refuse to measure while `attnbench doctor' has a warning", 2},
    {"json", OPTION_JSON, "FILE", 0, "Write Google Benchmark's JSON", 3},
    {"csv", OPTION_CSV, "FILE", 0, "Write comma-separated values", 3},
    {"markdown", OPTION_MARKDOWN, "FILE", 0, "Write the table as Markdown", 3},
    {"quiet", OPTION_QUIET, NULL, 0, "No progress and no table", 3},
    {0}};

static long long whole_number(struct argp_state *state, const char *option, const char *text, long long least,
                              long long most)
{
  char *end;
  errno = 0;
  const long long n = strtoll(text, &end, 10);
  if (end == text || *end || errno || n < least || n > most)
    argp_error(state, "%s: '%s' is not a whole number within %lld..%lld", option, text, least, most);
  return n;
}

static double seconds(struct argp_state *state, const char *option, const char *text)
{
  enum { AN_HOUR = 3600 };
  char *end;
  errno = 0;
  const double s = strtod(text, &end);
  if (end == text || *end || errno || !(s > 0 && s <= AN_HOUR))
    argp_error(state, "%s: '%s' is not a number of seconds above 0 and up to %d", option, text, AN_HOUR);
  return s;
}

static void take_preset(struct argp_state *state, struct options *o, const char *name)
{
  char names[256] = "";
  o->selection.preset = bench_preset_find(name);
  if (o->selection.preset) return;
  for (int i = 0; i < bench_preset_count; i++) {
    const size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", bench_presets[i].name);
  }
  argp_error(state, "--preset: there is no preset '%s'; valid: %s", name, names);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case OPTION_PRESET: take_preset(state, o, arg); break;
  case OPTION_CASE:
    if (o->selection.cases == MAX_NAMED_CASES) argp_error(state, "--case: more than %d cases", MAX_NAMED_CASES);
    o->case_names[o->selection.cases++] = arg;
    break;
  case OPTION_FILTER: o->selection.filter = arg; break;
  case OPTION_KERNEL: o->selection.kernels = arg; break;
  case OPTION_ISA: o->selection.isas = arg; break;
  case OPTION_THREADS: o->selection.threads = arg; break;
  case OPTION_SCALING: o->scaling = true; break;
  case OPTION_LIST: o->list = true; break;
  case OPTION_REPETITIONS: o->settings.repetitions = (int)whole_number(state, "--repetitions", arg, 1, 10000); break;
  case OPTION_MIN_TIME: o->settings.min_time_s = seconds(state, "--min-time", arg); break;
  case OPTION_SEED: o->settings.seed = (uint64_t)whole_number(state, "--seed", arg, 0, INT64_MAX); break;
  case OPTION_STRICT: o->strict = true; break;
  case OPTION_COUNTERS: o->counter_names = arg; break;
  case OPTION_TIMES_ONLY: o->settings.times_only = true; break;
  case OPTION_JSON: o->path[OUT_JSON] = arg; break;
  case OPTION_CSV: o->path[OUT_CSV] = arg; break;
  case OPTION_MARKDOWN: o->path[OUT_MARKDOWN] = arg; break;
  case OPTION_QUIET: o->quiet = true; break;
  case ARGP_KEY_END:
    if (o->scaling && (o->selection.threads || o->selection.cases))
      argp_error(state,
                 "--scaling sweeps the threads itself: leave --threads out, and give --preset and --filter instead of "
                 "--case, whose name fixes the threads");
    break;
  case ARGP_KEY_ARG: argp_error(state, "'%s' is no option; a case is given as --case '%s'", arg, arg); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static const char doc_before[] = "Time attention kernels.\v";
static const char doc_examples[] =
    "Every case is compared with a float64 oracle on its own buffers before it is timed; a wrong result is shown as WRONG, "
    "never timed, and makes the exit code 3. Ctrl-C ends the run and keeps what was finished.\n\n"
    "Examples:\n"
    "  attnbench run\n"
    "  attnbench run --preset models --isa avx2 --threads 1 --json avx2.json\n"
    "  attnbench run --preset roof --isa avx2\n"
    "  attnbench run --preset roof --scaling --filter '/Sq:2048/.*/Dqk:128/'\n"
    "  attnbench run --preset full --filter '/Sq:2048/.*/causal/'\n"
    "  attnbench run --case 'attn/fwd_f32_avx2/f32/B:1/Hq:8/Hkv:8/Sq:2048/Skv:2048/Dqk:128/Dv:128/none/T:1'\n"
    "  attnbench run --case "
    "'attn/fwd_f32_avx2/f32/B:1/Hq:12/Hkv:12/Sq:77/Skv:577/Dqk:64/Dv:64/none/Wq:768/Wkv:1024/Wo:768/T:1'\n"
    "    a whole layer: widths of the query, of key and value, and of the output (0: no output projection)\n"
    "  attnbench run --case "
    "'attn/decode_i8_avx2/f32/B:1/Hq:32/Hkv:8/Sq:1/Skv:1024/Dqk:128/Dv:128/none/kv:i8/cache:cold/T:1'\n"
    "    over an int8 cache that no call finds in the caches of the CPU\n"
    "  attnbench run --case "
    "'attn/fwd_f16_avx2/f16/B:15/Hq:32/Hkv:8/Sq:512/Skv:8192/Dqk:128/Dv:128/causal/seqs:512x512,14*1x1024-8192/T:1'\n"
    "    a step of a server: a prompt of 512 tokens, and a token each of 14 sequences of 1024 to 8192 keys\n\n"
    "Exit codes: 0 ok, 2 usage or nothing matched, 3 wrong result, 4 refused by --strict, 130 interrupted.";

/* The list of presets stands in the help as it stands in bench/presets.c. */
static char *make_doc(void)
{
  char *doc = NULL;
  size_t bytes;
  FILE *out = open_memstream(&doc, &bytes);
  if (!out) return NULL;
  fputs(doc_before, out);
  fputs("Presets:\n", out);
  for (int i = 0; i < bench_preset_count; i++) fprintf(out, "  %-8s %s\n", bench_presets[i].name, bench_presets[i].summary);
  fprintf(out, "\n%s", doc_examples);
  if (!fclose(out)) return doc;
  free(doc);
  return NULL;
}

/* How long a case will take in proportion to others; the proportion to seconds shows during the run. */
static double guess(const struct bench_case *c, const struct bench_settings *s)
{
  const attn_desc desc = bench_shape_desc(&c->shape);
  const struct attn_kernel *kernel = attn_kernel_find(c->kernel);
  struct attn_problem p;
  if (!kernel || attn_problem_resolve(&p, &desc)) return 0;
  const double rate = (kernel->isa == ATTN_ISA_SCALAR           ? 3e9
                       : kernel->flags & ATTN_KERNEL_COMPARISON ? 25e9
                                                                : 70e9) *
                      c->threads;
  double flops = attn_problem_flops(&p);
  if (bench_shape_is_layer(&c->shape)) flops += bench_layer_flops(&c->shape);
  if (bench_shape_has_sequences(&c->shape)) flops /= (double)c->shape.B; /* as if they had one length */
  const double once = flops / rate, repetition = once > s->min_time_s ? once : 1.4 * s->min_time_s;
  return 0.3 + once + (s->repetitions + 0.2) * repetition;
}

static void show_progress(const struct bench_case_list *list, int done, double began, const struct bench_settings *s)
{
  char name[BENCH_CASE_NAME_BYTES], left[48] = "";
  double finished = 0, remaining = 0;
  for (int i = 0; i < list->count; i++) *(i < done ? &finished : &remaining) += guess(&list->c[i], s);
  const double scale = done ? (bench_clock() - began) / finished : 1;
  const int rest = (int)ceil(remaining * scale);
  if (rest >= 60)
    snprintf(left, sizeof left, "%d min %02d s", rest / 60, rest % 60);
  else
    snprintf(left, sizeof left, "%d s", rest);
  fprintf(stderr, "\r\033[K[%d/%d] about %s left  %.90s", done + 1, list->count, left,
          bench_case_print(&list->c[done], name));
  fflush(stderr);
}

static int run_cases(struct bench_runner *runner, const struct bench_case_list *list, struct bench_row *rows,
                     const struct options *o)
{
  const bool progress = !o->quiet && isatty(STDERR_FILENO);
  const double began = bench_clock();
  int finished = 0;
  for (int i = 0; i < list->count && !stop; i++) {
    if (progress) show_progress(list, i, began, &o->settings);
    bench_runner_run(runner, &list->c[i], &rows[finished]);
    if (rows[finished].state == BENCH_INTERRUPTED)
      bench_row_free(&rows[finished]);
    else
      finished++;
  }
  if (progress) fputs("\r\033[K", stderr);
  return finished;
}

/* What closes the table, beside its legend. */
static void print_sections(FILE *out, bool markdown, const struct bench_row *rows, int count, const struct options *o)
{
  const struct attn_topology *t = attn_topology_get();
  if (o->selection.preset) bench_bars_print(out, markdown, o->selection.preset, rows, count);
  if (o->scaling)
    bench_scaling_print(out, markdown, rows, count, t->quota > 0 && t->quota < t->cores ? t->quota : t->cores);
}

static bool write_output(int which, struct atomic_file *file, const struct bench_row *rows, int count,
                         const struct bench_roofs *roofs, const struct options *o)
{
  struct complaint why;
  if (which != OUT_JSON) {
    bench_table_print(file->stream, which == OUT_CSV ? BENCH_TABLE_CSV : BENCH_TABLE_MARKDOWN, rows, count, roofs);
    if (which == OUT_MARKDOWN) print_sections(file->stream, true, rows, count, o);
  } else if (!bench_json_write(file->stream, rows, count, roofs, &o->settings) && !ferror(file->stream)) {
    fprintf(stderr, "attnbench run: %s: no memory for the report\n", file->path);
    atomic_file_discard(file);
    return false;
  }
  if (atomic_file_commit(file, &why)) return true;
  fprintf(stderr, "attnbench run: %s\n", why.text);
  return false;
}

static int verdict(const struct bench_row *rows, int finished, bool files_ok)
{
  for (int i = 0; i < finished; i++)
    if (rows[i].state == BENCH_WRONG) return EXIT_WRONG;
  if (stop) return EXIT_INTERRUPTED;
  if (!files_ok) return EXIT_USAGE;
  for (int i = 0; i < finished; i++)
    if (rows[i].state == BENCH_TIMED) return 0;
  fputs("attnbench run: every case was left out; the reasons stand under the table\n", stderr);
  return EXIT_USAGE;
}

/* What the doctor warns of, and counters per call. */
static void print_surroundings(FILE *out, const struct bench_row *rows, int finished, const struct options *o)
{
  for (int i = 0; i < o->doctor.count; i++) {
    const struct doctor_finding *f = &o->doctor.finding[i];
    if (f->level == DOCTOR_WARNING) fprintf(out, "Warning, %s: %s. To mend it: %s.\n", f->check, f->text, f->remedy);
  }
  for (int k = 0; k < o->counters.count; k++) {
    const struct counter_event *c = &o->counters.counter[k];
    if (c->fd < 0) fprintf(out, "%s: n/a: %s\n", c->name, c->why);
    for (int i = 0; i < finished && c->fd >= 0; i++)
      if (rows[i].state == BENCH_TIMED) {
        fprintf(out, "%s of a call: ", c->name);
        fprintf(out, isnan(rows[i].counted[k]) ? "n/a (never ran)" : "%.6g", rows[i].counted[k]);
        fprintf(out, "  %s\n", rows[i].name);
      }
  }
}

static bool examine(struct options *o)
{
  doctor_begin(&o->doctor, "");
  o->settings.doctor = &o->doctor;
  if (!o->strict || !doctor_warnings(&o->doctor)) return true;
  fputs("attnbench run: --strict refuses to measure here; `attnbench doctor' tells more\n", stderr);
  print_surroundings(stderr, NULL, 0, o);
  return false;
}

static int measure(const struct bench_case_list *list, struct options *o)
{
  struct atomic_file file[OUTPUTS] = {{0}};
  struct complaint why;
  bool files_ok = true;
  for (int i = 0; i < OUTPUTS; i++) /* before an hour of measuring, not after it */
    if (o->path[i] && !atomic_file_open(&file[i], o->path[i], &why)) {
      fprintf(stderr, "attnbench run: %s\n", why.text);
      for (int j = 0; j < i; j++) atomic_file_discard(&file[j]);
      return EXIT_USAGE;
    }
  struct bench_row *rows = calloc((size_t)list->count, sizeof *rows);
  struct bench_runner *runner = rows ? bench_runner_create(&o->settings) : NULL;
  int code = EXIT_USAGE;
  if (!rows) fprintf(stderr, "attnbench run: no memory for %d cases\n", list->count);
  if (runner) {
    const int finished = run_cases(runner, list, rows, o);
    bench_rows_relate(rows, finished);
    const struct bench_roofs *roofs = bench_runner_roofs(runner);
    doctor_end(&o->doctor, roofs);
    for (int i = 0; i < OUTPUTS; i++)
      if (o->path[i] && finished) files_ok &= write_output(i, &file[i], rows, finished, roofs, o);
    if (!o->quiet && finished) {
      bench_table_print(stdout, BENCH_TABLE_TEXT, rows, finished, roofs);
      print_sections(stdout, false, rows, finished, o);
      print_surroundings(stdout, rows, finished, o);
    }
    if (stop) fprintf(stderr, "attnbench run: interrupted after %d of %d cases\n", finished, list->count);
    code = verdict(rows, finished, files_ok);
    for (int i = 0; i < finished; i++) bench_row_free(&rows[i]);
  }
  for (int i = 0; i < OUTPUTS; i++) atomic_file_discard(&file[i]);
  bench_runner_destroy(runner);
  free(rows);
  return code;
}

int cmd_run(int argc, char **argv)
{
  static struct options o = {.settings = {.seed = 1, .stop = &stop}};
  char *doc = make_doc(), error[1400];
  const struct argp argp = {argp_options, parse, NULL, doc, NULL, NULL, NULL};
  argp_err_exit_status = EXIT_USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  free(doc);
  o.selection.case_names = o.case_names;
  char sweep[BENCH_SCALING_LIST_BYTES];
  if (o.scaling) o.selection.threads = bench_scaling_threads(attn_topology_get()->cores, sweep);
  if (!o.selection.preset && !o.selection.cases) o.selection.preset = bench_preset_find("quick");
  const struct bench_preset *defaults = o.selection.preset ? o.selection.preset : bench_preset_find("quick");
  if (!o.settings.repetitions) o.settings.repetitions = defaults->repetitions;
  if (o.settings.min_time_s == 0) o.settings.min_time_s = defaults->min_time_s;
  o.settings.threads = attn_topology_get()->default_threads;

  struct bench_case_list list;
  if (!bench_select_cases(&list, &o.selection, error, sizeof error)) {
    fprintf(stderr, "attnbench run: %s\n", error);
    return EXIT_USAGE;
  }
  int code = 0;
  if (o.list) {
    char name[BENCH_CASE_NAME_BYTES];
    for (int i = 0; i < list.count; i++) puts(bench_case_print(&list.c[i], name));
  } else {
    /* Once only: a second Ctrl-C does not wait for the running call. */
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, NULL);
    if (!examine(&o))
      code = EXIT_REFUSED;
    else if (o.counter_names && !counters_open(&o.counters, o.counter_names, error, sizeof error)) {
      fprintf(stderr, "attnbench run: --counters: %s\n", error);
      code = EXIT_USAGE;
    } else {
      if (o.counter_names) o.settings.counters = &o.counters;
      code = measure(&list, &o);
      counters_close(&o.counters);
    }
  }
  free(list.c);
  return code;
}
