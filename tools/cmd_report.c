/* attnbench report: files of results as one page for a browser. */
#include "atomic_file.h"
#include "command.h"
#include "history/history_series.h"
#include "report/report_assets.h"
#include "report/report_page.h"

#include <argp.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct options {
  const char *path[REPORT_MAX_FILES], *out, *title, *db;
  int files;
};

enum { OPTION_DB = 0x100, LATEST_RUNS = 100 };

static const char doc[] =
    "Make one page of files of results: JSON of `attnbench run' or of any Google Benchmark program; - is standard input."
    "\vThe page is a single file that needs no network: machines, rooflines, throughput by sequence length, scaling over "
    "threads, the ladder of kernels, machines side by side, and a table of everything that can be sorted and filtered. "
    "Every chart can be read as a table. With --db, the page shows how its cases went over the last 100 runs of that "
    "history, "
    "and where they changed.\n\n"
    "Examples:\n"
    "  attnbench run --json today.json && attnbench report today.json -o today.html\n"
    "  attnbench report zen4.json granite.json graviton.json -o machines.html\n"
    "  attnbench report today.json --db ~/.local/share/attnbench/history.db\n\n"
    "Exit codes: 0 ok, 2 usage, unusable file, or the page could not be written.";

static const struct argp_option argp_options[] = {
    {"output", 'o', "FILE", 0, "The page; default: report.html", 0},
    {"title", 't', "TEXT", 0, "Its heading; default: the machines", 0},
    {"db", OPTION_DB, "WHERE", 0, "History of `attnbench history' to show: file, or postgresql://...", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  switch (key) {
  case 'o': o->out = arg; break;
  case 't': o->title = arg; break;
  case OPTION_DB: o->db = arg; break;
  case ARGP_KEY_ARG:
    if (o->files == REPORT_MAX_FILES) argp_error(state, "more than %d files", REPORT_MAX_FILES);
    o->path[o->files++] = arg;
    break;
  case ARGP_KEY_END:
    if (!o->files) argp_error(state, "a file of results is needed: attnbench run --json FILE writes one");
    break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

/* What makes the files of a page hard to compare. */
static void examine(const struct report *report, struct report_warnings *warnings)
{
  const struct results *first = report->file[0];
  for (int f = 1; f < report->files; f++)
    if (strcmp(first->method, report->file[f]->method)) {
      report_warn(warnings,
                  "Mixed methods: %s was measured by version %s of the method, %s by version %s; differences may come from "
                  "that.\n",
                  first->path, *first->method ? first->method : "none", report->file[f]->path,
                  *report->file[f]->method ? report->file[f]->method : "none");
      return;
    }
}

static bool is_in(const struct report *report, const char *name)
{
  for (int f = 0; f < report->files; f++)
    if (results_find(report->file[f], name)) return true;
  return false;
}

/* How the cases of the page went. Those that it does not have would only make it large. */
static bool read_history(struct report *report, const char *where, struct complaint *why)
{
  const struct history_trend_options options = {.runs = {.latest = LATEST_RUNS}};
  struct history history;
  struct history_trend trend;
  if (!history_open(&history, where, DATABASE_READ, why)) return false;
  const bool ok = history_trend_read(&history, &options, &trend, why);
  history_close(&history);
  if (!ok) return false;
  report->history = history_trend_json(&trend);
  history_trend_free(&trend);
  for (size_t i = json_array_size(report->history); i-- > 0;) {
    const char *name = json_string_value(json_object_get(json_array_get(report->history, i), "name"));
    if (!name || !is_in(report, name)) json_array_remove(report->history, i);
  }
  return report->history || complain(why, "no memory for the history");
}

static bool make(const struct options *o, const struct report *report, struct complaint *why)
{
  struct report_warnings warnings = {{0}};
  struct atomic_file file = {0};
  examine(report, &warnings);
  fputs(warnings.text, stderr);
  if (!report_has_charts())
    fputs("attnbench report: this build has no Chart.js, so the page has tables only (`make deps && make' mends it)\n",
          stderr);
  if (!atomic_file_open(&file, o->out, why)) return false;
  const bool ok = report_page_write(file.stream, report, &warnings, why) && atomic_file_commit(&file, why);
  atomic_file_discard(&file);
  return ok;
}

int cmd_report(int argc, char **argv)
{
  static struct options o = {.out = "report.html"};
  static struct results file[REPORT_MAX_FILES];
  const struct argp argp = {argp_options, parse, "FILE.json...", doc, NULL, NULL, NULL};
  struct report report = {.files = 0};
  struct complaint why;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  report.title = o.title;
  bool ok = true;
  while (ok && report.files < o.files) {
    ok = results_read(&file[report.files], o.path[report.files], why.text, sizeof why.text);
    report.file[report.files] = &file[report.files];
    report.files += ok;
  }
  ok = ok && (!o.db || read_history(&report, o.db, &why)) && make(&o, &report, &why);
  json_decref(report.history);
  if (!ok) fprintf(stderr, "attnbench report: %s\n", why.text);
  for (int f = 0; f < report.files; f++) results_free(&file[f]);
  return ok ? 0 : EXIT_USAGE;
}
