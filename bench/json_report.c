#include "json_report.h"

#include "build_identity.h"
#include "build_info.h"
#include "timing.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* NaN and infinity are not JSON: a figure that does not exist has no key. */
static void put_real(json_t *object, const char *key, double value)
{
  if (isfinite(value)) json_object_set_new(object, key, json_real(value));
}

static void put_text(json_t *object, const char *key, const char *value)
{
  json_object_set_new(object, key, json_string(value));
}

static void put_integer(json_t *object, const char *key, json_int_t value)
{
  json_object_set_new(object, key, json_integer(value));
}

static void put_machine(json_t *context)
{
  struct gbench_machine machine;
  gbench_machine_get(&machine);
  put_text(context, "host_name", machine.host_name);
  put_text(context, "executable", "attnbench");
  put_integer(context, "num_cpus", machine.num_cpus);
  put_integer(context, "mhz_per_cpu", (json_int_t)llround(machine.mhz_per_cpu));
  if (machine.cpu_scaling >= 0) json_object_set_new(context, "cpu_scaling_enabled", json_boolean(machine.cpu_scaling));
  json_t *caches = json_array(), *loads = json_array();
  for (int i = 0; i < machine.caches; i++) {
    json_t *cache = json_object();
    put_text(cache, "type", machine.cache[i].type);
    put_integer(cache, "level", machine.cache[i].level);
    put_integer(cache, "size", machine.cache[i].size_bytes);
    put_integer(cache, "num_sharing", machine.cache[i].num_sharing);
    json_array_append_new(caches, cache);
  }
  for (int i = 0; i < machine.loads; i++) json_array_append_new(loads, json_real(machine.load_avg[i]));
  json_object_set_new(context, "caches", caches);
  json_object_set_new(context, "load_avg", loads);
  put_text(context, "library_build_type", BUILD_KIND);
}

static const char *best_isa(void)
{
  enum attn_isa best = ATTN_ISA_SCALAR;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if (!((*k)->needs & ~attn_cpu_features()) && (*k)->isa > best) best = (*k)->isa;
  return attn_isa_name(best);
}

static json_t *make_context(const struct bench_roofs *roofs, const struct bench_settings *settings)
{
  json_t *context = json_object();
  char text[256], key[64];
  const time_t now = time(NULL);
  struct tm local;
  if (localtime_r(&now, &local) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &local) == 24) {
    memmove(text + 23, text + 22, 3); /* RFC 3339 wants +01:00 */
    text[22] = ':';
    put_text(context, "date", text);
  }
  put_machine(context);
  put_integer(context, "json_schema_version", 1);
  put_text(context, "attnbench_version", attn_version());
  put_text(context, "method_version", BENCH_METHOD_VERSION);
  put_text(context, "commit", build_commit());
  put_text(context, "binary_hash", build_digest(text));
  put_text(context, "compiler", BUILD_COMPILER);
  put_text(context, "compiler_flags", BUILD_FLAGS);
  put_text(context, "cpu_model", attn_cpu_model());
  put_text(context, "cpu_features", attn_feature_list(attn_cpu_features(), text, sizeof text));
  put_text(context, "isa", best_isa());
  const struct attn_topology *t = attn_topology_get();
  snprintf(
      text, sizeof text,
      "%d packages, %d NUMA nodes, %d cores of %d kinds, %d hardware threads; L1d %zu KiB, L2 %zu KiB for %d cores, L3 %zu "
      "KiB for %d cores; quota %.2f CPUs",
      t->packages, t->numa_nodes, t->cores, t->kinds, t->hardware_threads, t->l1d_bytes >> 10, t->l2_bytes >> 10,
      t->l2_cores, t->l3_bytes >> 10, t->l3_cores, t->quota);
  put_text(context, "topology", text);
  put_text(context, "flops_convention", "2*B*Hq*Sq*Skv*(Dqk+Dv), visible pairs only of causal and windowed cases");
  snprintf(text, sizeof text, "%llu", (unsigned long long)settings->seed);
  put_text(context, "seed", text);
  for (int i = 0; settings->doctor && i < settings->doctor->count; i++) {
    const struct doctor_finding *f = &settings->doctor->finding[i];
    snprintf(key, sizeof key, "doctor_%s", f->check);
    snprintf(text, sizeof text, "%s: %.240s", doctor_level_name(f->level), f->text);
    put_text(context, key, text);
  }
  for (int i = 0; settings->counters && i < settings->counters->count; i++) {
    const struct counter_event *c = &settings->counters->counter[i];
    snprintf(key, sizeof key, "counter_%s", c->name);
    put_text(context, key, c->fd < 0 ? c->why : "of a call, user space, scaled to the time enabled");
  }
  for (int i = 0; i < bench_roofs_count(roofs); i++) {
    const struct bench_roof *r = bench_roofs_get(roofs, i);
    if (r->read)
      snprintf(key, sizeof key, "read_roof_gbytes_per_s_T%d", r->threads);
    else
      snprintf(key, sizeof key, "fma_roof_gflops_%s_T%d", attn_isa_name(r->isa), r->threads);
    put_real(context, key, r->best / 1e9);
    if (!r->read) {
      strcat(key, "_lowest");
      put_real(context, key, r->worst / 1e9);
    }
  }
  return context;
}

