#include "results.h"

#include "printable.h"
#include "results_counters.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
  struct results *results;
  char *error;
  size_t error_bytes;
  int capacity;
};

static bool fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *r, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  const int used = snprintf(r->error, r->error_bytes, "%s: ", r->results->path ? r->results->path : "");
  if (used >= 0 && (size_t)used < r->error_bytes) vsnprintf(r->error + used, r->error_bytes - (size_t)used, format, args);
  va_end(args);
  return false;
}

static bool no_memory(struct reader *r) { return fail(r, "no memory for its cases"); }

/* Text that may go to a terminal and into a table. */
static bool is_plain(const char *text, size_t bytes)
{
  if (bytes > RESULTS_MAX_TEXT) return false;
  for (size_t i = 0; i < bytes; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) return false;
  return true;
}

/* A string of the object, "" if it has none of that key. */
static bool take_text(struct reader *r, char **to, const json_t *object, const char *where, const char *key)
{
  const json_t *value = json_object_get(object, key);
  if (value && !json_is_string(value)) return fail(r, "%s.%s is not a string", where, key);
  if (value && !is_plain(json_string_value(value), json_string_length(value)))
    return fail(r, "%s.%s has control characters or is longer than %d", where, key, RESULTS_MAX_TEXT);
  *to = strdup(value ? json_string_value(value) : "");
  return *to || no_memory(r);
}

