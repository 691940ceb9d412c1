/* attnbench tune: searches block sizes on this machine and writes the file that plans read through ATTN_TUNING. */
#include "atomic_file.h"
#include "command.h"

#include "../bench/clock.h"
#include "../bench/selection.h"
#include "../bench/tuner.h"

#include "../dispatch/problem.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_INTERRUPTED = 128 + SIGINT, MAX_NAMED_CASES = 1024 };
enum { OPTION_BUDGET = 'b', OPTION_CASE = 'c', OPTION_FILTER = 'f', OPTION_KERNEL = 'k', OPTION_OUTPUT = 'o' };
enum { OPTION_PRESET = 'p', OPTION_QUIET = 'q', OPTION_THREADS = 't', OPTION_ISA = 0x100, OPTION_SEED };

struct options {
  struct bench_selection selection;
  const char *case_names[MAX_NAMED_CASES];
  const char *output;
  double budget_s;
  uint64_t seed;
  bool quiet;
};

static volatile int stop;
static void on_interrupt(int number)
{
  (void)number;
  stop = 1;
}

static const struct argp_option argp_options[] = {
    {"preset", OPTION_PRESET, "NAME", 0, "Shapes of this preset of `attnbench run`; default: quick, or none with --case",
     1},
    {"case", OPTION_CASE, "NAME", 0, "This case, by the name that a report gives it; may be repeated", 1},
    {"filter", OPTION_FILTER, "REGEX", 0, "Only cases whose name matches (POSIX extended)", 1},
    {"kernel", OPTION_KERNEL, "LIST", 0, "These kernels; default: the one that this CPU would choose for each shape", 1},
    {"isa", OPTION_ISA, "LIST", 0, "Kernels of these ISAs", 1},
    {"threads", OPTION_THREADS, "N", 0, "Time on N threads, or 'all'; default: 1, which is least disturbed", 1},
    {"budget", OPTION_BUDGET, "SECONDS", 0, "Time for the whole search; default: 60", 2},
    {"output", OPTION_OUTPUT, "FILE", 0, "The tuning file; default: attn-tuning.txt", 2},
    {"seed", OPTION_SEED, "N", 0, "Seed of the random inputs; default 1", 2},
    {"quiet", OPTION_QUIET, NULL, 0, "No progress and no table", 2},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  char *end;
  errno = 0;
  switch (key) {
  case OPTION_PRESET:
    if (!(o->selection.preset = bench_preset_find(arg)))
      argp_error(state, "--preset: there is no preset '%s'; `attnbench run --help` lists them", arg);
    break;
  case OPTION_CASE:
    if (o->selection.cases == MAX_NAMED_CASES) argp_error(state, "--case: more than %d cases", MAX_NAMED_CASES);
    o->case_names[o->selection.cases++] = arg;
    break;
  case OPTION_FILTER: o->selection.filter = arg; break;
  case OPTION_KERNEL: o->selection.kernels = arg; break;
  case OPTION_ISA: o->selection.isas = arg; break;
  case OPTION_THREADS:
    if (strchr(arg, ',')) argp_error(state, "--threads: '%s' is more than one number; a file is tuned for one", arg);
    o->selection.threads = arg;
    break;
  case OPTION_BUDGET: {
    enum { A_DAY = 86400 };
    o->budget_s = strtod(arg, &end);
    if (end == arg || *end || errno || !(o->budget_s > 0 && o->budget_s <= A_DAY))
      argp_error(state, "--budget: '%s' is not a number of seconds above 0 and up to %d", arg, A_DAY);
    break;
  }
  case OPTION_SEED:
    o->seed = strtoull(arg, &end, 10);
    if (*arg < '0' || *arg > '9' || *end || errno) argp_error(state, "--seed: '%s' is not a whole number", arg);
    break;
  case OPTION_OUTPUT:
    if (!*arg) argp_error(state, "--output: the name is empty");
    o->output = arg;
    break;
  case OPTION_QUIET: o->quiet = true; break;
  case ARGP_KEY_ARG: argp_error(state, "'%s' is no option; a case is given as --case '%s'", arg, arg); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static const char doc[] =
    "Search the block sizes that suit this machine.\v"
    "For each kernel and pair of head sizes among the cases, the largest case is timed with other numbers of keys of a "
    "block, "
    "rows of a group and rows of a unit, in turns with the best so far. A choice must first give the float64 oracle's "
    "result; it "
    "is taken if it wins, and kept if it beats the default once more at the end. Lines of the output file for other "
    "kernels "
    "and head sizes stay as they are. Ctrl-C ends the search and writes the best so far.\n\n"
    "Plans read the file if the environment variable ATTN_TUNING names it. Block sizes change the order of sums, hence the "
    "last bits of results; the number of threads still does not.\n\n"
    "Examples:\n"
    "  attnbench tune --budget 120\n"
    "  ATTN_TUNING=attn-tuning.txt attnbench run\n"
    "  attnbench tune --output mine.txt --case "
    "'attn/fwd_f32_avx2/f32/B:1/Hq:8/Hkv:8/Sq:2048/Skv:2048/Dqk:80/Dv:80/none/T:1'"
    "\n\nExit codes: 0 ok, 2 usage, nothing to tune or unusable file, 3 wrong result, 130 interrupted.";

/* One search: its case and what came of it. */
struct search {
  struct bench_case c;
  struct bench_tuned tuned;
};

/* Whether a plan would choose the case's kernel, if the user names none. */
static bool is_chosen(const struct bench_case *c, const struct options *o)
{
  const attn_desc desc = bench_shape_desc(&c->shape);
  const struct attn_kernel *kernel;
  struct attn_restrictions restrictions;
  struct attn_problem p;
  if (o->selection.kernels || o->selection.isas || o->selection.cases) return true;
  return !attn_problem_resolve(&p, &desc) && !attn_restrictions_get(&restrictions, NULL) &&
         !attn_select(&kernel, &p, &restrictions) && !strcmp(kernel->name, c->kernel);
}

static double flops_of(const struct bench_case *c)
{
  const attn_desc desc = bench_shape_desc(&c->shape);
  struct attn_problem p;
  return attn_problem_resolve(&p, &desc) ? 0 : attn_problem_flops(&p);
}

/* The largest case of each kernel and pair of head sizes; no layer, whose blocks are those of its attention, and no batch
 * of different sequences, which are cut by their cost. */
static int gather(struct search *search, const struct bench_case_list *list, const struct options *o)
{
  int n = 0;
  for (int i = 0; i < list->count; i++) {
    const struct bench_case *c = &list->c[i];
    int at = 0;
    if (bench_shape_is_layer(&c->shape) || bench_shape_has_sequences(&c->shape) ||
        !attn_kernel_find(c->kernel)->blocking_step || !is_chosen(c, o))
      continue;
    while (at < n && (strcmp(search[at].c.kernel, c->kernel) || search[at].c.shape.Dqk != c->shape.Dqk ||
                      search[at].c.shape.Dv != c->shape.Dv))
      at++;
    if (at < n && flops_of(&search[at].c) >= flops_of(c)) continue;
    search[at].c = *c;
    n += at == n;
  }
  return n;
}

struct progress {
  int done, count;
  const struct search *search;
};

static void show(void *context, const struct attn_blocking *tried, double gain, double left_s)
{
  const struct progress *p = context;
  fprintf(stderr, "\r\033[K[%d/%d] %s D%lld: keys %lld, group %lld, unit %lld; so far %+.1f %%, at most %.0f s left here",
          p->done + 1, p->count, p->search->c.kernel, (long long)p->search->c.shape.Dqk, (long long)tried->block_keys,
          (long long)tried->group_rows, (long long)tried->unit_rows, 100 * gain, left_s > 0 ? left_s : 0);
  fflush(stderr);
}

static bool has_line(const struct search *s)
{
  return s->tuned.state == BENCH_TUNER_BETTER || s->tuned.state == BENCH_TUNER_UNCONFIRMED;
}

static void print_blocking(FILE *out, const struct attn_blocking *blocking)
{
  struct attn_blocking copy = *blocking;
  for (int i = 0; i < ATTN_BLOCKING_FIELDS; i++)
    if (*attn_blocking_field(&copy, i))
      fprintf(out, " %s=%lld", attn_blocking_name(i), (long long)*attn_blocking_field(&copy, i));
}

/* Whether a line of an older file is about something that was now searched. */
static bool is_replaced(const char *line, const struct search *search, int count)
{
  char text[512];
  const int n = snprintf(text, sizeof text, ATTN_TUNING_HEADER "\n%s\n", line);
  for (int i = 0; i < count; i++) {
    const struct search *s = &search[i];
    struct attn_blocking b;
    const bool searched = has_line(s) || s->tuned.state == BENCH_TUNER_KEPT;
    if (searched &&
        !attn_tuning_parse(&b, "", text, (size_t)n, attn_kernel_find(s->c.kernel), s->c.shape.Dqk, s->c.shape.Dv) &&
        (b.block_keys || b.group_rows || b.unit_rows))
      return true;
  }
  return false;
}

static void print_file(FILE *out, const char *old, const struct search *search, int count)
{
  char line[300];
  fputs(ATTN_TUNING_HEADER "\n# by attnbench tune, on ", out);
  for (const char *c = attn_cpu_model(); *c; c++) fputc(*c < ' ' || *c > '~' ? '?' : *c, out);
  fputc('\n', out);
  for (const char *next = old; *next;) {
    const size_t length = strcspn(next, "\n");
    snprintf(line, sizeof line, "%.*s", (int)length, next);
    next += length + (next[length] == '\n');
    if (*line && *line != '#' && strcmp(line, ATTN_TUNING_HEADER) && !is_replaced(line, search, count))
      fprintf(out, "%s\n", line);
  }
  for (int i = 0; i < count; i++) {
    const struct search *s = &search[i];
    if (!has_line(s)) continue;
    fprintf(out, "# %+.1f %% over the default%s, timed at B%lld H%lld/%lld S%lldx%lld, %d threads\n", 100 * s->tuned.gain,
            s->tuned.state == BENCH_TUNER_UNCONFIRMED ? " (interrupted before it was confirmed)" : "",
            (long long)s->c.shape.B, (long long)s->c.shape.Hq, (long long)s->c.shape.Hkv, (long long)s->c.shape.Sq,
            (long long)s->c.shape.Skv, s->c.threads);
    fprintf(out, "%s Dqk=%lld Dv=%lld", s->c.kernel, (long long)s->c.shape.Dqk, (long long)s->c.shape.Dv);
    print_blocking(out, &s->tuned.best);
    fputc('\n', out);
  }
}

static void print_table(const struct search *search, int count)
{
  static const char *const verdict[] = {"default kept", "better", "better, unconfirmed", "WRONG", "left out"};
  for (int i = 0; i < count; i++) {
    const struct search *s = &search[i];
    printf("%-16s Dqk %-4lld Dv %-4lld %3d tried  %s", s->c.kernel, (long long)s->c.shape.Dqk, (long long)s->c.shape.Dv,
           s->tuned.tried, verdict[s->tuned.state]);
    if (has_line(s)) printf(" by %.1f %%", 100 * s->tuned.gain);
    if (s->tuned.state != BENCH_TUNER_FAILED) print_blocking(stdout, &s->tuned.best);
    if (s->tuned.note[0]) printf(": %s", s->tuned.note);
    putchar('\n');
  }
}

/* The text of an older tuning file; "" if there is none. NULL, after a message: it is something else. */
static char *read_old(const char *path)
{
  struct attn_blocking b;
  size_t n = 0;
  char *text = calloc(1, ATTN_TUNING_MOST_BYTES + 2);
  if (!text) fputs("attnbench tune: no memory\n", stderr);
  FILE *in = text && !access(path, F_OK) ? fopen(path, "re") : NULL;
  if (!in) {
    if (!text || access(path, F_OK)) return text;
    fprintf(stderr, "attnbench tune: --output %s: %s\n", path, strerror(errno));
    free(text);
    return NULL;
  }
  n = fread(text, 1, ATTN_TUNING_MOST_BYTES + 1, in);
  const bool failed = ferror(in);
  fclose(in);
  if (!failed && (n == 0 || !attn_tuning_parse(&b, path, text, n, NULL, 0, 0))) return text;
  fprintf(stderr, "attnbench tune: --output: %s is there, but no tuning file: %s; name another\n", path,
          failed ? "it cannot be read" : attn_error_message());
  free(text);
  return NULL;
}

/* Only a file that plans accept is written. */
static bool write_file(struct atomic_file *file, const char *old, const struct search *search, int count)
{
  struct complaint why;
  struct attn_blocking b;
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  bool ok = memory != NULL;
  if (memory) print_file(memory, old, search, count);
  if (memory && fclose(memory)) ok = false;
  if (!ok)
    fputs("attnbench tune: no memory for the file\n", stderr);
  else if (attn_tuning_parse(&b, file->path, text, bytes, attn_kernel_find(search[0].c.kernel), 1, 1)) {
    fprintf(stderr, "attnbench tune: would not be accepted: %s\n", attn_error_message());
    ok = false;
  } else {
    fwrite(text, 1, bytes, file->stream);
    ok = atomic_file_commit(file, &why);
    if (!ok) fprintf(stderr, "attnbench tune: %s\n", why.text);
  }
  free(text);
  return ok;
}

static int tune(struct search *search, int count, const struct options *o, const char *old)
{
  struct atomic_file file;
  struct complaint why;
  if (!atomic_file_open(&file, o->output, &why)) {
    fprintf(stderr, "attnbench tune: %s\n", why.text);
    return EXIT_USAGE;
  }
  const double began = bench_clock();
  const bool progress = !o->quiet && isatty(STDERR_FILENO);
  bool wrong = false;
  int done = 0;
  for (; done < count && !stop; done++) {
    struct progress p = {done, count, &search[done]};
    const struct bench_tuner_settings settings = {.budget_s = (o->budget_s - (bench_clock() - began)) /
                                                              (count - done), /* what others left is shared */
                                                  .seed = o->seed,
                                                  .stop = &stop,
                                                  .progress = progress ? show : NULL,
                                                  .context = &p};
    bench_tune(&search[done].tuned, &search[done].c, &settings);
    wrong |= search[done].tuned.state == BENCH_TUNER_WRONG;
  }
  if (progress) fputs("\r\033[K", stderr);
  if (!o->quiet) print_table(search, done);
  const bool ok = write_file(&file, old, search, done);
  atomic_file_discard(&file);
  if (ok && !o->quiet) printf("Written: %s. Plans read it with ATTN_TUNING=%s\n", o->output, o->output);
  if (stop) fprintf(stderr, "attnbench tune: interrupted after %d of %d searches\n", done, count);
  return wrong ? EXIT_WRONG : stop ? EXIT_INTERRUPTED : ok ? 0 : EXIT_USAGE;
}

int cmd_tune(int argc, char **argv)
{
  static struct options o = {.output = "attn-tuning.txt", .budget_s = 60, .seed = 1};
  const struct argp argp = {argp_options, parse, NULL, doc, NULL, NULL, NULL};
  char error[1400];
  argp_err_exit_status = EXIT_USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  o.selection.case_names = o.case_names;
  if (!o.selection.preset && !o.selection.cases) o.selection.preset = bench_preset_find("quick");
  if (!o.selection.threads) o.selection.threads = "1";

  struct bench_case_list list;
  if (!bench_select_cases(&list, &o.selection, error, sizeof error)) {
    fprintf(stderr, "attnbench tune: %s\n", error);
    return EXIT_USAGE;
  }
  struct search *search = calloc((size_t)list.count, sizeof *search);
  const int count = search ? gather(search, &list, &o) : 0;
  char *old = count ? read_old(o.output) : NULL;
  int code = EXIT_USAGE;
  if (!search)
    fputs("attnbench tune: no memory\n", stderr);
  else if (!count)
    fputs("attnbench tune: nothing to tune: no case is of attention alone with a kernel that has a blocking to choose (a "
          "layer: leave "
          "out Wq, Wkv and Wo)\n",
          stderr);
  else if (old) {
    /* Once only: a second Ctrl-C does not wait for the running call. */
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, NULL);
    code = tune(search, count, &o, old);
  }
  free(old);
  free(search);
  free(list.c);
  return code;
}
