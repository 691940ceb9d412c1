#include "table.h"

#include "bound.h"

#include <math.h>
#include <string.h>

enum { CELL_BYTES = 400 };

/* Text of a cell for a person; empty: no such figure. */
typedef void cell_function(const struct bench_row *row, char *cell);
/* The same for a program: SI units, full precision. */
typedef double value_function(const struct bench_row *row);

static void number(char *cell, const char *format, double value)
{
  if (isfinite(value))
    snprintf(cell, CELL_BYTES, format, value);
  else
    strcpy(cell, "-");
}

static void time_text(char *cell, double s)
{
  if (!isfinite(s))
    strcpy(cell, "-");
  else if (s < 1e-3)
    snprintf(cell, CELL_BYTES, "%.2f us", s * 1e6);
  else if (s < 1)
    snprintf(cell, CELL_BYTES, "%.2f ms", s * 1e3);
  else
    snprintf(cell, CELL_BYTES, "%.3f s", s);
}

static bool timed(const struct bench_row *r) { return r->state == BENCH_TIMED; }

static void cell_case(const struct bench_row *r, char *cell) { snprintf(cell, CELL_BYTES, "%s", r->label); }
static void cell_kernel(const struct bench_row *r, char *cell) { snprintf(cell, CELL_BYTES, "%s", r->c.kernel); }
static void cell_threads(const struct bench_row *r, char *cell) { snprintf(cell, CELL_BYTES, "%d", r->threads); }

static void cell_time(const struct bench_row *r, char *cell)
{
  if (r->state == BENCH_WRONG)
    strcpy(cell, "WRONG");
  else if (!timed(r))
    strcpy(cell, "left out");
  else
    time_text(cell, r->median_s);
}

static double value_time(const struct bench_row *r) { return r->median_s; }
static double value_cv(const struct bench_row *r) { return r->cv; }
static double value_rate(const struct bench_row *r) { return bench_row_rate(r, r->median_s) / 1e9; }
static double value_roof_fraction(const struct bench_row *r) { return bench_row_roof_fraction(r, r->median_s); }
static double value_bandwidth(const struct bench_row *r) { return bench_row_bandwidth(r, r->median_s) / 1e9; }
static double value_bandwidth_fraction(const struct bench_row *r) { return bench_row_bandwidth_fraction(r, r->median_s); }
static double value_roofline(const struct bench_row *r) { return bench_row_roofline_fraction(r, r->median_s); }
static double value_tokens(const struct bench_row *r) { return bench_row_tokens(r, r->median_s); }
/* Shown for decoding, where they count. */
static double value_decode_bandwidth(const struct bench_row *r)
{
  return isnan(value_tokens(r)) ? NAN : value_bandwidth_fraction(r);
}
static double value_decode_roofline(const struct bench_row *r) { return isnan(value_tokens(r)) ? NAN : value_roofline(r); }
static double value_x_scalar(const struct bench_row *r) { return bench_row_x_scalar(r, r->median_s); }
static double value_x_autovec(const struct bench_row *r) { return bench_row_x_autovec(r, r->median_s); }
static double value_x_plain(const struct bench_row *r) { return r->x_plain; }
static double value_x_share(const struct bench_row *r) { return r->x_share; }
static double value_fma_roof(const struct bench_row *r) { return r->fma_roof / 1e9; }
static double value_read_roof(const struct bench_row *r) { return r->read_roof / 1e9; }
static double value_error(const struct bench_row *r) { return r->max_error; }
static double value_threads(const struct bench_row *r) { return r->threads; }