static bool read_context(struct reader *r, const json_t *root)
{
  struct results *o = r->results;
  const json_t *context = json_object_get(root, "context");
  if (!json_is_object(context)) return fail(r, "has no object 'context': not a result of attnbench or Google Benchmark");
  const struct {
    char **to;
    const char *key;
  } texts[] = {{&o->date, "date"},
               {&o->host, "host_name"},
               {&o->cpu, "cpu_model"},
               {&o->features, "cpu_features"},
               {&o->method, "method_version"},
               {&o->version, "attnbench_version"},
               {&o->commit, "commit"},
               {&o->binary, "binary_hash"},
               {&o->compiler, "compiler"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!take_text(r, texts[i].to, context, "context", texts[i].key)) return false;
  const json_t *schema = json_object_get(context, "json_schema_version"), *cpus = json_object_get(context, "num_cpus");
  if (schema && json_integer_value(schema) != 1) return fail(r, "context.json_schema_version is not 1, the one known here");
  if (cpus && (!json_is_integer(cpus) || json_integer_value(cpus) < 0))
    return fail(r, "context.num_cpus is not a whole number");
  o->cpus = json_integer_value(cpus);
  return true;
}

/* Where in the order this name stands or belongs. */
static int place_of(const struct results *o, const char *name, bool *found)
{
  int low = 0, high = o->count;
  *found = false;
  while (low < high) {
    const int half = (low + high) / 2, order = strcmp(o->c[o->by_name[half]].name, name);
    if (order == 0) *found = true;
    if (order < 0)
      low = half + 1;
    else
      high = half;
  }
  return low;
}

static struct results_case *case_of(struct reader *r, const char *name)
{
  struct results *o = r->results;
  bool found;
  const int place = place_of(o, name, &found);
  if (found) return &o->c[o->by_name[place]];
  if (o->count == r->capacity) {
    const int capacity = r->capacity ? 2 * r->capacity : 64;
    struct results_case *c = realloc(o->c, (size_t)capacity * sizeof *c);
    if (c) o->c = c;
    int *order = realloc(o->by_name, (size_t)capacity * sizeof *order);
    if (order) o->by_name = order;
    if (!c || !order) return NULL;
    r->capacity = capacity;
  }
  struct results_case *c = &o->c[o->count];
  *c = (struct results_case){.name = strdup(name)};
  if (!c->name) return NULL;
  memmove(o->by_name + place + 1, o->by_name + place, (size_t)(o->count - place) * sizeof *o->by_name);
  o->by_name[place] = o->count++;
  return c;
}

static bool append_time(struct results_case *c, double ns, double cpu_ns)
{
  if (!(c->times & (c->times - 1))) { /* at 0 and at powers of two */
    double *larger = realloc(c->time_ns, (size_t)(c->times ? 2 * c->times : 1) * sizeof *larger);
    if (!larger) return false;
    c->time_ns = larger;
    larger = realloc(c->cpu_ns, (size_t)(c->times ? 2 * c->times : 1) * sizeof *larger);
    if (!larger) return false;
    c->cpu_ns = larger;
  }
  c->time_ns[c->times] = ns;
  c->cpu_ns[c->times++] = cpu_ns;
  return true;
}

static bool unit_ns(const char *unit, double *ns)
{
  static const struct {
    const char *name;
    double ns;
  } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (!strcmp(unit, units[i].name)) {
      *ns = units[i].ns;
      return true;
    }
  return false;
}

static const char *text_of(const json_t *object, const char *key)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

/* The name without "_median" and the like. Programs older than run_name have them in the name only. */
static bool take_name(struct reader *r, char **name, const json_t *row, const char *where)
{
  if (!take_text(r, name, row, where, json_object_get(row, "run_name") ? "run_name" : "name")) return false;
  return **name || fail(r, "%s has no name", where);
}

/* A figure of the row; NaN if there is none that can be worked with. */
static double figure(const json_t *row, const char *key)
{
  const double value = json_number_value(json_object_get(row, key)); /* 0: no number */
  return isfinite(value) && value > 0 ? value : NAN;
}

/* What does not depend on the time, out of rates that do. */
static struct results_work work_of(const json_t *row, double ns)
{
  const double seconds = ns / 1e9, rate = figure(row, "gflops") * 1e9;
  return (struct results_work){.flops = rate * seconds,
                               .bytes = figure(row, "gbytes_per_s") * 1e9 * seconds,
                               .tokens = figure(row, "tokens_per_s") * seconds,
                               .fma_roof = figure(row, "fma_roof_gflops") * 1e9,
                               .read_roof = figure(row, "read_roof_gbytes_per_s") * 1e9,
                               .scalar_flops = rate / figure(row, "speedup_vs_scalar"),
                               .autovec_flops = rate / figure(row, "speedup_vs_autovec"),
                               .max_error = figure(row, "max_error")};
}

enum kind { REPETITION, MEDIAN, MEAN, OTHER };

static enum kind kind_of(const json_t *row)
{
  const char *aggregate = text_of(row, "aggregate_name");
  if (strcmp(text_of(row, "run_type"), "aggregate")) return REPETITION;
  return !strcmp(aggregate, "median") ? MEDIAN : !strcmp(aggregate, "mean") ? MEAN : OTHER;
}

static bool read_row(struct reader *r, const json_t *row, size_t index, enum kind wanted)
{
  char where[64];
  snprintf(where, sizeof where, "benchmarks[%zu]", index);
  if (!json_is_object(row)) return fail(r, "%s is not an object", where);
  if (kind_of(row) != wanted) return true;
  char *name = NULL;
  double unit = 0;
  if (!take_name(r, &name, row, where)) {
    free(name);
    return false;
  }
  const json_t *error = json_object_get(row, "error_occurred"), *time = json_object_get(row, "real_time");
  struct results_case *c = json_is_true(error) ? NULL : case_of(r, name);
  free(name);
  if (json_is_true(error)) {
    r->results->left_out++;
    return true;
  }
  if (!c) return no_memory(r);
  if (wanted != REPETITION && c->times) return true;
  const double value = json_number_value(time);
  if (!json_is_number(time) || !isfinite(value) || value <= 0)
    return fail(r, "%s.real_time is not a positive number", where);
  if (!unit_ns(text_of(row, "time_unit"), &unit)) return fail(r, "%s.time_unit is none of ns, us, ms, s", where);
  if (!isfinite(value * unit)) return fail(r, "%s.real_time is too large", where);
  if (!c->label && !take_text(r, &c->label, row, where, "label")) return false;
  if (wanted != REPETITION) c->only_aggregate = true;
  if (!c->times) c->work = work_of(row, value * unit);
  const json_t *cpu = json_object_get(row, "cpu_time");
  const double cpu_value = json_is_number(cpu) ? json_number_value(cpu) * unit : NAN;
  if (!append_time(c, value * unit, cpu_value > 0 && isfinite(cpu_value) ? cpu_value : NAN)) return no_memory(r);
  const char *wrong = results_counters_take(c, row);
  return !wrong || fail(r, "%s: %s", where, wrong);
}

static bool read_rows(struct reader *r, const json_t *root)
{
  const json_t *rows = json_object_get(root, "benchmarks"), *left_out = json_object_get(root, "left_out");
  if (!json_is_array(rows)) return fail(r, "has no array 'benchmarks'");
  if (json_array_size(rows) > RESULTS_MAX_ROWS) return fail(r, "benchmarks has more than %d rows", RESULTS_MAX_ROWS);
  r->results->left_out = json_array_size(left_out) > RESULTS_MAX_ROWS ? RESULTS_MAX_ROWS : (int)json_array_size(left_out);
  for (enum kind kind = REPETITION; kind < OTHER; kind++)
    for (size_t i = 0; i < json_array_size(rows); i++)
      if (!read_row(r, json_array_get(rows, i), i, kind)) return false;
  return true;
}

bool results_parse(struct results *o, const char *path, const char *text, size_t bytes, char *error, size_t error_bytes)
{
  struct reader r = {.results = o, .error = error, .error_bytes = error_bytes};
  json_error_t why = {.text = ""};
  *o = (struct results){.path = strdup(path)};
  json_t *root = o->path ? json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &why) : NULL;
  bool ok = false;
  if (!o->path)
    no_memory(&r);
  else if (!root)
    fail(&r, "line %d, column %d: not valid JSON: %s", why.line, why.column, printable(why.text)); /* quotes the file */
  else
    ok = json_is_object(root) ? read_context(&r, root) && read_rows(&r, root) : fail(&r, "is not a JSON object");
  if (ok) {
    json_object_del(root, "benchmarks");
    o->rest = json_incref(root);
  }
  json_decref(root);
  if (!ok) results_free(o);
  return ok;
}

