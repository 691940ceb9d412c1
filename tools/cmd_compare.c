/* attnbench compare: files of results side by side, with a verdict in words for every case. */
#include "atomic_file.h"
#include "command.h"
#include "compare/comparison_view.h"

#include <argp.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_ALPHA = 0x100, OPTION_MIX, OPTION_SAME_MACHINE, OPTION_JSON, OPTION_CSV, OPTION_MARKDOWN };
enum { OUT_JSON, OUT_CSV, OUT_MARKDOWN, OUTPUTS };

struct options {
  const char *path[COMPARISON_MAX_FILES], *out[OUTPUTS], *group, *filter;
  int files;
  double alpha, margin;
  bool mix_methods, same_machine;
};

static const char doc[] =
    "Compare files of results, each with the first: JSON of `attnbench run' or of any Google Benchmark program; - is "
    "standard "
    "input."
    "\vRows are matched by the case's name. Each gets the exact two-sided Mann-Whitney U test of its repetitions (ties "
    "included; more than 128 values together: the normal approximation), corrected for all rows by Holm; the effect is the "
    "median ratio of all pairs (Hodges-Lehmann) with the interval that belongs to the test. same: the whole interval is "
    "within the margin. faster, slower: significant and not the same. inconclusive: neither could be shown; with 3 "
    "repetitions a side nothing ever can (the smallest p is 0.1), 5 allow one row, more rows need more.\n"
    "Repetitions of one process are one experiment: layout of memory and the machine's mood stay. `attnbench ab' repeats "
    "processes.\n\n"
    "Files of different machines (host, CPU, its features or number) are shown side by side, but nothing is called a "
    "regression.\n\n"
    "Fields for --group-by: kernel, isa, dtype, mask, any name before a colon (B, Hq, Hkv, Sq, Skv, Dqk, Dv, T), or the "
    "number of a part between slashes.\n\n"
    "Examples:\n"
    "  attnbench compare old.json new.json\n"
    "  attnbench compare old.json new.json --group-by kernel --filter '/T:1/'\n"
    "  attnbench compare zen5.json granite.json graviton.json --markdown machines.md\n\n"
    "Exit codes: 0 nothing slower, 1 a case is slower, 2 usage, unusable file, or no case in common, 5 inconclusive: a "
    "case "
    "could not be decided, or the machines differ.";

static const struct argp_option argp_options[] = {
    {"group-by", 'g', "FIELD", 0, "Gather rows by a field of the name, with the geometric mean of each group", 1},
    {"filter", 'f', "REGEX", 0, "Only cases whose name matches (POSIX extended)", 1},
    {"margin", 'm', "PERCENT", 0, "Changes within this are the same; default 2", 1},
    {"alpha", OPTION_ALPHA, "P", 0, "Probability that any row is called faster or slower by chance; default 0.05", 1},
    {"mix-methods", OPTION_MIX, NULL, 0, "Compare files that were measured by different versions of the method", 2},
    {"same-machine", OPTION_SAME_MACHINE, NULL, 0, "Take differing hosts for one machine (containers change their name)",
     2},
    {"json", OPTION_JSON, "FILE", 0, "Write JSON", 3},
    {"csv", OPTION_CSV, "FILE", 0, "Write comma-separated values", 3},
    {"markdown", OPTION_MARKDOWN, "FILE", 0, "Write Markdown", 3},
    {0}};

static double number(struct argp_state *state, const char *option, const char *text, double above, double below)
{
  char *end;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value > above && value < below))
    argp_error(state, "%s: '%s' is not a number above %g and below %g", option, text, above, below);
  return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case 'g': o->group = arg; break;
  case 'f': o->filter = arg; break;
  case 'm': o->margin = number(state, "--margin", arg, 0, 100) / 100; break;
  case OPTION_ALPHA: o->alpha = number(state, "--alpha", arg, 0, 1); break;
  case OPTION_MIX: o->mix_methods = true; break;
  case OPTION_SAME_MACHINE: o->same_machine = true; break;
  case OPTION_JSON: o->out[OUT_JSON] = arg; break;
  case OPTION_CSV: o->out[OUT_CSV] = arg; break;
  case OPTION_MARKDOWN: o->out[OUT_MARKDOWN] = arg; break;
  case ARGP_KEY_ARG:
    if (o->files == COMPARISON_MAX_FILES) argp_error(state, "more than %d files", COMPARISON_MAX_FILES);
    o->path[o->files++] = arg;
    break;
  case ARGP_KEY_END:
    if (o->files < 2) argp_error(state, "two files of results are needed, there %s %d", o->files ? "is" : "are", o->files);
    break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

static bool is_wanted(const char *name, void *filter) { return !filter || !regexec(filter, name, 0, NULL, 0); }

