#include "bars.h"

#include "../dispatch/internal.h"

#include <math.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* of a shape: no layer */

const struct bench_preset_shape bench_bar_shapes[BENCH_BAR_SHAPES] = {
    [BAR_D64] = {"2k, D 64", {ATTN_F32, 1, 8, 8, 2048, 2048, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_CAUSAL64] = {"4k, D 64, causal",
                      {ATTN_F32, 1, 8, 8, 4096, 4096, 64, 64, BENCH_MASK_CAUSAL},
                      BENCH_STREAMING,
                      false},
    [BAR_CAUSAL128] = {"4k, D 128, causal",
                       {ATTN_F32, 1, 8, 8, 4096, 4096, 128, 128, BENCH_MASK_CAUSAL},
                       BENCH_STREAMING,
                       false},
    [BAR_D128] = {"2k, D 128", {ATTN_F32, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_F16] = {"2k, D 128, f16", {ATTN_F16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_BF16] = {"2k, D 128, bf16", {ATTN_BF16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_D80] = {"2k, D 80", {ATTN_F32, 1, 8, 8, 2048, 2048, 80, 80, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_D96] = {"2k, D 96", {ATTN_F32, 1, 8, 8, 2048, 2048, 96, 96, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_D256] = {"2k, D 256", {ATTN_F32, 1, 8, 8, 2048, 2048, 256, 256, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    [BAR_SHORT64] = {"512, D 64", {ATTN_F32, 1, 8, 8, 512, 512, 64, 64, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    [BAR_SHORT128] = {"512, D 128", {ATTN_F32, 1, 8, 8, 512, 512, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
};

enum figure {
  ROOF_FRACTION, /* of the FMA roof, one core */
  ROOF_LOSS,     /* the same of the other shape, less this one's: at most the limit */
  EFFICIENCY,    /* throughput on all cores / (cores x that on one) */
  THROUGHPUT,    /* relative to the other shape, one core */
  OVER_NAIVE     /* throughput relative to the naive kernel of the ISA, one core */
};

static const struct bar {
  enum figure figure;
  int shape, other;
  double limit;
  const char *text;
} bars[] = {
    {ROOF_FRACTION, BAR_D128, 0, 0.90, "f32 D=128 S=2048, one core: fraction of the FMA roof"},
    {ROOF_FRACTION, BAR_D64, 0, 0.87, "f32 D=64 S=2048, one core: fraction of the FMA roof"},
    {ROOF_FRACTION, BAR_D80, 0, 0.83, "f32 D=80 S=2048, one core: fraction of the FMA roof"},
    {ROOF_FRACTION, BAR_D96, 0, 0.83, "f32 D=96 S=2048, one core: fraction of the FMA roof"},
    {ROOF_FRACTION, BAR_D256, 0, 0.83, "f32 D=256 S=2048, one core: fraction of the FMA roof"},
    {ROOF_LOSS, BAR_CAUSAL128, BAR_D128, 0.04, "f32 D=128 causal S=4096, one core: roof fraction lost against full"},
    {ROOF_LOSS, BAR_CAUSAL64, BAR_D64, 0.04, "f32 D=64 causal S=4096, one core: roof fraction lost against full"},
    {EFFICIENCY, BAR_D128, 0, 0.95, "f32 D=128 S=2048, all cores: throughput / (cores x one core)"},
    {EFFICIENCY, BAR_D64, 0, 0.95, "f32 D=64 S=2048, all cores: throughput / (cores x one core)"},
    {EFFICIENCY, BAR_D80, 0, 0.95, "f32 D=80 S=2048, all cores: throughput / (cores x one core)"},
    {EFFICIENCY, BAR_D96, 0, 0.95, "f32 D=96 S=2048, all cores: throughput / (cores x one core)"},
    {EFFICIENCY, BAR_D256, 0, 0.95, "f32 D=256 S=2048, all cores: throughput / (cores x one core)"},
    {EFFICIENCY, BAR_CAUSAL128, 0, 0.95, "f32 D=128 causal S=4096, all cores: throughput / (cores x one core)"},
    {EFFICIENCY, BAR_CAUSAL64, 0, 0.95, "f32 D=64 causal S=4096, all cores: throughput / (cores x one core)"},
    {THROUGHPUT, BAR_F16, BAR_D128, 0.97, "f16 D=128 S=2048, one core: throughput / that of f32"},
    {THROUGHPUT, BAR_BF16, BAR_D128, 0.97, "bf16 D=128 S=2048, one core: throughput / that of f32"},
    {OVER_NAIVE, BAR_SHORT128, 0, 1, "f32 D=128 S=512, one core: streaming / naive throughput"},
    {OVER_NAIVE, BAR_SHORT64, 0, 1, "f32 D=64 S=512, one core: streaming / naive throughput"},
};
enum { BARS = sizeof bars / sizeof *bars };

struct table {
  const struct bench_row *rows;
  int count;
  enum attn_isa isa;
};

/* The row of that shape on one thread, or on the most threads that were timed; NULL: none. The naive kernel is the only
 * one for comparison that the preset takes. */
static const struct bench_row *find(const struct table *t, int shape, bool naive, bool one_thread)
{
  const struct bench_row *best = NULL;
  for (int i = 0; i < t->count; i++) {
    const struct bench_row *r = &t->rows[i];
    if (r->state != BENCH_TIMED || r->isa != t->isa || !bench_shape_equal(&r->c.shape, &bench_bar_shapes[shape].shape))
      continue;
    const struct attn_kernel *kernel = attn_kernel_find(r->c.kernel);
    const bool is_naive = !strncmp(r->c.kernel, "naive_", 6);
    if (!kernel || is_naive != naive || (!naive && kernel->flags & ATTN_KERNEL_COMPARISON)) continue;
    if (one_thread ? r->threads == 1 : !best || r->threads > best->threads) best = r;
  }
  return best;
}

static double rate(const struct bench_row *r) { return r ? bench_row_rate(r, r->median_s) : NAN; }
static double fraction(const struct bench_row *r) { return r ? bench_row_roof_fraction(r, r->median_s) : NAN; }

/* NaN: not measured. */
static double reached(const struct table *t, const struct bar *bar)
{
  const struct bench_row *one = find(t, bar->shape, false, true);
  switch (bar->figure) {
  case ROOF_FRACTION: return fraction(one);
  case ROOF_LOSS: return fraction(find(t, bar->other, false, true)) - fraction(one);
  case EFFICIENCY: {
    const struct bench_row *all = find(t, bar->shape, false, false);
    return all && all->threads > 1 ? rate(all) / (all->threads * rate(one)) : NAN;
  }
  case THROUGHPUT: return rate(one) / rate(find(t, bar->other, false, true));
  case OVER_NAIVE: return rate(one) / rate(find(t, bar->shape, true, true));
  }
  return NAN;
}

static void print_bar(FILE *out, bool markdown, const char *isa, const char *text, const char *asked, const char *got,
                      const char *verdict)
{
  if (markdown)
    fprintf(out, "| %s | %s | %s | %s | %s |\n", isa, text, asked, got, verdict);
  else
    fprintf(out, "%-7s %-69s %7s %8s  %s\n", isa, text, asked, got, verdict);
}

void bench_bars_print(FILE *out, bool markdown, const struct bench_row *rows, int count)
{
  fputs("\nBars: ratios of medians of this run\n", out);
  if (markdown) fputs("\n", out);
  print_bar(out, markdown, "ISA", "bar", "asked", "reached", "verdict");
  if (markdown) fputs("|:--|:--|--:|--:|:--|\n", out);
  for (int isa = 0; isa < ATTN_ISA_COUNT; isa++) {
    const struct table t = {rows, count, (enum attn_isa)isa};
    bool any = false;
    for (int i = 0; i < count; i++)
      any |= rows[i].state == BENCH_TIMED && rows[i].isa == t.isa && rows[i].c.shape.dtype == ATTN_F32;
    if (!any || !attn_isa_exists(t.isa)) continue;
    for (int i = 0; i < BARS; i++) {
      const double value = reached(&t, &bars[i]);
      const bool at_most = bars[i].figure == ROOF_LOSS;
      char asked[16], got[16] = "-";
      snprintf(asked, sizeof asked, "%s %.2f", at_most ? "<=" : bars[i].figure == OVER_NAIVE ? ">" : ">=", bars[i].limit);
      if (isfinite(value)) snprintf(got, sizeof got, "%.3f", value);
      const bool met = at_most                        ? value <= bars[i].limit
                       : bars[i].figure == OVER_NAIVE ? value > bars[i].limit
                                                      : value >= bars[i].limit;
      print_bar(out, markdown, attn_isa_name(t.isa), bars[i].text, asked, got,
                !isfinite(value) ? "not measured"
                : met            ? "met"
                                 : "not met");
    }
  }
}
