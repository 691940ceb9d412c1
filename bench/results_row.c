#include "results_row.h"

#include "results.h"

#include <math.h>
#include <stdio.h>

json_t *results_row(const char *name, const char *label, bool aggregate, int index, int repetitions, double real_ns,
                    double cpu_ns)
{
  char full[RESULTS_MAX_TEXT + 16];
  snprintf(full, sizeof full, "%s%s", name, aggregate ? "_median" : "");
  json_t *row =
      json_pack("{s:s, s:s, s:s, s:i, s:f, s:s}", "name", full, "run_name", name, "run_type",
                aggregate ? "aggregate" : "iteration", "repetitions", repetitions, "real_time", real_ns, "time_unit", "ns");
  int failed = aggregate ? json_object_set_new(row, "aggregate_name", json_string("median"))
                         : json_object_set_new(row, "repetition_index", json_integer(index));
  if (isfinite(cpu_ns)) failed |= json_object_set_new(row, "cpu_time", json_real(cpu_ns));
  if (*label) failed |= json_object_set_new(row, "label", json_string(label));
  if (!failed) return row;
  json_decref(row);
  return NULL;
}
