#include "history_series.h"

#include "../../bench/printable.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the statement. */
enum { NAME, MACHINE, METHOD, MACHINE_NAME, CPU, RUN, TIME, DATE, COMMIT, BINARY, MEDIAN, LOW, HIGH, REPETITIONS };

struct reading {
  const struct history_trend_options *options;
  struct history_trend *trend;
  char *machine; /* digest of the last series' machine */
};

static bool no_memory(struct complaint *why) { return complain(why, "no memory for the trend"); }

/* Room for one more of a growing array. */
static bool grow(void **array, int count, size_t bytes)
{
  if (count & (count - 1)) return true;
  void *larger = realloc(*array, (size_t)(count ? 2 * count : 1) * bytes);
  if (larger) *array = larger;
  return larger != NULL;
}

static struct history_series *series_of(struct reading *r, const struct database_row *row, const char *machine_text)
{
  struct history_trend *t = r->trend;
  struct history_series *last = t->count ? &t->series[t->count - 1] : NULL;
  if (last && !strcmp(last->name, database_text(row, NAME)) && !strcmp(r->machine, database_text(row, MACHINE)) &&
      !strcmp(last->method, database_text(row, METHOD)))
    return last;
  if (!grow((void **)&t->series, t->count, sizeof *t->series) || !t->series) return NULL;
  last = &t->series[t->count++];
  *last = (struct history_series){
      .name = database_copy(row, NAME), .machine = strdup(machine_text), .method = database_copy(row, METHOD)};
  free(r->machine);
  r->machine = strdup(database_text(row, MACHINE));
  return last->name && last->machine && last->method && r->machine ? last : NULL;
}

static bool take_point(const struct database_row *row, void *context, struct complaint *why)
{
  struct reading *r = context;
  const struct history_filter *f = &r->options->runs;
  char machine[2 * RESULTS_MAX_TEXT + 8];
  const char *cpu = database_text(row, CPU);
  snprintf(machine, sizeof machine, "%s%s%s", database_text(row, MACHINE_NAME), *cpu ? ", " : "", cpu);
  printable(machine);
  if ((r->options->name && regexec(r->options->name, database_text(row, NAME), 0, NULL, 0)) ||
      (f->machine && regexec(f->machine, machine, 0, NULL, 0)) ||
      (f->commit && strncmp(database_text(row, COMMIT), f->commit, strlen(f->commit))) ||
      database_integer(row, TIME) < f->since_s)
    return true;
  struct history_series *s = series_of(r, row, machine);
  if (!s || !grow((void **)&s->point, s->points, sizeof *s->point)) return no_memory(why);
  struct history_point *p = &s->point[s->points++];
  *p = (struct history_point){.run = database_integer(row, RUN),
                              .time_s = database_integer(row, TIME),
                              .date = database_copy(row, DATE),
                              .commit = database_copy(row, COMMIT),
                              .binary = database_copy(row, BINARY),
                              .ns = database_number(row, MEDIAN),
                              .low = database_number(row, LOW),
                              .high = database_number(row, HIGH),
                              .n = (int)database_integer(row, REPETITIONS)};
  if (!(p->ns > 0 && isfinite(p->ns)))
    return complain(why, "run %lld has a case without a time: the history is damaged", (long long)p->run);
  return (p->date && p->commit && p->binary) || no_memory(why);
}

static void free_point(struct history_point *p)
{
  free(p->date);
  free(p->commit);
  free(p->binary);
}

static void keep_latest(struct history_series *s, int latest)
{
  const int surplus = latest && s->points > latest ? s->points - latest : 0;
  for (int i = 0; i < surplus; i++) free_point(&s->point[i]);
  if (surplus) memmove(s->point, s->point + surplus, (size_t)(s->points -= surplus) * sizeof *s->point);
}

/* The two points on each side ran one and the same program; two, since a change may be found one place off. */
static bool is_binary_unchanged(const struct history_series *s, int at)
{
  const int from = at >= 2 ? at - 2 : 0, to = at + 2 < s->points ? at + 2 : s->points;
  for (int i = from; i < to; i++)
    if (!*s->point[i].binary || strcmp(s->point[i].binary, s->point[from].binary)) return false;
  return true;
}

/* Steps of less than half a per cent are alignment and luck, however steady the series. */
#define LEAST_NOISE 0.005

