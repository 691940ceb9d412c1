#include "bars.h"

#include "../dispatch/internal.h"

#include <math.h>
#include <string.h>

enum figure {
  ROOF_FRACTION, /* of the FMA roof, by all products that a kernel computes */
  ROOF_LOSS,     /* the same of the other shape, less this one's: at most the limit */
  ROOFLINE,      /* fraction of the lower of the FMA and read roofs */
  EFFICIENCY,    /* throughput on all cores / (cores x that on one) */
  THROUGHPUT,    /* relative to the other shape */
  OVER_OTHER,    /* the same: more than the limit */
  OVER_NAIVE     /* throughput relative to the naive kernel of the ISA: more than the limit */
};
enum cores { ONE, ALL };

static const struct bar {
  enum figure figure;
  enum cores cores;
  const char *shape, *other; /* labels of the preset */
  double limit;
  const char *text;
} prefill[] =
    {
        {ROOF_FRACTION, ONE, "2k, D 128", NULL, 0.90, "f32 D=128 S=2048, one core: fraction of the FMA roof"},
        {ROOF_FRACTION, ONE, "2k, D 64", NULL, 0.87, "f32 D=64 S=2048, one core: fraction of the FMA roof"},
        {ROOF_FRACTION, ONE, "2k, D 80", NULL, 0.83, "f32 D=80 S=2048, one core: fraction of the FMA roof"},
        {ROOF_FRACTION, ONE, "2k, D 96", NULL, 0.83, "f32 D=96 S=2048, one core: fraction of the FMA roof"},
        {ROOF_FRACTION, ONE, "2k, D 256", NULL, 0.83, "f32 D=256 S=2048, one core: fraction of the FMA roof"},
        {ROOF_LOSS, ONE, "4k, D 128, causal", "2k, D 128", 0.04,
         "f32 D=128 causal S=4096, one core: roof fraction lost against full"},
        {ROOF_LOSS, ONE, "4k, D 64, causal", "2k, D 64", 0.04,
         "f32 D=64 causal S=4096, one core: roof fraction lost against full"},
        {EFFICIENCY, ALL, "2k, D 128", NULL, 0.95, "f32 D=128 S=2048, all cores: throughput / (cores x one core)"},
        {EFFICIENCY, ALL, "2k, D 64", NULL, 0.95, "f32 D=64 S=2048, all cores: throughput / (cores x one core)"},
        {EFFICIENCY, ALL, "2k, D 80", NULL, 0.95, "f32 D=80 S=2048, all cores: throughput / (cores x one core)"},
        {EFFICIENCY, ALL, "2k, D 96", NULL, 0.95, "f32 D=96 S=2048, all cores: throughput / (cores x one core)"},
        {EFFICIENCY, ALL, "2k, D 256", NULL, 0.95, "f32 D=256 S=2048, all cores: throughput / (cores x one core)"},
        {EFFICIENCY, ALL, "4k, D 128, causal", NULL, 0.95,
         "f32 D=128 causal S=4096, all cores: throughput / (cores x one core)"},
        {EFFICIENCY, ALL, "4k, D 64, causal", NULL, 0.95,
         "f32 D=64 causal S=4096, all cores: throughput / (cores x one core)"},
        {THROUGHPUT, ONE, "2k, D 128, f16", "2k, D 128", 0.97, "f16 D=128 S=2048, one core: throughput / that of f32"},
        {THROUGHPUT, ONE, "2k, D 128, bf16", "2k, D 128", 0.97, "bf16 D=128 S=2048, one core: throughput / that of f32"},
        {OVER_NAIVE, ONE, "512, D 128", NULL, 1, "f32 D=128 S=512, one core: streaming / naive throughput"},
        {OVER_NAIVE, ONE, "512, D 64", NULL, 1, "f32 D=64 S=512, one core: streaming / naive throughput"},
},
  decoding[] = {
      {ROOFLINE, ALL, "decode 16k, group 1, cache", NULL, 0.85,
       "f16 cache, group 1, all cores: fraction of the lower roof"},
      {ROOFLINE, ALL, "decode 16k, group 4, cache", NULL, 0.85,
       "f16 cache, group 4, all cores: fraction of the lower roof"},
      {ROOFLINE, ALL, "decode 16k, group 8, cache", NULL, 0.75,
       "f16 cache, group 8, all cores: fraction of the lower roof"},
      {ROOFLINE, ONE, "decode 16k, group 1, cache", NULL, 0.85, "f16 cache, group 1, one core: fraction of the lower roof"},
      {ROOFLINE, ONE, "decode 16k, group 4, cache", NULL, 0.85, "f16 cache, group 4, one core: fraction of the lower roof"},
      {ROOFLINE, ONE, "decode 16k, group 8, cache", NULL, 0.75, "f16 cache, group 8, one core: fraction of the lower roof"},
      {THROUGHPUT, ALL, "decode 16k, group 1, int8", "decode 16k, group 1, cache", 1.5,
       "int8, group 1, all cores: tokens/s / those of f16"},
      {THROUGHPUT, ONE, "decode 16k, group 1, int8", "decode 16k, group 1, cache", 1.5,
       "int8, group 1, one core: tokens/s / those of f16"},
      {OVER_OTHER, ALL, "decode 16k, group 4, int8", "decode 16k, group 4, cache", 1,
       "int8, group 4, all cores: tokens/s / those of f16"},
      {OVER_OTHER, ONE, "decode 16k, group 4, int8", "decode 16k, group 4, cache", 1,
       "int8, group 4, one core: tokens/s / those of f16"},
      {OVER_OTHER, ALL, "decode 16k, group 8, int8", "decode 16k, group 8, cache", 1,
       "int8, group 8, all cores: tokens/s / those of f16"},
      {OVER_OTHER, ONE, "decode 16k, group 8, int8", "decode 16k, group 8, cache", 1,
       "int8, group 8, one core: tokens/s / those of f16"},
      {EFFICIENCY, ALL, "decode 1M, one head, int8", NULL, 0.90,
       "int8, one head, 1M keys, all cores: throughput / (cores x one core)"},
};