char *results_read_text(const char *path, size_t *bytes, char *error, size_t error_bytes)
{
  const bool standard = !strcmp(path, "-");
  FILE *file = standard ? stdin : fopen(path, "re");
  if (!file) {
    snprintf(error, error_bytes, "%s: cannot be opened: %s", path, strerror(errno));
    return NULL;
  }
  char *text = NULL;
  size_t used = 0, room = 0;
  bool ok = true;
  errno = 0;
  do {
    if (used + 1 >= room) {
      room = room ? 2 * room : 1 << 16;
      char *larger = room <= (size_t)RESULTS_MAX_FILE_BYTES * 2 ? realloc(text, room) : NULL;
      if (!larger) {
        snprintf(error, error_bytes, "%s: larger than %d MiB, or no memory", path, RESULTS_MAX_FILE_BYTES >> 20);
        ok = false;
        break;
      }
      text = larger;
    }
    used += fread(text + used, 1, room - used - 1, file);
  } while (!feof(file) && !ferror(file));
  if (ok && ferror(file)) {
    snprintf(error, error_bytes, "%s: cannot be read: %s", path, strerror(errno));
    ok = false;
  }
  if (!standard) fclose(file);
  if (!ok) {
    free(text);
    return NULL;
  }
  text[used] = 0;
  *bytes = used;
  return text;
}

bool results_read(struct results *o, const char *path, char *error, size_t error_bytes)
{
  size_t bytes;
  char *text = results_read_text(path, &bytes, error, error_bytes);
  *o = (struct results){0};
  const bool ok = text && results_parse(o, strcmp(path, "-") ? path : "standard input", text, bytes, error, error_bytes);
  free(text);
  return ok;
}

void results_free(struct results *o)
{
  char *const texts[] = {o->path,   o->date,    o->host,   o->cpu,      o->features,
                         o->method, o->version, o->commit, o->compiler, o->binary};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
  for (int i = 0; i < o->count; i++) {
    free(o->c[i].name);
    free(o->c[i].label);
    free(o->c[i].time_ns);
    free(o->c[i].cpu_ns);
    results_counters_free(&o->c[i]);
  }
  free(o->c);
  free(o->by_name);
  json_decref(o->rest);
  *o = (struct results){0};
}

const struct results_case *results_find(const struct results *o, const char *name)
{
  bool found;
  const int place = place_of(o, name, &found);
  return found ? &o->c[o->by_name[place]] : NULL;
}

const char *results_machine_differs(const struct results *a, const struct results *b, char *text, size_t bytes)
{
  const struct {
    const char *what, *a, *b;
  } said[] = {{"CPU", a->cpu, b->cpu}, {"host", a->host, b->host}, {"CPU features", a->features, b->features}};
  if (a->cpus && b->cpus && a->cpus != b->cpus) {
    snprintf(text, bytes, "%lld and %lld CPUs", (long long)a->cpus, (long long)b->cpus);
    return text;
  }
  for (size_t i = 0; i < sizeof said / sizeof *said; i++)
    if (*said[i].a && *said[i].b && strcmp(said[i].a, said[i].b)) {
      snprintf(text, bytes, "%s '%.200s' and '%.200s'", said[i].what, said[i].a, said[i].b);
      return text;
    }
  return NULL;
}