/* False: the files must not be compared. */
static bool check_files(const struct comparison *c, const struct options *o, struct comparison_notes *notes)
{
  char why[600];
  for (int f = 1; f < c->files; f++) {
    const struct results *first = c->file[0], *other = c->file[f];
    if (strcmp(first->method, other->method)) {
      const char *a = *first->method ? first->method : "none", *b = *other->method ? other->method : "none";
      if (!o->mix_methods) {
        fprintf(stderr,
                "attnbench compare: context.method_version is %s in %s and %s in %s: their times do not mean the same; "
                "--mix-methods compares them all the same\n",
                a, first->path, b, other->path);
        return false;
      }
      comparison_note(notes, "Mixed methods: version %s in A, %s in %s; a difference may come from the method.\n", a, b,
                      comparison_letter(f));
    }
    const char *differs = o->same_machine ? NULL : results_machine_differs(first, other, why, sizeof why);
    if (!differs) continue;
    notes->foreign = true;
    comparison_note(notes,
                    "Different machines: A and %s have %s. Nothing here is a regression or an improvement of the code.\n",
                    comparison_letter(f), differs);
  }
  return true;
}

/* False: a file could not be written; said on standard error. */
static bool write_outputs(struct atomic_file *file, const struct comparison *c, const struct comparison_notes *notes,
                          const struct options *o)
{
  struct complaint why;
  bool ok = true;
  for (int i = 0; i < OUTPUTS; i++) {
    if (!o->out[i]) continue;
    if (i == OUT_JSON && !comparison_write_json(file[i].stream, c, notes) && !ferror(file[i].stream)) {
      fprintf(stderr, "attnbench compare: %s: no memory\n", o->out[i]);
      ok = false;
      continue;
    }
    if (i != OUT_JSON) comparison_print(file[i].stream, c, notes, o->group, i == OUT_CSV ? GRID_CSV : GRID_MARKDOWN);
    if (atomic_file_commit(&file[i], &why)) continue;
    fprintf(stderr, "attnbench compare: %s\n", why.text);
    ok = false;
  }
  return ok;
}

static int judge(const struct comparison *c, const struct comparison_notes *notes)
{
  bool slower = false, undecided = notes->foreign;
  for (int r = 0; r < c->rows; r++)
    for (int f = 1; f < c->files; f++) {
      const struct comparison_cell *cell = &c->row[r].cell[f];
      if (isnan(cell->p)) continue;
      slower |= cell->verdict == VERDICT_SLOWER;
      undecided |= cell->verdict == VERDICT_INCONCLUSIVE;
    }
  if (slower && !notes->foreign) return EXIT_REGRESSION;
  return undecided ? EXIT_INCONCLUSIVE : 0;
}

static int compare(struct comparison *c, const struct options *o, regex_t *filter)
{
  struct atomic_file file[OUTPUTS] = {{0}};
  struct comparison_notes notes = {{0}, false};
  struct complaint why;
  int code = EXIT_USAGE;
  if (!check_files(c, o, &notes)) return code;
  if (!comparison_make(c, is_wanted, filter)) {
    fputs("attnbench compare: no memory\n", stderr);
    return code;
  }
  bool ok = c->tests > 0;
  if (!ok)
    fprintf(stderr, "attnbench compare: no case%s is in %s and in another file\n",
            o->filter ? " that matches --filter" : "", o->path[0]);
  for (int i = 0; i < OUTPUTS && ok; i++)
    if (o->out[i] && !atomic_file_open(&file[i], o->out[i], &why)) {
      fprintf(stderr, "attnbench compare: %s\n", why.text);
      ok = false;
    }
  if (ok) {
    comparison_print(stdout, c, &notes, o->group, GRID_TEXT);
    code = write_outputs(file, c, &notes, o) ? judge(c, &notes) : EXIT_USAGE;
  }
  for (int i = 0; i < OUTPUTS; i++) atomic_file_discard(&file[i]);
  return code;
}

int cmd_compare(int argc, char **argv)
{
  static struct options o = {.alpha = 0.05, .margin = 0.02};
  const struct argp argp = {argp_options, parse, "A.json B.json [C.json ...]", doc, NULL, NULL, NULL};
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  regex_t filter;
  char error[1024];
  const int bad = o.filter ? regcomp(&filter, o.filter, REG_EXTENDED | REG_NOSUB) : 0;
  if (bad) {
    regerror(bad, &filter, error, sizeof error);
    fprintf(stderr, "attnbench compare: --filter '%s': %s\n", o.filter, error);
    return EXIT_USAGE;
  }
  struct results *file = calloc((size_t)o.files, sizeof *file);
  struct comparison c = {.alpha = o.alpha, .margin = o.margin};
  int code = EXIT_USAGE;
  while (file && c.files < o.files && results_read(&file[c.files], o.path[c.files], error, sizeof error)) {
    c.file[c.files] = &file[c.files];
    c.files++;
  }
  if (c.files < o.files)
    fprintf(stderr, "attnbench compare: %s\n", file ? error : "no memory");
  else
    code = compare(&c, &o, o.filter ? &filter : NULL);
  comparison_free(&c);
  for (int i = 0; i < c.files; i++) results_free(&file[i]);
  free(file);
  if (o.filter) regfree(&filter);
  return code;
}
