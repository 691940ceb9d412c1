/* attnbench history: runs kept over time, and what they tell. */
#include "atomic_file.h"
#include "command.h"
#include "history/history_import.h"
#include "history/history_view.h"

#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum {
  OPTION_DB = 0x100,
  OPTION_MACHINE,
  OPTION_COMMIT,
  OPTION_DATE,
  OPTION_SINCE,
  OPTION_LATEST,
  OPTION_NOISE,
  OPTION_CHANGED,
  OPTION_JSON,
};

enum verb { ADD = 1, LIST = 2, SHOW = 4, TREND = 8, EXPORT = 16, IMPORT = 32 };
static const struct {
  const char *name;
  enum verb verb;
} verbs[] = {{"add", ADD}, {"list", LIST}, {"show", SHOW}, {"trend", TREND}, {"export", EXPORT}, {"import", IMPORT}};
enum { VERBS = sizeof verbs / sizeof *verbs };

/* Which verbs an option means something to. */
static const struct {
  int key;
  const char *name;
  int verbs;
} scopes[] = {{OPTION_MACHINE, "--machine", ADD | LIST | TREND | EXPORT},
              {OPTION_COMMIT, "--commit", ADD | LIST | TREND | EXPORT},
              {OPTION_DATE, "--date", ADD},
              {OPTION_SINCE, "--since", LIST | TREND | EXPORT},
              {OPTION_LATEST, "--latest", LIST | TREND | EXPORT},
              {OPTION_NOISE, "--noise", TREND},
              {OPTION_CHANGED, "--changed", TREND},
              {OPTION_JSON, "--json", LIST | TREND},
              {'f', "--filter", SHOW | TREND},
              {'o', "--output", EXPORT}};
enum { SCOPES = sizeof scopes / sizeof *scopes };

struct options {
  enum verb verb;
  const char *verb_name, *db, *machine, *commit, *date, *since, *filter, *output;
  char **argument;
  int arguments, latest;
  double noise;
  bool changed, json;
  bool given[SCOPES];
};

static const char doc[] =
    "Keep runs of `attnbench run --json' (or of any Google Benchmark program), and see how cases went over time.\n"
    "VERB is one of\n"
    "  add FILE...      keep these results; - is standard input. The same results again are the same run\n"
    "  list             the runs, by date\n"
    "  show RUN         one run; `last' is the latest\n"
    "  trend            every case on every machine: a sparkline, and where it changed for good\n"
    "  export [RUN...]  runs as they came: a document of results each, one a line\n"
    "  import FILE...   what export wrote"
    "\vThe history is a file (SQLite, $ATTNBENCH_DB or attnbench/history.db in $XDG_DATA_HOME or ~/.local/share), or a "
    "database on a PostgreSQL server that machines share. It is made when the first run is added. A run is one "
    "transaction: any "
    "number of writers may add at a time, and whatever is killed in between leaves whole runs only.\n\n"
    "A run belongs to a machine (host name or --machine, CPU, its features, their number), a commit, a digest of the "
    "binary and a "
    "date. Times of another machine or another version of the method are another series.\n\n"
    "trend finds changes by E-divisive (windows of 50 runs, p 0.01 by permutation, confirmed by a t-test at p 0.001) of at "
    "least "
    "the series' noise, which is what neighbouring runs differ by; it names the commits between. Where the program before "
    "and "
    "after is the same, something else changed, and that is no alarm. A change needs three runs on each side, in practice "
    "five or six. It is for finding causes; `attnbench gate' guards.\n\n"
    "Examples:\n"
    "  attnbench run --preset quick --json r.json && attnbench history add r.json\n"
    "  attnbench history trend --filter '/causal/' --changed\n"
    "  attnbench history export --latest 1 | attnbench compare - new.json\n"
    "  attnbench history export | attnbench history import - --db postgresql://perf@db/attnbench\n\n"
    "Exit codes: 0 ok, 2 usage, unusable file or database, or nothing matched.";

