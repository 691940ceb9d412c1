/* Runs out of the tables: lists of them, and one as the document of results that it came from. */
#include "history.h"
#include "json_text.h"

#include "../../bench/printable.h"
#include "../../bench/results_row.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
  const struct history_filter *filter;
  struct history_runs *runs;
};

static void free_run(struct history_run *r)
{
  char *const texts[] = {r->digest, r->machine, r->name,    r->cpu,      r->commit,
                         r->binary, r->method,  r->version, r->compiler, r->date};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
}

void history_runs_free(struct history_runs *runs)
{
  for (int i = 0; i < runs->count; i++) free_run(&runs->run[i]);
  free(runs->run);
  *runs = (struct history_runs){0};
}

static bool fits(const struct history_filter *f, const struct history_run *r)
{
  char text[2 * RESULTS_MAX_TEXT + 8];
  snprintf(text, sizeof text, "%s, %s", r->name, r->cpu);
  return (!f->machine || !regexec(f->machine, text, 0, NULL, 0)) &&
         (!f->commit || !strncmp(r->commit, f->commit, strlen(f->commit))) && (!f->id || r->id == f->id) &&
         r->time_s >= f->since_s;
}

static bool take_run(const struct database_row *row, void *context, struct complaint *why)
{
  struct reading *reading = context;
  struct history_runs *runs = reading->runs;
  struct history_run r = {.id = database_integer(row, 0),
                          .time_s = database_integer(row, 1),
                          .cpus = database_integer(row, 2),
                          .cases = database_integer(row, 3)};
  char **const texts[] = {&r.digest, &r.machine, &r.name,    &r.cpu,      &r.commit,
                          &r.binary, &r.method,  &r.version, &r.compiler, &r.date};
  bool ok = true;
  for (int i = 0; i < (int)(sizeof texts / sizeof *texts); i++) ok &= (*texts[i] = database_copy(row, 4 + i)) != NULL;
  if (ok && !fits(reading->filter, &r)) {
    free_run(&r);
    return true;
  }
  if (ok && !(runs->count & (runs->count - 1))) {
    struct history_run *larger = realloc(runs->run, (size_t)(runs->count ? 2 * runs->count : 1) * sizeof *larger);
    ok = larger != NULL;
    if (ok) runs->run = larger;
  }
  if (ok)
    runs->run[runs->count++] = r;
  else
    free_run(&r);
  return ok || complain(why, "no memory for the list of runs");
}

bool history_runs_read(struct history *h, const struct history_filter *filter, struct history_runs *runs,
                       struct complaint *why)
{
  struct reading reading = {filter, runs};
  *runs = (struct history_runs){0};
  if (!database_run(h->database,
                    "SELECT id, time_s, cpus, (SELECT count(*) FROM attnbench_row WHERE run = id), digest, machine, "
                    "machine_name, cpu, commit_name, binary_hash, method, version, compiler, date "
                    "FROM attnbench_run ORDER BY time_s, id",
                    NULL, 0, take_run, &reading, why)) {
    history_runs_free(runs);
    return false;
  }
  const int surplus = filter->latest && runs->count > filter->latest ? runs->count - filter->latest : 0;
  for (int i = 0; i < surplus; i++) free_run(&runs->run[i]);
  if (surplus) memmove(runs->run, runs->run + surplus, (size_t)(runs->count -= surplus) * sizeof *runs->run);
  return true;
}

struct document {
  json_t *root, *benchmarks;
};

static json_t *parsed(const char *text) { return json_loads(text, JSON_DECODE_ANY, NULL); }

/* The context as it came, with what the history was told of the run. */
static bool take_rest(const struct database_row *row, void *context, struct complaint *why)
{
  struct document *d = context;
  d->root = parsed(database_text(row, 0));
  json_t *said = json_object_get(d->root, "context");
  if (!json_is_object(said)) return complain(why, "the history's run has no context: it is damaged");
  static const char *const keys[] = {"attnbench_machine", "commit", "date"};
  for (int i = 0; i < 3; i++)
    if (json_object_set_new(said, keys[i], json_string(database_text(row, 1 + i))))
      return complain(why, "no memory for the run, or its %s is no text", keys[i]);
  return true;
}

static double number_at(const json_t *list, size_t index)
{
  const json_t *value = json_array_get(list, index);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static json_t *repetition(const struct database_row *row, json_t *times, json_t *cpu, json_t *counters, size_t t)
{
  const char *key;
  json_t *value, *object = results_row(database_text(row, 0), database_text(row, 1), database_integer(row, 2), (int)t,
                                       (int)json_array_size(times), number_at(times, t), number_at(cpu, t));
  json_object_foreach(counters, key, value)
  {
    json_t *own = json_is_array(value) ? json_array_get(value, t) : value;
    if (!json_is_number(own) || !json_object_set(object, key, own)) continue;
    json_decref(object);
    return NULL;
  }
  return object;
}

static bool take_row(const struct database_row *row, void *context, struct complaint *why)
{
  struct document *d = context;
  json_t *times = parsed(database_text(row, 3)), *cpu = parsed(database_text(row, 4)),
         *counters = parsed(database_text(row, 5));
  const bool ok = json_is_array(times) && json_is_array(cpu) && json_is_object(counters);
  bool added = true;
  for (size_t t = 0; ok && added && t < json_array_size(times); t++)
    added = !json_array_append_new(d->benchmarks, repetition(row, times, cpu, counters, t));
  json_decref(times);
  json_decref(cpu);
  json_decref(counters);
  if (!added) return complain(why, "no memory for the run, or a time of it is no number");
  if (ok) return true;
  complaint_set(why, "the history's case '%.200s' is not JSON: it is damaged", database_text(row, 0));
  printable(why->text);
  return false;
}

char *history_document(struct history *h, int64_t run, struct complaint *why)
{
  struct document d = {NULL, json_array()};
  const struct database_value id = DB_INTEGER(run);
  char *text = NULL;
  bool ok = database_run(h->database, "SELECT rest, machine_name, commit_name, date FROM attnbench_run WHERE id = $1", &id,
                         1, take_rest, &d, why) &&
            (d.root || complain(why, "%s: there is no run %lld; `attnbench history list' shows them",
                                database_where(h->database), (long long)run)) &&
            database_run(h->database,
                         "SELECT name, label, only_aggregate, times_ns, cpu_ns, counters FROM attnbench_row WHERE run = $1 "
                         "ORDER BY position",
                         &id, 1, take_row, &d, why);
  if (ok) {
    if (!json_object_set(d.root, "benchmarks", d.benchmarks)) text = json_text(d.root);
    if (!text) complaint_set(why, "no memory for the run");
  }
  json_decref(d.benchmarks);
  json_decref(d.root);
  return text;
}