static const struct {
  const char *preset;
  const struct bar *bars;
  int count;
} lists[] = {{"roof", prefill, sizeof prefill / sizeof *prefill}, {"decode", decoding, sizeof decoding / sizeof *decoding}};

struct table {
  const struct bench_preset *preset;
  const struct bench_row *rows;
  int count;
  enum attn_isa isa;
};

static const struct bench_shape *shape_of(const struct bench_preset *preset, const char *label)
{
  for (int i = 0; i < preset->count; i++)
    if (!strcmp(preset->shapes[i].label, label)) return &preset->shapes[i].shape;
  return NULL;
}

/* The row of that shape on one thread, or on the most threads that were timed, more than one; the fastest kernel of the
 * ISA. NULL: none. The naive kernel is the only one for comparison that the presets take. */
static const struct bench_row *find(const struct table *t, const char *label, bool naive, enum cores cores)
{
  const struct bench_shape *shape = shape_of(t->preset, label);
  const struct bench_row *best = NULL;
  for (int i = 0; i < t->count; i++) {
    const struct bench_row *r = &t->rows[i];
    if (r->state != BENCH_TIMED || r->isa != t->isa || !shape || !bench_shape_equal(&r->c.shape, shape)) continue;
    const struct attn_kernel *kernel = attn_kernel_find(r->c.kernel);
    const bool is_naive = !strncmp(r->c.kernel, "naive_", 6);
    if (!kernel || is_naive != naive || (!naive && kernel->flags & ATTN_KERNEL_COMPARISON)) continue;
    if (cores == ONE ? r->threads != 1 : r->threads < 2) continue;
    if (!best || r->threads > best->threads || (r->threads == best->threads && r->median_s < best->median_s)) best = r;
  }
  return best;
}

static double rate(const struct bench_row *r) { return r ? bench_row_rate(r, r->median_s) : NAN; }

/* Products that the row's kernel computes for each that is counted: more than one if it multiplies digits. */
static double products_of(const struct bench_row *r)
{
  const struct attn_kernel *kernel = attn_kernel_find(r->c.kernel);
  return kernel && kernel->products > 0 ? kernel->products : 1;
}

static double fraction(const struct bench_row *r)
{
  return r ? products_of(r) * bench_row_roof_fraction(r, r->median_s) : NAN;
}

/* NaN: not measured. */
static double reached(const struct table *t, const struct bar *bar)
{
  const struct bench_row *row = find(t, bar->shape, false, bar->cores);
  switch (bar->figure) {
  case ROOF_FRACTION: return fraction(row);
  case ROOF_LOSS: return fraction(find(t, bar->other, false, bar->cores)) - fraction(row);
  case ROOFLINE: return row ? bench_row_roofline_fraction(row, row->median_s) : NAN;
  case EFFICIENCY: return row ? rate(row) / (row->threads * rate(find(t, bar->shape, false, ONE))) : NAN;
  case THROUGHPUT:
  case OVER_OTHER: return rate(row) / rate(find(t, bar->other, false, bar->cores));
  case OVER_NAIVE: return rate(row) / rate(find(t, bar->shape, true, bar->cores));
  }
  return NAN;
}