static const struct argp_option argp_options[] = {
    {"db", OPTION_DB, "WHERE", 0, "File, or postgresql://[user[:password]@]host[:port]/database", 1},
    {"machine", OPTION_MACHINE, "NAME", 0,
     "add: name of the machine instead of its host name; otherwise: only machines whose \"name, CPU\" matches (POSIX "
     "extended)",
     1},
    {"commit", OPTION_COMMIT, "COMMIT", 0, "add: commit that was measured; otherwise: only commits that begin so", 1},
    {"date", OPTION_DATE, "DATE", 0, "add: when, as 2026-01-31T12:00:00+00:00", 1},
    {"since", OPTION_SINCE, "DATE", 0, "Only runs since this date, as 2026-01-31 or 2026-01-31T12:00:00+00:00", 2},
    {"latest", OPTION_LATEST, "N", 0, "Only the latest N runs (trend: of each series)", 2},
    {"filter", 'f', "REGEX", 0, "show, trend: only cases whose name matches (POSIX extended)", 2},
    {"changed", OPTION_CHANGED, NULL, 0, "trend: only what changed", 2},
    {"noise", OPTION_NOISE, "PERCENT", 0,
     "trend: the least change that counts; default: each series' own noise, at least 0.5", 2},
    {"json", OPTION_JSON, NULL, 0, "list, trend: write JSON", 3},
    {"output", 'o', "FILE", 0, "export: write to FILE instead of standard output", 3},
    {0}};

static enum verb verb_of(struct argp_state *state, const char *name)
{
  for (int i = 0; i < VERBS; i++)
    if (!strcmp(verbs[i].name, name)) return verbs[i].verb;
  argp_error(state, "there is no verb '%s'; there are add, list, show, trend, export, import", name);
  return 0;
}

static double number(struct argp_state *state, const char *option, const char *text, double least, double most)
{
  char *end;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value >= least && value <= most))
    argp_error(state, "%s: '%s' is not a number within %g..%g", option, text, least, most);
  return value;
}

