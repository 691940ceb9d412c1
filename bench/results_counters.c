#include "results_counters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of Google Benchmark's rows that are no counters: places, settings, the times themselves. */
static bool is_structure(const char *key)
{
  static const char *const keys[] = {
      "family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads", "real_time", "cpu_time"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!strcmp(key, keys[i])) return true;
  return false;
}

static bool is_plain(const char *key)
{
  const size_t length = strlen(key);
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)key[i] < ' ' || key[i] == 0x7f) return false;
  return length > 0 && length <= 128;
}

static struct results_counter *counter_of(struct results_case *c, const char *key)
{
  for (int i = 0; i < c->counters; i++)
    if (!strcmp(c->counter[i].name, key)) return &c->counter[i];
  struct results_counter *larger = realloc(c->counter, (size_t)(c->counters + 1) * sizeof *larger);
  if (!larger) return NULL;
  c->counter = larger;
  larger[c->counters] = (struct results_counter){.name = strdup(key)};
  return larger[c->counters].name ? &larger[c->counters++] : NULL;
}

/* Room for all repetitions so far; those that lack the counter are NaN. */
static bool put(struct results_counter *counter, int index, double value)
{
  if (index >= counter->room) {
    const int room = index < 4 ? 8 : 2 * index;
    double *larger = realloc(counter->value, (size_t)room * sizeof *larger);
    if (!larger) return false;
    counter->value = larger;
    for (int i = counter->room; i < room; i++) larger[i] = NAN;
    counter->room = room;
  }
  if (!counter->value) return false;
  counter->value[index] = value;
  return true;
}

const char *results_counters_take(struct results_case *c, const json_t *row)
{
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)row, key, value)
  {
    if (!json_is_number(value) || is_structure(key)) continue;
    if (!is_plain(key)) return "a counter's name is longer than 128, empty, or has control characters";
    struct results_counter *counter = counter_of(c, key);
    if (!counter) return "no memory";
    if (c->counters > RESULTS_MAX_COUNTERS) return "more counters than are known to make sense (64)";
    if (!put(counter, c->times - 1, json_number_value(value))) return "no memory";
  }
  /* Those that this row lacks. */
  for (int i = 0; i < c->counters; i++)
    if (c->counter[i].room < c->times && !put(&c->counter[i], c->times - 1, NAN)) return "no memory";
  return NULL;
}

void results_counters_free(struct results_case *c)
{
  for (int i = 0; i < c->counters; i++) {
    free(c->counter[i].name);
    free(c->counter[i].value);
  }
  free(c->counter);
}
