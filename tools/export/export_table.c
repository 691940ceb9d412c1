/* CSV with a line for each repetition, for data frames; Markdown with a line for each case, for people. */
#include "export.h"

#include "../case_text.h"
#include "../grid_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fields of a name that become columns. */
static const char *const fields[] = {"kernel", "isa", "dtype", "mask", "B", "Hq", "Hkv", "Sq", "Skv", "Dqk", "Dv", "T"};
enum { FIELDS = sizeof fields / sizeof *fields, MOST_COLUMNS = 256, CELL_BYTES = 64 };

/* Names of all counters of all cases, in the order of their first appearance. */
static int counter_names(const struct results *r, const char *names[], int room)
{
  int n = 0;
  for (int i = 0; i < r->count; i++)
    for (int k = 0; k < r->c[i].counters; k++) {
      bool known = false;
      for (int j = 0; j < n && !known; j++) known = !strcmp(names[j], r->c[i].counter[k].name);
      if (!known && n < room) names[n++] = r->c[i].counter[k].name;
    }
  return n;
}

static const struct results_counter *counter_of(const struct results_case *c, const char *name)
{
  for (int i = 0; i < c->counters; i++)
    if (!strcmp(c->counter[i].name, name)) return &c->counter[i];
  return NULL;
}

static void number(char text[CELL_BYTES], double value)
{
  text[0] = 0;
  if (isfinite(value)) snprintf(text, CELL_BYTES, "%.12g", value);
}

static void put(FILE *out, const char *text, bool first)
{
  if (!first) fputc(',', out);
  csv_print(out, text);
}

static void csv_row(FILE *out, const struct results *r, const struct results_case *c, int t, const char *const *names,
                    int counters)
{
  char text[RESULTS_MAX_TEXT + 1];
  put(out, c->name, true);
  for (int f = 0; f < FIELDS; f++) put(out, case_field(c->name, fields[f], text, sizeof text) ? text : "", false);
  snprintf(text, sizeof text, "%d", t);
  put(out, text, false);
  put(out, c->only_aggregate ? "aggregate" : "iteration", false);
  number(text, c->time_ns[t]);
  put(out, text, false);
  number(text, c->cpu_ns[t]);
  put(out, text, false);
  for (int k = 0; k < counters; k++) {
    const struct results_counter *counter = counter_of(c, names[k]);
    number(text, counter ? counter->value[t] : NAN);
    put(out, text, false);
  }
  const char *const more[] = {c->label ? c->label : "", r->date, r->host, r->cpu, r->commit, r->binary, r->method};
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) put(out, more[i], false);
  fputs("\r\n", out); /* RFC 4180 */
}

bool export_csv(FILE *out, const struct results *r, struct complaint *why)
{
  static const char *const last[] = {"label", "date", "host", "cpu", "commit", "binary_hash", "method_version"};
  const char *names[MOST_COLUMNS];
  const int counters = counter_names(r, names, MOST_COLUMNS);
  if (counters == MOST_COLUMNS) return complain(why, "%s: its cases have more than %d counters", r->path, MOST_COLUMNS - 1);
  put(out, "name", true);
  for (int f = 0; f < FIELDS; f++) put(out, fields[f], false);
  put(out, "repetition", false);
  put(out, "run_type", false);
  put(out, "real_time_ns", false);
  put(out, "cpu_time_ns", false);
  for (int k = 0; k < counters; k++) put(out, names[k], false);
  for (size_t i = 0; i < sizeof last / sizeof *last; i++) put(out, last[i], false);
  fputs("\r\n", out);
  for (int i = 0; i < r->count; i++)
    for (int t = 0; t < r->c[i].times; t++) csv_row(out, r, &r->c[i], t, names, counters);
  return true;
}

enum { SUMMARY_MAX_BYTES = 1 << 20 };

static bool markdown(FILE *out, const struct results *r)
{
  struct grid_table table = {0};
  fprintf(out, "## %s\n\n", *r->cpu ? r->cpu : "Results");
  if (*r->date || *r->commit || *r->host)
    fprintf(out, "%s%s%s%s%s%s\n\n", r->date, *r->commit ? ", commit " : "", r->commit, *r->host ? ", on " : "", r->host,
            r->left_out ? "; some rows have no time" : "");
  grid_add(&table, 6, (const char *const[]){"<case", "median", "interval of 95 %", "n", "GFLOP/s", "max error"});
  for (int i = 0; i < r->count; i++) {
    const struct results_case *c = &r->c[i];
    const struct stats_interval median = export_median(c);
    const struct results_counter *rate = counter_of(c, "gflops"), *error = counter_of(c, "max_error");
    char time[32], low[32], high[32], interval[80] = "-", n[16], gflops[CELL_BYTES] = "-", wrong[CELL_BYTES] = "-";
    if (isfinite(median.low))
      snprintf(interval, sizeof interval, "%s ... %s", duration_text(median.low, low, sizeof low),
               duration_text(median.high, high, sizeof high));
    snprintf(n, sizeof n, "%d", c->times);
    if (rate) snprintf(gflops, sizeof gflops, "%.1f", export_counter_median(c, rate));
    if (error) snprintf(wrong, sizeof wrong, "%.1e", export_counter_median(c, error));
    grid_add(&table, 6,
             (const char *const[]){c->name, duration_text(median.estimate, time, sizeof time), interval, n, gflops, wrong});
  }
  const bool ok = grid_print(out, &table, GRID_MARKDOWN);
  grid_free(&table);
  return ok;
}

bool export_markdown(FILE *out, const struct results *r, struct complaint *why)
{
  char *text = NULL;
  size_t bytes = 0;
  FILE *memory = open_memstream(&text, &bytes);
  bool ok = memory && markdown(memory, r);
  if (memory && fclose(memory)) ok = false;
  if (!ok)
    complaint_set(why, "no memory for the table");
  else if (bytes > SUMMARY_MAX_BYTES)
    ok = complain(why,
                  "%s: the table would have more than 1 MiB, which GitHub's step summary drops; --filter makes it smaller",
                  r->path);
  else
    fputs(text, out);
  free(text);
  return ok;
}
