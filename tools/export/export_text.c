/* Formats that are lines of text: Go's benchmark format, which benchstat reads, and OpenMetrics. */
#include "export.h"

#include "../case_text.h"

#include "../../bench/case.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* "Attn/kernel=fwd_f32_avx2/dtype=f32/B=1/.../mask=none-2": keys that benchstat can group and filter by, and the threads
 * where Go has them. A name of another program: its first letter large, blanks as underscores. */
static void go_name(FILE *out, const char *name)
{
  struct bench_case c;
  char why[256];
  fputs("Benchmark", out);
  if (bench_case_parse(&c, name, why, sizeof why)) {
    const struct bench_shape *s = &c.shape;
    char mask[128], layer[96] = "", value[BENCH_SEQUENCES_BYTES];
    if (s->Wq)
      snprintf(layer, sizeof layer, "/Wq=%lld/Wkv=%lld/Wo=%lld", (long long)s->Wq, (long long)s->Wkv, (long long)s->Wo);
    fprintf(out, "Attn/kernel=%s/dtype=%s/B=%lld/Hq=%lld/Hkv=%lld/Sq=%lld/Skv=%lld/Dqk=%lld/Dv=%lld/mask=%s%s", c.kernel,
            bench_dtype_name(s->dtype), (long long)s->B, (long long)s->Hq, (long long)s->Hkv, (long long)s->Sq,
            (long long)s->Skv, (long long)s->Dqk, (long long)s->Dv,
            case_field(name, "mask", mask, sizeof mask) ? mask : "none", layer);
    if (case_field(name, "seqs", value, sizeof value)) fprintf(out, "/seqs=%s", value);
    if (case_field(name, "kv", value, sizeof value)) fprintf(out, "/kv=%s", value);
    if (case_field(name, "cache", value, sizeof value)) fprintf(out, "/cache=%s", value);
    fprintf(out, "-%d", c.threads);
    return;
  }
  fputc(toupper((unsigned char)*name), out);
  for (const char *p = name + 1; *p; p++) fputc(*p == ' ' ? '_' : *p, out);
}

/* A unit is a word. */
static const char *unit_of(const char *counter, char *text, size_t bytes)
{
  if (!strcmp(counter, "gflops")) return "GFLOP/s";
  if (!strcmp(counter, "gbytes_per_s")) return "GB/s";
  snprintf(text, bytes, "%s", counter);
  for (char *p = text; *p; p++)
    if (*p == ' ') *p = '_';
  return text;
}

/* Configuration lines are only those that two files of a comparison share: benchstat makes a table for each configuration.
 */
bool export_benchstat(FILE *out, const struct results *r, struct complaint *why)
{
  (void)why;
  fputs("pkg: attnbench\n", out);
  if (*r->cpu) fprintf(out, "cpu: %s\n", r->cpu);
  for (int i = 0; i < r->count; i++) {
    const struct results_case *c = &r->c[i];
    for (int t = 0; t < c->times; t++) {
      double iterations = 1;
      char unit[160];
      for (int k = 0; k < c->counters; k++)
        if (!strcmp(c->counter[k].name, "iterations") && c->counter[k].value[t] >= 1) iterations = c->counter[k].value[t];
      go_name(out, c->name);
      fprintf(out, " %.0f %.12g ns/op", iterations, c->time_ns[t]);
      if (isfinite(c->cpu_ns[t])) fprintf(out, " %.12g cpu-ns/op", c->cpu_ns[t]);
      for (int k = 0; k < c->counters; k++)
        if (strcmp(c->counter[k].name, "iterations") && isfinite(c->counter[k].value[t]))
          fprintf(out, " %.12g %s", c->counter[k].value[t], unit_of(c->counter[k].name, unit, sizeof unit));
      fputc('\n', out);
    }
  }
  return true;
}

static void label(FILE *out, const char *key, const char *value, bool first)
{
  fprintf(out, "%s%s=\"", first ? "" : ",", key);
  for (; *value; value++) {
    if (*value == '\\' || *value == '"') fputc('\\', out);
    if (*value == '\n')
      fputs("\\n", out);
    else
      fputc(*value, out);
  }
  fputc('"', out);
}

/* The case, and the parts of its name that are asked for most. */
static void case_labels(FILE *out, const struct results_case *c)
{
  static const char *const keys[] = {"kernel", "isa", "dtype", "mask"};
  char value[RESULTS_MAX_TEXT];
  label(out, "case", c->name, true);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (case_field(c->name, keys[i], value, sizeof value)) label(out, keys[i], value, false);
  if (case_field(c->name, "T", value, sizeof value)) label(out, "threads", value, false);
}

static void family(FILE *out, const char *name, const char *type, const char *unit, const char *help)
{
  fprintf(out, "# TYPE %s %s\n", name, type);
  if (unit) fprintf(out, "# UNIT %s %s\n", name, unit);
  fprintf(out, "# HELP %s %s\n", name, help);
}

static void time_sample(FILE *out, const struct results_case *c, const char *what, double ns)
{
  if (!isfinite(ns)) return;
  fputs("attnbench_time_seconds{", out);
  case_labels(out, c);
  label(out, "stat", what, false);
  fprintf(out, "} %.12g\n", ns * 1e-9);
}

bool export_openmetrics(FILE *out, const struct results *r, struct complaint *why)
{
  const struct {
    const char *key, *value;
  } said[] = {{"host", r->host},     {"cpu", r->cpu},         {"commit", r->commit},     {"binary_hash", r->binary},
              {"method", r->method}, {"version", r->version}, {"compiler", r->compiler}, {"date", r->date}};
  (void)why;
  family(out, "attnbench_run", "info", NULL, "What was measured, where and when.");
  fputs("attnbench_run_info{", out);
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) label(out, said[i].key, said[i].value, !i);
  fputs("} 1\n", out);
  family(out, "attnbench_time_seconds", "gauge", "seconds",
         "Time of a call: median of the repetitions, and the interval of 95 % (low, high) where they suffice for one.");
  for (int i = 0; i < r->count; i++) {
    const struct stats_interval median = export_median(&r->c[i]);
    time_sample(out, &r->c[i], "median", median.estimate);
    time_sample(out, &r->c[i], "low", median.low);
    time_sample(out, &r->c[i], "high", median.high);
  }
  family(out, "attnbench_repetitions", "gauge", NULL, "Repetitions of the case.");
  for (int i = 0; i < r->count; i++) {
    fputs("attnbench_repetitions{", out);
    case_labels(out, &r->c[i]);
    fprintf(out, "} %d\n", r->c[i].times);
  }
  family(out, "attnbench_counter", "gauge", NULL, "A number beside the time, by name: median of the repetitions.");
  for (int i = 0; i < r->count; i++)
    for (int k = 0; k < r->c[i].counters; k++) {
      const double value = export_counter_median(&r->c[i], &r->c[i].counter[k]);
      if (!isfinite(value)) continue;
      fputs("attnbench_counter{", out);
      case_labels(out, &r->c[i]);
      label(out, "counter", r->c[i].counter[k].name, false);
      fprintf(out, "} %.12g\n", value);
    }
  fputs("# EOF\n", out);
  return true;
}