static bool find_changes(struct history_series *s, double noise)
{
  double *ln = malloc((size_t)s->points * sizeof *ln);
  struct edivisive_change *found = malloc((size_t)s->points * sizeof *found);
  bool ok = ln && found;
  for (int i = 0; ok && i < s->points; i++) ln[i] = log(s->point[i].ns);
  if (ok) {
    const double own = edivisive_noise(ln, s->points);
    s->noise = noise > 0 ? noise : fmax(expm1(own), LEAST_NOISE);
    s->changes = edivisive(ln, s->points, log1p(s->noise), found);
    ok = !isnan(own) && s->changes >= 0 && (s->change = calloc((size_t)s->changes + 1, sizeof *s->change));
    if (!ok) s->changes = 0;
  }
  for (int i = 0; ok && i < s->changes; i++)
    s->change[i] = (struct history_change){.at = found[i].at,
                                           .ratio = exp(found[i].mean_after - found[i].mean_before),
                                           .p = found[i].p,
                                           .before_ns = exp(found[i].mean_before),
                                           .after_ns = exp(found[i].mean_after),
                                           .binary_unchanged = is_binary_unchanged(s, found[i].at)};
  free(ln);
  free(found);
  return ok;
}

bool history_trend_read(struct history *h, const struct history_trend_options *o, struct history_trend *trend,
                        struct complaint *why)
{
  struct reading reading = {.options = o, .trend = trend};
  *trend = (struct history_trend){0};
  bool ok =
      database_run(h->database,
                   "SELECT r.name, u.machine, u.method, u.machine_name, u.cpu, u.id, u.time_s, u.date, u.commit_name, "
                   "u.binary_hash, r.median_ns, r.low_ns, r.high_ns, r.n FROM attnbench_row r "
                   "JOIN attnbench_run u ON u.id = r.run ORDER BY r.name, u.machine, u.method, u.time_s, u.id",
                   NULL, 0, take_point, &reading, why);
  free(reading.machine);
  for (int i = 0; ok && i < trend->count; i++) {
    keep_latest(&trend->series[i], o->runs.latest);
    ok = find_changes(&trend->series[i], o->noise) || no_memory(why);
  }
  if (!ok) history_trend_free(trend);
  return ok;
}

void history_trend_free(struct history_trend *t)
{
  for (int i = 0; i < t->count; i++) {
    struct history_series *s = &t->series[i];
    for (int k = 0; k < s->points; k++) free_point(&s->point[k]);
    free(s->name);
    free(s->machine);
    free(s->method);
    free(s->point);
    free(s->change);
  }
  free(t->series);
  *t = (struct history_trend){0};
}

/* null where there is none */
static json_t *json_of(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *json_point(const struct history_point *p)
{
  return json_pack("{s:I, s:s, s:s, s:s, s:f, s:o, s:o, s:i}", "run", (json_int_t)p->run, "date", p->date, "commit",
                   p->commit, "binary", p->binary, "median_ns", p->ns, "low_ns", json_of(p->low), "high_ns",
                   json_of(p->high), "repetitions", p->n);
}

static json_t *json_change(const struct history_series *s, const struct history_change *c)
{
  return json_pack("{s:i, s:f, s:f, s:f, s:f, s:s, s:s, s:b}", "at", c->at, "ratio", c->ratio, "p", c->p, "before_ns",
                   c->before_ns, "after_ns", c->after_ns, "commit_before", s->point[c->at - 1].commit, "commit_after",
                   s->point[c->at].commit, "binary_unchanged", c->binary_unchanged);
}

json_t *history_trend_json(const struct history_trend *t)
{
  json_t *all = json_array();
  bool ok = all != NULL;
  for (int i = 0; ok && i < t->count; i++) {
    const struct history_series *s = &t->series[i];
    json_t *points = json_array(), *changes = json_array();
    for (int k = 0; ok && k < s->points; k++) ok = !json_array_append_new(points, json_point(&s->point[k]));
    for (int k = 0; ok && k < s->changes; k++) ok = !json_array_append_new(changes, json_change(s, &s->change[k]));
    ok = ok && !json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:f, s:O, s:O}", "name", s->name, "machine",
                                                     s->machine, "method_version", s->method, "noise", s->noise, "points",
                                                     points, "changes", changes));
    json_decref(points);
    json_decref(changes);
  }
  if (ok) return all;
  json_decref(all);
  return NULL;
}