/* What stands behind the context's lines, for whoever looks at the file elsewhere: the topology, and findings with their
 * remedies. */
static json_t *make_machine(const struct bench_settings *settings)
{
  const struct attn_topology *t = attn_topology_get();
  json_t *machine = json_object(), *topology = json_object(), *doctor = json_array();
  const struct {
    const char *key;
    json_int_t value;
  } counts[] = {{"cores", t->cores},
                {"hardware_threads", t->hardware_threads},
                {"packages", t->packages},
                {"numa_nodes", t->numa_nodes},
                {"kinds", t->kinds},
                {"l1d_bytes", (json_int_t)t->l1d_bytes},
                {"l2_bytes", (json_int_t)t->l2_bytes},
                {"l2_cores", t->l2_cores},
                {"l3_bytes", (json_int_t)t->l3_bytes},
                {"l3_cores", t->l3_cores}};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) put_integer(topology, counts[i].key, counts[i].value);
  put_real(topology, "quota", t->quota);
  json_object_set_new(machine, "topology", topology);
  char *xml = attn_topology_xml();
  if (xml)
    put_text(machine, "hwloc_xml", xml);
  else
    put_text(machine, "hwloc_xml_missing", "this build has no hwloc, or the system does not tell");
  free(xml);
  for (int i = 0; settings->doctor && i < settings->doctor->count; i++) {
    const struct doctor_finding *f = &settings->doctor->finding[i];
    json_t *finding = json_object();
    put_text(finding, "check", f->check);
    put_text(finding, "level", doctor_level_name(f->level));
    put_text(finding, "text", f->text);
    put_text(finding, "remedy", f->remedy);
    json_array_append_new(doctor, finding);
  }
  json_object_set_new(machine, "doctor", doctor);
  return machine;
}

/* What a row of benchmarks[] carries beyond the times. */
static const struct counter {
  const char *name;
  double (*of)(const struct bench_row *row, double seconds);
} counters[] = {
    {"gflops", bench_row_rate},
    {"roof_fraction", bench_row_roof_fraction},
    {"gbytes_per_s", bench_row_bandwidth},
    {"bandwidth_fraction", bench_row_bandwidth_fraction},
    {"roofline_fraction", bench_row_roofline_fraction},
    {"tokens_per_s", bench_row_tokens},
    {"speedup_vs_scalar", bench_row_x_scalar},
    {"speedup_vs_autovec", bench_row_x_autovec},
};
enum { COUNTERS = sizeof counters / sizeof *counters };

static double counter_value(const struct bench_row *row, int i, double seconds)
{
  const double value = counters[i].of(row, seconds);
  const bool per_second = counters[i].of == bench_row_rate || counters[i].of == bench_row_bandwidth;
  return per_second ? value / 1e9 : value;
}

static json_t *make_row(const struct bench_row *row, int family, const char *suffix)
{
  char name[BENCH_CASE_NAME_BYTES + 64], run_name[BENCH_CASE_NAME_BYTES + 16];
  json_t *object = json_object();
  snprintf(run_name, sizeof run_name, "%s/real_time", row->name);
  snprintf(name, sizeof name, "%s%s%s", run_name, *suffix ? "_" : "", suffix);
  put_text(object, "name", name);
  put_integer(object, "family_index", family);
  put_integer(object, "per_family_instance_index", 0);
  put_text(object, "run_name", run_name);
  put_text(object, "run_type", *suffix ? "aggregate" : "iteration");
  put_integer(object, "repetitions", row->repetitions);
  return object;
}

/* Figures of the case, the same in each of its rows. */
static void put_constants(json_t *object, const struct bench_row *row)
{
  put_real(object, "max_error", row->max_error);
  put_real(object, "x_plain", row->x_plain);
  put_real(object, "x_share", row->x_share);
  put_real(object, "fma_roof_gflops", row->fma_roof / 1e9);
  put_real(object, "read_roof_gbytes_per_s", row->read_roof / 1e9);
  if (isfinite(row->read_roof)) put_text(object, "read_roof_from", row->caches_hold ? "caches" : "memory");
  put_text(object, "label", row->label);
  if (*row->kernels) put_text(object, "kernels", row->kernels);
}

