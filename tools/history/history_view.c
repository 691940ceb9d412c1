#include "history_view.h"

#include "../case_text.h"
#include "../grid_table.h"

#include "../../bench/stats.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

static const char *or_none(const char *text) { return *text ? text : "-"; }

void history_print_runs(FILE *out, const struct history_runs *runs)
{
  struct grid_table table = {0};
  grid_add(&table, 7, (const char *const[]){"run", "<date", "<machine", "<CPU", "<commit", "<binary", "cases"});
  for (int i = 0; i < runs->count; i++) {
    const struct history_run *r = &runs->run[i];
    char id[24], cases[24], binary[16];
    snprintf(id, sizeof id, "%lld", (long long)r->id);
    snprintf(cases, sizeof cases, "%lld", (long long)r->cases);
    snprintf(binary, sizeof binary, "%.8s", or_none(r->binary));
    grid_add(&table, 7,
             (const char *const[]){id, r->date, or_none(r->name), or_none(r->cpu), or_none(r->commit), binary, cases});
  }
  if (!grid_print(out, &table, GRID_TEXT)) fputs("no memory for the table\n", stderr);
  grid_free(&table);
}

bool history_print_runs_json(FILE *out, const struct history_runs *runs)
{
  json_t *all = json_array();
  bool ok = all != NULL;
  for (int i = 0; ok && i < runs->count; i++) {
    const struct history_run *r = &runs->run[i];
    ok = !json_array_append_new(all, json_pack("{s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "run",
                                               (json_int_t)r->id, "date", r->date, "machine", r->name, "cpu", r->cpu,
                                               "num_cpus", (json_int_t)r->cpus, "commit", r->commit, "binary", r->binary,
                                               "method_version", r->method, "attnbench_version", r->version, "compiler",
                                               r->compiler, "cases", (json_int_t)r->cases));
  }
  ok = ok && !json_dumpf(all, out, JSON_INDENT(2)) && fputc('\n', out) != EOF;
  json_decref(all);
  return ok;
}

void history_print_run(FILE *out, const struct history_run *run, const struct results *results, const regex_t *name)
{
  struct grid_table table = {0};
  fprintf(out, "run %lld, %s\nmachine   %s, %s, %lld CPUs\ncommit    %s\nbinary    %s\nattnbench %s, method %s, %s\n\n",
          (long long)run->id, run->date, or_none(run->name), or_none(run->cpu), (long long)run->cpus, or_none(run->commit),
          or_none(run->binary), or_none(run->version), or_none(run->method), or_none(run->compiler));
  grid_add(&table, 4, (const char *const[]){"<case", "median", "interval of 95 %", "n"});
  for (int i = 0; i < results->count; i++) {
    const struct results_case *c = &results->c[i];
    const struct stats_interval median = stats_median_interval(c->time_ns, c->times, 0.95);
    char shown[400], time[32], low[32], high[32], interval[80] = "unknown", n[16];
    if (name && regexec(name, c->name, 0, NULL, 0)) continue;
    if (isfinite(median.low))
      snprintf(interval, sizeof interval, "%s ... %s", duration_text(median.low, low, sizeof low),
               duration_text(median.high, high, sizeof high));
    snprintf(n, sizeof n, "%d", c->times);
    grid_add(&table, 4,
             (const char *const[]){case_short(c->name, shown, sizeof shown),
                                   duration_text(median.estimate, time, sizeof time), interval, n});
  }
  if (!grid_print(out, &table, GRID_TEXT)) fputs("no memory for the table\n", stderr);
  grid_free(&table);
  fputs("\nThe interval needs six repetitions or more. `attnbench history export' gives everything as JSON.\n", out);
}

enum { SPARK_WIDTH = 60 };

/* The series in at most SPARK_WIDTH levels: of more points, those that share a column show their mean. The range is at
 * least ten times the noise, so that noise looks like noise. */
static void print_sparkline(FILE *out, const struct history_series *s, bool utf8)
{
  static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};
  static const char *const plain[] = {"_", ".", "-", "~", "=", "+", "*", "#"};
  const char *const *levels = utf8 ? blocks : plain;
  const int columns = s->points < SPARK_WIDTH ? s->points : SPARK_WIDTH;
  double value[SPARK_WIDTH], low = INFINITY, high = -INFINITY;
  for (int c = 0; c < columns; c++) {
    const int from = (int)((int64_t)c * s->points / columns), to = (int)((int64_t)(c + 1) * s->points / columns);
    double sum = 0;
    for (int i = from; i < to; i++) sum += log(s->point[i].ns);
    value[c] = sum / (to - from);
    low = fmin(low, value[c]);
    high = fmax(high, value[c]);
  }
  const double range = fmax(high - low, 10 * log1p(s->noise)), middle = (high + low) / 2;
  for (int c = 0; c < columns; c++) {
    int level = (int)floor(((value[c] - middle) / range + 0.5) * 8);
    fputs(levels[level < 0 ? 0 : level > 7 ? 7 : level], out);
  }
}

static void print_change(FILE *out, const struct history_series *s, const struct history_change *c)
{
  const struct history_point *before = &s->point[c->at - 1], *after = &s->point[c->at];
  char from[32], to[32];
  fprintf(out, "    %s by %.1f %%: %s -> %s, p %.1g, from run %lld (%s) to run %lld (%s)\n",
          c->ratio > 1 ? "slower" : "faster", fabs(100 * (c->ratio - 1)), duration_text(c->before_ns, from, sizeof from),
          duration_text(c->after_ns, to, sizeof to), c->p, (long long)before->run, before->date, (long long)after->run,
          after->date);
  if (c->binary_unchanged)
    fputs("      no alarm: the binary is unchanged, so something else than the code changed\n", out);
  else if (*before->commit && *after->commit && strcmp(before->commit, after->commit))
    fprintf(out, "      commits %s..%s\n", before->commit, after->commit);
  else
    fprintf(out, "      commit %s on both sides%s\n", or_none(after->commit), *after->binary ? ", the binary differs" : "");
}

void history_print_trend(FILE *out, const struct history_trend *t, bool only_changed, bool blocks)
{
  int slower = 0, faster = 0, silent = 0;
  for (int i = 0; i < t->count; i++) {
    const struct history_series *s = &t->series[i];
    char name[400], last[32];
    for (int k = 0; k < s->changes; k++)
      ++*(s->change[k].binary_unchanged ? &silent : s->change[k].ratio > 1 ? &slower : &faster);
    if (only_changed && !s->changes) continue;
    fprintf(out, "%s\n  %s, method %s\n  ", case_short(s->name, name, sizeof name), s->machine, or_none(s->method));
    print_sparkline(out, s, blocks);
    fprintf(out, "  %d run%s, last %s, noise %.1f %%\n", s->points, s->points == 1 ? "" : "s",
            duration_text(s->point[s->points - 1].ns, last, sizeof last), 100 * s->noise);
    for (int k = 0; k < s->changes; k++) print_change(out, s, &s->change[k]);
    fputc('\n', out);
  }
  fprintf(out, "%d series: %d change%s to slower, %d to faster, %d without alarm (binary unchanged).\n", t->count, slower,
          slower == 1 ? "" : "s", faster, silent);
}