static void check(const struct options *o, struct argp_state *state)
{
  static const char *const wanted[] = {"files of results", "nothing", "a run", "nothing", "runs", "files"};
  if (!o->verb) argp_error(state, "a verb is missing: add, list, show, trend, export or import");
  for (int i = 0; i < SCOPES; i++)
    if (o->given[i] && !(scopes[i].verbs & (int)o->verb))
      argp_error(state, "%s means nothing to %s", scopes[i].name, o->verb_name);
  const bool needs = o->verb & (ADD | SHOW | IMPORT), may = o->verb & (ADD | SHOW | IMPORT | EXPORT);
  for (int i = 0; i < VERBS; i++)
    if (verbs[i].verb == o->verb &&
        ((needs && !o->arguments) || (!may && o->arguments) || (o->verb == SHOW && o->arguments > 1)))
      argp_error(state, "%s wants %s after it", o->verb_name, wanted[i]);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct options *o = state->input;
  for (int i = 0; i < SCOPES; i++) o->given[i] |= key == scopes[i].key;
  switch (key) {
  case OPTION_DB: o->db = arg; break;
  case OPTION_MACHINE: o->machine = arg; break;
  case OPTION_COMMIT: o->commit = arg; break;
  case OPTION_DATE: o->date = arg; break;
  case OPTION_SINCE: o->since = arg; break;
  case OPTION_LATEST: o->latest = (int)number(state, "--latest", arg, 1, 1e9); break;
  case OPTION_NOISE: o->noise = number(state, "--noise", arg, 0.001, 1000) / 100; break;
  case OPTION_CHANGED: o->changed = true; break;
  case OPTION_JSON: o->json = true; break;
  case 'f': o->filter = arg; break;
  case 'o': o->output = arg; break;
  case ARGP_KEY_ARG:
    if (!o->verb) {
      o->verb = verb_of(state, arg);
      o->verb_name = arg;
    } else
      o->argument[o->arguments++] = arg;
    break;
  case ARGP_KEY_END: check(o, state); break;
  default: return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

/* What the options say, ready for the database. */
struct question {
  struct history_filter runs;
  regex_t machine, name;
  const regex_t *name_wanted;
};

static bool compile(regex_t *to, const char *text, const char *option, struct complaint *why)
{
  char reason[256];
  const int bad = regcomp(to, text, REG_EXTENDED | REG_NOSUB);
  if (!bad) return true;
  regerror(bad, to, reason, sizeof reason);
  return complain(why, "%s '%.200s': %s", option, text, reason);
}

static bool parse_since(const char *text, int64_t *seconds, struct complaint *why)
{
  struct tm tm = {0};
  const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S%z", &tm);
  if (!end) {
    tm = (struct tm){0};
    end = strptime(text, "%Y-%m-%d", &tm);
  }
  const long offset = tm.tm_gmtoff;
  if (!end || *end) return complain(why, "--since: '%.100s' is neither 2026-01-31 nor 2026-01-31T12:00:00+00:00", text);
  *seconds = (int64_t)timegm(&tm) - offset;
  return true;
}

static bool prepare(struct question *q, const struct options *o, struct complaint *why)
{
  if (o->verb == ADD) return true;
  q->runs = (struct history_filter){.commit = o->commit, .latest = o->latest};
  if (o->since && !parse_since(o->since, &q->runs.since_s, why)) return false;
  if (o->machine && !compile(&q->machine, o->machine, "--machine", why)) return false;
  q->runs.machine = o->machine ? &q->machine : NULL;
  if (o->filter && !compile(&q->name, o->filter, "--filter", why)) return false;
  q->name_wanted = o->filter ? &q->name : NULL;
  return true;
}

static void release(struct question *q)
{
  if (q->runs.machine) regfree(&q->machine);
  if (q->name_wanted) regfree(&q->name);
}

static bool add(struct history *h, const struct options *o, struct complaint *why)
{
  const struct history_labels labels = {o->machine, o->commit, o->date};
  for (int i = 0; i < o->arguments; i++)
    if (!history_import(h, o->argument[i], &labels, stdout, why)) return false;
  return true;
}

static bool list(struct history *h, const struct options *o, const struct question *q, struct complaint *why)
{
  struct history_runs runs;
  if (!history_runs_read(h, &q->runs, &runs, why)) return false;
  bool ok = runs.count > 0 || complain(why, "%s: no run matches", database_where(h->database));
  if (ok && !o->json) history_print_runs(stdout, &runs);
  if (ok && o->json && !history_print_runs_json(stdout, &runs)) ok = complain(why, "the list could not be written");
  history_runs_free(&runs);
  return ok;
}

/* "last", or a number. False: the complaint says why. */
static bool find_run(struct history *h, const char *text, struct history_runs *found, struct complaint *why)
{
  char *end;
  errno = 0;
  const bool last = !strcmp(text, "last");
  struct history_filter filter = {.id = last ? 0 : strtoll(text, &end, 10), .latest = 1};
  if (!last && (*end || filter.id < 1 || errno))
    return complain(why, "'%.100s' is no run: a number of `list', or last", text);
  if (!history_runs_read(h, &filter, found, why)) return false;
  return found->count || complain(why, "%s: there is no run %.100s; `attnbench history list' shows them",
                                  database_where(h->database), text);
}

static bool show(struct history *h, const struct options *o, const struct question *q, struct complaint *why)
{
  struct history_runs runs = {0};
  struct results results;
  char *document = NULL;
  bool ok = find_run(h, o->argument[0], &runs, why) && (document = history_document(h, runs.run[0].id, why)) &&
            results_parse(&results, database_where(h->database), document, strlen(document), why->text, sizeof why->text);
  if (ok) {
    history_print_run(stdout, &runs.run[0], &results, q->name_wanted);
    results_free(&results);
  }
  free(document);
  history_runs_free(&runs);
  return ok;
}

static bool terminal_has_blocks(void)
{
  static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (int i = 0; i < 3; i++) {
    const char *value = getenv(names[i]);
    if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
  }
  return false;
}

static bool trend(struct history *h, const struct options *o, const struct question *q, struct complaint *why)
{
  const struct history_trend_options options = {.runs = q->runs, .name = q->name_wanted, .noise = o->noise};
  struct history_trend found;
  if (!history_trend_read(h, &options, &found, why)) return false;
  bool ok = found.count > 0 || complain(why, "%s: no case of a run matches", database_where(h->database));
  if (ok && o->json) {
    json_t *all = history_trend_json(&found);
    ok = (all && !json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) && putchar('\n') != EOF) ||
         complain(why, "the trend could not be written");
    json_decref(all);
  } else if (ok)
    history_print_trend(stdout, &found, o->changed, terminal_has_blocks());
  history_trend_free(&found);
  return ok;
}

static bool export_run(struct history *h, int64_t id, FILE *out, struct complaint *why)
{
  char *document = history_document(h, id, why);
  if (document) fprintf(out, "%s\n", document);
  free(document);
  return document != NULL;
}

static bool export_runs(struct history *h, const struct options *o, const struct question *q, FILE *out,
                        struct complaint *why)
{
  struct history_runs runs = {0};
  bool ok = true;
  for (int i = 0; ok && i < o->arguments; i++) {
    ok = find_run(h, o->argument[i], &runs, why) && export_run(h, runs.run[0].id, out, why);
    history_runs_free(&runs);
  }
  if (o->arguments || !ok) return ok;
  ok = history_runs_read(h, &q->runs, &runs, why) &&
       (runs.count > 0 || complain(why, "%s: no run matches", database_where(h->database)));
  for (int i = 0; ok && i < runs.count; i++) ok = export_run(h, runs.run[i].id, out, why);
  history_runs_free(&runs);
  return ok;
}

static bool export_to(struct history *h, const struct options *o, const struct question *q, struct complaint *why)
{
  if (!o->output) return export_runs(h, o, q, stdout, why);
  struct atomic_file file;
  if (!atomic_file_open(&file, o->output, why)) return false;
  const bool ok = export_runs(h, o, q, file.stream, why) && atomic_file_commit(&file, why);
  atomic_file_discard(&file);
  return ok;
}

int cmd_history(int argc, char **argv)
{
  struct options o = {.argument = calloc((size_t)argc + 1, sizeof *o.argument)};
  const struct argp argp = {argp_options, parse, "VERB [ARGUMENT...]", doc, NULL, NULL, NULL};
  struct complaint why = {{0}};
  struct history h = {0};
  struct question q = {.name_wanted = NULL};
  if (!o.argument) {
    fputs("attnbench history: no memory for the arguments\n", stderr);
    return EXIT_USAGE;
  }
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  bool ok =
      prepare(&q, &o, &why) && history_open(&h, o.db, o.verb & (ADD | IMPORT) ? DATABASE_CREATE : DATABASE_READ, &why);
  if (ok) switch (o.verb) {
    case ADD:
    case IMPORT: ok = add(&h, &o, &why); break;
    case LIST: ok = list(&h, &o, &q, &why); break;
    case SHOW: ok = show(&h, &o, &q, &why); break;
    case TREND: ok = trend(&h, &o, &q, &why); break;
    case EXPORT: ok = export_to(&h, &o, &q, &why); break;
    }
  if (!ok) fprintf(stderr, "%s: %s\n", argv[0], why.text);
  history_close(&h);
  release(&q);
  free(o.argument);
  return ok ? 0 : EXIT_USAGE;
}
