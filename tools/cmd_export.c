/* attnbench export: a file of results in the format of another tool. */
#include "atomic_file.h"
#include "command.h"
#include "export/export.h"

#include <argp.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

static const struct export_format formats[] = {
    {"csv", export_csv},
    {"openmetrics", export_openmetrics},
    {"benchstat", export_benchstat},
    {"bencher", export_bencher},
    {"gha", export_gha},
    {"lnt", export_lnt},
    {"google", export_google},
    {"junit", export_junit},
    {"markdown", export_markdown},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static const char doc[] = "Write a file of results in the format of another tool. FILE is JSON of `attnbench run' or of "
                          "any Google Benchmark program, "
                          "or `attnbench history export'; - or nothing is standard input."
                          "\vFormats:\n"
                          "  csv          a line for each repetition, for data frames and spreadsheets\n"
                          "  openmetrics  for Prometheus and whatever reads its text format\n"
                          "  benchstat    Go's benchmark format\n"
                          "  bencher      Bencher Metric Format (adapter json)\n"
                          "  gha          github-action-benchmark's customSmallerIsBetter\n"
                          "  lnt          LNT's report format 2\n"
                          "  google       Google Benchmark's JSON, schema 1, for its compare.py\n"
                          "  junit        JUnit XML; wrong results are failures\n"
                          "  markdown     a table, for GitHub's step summary for instance\n\n"
                          "Formats with one figure for a case have the median of its repetitions, and where they have a "
                          "place for it the interval of "
                          "95 %, which needs six repetitions.\n\n"
                          "Examples:\n"
                          "  attnbench export --format csv r.json --output r.csv\n"
                          "  attnbench export --format benchstat old.json > old.txt && benchstat old.txt new.txt\n"
                          "  attnbench history export last | attnbench export --format openmetrics\n\n"
                          "Exit codes: 0 ok, 2 usage, unusable file, or no case matched.";

static const struct argp_option argp_options[] = {
    {"format", 'F', "FORMAT", 0, "csv, openmetrics, benchstat, bencher, gha, lnt, google, junit or markdown", 0},
    {"filter", 'f', "REGEX", 0, "Only cases whose name matches (POSIX extended)", 0},
    {"output", 'o', "FILE", 0, "Write to FILE instead of standard output", 0},
    {0}};

struct options {
  const struct export_format *format;
  const char *path, *filter, *output;
};

static const struct export_format *format_of(struct argp_state *state, const char *name)
{
  for (int i = 0; i < FORMATS; i++)
    if (!strcmp(formats[i].name, name)) return &formats[i];
  argp_error(
      state,
      "--format: there is no '%s'; there are csv, openmetrics, benchstat, bencher, gha, lnt, google, junit, markdown",
      name);
  return NULL;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case 'F': o->format = format_of(state, arg); break;
  case 'f': o->filter = arg; break;
  case 'o': o->output = arg; break;
  case ARGP_KEY_ARG:
    if (o->path) argp_error(state, "one file of results at a time: '%s' is the second", arg);
    o->path = arg;
    break;
  case ARGP_KEY_END:
    if (!o->format) argp_error(state, "--format is missing");
    break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

/* Cases that do not match leave the results, whose order by name is not used here. False: nothing is left. */
static bool keep_matching(struct results *kept, const struct results *all, const regex_t *filter)
{
  *kept = *all;
  kept->c = calloc((size_t)all->count + 1, sizeof *kept->c);
  kept->count = 0;
  for (int i = 0; kept->c && i < all->count; i++)
    if (!filter || !regexec(filter, all->c[i].name, 0, NULL, 0)) kept->c[kept->count++] = all->c[i];
  return kept->count > 0;
}

static bool export_to(const struct options *o, const struct results *results, struct complaint *why)
{
  if (!o->output) return o->format->write(stdout, results, why);
  struct atomic_file file;
  if (!atomic_file_open(&file, o->output, why)) return false;
  const bool ok = o->format->write(file.stream, results, why) && atomic_file_commit(&file, why);
  atomic_file_discard(&file);
  return ok;
}

int cmd_export(int argc, char **argv)
{
  struct options o = {.path = NULL};
  const struct argp argp = {argp_options, parse, "[FILE]", doc, NULL, NULL, NULL};
  struct complaint why = {{0}};
  regex_t filter;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  const int bad = o.filter ? regcomp(&filter, o.filter, REG_EXTENDED | REG_NOSUB) : 0;
  if (bad) {
    regerror(bad, &filter, why.text, sizeof why.text);
    fprintf(stderr, "%s: --filter '%s': %s\n", argv[0], o.filter, why.text);
    return EXIT_USAGE;
  }
  struct results all, kept = {0};
  bool ok = results_read(&all, o.path ? o.path : "-", why.text, sizeof why.text);
  if (ok) {
    ok = keep_matching(&kept, &all, o.filter ? &filter : NULL)
             ? export_to(&o, &kept, &why)
             : complain(&why, "%s: no case%s", all.path, o.filter ? " matches --filter" : " with a time is in it");
    free(kept.c);
    results_free(&all);
  }
  if (o.filter) regfree(&filter);
  if (!ok) fprintf(stderr, "%s: %s\n", argv[0], why.text);
  return ok ? 0 : EXIT_USAGE;
}
