#include "export.h"

#include <math.h>
#include <stdlib.h>

struct stats_interval export_median(const struct results_case *c)
{
  return stats_median_interval(c->time_ns, c->times, 0.95);
}

double export_counter_median(const struct results_case *c, const struct results_counter *counter)
{
  double *known = malloc((size_t)c->times * sizeof *known);
  int n = 0;
  for (int i = 0; known && i < c->times; i++)
    if (isfinite(counter->value[i])) known[n++] = counter->value[i];
  const double median = n ? stats_median(known, n) : NAN;
  free(known);
  return median;
}

json_t *export_context(const struct results *results) { return json_object_get(results->rest, "context"); }

const char *export_context_text(const struct results *results, const char *key)
{
  const char *text = json_string_value(json_object_get(export_context(results), key));
  return text ? text : "";
}