static void cell_cv(const struct bench_row *r, char *cell) { number(cell, "%.1f", 100 * value_cv(r)); }
static void cell_rate(const struct bench_row *r, char *cell) { number(cell, "%.1f", value_rate(r)); }
static void cell_roof(const struct bench_row *r, char *cell) { number(cell, "%.1f", 100 * value_roof_fraction(r)); }
static void cell_bandwidth(const struct bench_row *r, char *cell) { number(cell, "%.2f", value_bandwidth(r)); }
static void cell_decode_bandwidth(const struct bench_row *r, char *cell)
{
  number(cell, r->caches_hold ? "%.1fc" : "%.1f ", 100 * value_decode_bandwidth(r));
}
static void cell_decode_roofline(const struct bench_row *r, char *cell)
{
  number(cell, "%.1f", 100 * value_decode_roofline(r));
}
static void cell_tokens(const struct bench_row *r, char *cell) { number(cell, "%.0f", value_tokens(r)); }
static void cell_error(const struct bench_row *r, char *cell) { number(cell, "%.1e", r->max_error); }

static void cell_x_plain(const struct bench_row *r, char *cell) { number(cell, "%.2f", r->x_plain); }
static void cell_x_share(const struct bench_row *r, char *cell) { number(cell, "%.2f", r->x_share); }

static void cell_x_scalar(const struct bench_row *r, char *cell)
{
  number(cell, r->scalar_sliced ? "%.1f*" : "%.1f ", value_x_scalar(r));
}

static void cell_x_autovec(const struct bench_row *r, char *cell)
{
  number(cell, r->autovec_sliced ? "%.1f*" : "%.1f ", value_x_autovec(r));
}