static const char *verdict(const struct bar *bar, double value)
{
  if (!isfinite(value)) return "not measured";
  const bool met = bar->figure == ROOF_LOSS                                 ? value <= bar->limit
                   : bar->figure == OVER_OTHER || bar->figure == OVER_NAIVE ? value > bar->limit
                                                                            : value >= bar->limit;
  return met ? "met" : "not met";
}

static void print_bar(FILE *out, bool markdown, const char *isa, const char *text, const char *asked, const char *got,
                      const char *verdict)
{
  if (markdown)
    fprintf(out, "| %s | %s | %s | %s | %s |\n", isa, text, asked, got, verdict);
  else
    fprintf(out, "%-7s %-69s %7s %8s  %s\n", isa, text, asked, got, verdict);
}

/* Whether the run has a row of what some bar is about, and not only of what bars compare it with. */
static bool concerns(const struct table *t, const struct bar *bars, int count)
{
  for (int i = 0; i < count; i++)
    if (bars[i].figure != THROUGHPUT && (find(t, bars[i].shape, false, ONE) || find(t, bars[i].shape, false, ALL)))
      return true;
  return false;
}

/* Whether there are kernels of the table's ISA for what the bar is about. */
static bool is_for(const struct table *t, const struct bar *bar)
{
  const struct bench_shape *shapes[] = {shape_of(t->preset, bar->shape),
                                        bar->other ? shape_of(t->preset, bar->other) : NULL};
  for (int i = 0; i < 2; i++) {
    if (!shapes[i]) continue;
    const attn_dtype dtype = bench_shape_kernel_dtype(shapes[i]);
    const struct attn_kernel *const *k = attn_kernels;
    while (*k && ((*k)->isa != t->isa || (*k)->dtype != dtype)) k++;
    if (!*k) return false;
  }
  return true;
}

/* Bars of the memory roof are asked of keys and values that no cache holds. */
static bool print_caches(FILE *out, const struct table *t, const struct bar *bars, int count)
{
  for (int i = 0; i < count; i++) {
    const struct bench_row *row = bars[i].figure == ROOFLINE ? find(t, bars[i].shape, false, bars[i].cores) : NULL;
    if (!row || !row->caches_hold) continue;
    fputs("\nThe lower roof is that of the caches where they hold all that a case reads (c in the table), not of memory, "
          "as the bar asks:\n`attnbench run --case` with /cache:cold at the end of the case's name measures from memory.\n",
          out);
    return true;
  }
  return false;
}

void bench_bars_print(FILE *out, bool markdown, const struct bench_preset *preset, const struct bench_row *rows, int count)
{
  const struct bar *bars = NULL;
  int n = 0;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (!strcmp(preset->name, lists[i].preset)) bars = lists[i].bars, n = lists[i].count;
  if (!bars) return;
  bool digits = false;
  for (int i = 0; i < count; i++) digits |= products_of(&rows[i]) > 1;
  fprintf(out, "\nBars: ratios of medians of this run%s\n", digits ? "; every product of digits counts for the roof" : "");
  if (markdown) fputs("\n", out);
  print_bar(out, markdown, "ISA", "bar", "asked", "reached", "verdict");
  if (markdown) fputs("|:--|:--|--:|--:|:--|\n", out);
  for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
    const struct table t = {preset, rows, count, (enum attn_isa)isa};
    if (!attn_isa_exists(t.isa) || !concerns(&t, bars, n)) continue;
    for (int i = 0; i < n; i++) {
      if (!is_for(&t, &bars[i])) continue;
      const double value = reached(&t, &bars[i]);
      const bool over = bars[i].figure == OVER_OTHER || bars[i].figure == OVER_NAIVE;
      char asked[16], got[16] = "-";
      snprintf(asked, sizeof asked, "%s %.2f", bars[i].figure == ROOF_LOSS ? "<=" : over ? ">" : ">=", bars[i].limit);
      if (isfinite(value)) snprintf(got, sizeof got, "%.3f", value);
      print_bar(out, markdown, attn_isa_name(t.isa), bars[i].text, asked, got, verdict(&bars[i], value));
    }
  }
  for (int isa = 0, told = 0; isa < ATTN_ISA_COUNT && !told; isa++)
    told = print_caches(out, &(struct table){preset, rows, count, (enum attn_isa)isa}, bars, n);
}