static json_t *make_repetition(const struct bench_row *row, int family, int index, const struct counters *counted)
{
  const struct gbench_repetition *r = &row->repetition[index];
  json_t *object = make_row(row, family, "");
  put_integer(object, "repetition_index", index);
  put_integer(object, "threads", row->threads);
  put_integer(object, "iterations", r->iterations);
  put_real(object, "real_time", r->real_s * 1e9);
  put_real(object, "cpu_time", r->cpu_s * 1e9);
  put_text(object, "time_unit", "ns");
  for (int i = 0; i < COUNTERS; i++) put_real(object, counters[i].name, counter_value(row, i, r->real_s));
  for (int i = 0; counted && i < counted->count; i++) put_real(object, counted->counter[i].name, row->counted[i]);
  put_constants(object, row);
  return object;
}

enum statistic { MEAN, MEDIAN, STDDEV, CV, STATISTICS };
static const char *const statistic_names[STATISTICS] = {"mean", "median", "stddev", "cv"};

static double statistic_of(enum statistic what, double *values, int n)
{
  double mean = 0, squares = 0;
  if (what == MEDIAN) return bench_median(values, n);
  for (int i = 0; i < n; i++) mean += values[i] / n;
  if (what == MEAN) return mean;
  for (int i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
  const double deviation = n > 1 ? sqrt(squares / (n - 1)) : 0;
  return what == STDDEV ? deviation : deviation / mean;
}

static json_t *make_aggregate(const struct bench_row *row, int family, enum statistic what, double *values)
{
  const int n = row->repetitions;
  const double unit = what == CV ? 1 : 1e9;
  json_t *object = make_row(row, family, statistic_names[what]);
  put_integer(object, "threads", row->threads);
  put_text(object, "aggregate_name", statistic_names[what]);
  put_text(object, "aggregate_unit", what == CV ? "percentage" : "time");
  put_integer(object, "iterations", n);
  for (int i = 0; i < n; i++) values[i] = row->repetition[i].real_s;
  put_real(object, "real_time", statistic_of(what, values, n) * unit);
  for (int i = 0; i < n; i++) values[i] = row->repetition[i].cpu_s;
  put_real(object, "cpu_time", statistic_of(what, values, n) * unit);
  put_text(object, "time_unit", "ns");
  for (int c = 0; c < COUNTERS; c++) {
    for (int i = 0; i < n; i++) values[i] = counter_value(row, c, row->repetition[i].real_s);
    put_real(object, counters[c].name, statistic_of(what, values, n));
  }
  if (what == MEAN || what == MEDIAN) put_constants(object, row);
  return object;
}

static bool append_row(json_t *benchmarks, const struct bench_row *row, int family, const struct counters *counted)
{
  double *values = malloc((size_t)row->repetitions * sizeof *values);
  if (!values) return false;
  for (int i = 0; i < row->repetitions; i++) json_array_append_new(benchmarks, make_repetition(row, family, i, counted));
  for (int s = 0; s < STATISTICS; s++)
    json_array_append_new(benchmarks, make_aggregate(row, family, (enum statistic)s, values));
  free(values);
  return true;
}

bool bench_json_write(FILE *out, const struct bench_row *rows, int count, const struct bench_roofs *roofs,
                      const struct bench_settings *settings)
{
  json_t *root = json_object(), *benchmarks = json_array(), *left_out = json_array();
  bool ok = root && benchmarks && left_out;
  for (int i = 0; i < count && ok; i++) {
    if (rows[i].state == BENCH_TIMED) {
      ok = append_row(benchmarks, &rows[i], i, settings->counters);
      continue;
    }
    json_t *entry = json_object();
    put_text(entry, "name", rows[i].name);
    put_text(entry, "state", rows[i].state == BENCH_WRONG ? "wrong" : "left out");
    put_text(entry, "reason", rows[i].note);
    json_array_append_new(left_out, entry);
  }
  json_object_set_new(root, "context", make_context(roofs, settings));
  json_object_set_new(root, "benchmarks", benchmarks);
  json_object_set_new(root, "left_out", left_out);
  json_object_set_new(root, "machine", make_machine(settings));
  ok = ok && json_object_size(root) == 4 && !json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) &&
       fputc('\n', out) != EOF;
  json_decref(root);
  return ok;
}