static const struct column {
  const char *head;     /* NULL: only in CSV */
  const char *csv_head; /* NULL: not in CSV as a number */
  cell_function *cell;
  value_function *value;
  bool left, always; /* aligned left; shown for rows without a time as well */
} columns[] = {
    {"case", NULL, cell_case, NULL, true, true},
    {"kernel", NULL, cell_kernel, NULL, true, true},
    {"T", "threads", cell_threads, value_threads, false, true},
    {"median", "median_s", cell_time, value_time, false, true},
    {"+-%", "cv", cell_cv, value_cv, false, false},
    {"GFLOP/s", "gflops", cell_rate, value_rate, false, false},
    {"% FMA roof", "roof_fraction", cell_roof, value_roof_fraction, false, false},
    {"GB/s", "gbytes_per_s", cell_bandwidth, value_bandwidth, false, false},
    {NULL, "bandwidth_fraction", NULL, value_bandwidth_fraction, false, false},
    {"% read roof", NULL, cell_decode_bandwidth, value_decode_bandwidth, false, false},
    {NULL, "roofline_fraction", NULL, value_roofline, false, false},
    {"% min roof", NULL, cell_decode_roofline, value_decode_roofline, false, false},
    {"tokens/s", "tokens_per_s", cell_tokens, value_tokens, false, false},
    {"x scalar", "speedup_vs_scalar", cell_x_scalar, value_x_scalar, false, false},
    {"x autovec", "speedup_vs_autovec", cell_x_autovec, value_x_autovec, false, false},
    {"x plain", "x_plain", cell_x_plain, value_x_plain, false, false},
    {"x share", "x_share", cell_x_share, value_x_share, false, false},
    {"max error", "max_error", cell_error, value_error, false, true},
    {NULL, "fma_roof_gflops", NULL, value_fma_roof, false, false},
    {NULL, "read_roof_gbytes_per_s", NULL, value_read_roof, false, false},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static const char *const state_names[] = {"timed", "wrong", "left out", "interrupted"};

static void cell_of(int column, const struct bench_row *row, char *cell)
{
  cell[0] = 0;
  if (timed(row) || columns[column].always) columns[column].cell(row, cell);
}

static bool is_optional(value_function *value)
{
  return value == value_x_plain || value == value_x_share || value == value_decode_bandwidth ||
         value == value_decode_roofline || value == value_tokens;
}

/* The columns of variants only if the run has a variant and what it is compared with; those of decoding likewise. */
static bool is_shown(int column, const struct bench_row *rows, int count)
{
  if (!columns[column].head) return false;
  if (!is_optional(columns[column].value)) return true;
  for (int i = 0; i < count; i++)
    if (isfinite(columns[column].value(&rows[i]))) return true;
  return false;
}

static void print_grid(FILE *out, bool markdown, const struct bench_row *rows, int count)
{
  int width[COLUMNS] = {0};
  bool shown[COLUMNS];
  char cell[CELL_BYTES];
  for (int c = 0; c < COLUMNS; c++) {
    shown[c] = is_shown(c, rows, count);
    if (!shown[c]) continue;
    width[c] = (int)strlen(columns[c].head);
    for (int i = 0; i < count; i++) {
      cell_of(c, &rows[i], cell);
      if ((int)strlen(cell) > width[c]) width[c] = (int)strlen(cell);
    }
  }
  for (int line = markdown ? -2 : -1; line < count; line++) {
    const bool rule = markdown && line == -1;
    for (int c = 0; c < COLUMNS; c++) {
      if (!shown[c]) continue;
      if (rule)
        fprintf(out, columns[c].left ? "|:--" : "|--:");
      else {
        if (line < 0)
          strcpy(cell, columns[c].head);
        else
          cell_of(c, &rows[line], cell);
        fprintf(out, markdown ? "| %*s " : c ? "  %*s" : "%*s", columns[c].left ? -width[c] : width[c], cell);
      }
    }
    fputs(markdown ? "|\n" : "\n", out);
  }
}

static void print_notes(FILE *out, const struct bench_row *rows, int count)
{
  for (int i = 0; i < count; i++)
    if (!timed(&rows[i]) && rows[i].note[0])
      fprintf(out, "%s: %s: %s\n", rows[i].state == BENCH_WRONG ? "WRONG" : "left out", rows[i].name, rows[i].note);
}

/* A line for the roofs of the same kind as roof first, if it is the first of them. */
static void print_roofs_like(FILE *out, const struct bench_roofs *roofs, int first)
{
  const struct bench_roof *kind = bench_roofs_get(roofs, first);
  for (int i = 0; i < bench_roofs_count(roofs); i++) {
    const struct bench_roof *r = bench_roofs_get(roofs, i);
    if (r->read != kind->read || r->isa != kind->isa) continue;
    if (i < first) return;
    if (i == first) fprintf(out, "  %-6s", kind->read ? "read" : attn_isa_name(kind->isa));
    fprintf(out, kind->read ? "  T%d %.1f" : "  T%d %.0f", r->threads, r->best / 1e9);
    fprintf(out, kind->read ? " (%.1f)" : " (%.0f)", r->worst / 1e9);
  }
  fputs(kind->read ? " GB/s from beyond the caches\n" : " GFLOP/s\n", out);
}

/* With one thread, processor time short of real time means that others had the core. */
static void print_busy(FILE *out, const struct bench_row *rows, int count)
{
  int alone = 0, disturbed = 0;
  for (int i = 0; i < count; i++) {
    if (!timed(&rows[i]) || rows[i].threads > 1) continue;
    double real = 0, cpu = 0;
    for (int n = 0; n < rows[i].repetitions; n++) {
      real += rows[i].repetition[n].real_s;
      cpu += rows[i].repetition[n].cpu_s;
    }
    alone++;
    disturbed += cpu < 0.95 * real;
  }
  if (disturbed)
    fprintf(out,
            "The machine was busy: %d of the %d cases on one thread had their core for less than 95 %% of the time; their "
            "figures are too low.\n",
            disturbed, alone);
}

static bool was_timed(const struct bench_row *rows, int count, const char *kernel)
{
  for (int i = 0; i < count; i++)
    if (timed(&rows[i]) && !strcmp(rows[i].c.kernel, kernel)) return true;
  return false;
}

static void print_legend(FILE *out, const struct bench_row *rows, int count, const struct bench_roofs *roofs)
{
  bool sliced = false, whole = true, related = false, decodes = false, layers = false, caches = false;
  for (int i = 0; i < count; i++) {
    sliced |= timed(&rows[i]) && (rows[i].scalar_sliced || rows[i].autovec_sliced);
    whole &= rows[i].checked_rows == rows[i].rows;
    related |= isfinite(rows[i].x_plain);
    layers |= *rows[i].kernels;
    decodes |= isfinite(value_tokens(&rows[i]));
    caches |= timed(&rows[i]) && rows[i].caches_hold;
  }
  fputs("\nFLOPs = 2*B*Hq*Sq*Skv*(Dqk+Dv), of causal and windowed cases the visible pairs only; the softmax is not "
        "counted. T: "
        "threads. median of the\nrepetitions, +-%: their coefficient of variation. GB/s: Q, K, V, mask and O once each. "
        "x scalar, x autovec: against fwd_*_scalar and the\nbest fwd_*_autovec of this CPU, same buffers, same threads",
        out);
  if (sliced)
    fputs("; *: they were timed on a slice of the problem (fewer heads and\nqueries, all keys) and compared by GFLOP/s",
          out);
  fprintf(out, ". max error: max|o - oracle|/max|oracle|, float64, %s.\n",
          whole ? "all rows" : "all rows or, of large problems, a sample");
  if (layers)
    fputs(
        "Of layers: FLOPs of the projections as well; GB/s: inputs, weights, mask and output once each; x scalar: the same "
        "layer, whole; none\nbeyond 4 GFLOP a thread, which take too long, and no x autovec, for no such projections are "
        "built.\n",
        out);
  if (related)
    fputs("x plain: time relative to the same case without mask, in this run; x share: that, relative to its share of the "
          "FLOPs (boolean\nand additive masks count as all of them).\n",
          out);
  if (decodes)
    fputs(
        "% read roof: GB/s against what as many cores read of as many bytes, again and again; % min roof: of the lower of "
        "both roofs, the\nmost that this machine allows. tokens/s: B*Sq a call, or all queries of sequences of different "
        "lengths; of this one layer.\n",
        out);
  if (decodes && caches)
    fputs("c: the last-level cache holds all that the case reads; the roof is of reading it from there, not from memory.\n",
          out);
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if ((*k)->products > 0 && was_timed(rows, count, (*k)->name))
      fprintf(out,
              "%s multiplies digits, %g products for each one that is counted: it can reach %.0f %% of the FMA roof.\n",
              (*k)->name, (*k)->products, 100 / (*k)->products);
  fputs("% FMA roof: of the kernel's own ISA on as many cores, sampled beside each case. Over the run, best (lowest "
        "sample):\n",
        out);
  for (int i = 0; i < bench_roofs_count(roofs); i++) print_roofs_like(out, roofs, i);
  print_busy(out, rows, count);
}

/* RFC 4180: quoted, quotes doubled. */
static void print_quoted(FILE *out, const char *text)
{
  fputc('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

static void print_csv(FILE *out, const struct bench_row *rows, int count)
{
  fputs("name,label,kernel,state", out);
  for (int c = 0; c < COLUMNS; c++)
    if (columns[c].csv_head) fprintf(out, ",%s", columns[c].csv_head);
  fputs(",repetitions,checked_rows,rows,note\n", out);
  for (int i = 0; i < count; i++) {
    const struct bench_row *r = &rows[i];
    print_quoted(out, r->name);
    fputc(',', out);
    print_quoted(out, r->label);
    fprintf(out, ",%s,%s", r->c.kernel, state_names[r->state]);
    for (int c = 0; c < COLUMNS; c++) {
      if (!columns[c].csv_head) continue;
      const double value = timed(r) || columns[c].always ? columns[c].value(r) : NAN;
      fputc(',', out);
      if (isfinite(value)) fprintf(out, "%.9g", value);
    }
    fprintf(out, ",%d,%lld,%lld,", timed(r) ? r->repetitions : 0, (long long)r->checked_rows, (long long)r->rows);
    print_quoted(out, r->note);
    fputc('\n', out);
  }
}

void bench_table_print(FILE *out, enum bench_table_format format, const struct bench_row *rows, int count,
                       const struct bench_roofs *roofs)
{
  if (format == BENCH_TABLE_CSV) {
    print_csv(out, rows, count);
    return;
  }
  print_grid(out, format == BENCH_TABLE_MARKDOWN, rows, count);
  if (format == BENCH_TABLE_MARKDOWN) fputc('\n', out);
  print_notes(out, rows, count);
  print_legend(out, rows, count, roofs);
}
