/* What the page's script works with: the cases with their repetitions, and of each file's rest what is plain. */
#include "report_page.h"

#include "attn.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* Bounds of what is taken over from a file's rest, whose content is anybody's. */
enum { MOST_KEYS = 400, MOST_ENTRIES = 2000, MOST_TEXT = 2000 };

/* Text without control characters, of bounded length; NULL: not so. */
static const char *plain(const json_t *value)
{
  const char *text = json_string_value(value);
  if (!text || json_string_length(value) > MOST_TEXT) return NULL;
  for (const char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) return NULL;
  return text;
}

/* Names of files and what the user typed may be any bytes; JSON is UTF-8. */
static json_t *text(const char *bytes)
{
  json_t *value = json_string(bytes);
  return value ? value : json_string("(not UTF-8)");
}

/* Strings, numbers and booleans of an object; other values and odd ones are left out. */
static json_t *scalars(const json_t *object)
{
  json_t *taken = json_object(), *value;
  const char *key;
  json_object_foreach((json_t *)object, key, value)
  {
    if (json_object_size(taken) >= MOST_KEYS) break;
    if (plain(value) || json_is_number(value) || json_is_boolean(value)) json_object_set(taken, key, value);
  }
  return taken;
}

static json_t *entries(const json_t *array)
{
  json_t *taken = json_array(), *entry;
  size_t i;
  json_array_foreach(array, i, entry) if (json_is_object(entry) && i < MOST_ENTRIES)
      json_array_append_new(taken, scalars(entry));
  return taken;
}

static void put(json_t *object, const char *key, double value)
{
  if (isfinite(value)) json_object_set_new(object, key, json_real(value));
}

static json_t *case_data(const struct results_case *c)
{
  json_t *data = json_object(), *times = json_array();
  json_object_set_new(data, "name", json_string(c->name));
  if (*c->label) json_object_set_new(data, "label", json_string(c->label));
  for (int i = 0; i < c->times; i++) json_array_append_new(times, json_real(c->time_ns[i]));
  json_object_set_new(data, "ns", times);
  put(data, "flops", c->work.flops);
  put(data, "bytes", c->work.bytes);
  put(data, "tokens", c->work.tokens);
  put(data, "fmaRoof", c->work.fma_roof);
  put(data, "readRoof", c->work.read_roof);
  put(data, "scalarFlops", c->work.scalar_flops);
  put(data, "autovecFlops", c->work.autovec_flops);
  put(data, "maxError", c->work.max_error);
  return data;
}

static json_t *machine_data(const struct results *r)
{
  json_t *data = json_object(), *cases = json_array();
  const char *slash = strrchr(r->path, '/');
  const json_t *machine = json_object_get(r->rest, "machine");
  json_object_set_new(data, "file", text(slash ? slash + 1 : r->path));
  json_object_set_new(data, "context", scalars(json_object_get(r->rest, "context")));
  json_object_set_new(data, "topology", scalars(json_object_get(machine, "topology")));
  json_object_set_new(data, "doctor", entries(json_object_get(machine, "doctor")));
  json_object_set_new(data, "leftOut", entries(json_object_get(r->rest, "left_out")));
  for (int i = 0; i < r->count; i++) json_array_append_new(cases, case_data(&r->c[i]));
  json_object_set_new(data, "cases", cases);
  return data;
}

json_t *report_data(const struct report *report, const struct report_warnings *warnings)
{
  char date[32];
  const time_t now = time(NULL);
  struct tm utc;
  json_t *data = json_object(), *machines = json_array();
  for (int f = 0; f < report->files; f++) json_array_append_new(machines, machine_data(report->file[f]));
  if (gmtime_r(&now, &utc) && strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &utc))
    json_object_set_new(data, "made", json_string(date));
  json_object_set_new(data, "version", json_string(attn_version()));
  if (report->title) json_object_set_new(data, "title", text(report->title));
  json_object_set_new(data, "warnings", text(warnings->text));
  json_object_set_new(data, "machines", machines);
  if (report->history) json_object_set(data, "history", report->history);
  const bool whole = json_object_get(data, "warnings") && json_object_get(data, "machines") &&
                     json_array_size(machines) == (size_t)report->files;
  if (whole) return data;
  json_decref(data);
  return NULL;
}
