/* A file of results into the tables. */
#include "history.h"
#include "json_text.h"

#include "../../bench/stats.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool no_memory(struct complaint *why) { return complain(why, "no memory for the run"); }

/* A number, null where there is none. */
static json_t *json_of(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static char *text_of(json_t *value)
{
  char *text = value ? json_text(value) : NULL;
  json_decref(value);
  return text;
}

static json_t *json_list(const double *values, int n)
{
  json_t *list = json_array();
  for (int i = 0; list && i < n; i++) json_array_append_new(list, json_of(values[i]));
  if (json_array_size(list) == (size_t)n) return list;
  json_decref(list);
  return NULL;
}

/* One number where all repetitions have the same. */
static json_t *counters_of(const struct results_case *c)
{
  json_t *object = json_object();
  for (int i = 0; i < c->counters; i++) {
    const double *value = c->counter[i].value;
    bool same = isfinite(value[0]);
    for (int t = 1; t < c->times; t++) same &= value[t] == value[0];
    if (json_object_set_new(object, c->counter[i].name, same ? json_of(value[0]) : json_list(value, c->times))) {
      json_decref(object);
      return NULL;
    }
  }
  return object;
}

static bool add_row(struct database *db, int64_t run, int position, const struct results_case *c, struct complaint *why)
{
  const struct stats_interval median = stats_median_interval(c->time_ns, c->times, 0.95);
  char *times = text_of(json_list(c->time_ns, c->times)), *cpu = text_of(json_list(c->cpu_ns, c->times));
  char *counters = text_of(counters_of(c));
  bool ok = times && cpu && counters && !isnan(median.estimate);
  const struct database_value values[] = {DB_INTEGER(run),
                                          DB_INTEGER(position),
                                          DB_TEXT(c->name),
                                          DB_TEXT(c->label ? c->label : ""),
                                          DB_INTEGER(c->times),
                                          DB_INTEGER(c->only_aggregate),
                                          database_real(median.estimate),
                                          database_real(median.low),
                                          database_real(median.high),
                                          DB_TEXT(times),
                                          DB_TEXT(cpu),
                                          DB_TEXT(counters)};
  if (!ok)
    no_memory(why);
  else
    ok = database_run(
        db,
        "INSERT INTO attnbench_row (run, position, name, label, n, only_aggregate, median_ns, low_ns, high_ns, "
        "times_ns, cpu_ns, counters) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        values, sizeof values / sizeof *values, NULL, NULL, why);
  free(times);
  free(cpu);
  free(counters);
  return ok;
}

/* "2026-11-22T10:38:04+00:00", as Google Benchmark writes it. */
static bool parse_date(const char *date, int64_t *seconds)
{
  struct tm tm = {0};
  const char *end = strptime(date, "%Y-%m-%dT%H:%M:%S%z", &tm);
  const long offset = tm.tm_gmtoff;
  if (!end || *end) return false;
  *seconds = (int64_t)timegm(&tm) - offset;
  return true;
}

static const char *context_text(const struct results *r, const char *key)
{
  const char *text = json_string_value(json_object_get(json_object_get(r->rest, "context"), key));
  return text ? text : "";
}

struct identity {
  const char *machine_name, *commit, *date;
  char machine[DIGEST_TEXT_BYTES], run[DIGEST_TEXT_BYTES];
  int64_t time_s;
};

static const char *first_of(const char *a, const char *b, const char *c) { return a ? a : *b ? b : c; }

void history_machine(const char *name, const char *cpu, const char *features, int64_t cpus, char text[DIGEST_TEXT_BYTES])
{
  char number[32];
  struct digest machine = digest_begin();
  snprintf(number, sizeof number, "%lld", (long long)cpus);
  const char *const parts[] = {name, cpu, features, number};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) digest_add_text(&machine, parts[i]);
  digest_text(&machine, text);
}

static bool identify(struct identity *id, const struct results *r, const struct history_labels *labels,
                     struct complaint *why)
{
  struct digest run = digest_begin();
  /* attnbench_machine, ...: what an earlier history was told. */
  id->machine_name = first_of(labels->machine, context_text(r, "attnbench_machine"), r->host);
  id->commit = labels->commit ? labels->commit : r->commit;
  id->date = labels->date ? labels->date : r->date;
  if (!*id->date) return complain(why, "%s: context.date is missing; --date 2026-01-31T12:00:00+00:00 gives one", r->path);
  if (!parse_date(id->date, &id->time_s))
    return complain(why, "%s: date '%.100s' is not of the form 2026-01-31T12:00:00+00:00",
                    labels->date ? "--date" : r->path, id->date);
  history_machine(id->machine_name, r->cpu, r->features, r->cpus, id->machine);
  const char *const more[] = {id->machine, id->commit, r->binary, r->method, id->date};
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) digest_add_text(&run, more[i]);
  for (int i = 0; i < r->count; i++) {
    digest_add_text(&run, r->c[i].name);
    for (int t = 0; t < r->c[i].times; t++) digest_add(&run, &r->c[i].time_ns[t], sizeof *r->c[i].time_ns);
  }
  digest_text(&run, id->run);
  return true;
}

static bool take_id(const struct database_row *row, void *id, struct complaint *why)
{
  (void)why;
  *(int64_t *)id = database_integer(row, 0);
  return true;
}

static bool add_run(struct database *db, const struct results *r, const struct identity *id, int64_t *run, bool *was_there,
                    struct complaint *why)
{
  char *rest = text_of(json_incref(r->rest));
  if (!rest) return no_memory(why);
  const struct database_value values[] = {
      DB_TEXT(id->run),     DB_TEXT(id->machine), DB_TEXT(id->machine_name), DB_TEXT(r->cpu),    DB_TEXT(r->features),
      DB_INTEGER(r->cpus),  DB_TEXT(id->commit),  DB_TEXT(r->binary),        DB_TEXT(r->method), DB_TEXT(r->version),
      DB_TEXT(r->compiler), DB_TEXT(id->date),    DB_INTEGER(id->time_s),    DB_TEXT(rest)};
  *run = 0;
  bool ok = database_run(db,
                         "INSERT INTO attnbench_run (digest, machine, machine_name, cpu, features, cpus, commit_name, "
                         "binary_hash, method, version, compiler, date, time_s, rest) "
                         "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) "
                         "ON CONFLICT (digest) DO NOTHING RETURNING id",
                         values, sizeof values / sizeof *values, take_id, run, why);
  free(rest);
  *was_there = ok && !*run;
  if (*was_there) return database_run(db, "SELECT id FROM attnbench_run WHERE digest = $1", values, 1, take_id, run, why);
  for (int i = 0; ok && i < r->count; i++) ok = add_row(db, *run, i, &r->c[i], why);
  return ok;
}

bool history_add(struct history *h, const struct results *r, const struct history_labels *labels, int64_t *run,
                 bool *was_there, struct complaint *why)
{
  struct identity id;
  if (!r->count) return complain(why, "%s: has no case with a time; nothing to keep", r->path);
  if (!identify(&id, r, labels, why) || !database_begin(h->database, why)) return false;
  if (add_run(h->database, r, &id, run, was_there, why) && database_commit(h->database, why)) return true;
  database_rollback(h->database);
  return false;
}
