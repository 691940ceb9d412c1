/* Formats that are JSON: Google Benchmark's, Bencher's, github-action-benchmark's, LNT's. */
#include "export.h"

#include "../../bench/results_row.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Takes the reference. */
static bool dump(FILE *out, json_t *root, bool complete, struct complaint *why)
{
  const bool ok = root && complete && !json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  if (ok) fputc('\n', out);
  json_decref(root);
  return ok || (ferror(out) ? true : complain(why, "no memory for the JSON"));
}

static json_t *google_row(const struct results_case *c, int t)
{
  json_t *row = results_row(c->name, c->label ? c->label : "", c->only_aggregate, t, c->times, c->time_ns[t], c->cpu_ns[t]);
  for (int k = 0; k < c->counters; k++) {
    const double value = c->counter[k].value[t];
    if (!isfinite(value)) continue;
    const bool whole = !strcmp(c->counter[k].name, "iterations");
    json_object_set_new(row, c->counter[k].name, whole ? json_integer((json_int_t)value) : json_real(value));
  }
  return row;
}

bool export_google(FILE *out, const struct results *r, struct complaint *why)
{
  json_t *root = json_object(), *rows = json_array();
  bool ok = root && rows && !json_object_set(root, "context", export_context(r));
  for (int i = 0; ok && i < r->count; i++)
    for (int t = 0; ok && t < r->c[i].times; t++) ok = !json_array_append_new(rows, google_row(&r->c[i], t));
  ok = !json_object_set_new(root, "benchmarks", rows) && ok;
  return dump(out, root, ok, why);
}

/* Bencher Metric Format: a measure has a value and, where there are any, bounds. Nanoseconds are what its Latency is in. */
bool export_bencher(FILE *out, const struct results *r, struct complaint *why)
{
  json_t *root = json_object();
  bool ok = root != NULL;
  for (int i = 0; ok && i < r->count; i++) {
    const struct stats_interval median = export_median(&r->c[i]);
    json_t *latency = json_pack("{s:f}", "value", median.estimate);
    if (isfinite(median.low)) json_object_set_new(latency, "lower_value", json_real(median.low));
    if (isfinite(median.high)) json_object_set_new(latency, "upper_value", json_real(median.high));
    ok = latency && !json_object_set_new(root, r->c[i].name, json_pack("{s:o}", "latency", latency));
  }
  return dump(out, root, ok, why);
}

/* customSmallerIsBetter: one entry a case, where the action's own reader of Google Benchmark's JSON would take every
 * repetition and aggregate for a benchmark. */
bool export_gha(FILE *out, const struct results *r, struct complaint *why)
{
  json_t *root = json_array();
  bool ok = root != NULL;
  for (int i = 0; ok && i < r->count; i++) {
    const struct results_case *c = &r->c[i];
    const struct stats_interval median = export_median(c);
    char extra[256], range[64];
    snprintf(extra, sizeof extra, "repetitions: %d\ncommit: %.80s\nCPU: %.80s", c->times, r->commit, r->cpu);
    json_t *entry =
        json_pack("{s:s, s:s, s:f, s:s}", "name", c->name, "unit", "ns", "value", median.estimate, "extra", extra);
    if (isfinite(median.low) && isfinite(median.high)) {
      snprintf(range, sizeof range, "%.6g ... %.6g", median.low, median.high);
      json_object_set_new(entry, "range", json_string(range));
    }
    ok = entry && !json_array_append_new(root, entry);
  }
  return dump(out, root, ok, why);
}

static bool utc_of(const char *date, const char *format, char *text, size_t bytes)
{
  struct tm tm = {0}, utc;
  const char *end = strptime(date, "%Y-%m-%dT%H:%M:%S%z", &tm);
  const long offset = tm.tm_gmtoff;
  if (!end || *end) return false;
  const time_t seconds = timegm(&tm) - offset;
  return gmtime_r(&seconds, &utc) && strftime(text, bytes, format, &utc);
}

static void put_text(json_t *object, const char *key, const char *text)
{
  if (*text) json_object_set_new(object, key, json_string(text));
}

/* Format 2; seconds. LNT sorts runs by llvm_project_revision, and names of commits have no order: it is the time of the
 * run, and the commit stands beside it. */
bool export_lnt(FILE *out, const struct results *r, struct complaint *why)
{
  char time_text[32], order[32];
  if (!utc_of(r->date, "%Y-%m-%dT%H:%M:%S", time_text, sizeof time_text) ||
      !utc_of(r->date, "%Y%m%d%H%M%S", order, sizeof order))
    return complain(why, "%s: context.date '%.60s' is not of the form 2026-01-31T12:00:00+00:00, and LNT needs one",
                    r->path, r->date);
  json_t *machine = json_pack("{s:s}", "name", *r->host ? r->host : "unknown"), *tests = json_array();
  json_t *run =
      json_pack("{s:s, s:s, s:s}", "start_time", time_text, "end_time", time_text, "llvm_project_revision", order);
  put_text(machine, "cpu", r->cpu);
  put_text(machine, "cpu_features", r->features);
  put_text(run, "commit", r->commit);
  put_text(run, "binary_hash", r->binary);
  put_text(run, "compiler", r->compiler);
  put_text(run, "method_version", r->method);
  bool ok = machine && run && tests;
  for (int i = 0; ok && i < r->count; i++) {
    json_t *times = json_array();
    for (int t = 0; ok && t < r->c[i].times; t++) ok = !json_array_append_new(times, json_real(r->c[i].time_ns[t] * 1e-9));
    json_t *test = json_pack("{s:s, s:o}", "name", r->c[i].name, "execution_time", times);
    ok = ok && test && !json_array_append_new(tests, test);
  }
  return dump(out, json_pack("{s:s, s:o, s:o, s:o}", "format_version", "2", "machine", machine, "run", run, "tests", tests),
              ok, why);
}
