#include "gate_report.h"

#include "../case_text.h"
#include "../xml_text.h"

#include "../../bench/verdict.h"

#include <math.h>
#include <string.h>

enum gate_outcome gate_outcome_of(const struct gate_report *r, int c)
{
  switch (r->first[c].verdict) {
  case GATE_FINE: return GATE_PASSED;
  case GATE_SLOWER: return r->second[c].n && r->second[c].verdict == GATE_SLOWER ? GATE_REGRESSION : GATE_INCONCLUSIVE;
  default: return GATE_INCONCLUSIVE;
  }
}

enum gate_outcome gate_outcome(const struct gate_report *r)
{
  enum gate_outcome worst = *r->note ? GATE_REFUSED : GATE_PASSED;
  for (int c = 0; c < r->cases && !*r->note; c++) {
    const enum gate_outcome outcome = gate_outcome_of(r, c);
    if (outcome == GATE_REGRESSION) return outcome;
    if (outcome == GATE_INCONCLUSIVE) worst = outcome;
  }
  return worst;
}

/* The series that decided. */
static const struct gate_case *last_of(const struct gate_report *r, int c)
{
  return r->second[c].n ? &r->second[c] : &r->first[c];
}

static void words_of(const struct gate_report *r, int c, char *text, size_t bytes)
{
  const struct gate_case *g = last_of(r, c);
  const double percent = verdict_percent(g->change.estimate), threshold = 100 * r->threshold;
  switch (gate_outcome_of(r, c)) {
  case GATE_PASSED:
    if (g->change.high < -g->detectable)
      snprintf(text, bytes, "faster by %.1f %%", -percent);
    else
      snprintf(text, bytes, "not slower by %.3g %%", threshold);
    break;
  case GATE_REGRESSION: snprintf(text, bytes, "slower by %.1f %%, confirmed", percent); break;
  default:
    if (r->second[c].n)
      snprintf(text, bytes, "inconclusive: slower, not confirmed");
    else if (verdict_percent(g->detectable) > threshold)
      snprintf(text, bytes, "inconclusive: noise hides %.3g %%", threshold);
    else
      snprintf(text, bytes, "inconclusive");
  }
}

static const char *const headlines[] = {"passed", "regression", "inconclusive", "no verdict"};

void gate_print(FILE *out, const struct gate_report *r, enum grid_format format)
{
  struct grid_table table = {0};
  grid_add(&table, 7,
           (const char *const[]){"<case", "baseline", "candidate", "interval of change", "noise hides", "rounds",
                                 "<candidate is"});
  for (int c = 0; c < r->cases; c++) {
    const struct gate_case *g = last_of(r, c);
    char name[400], before[32], now[32], interval[64], detectable[32] = "unknown", n[24], words[96];
    if (format == GRID_TEXT)
      case_short(g->name, name, sizeof name);
    else
      snprintf(name, sizeof name, "%s", g->name);
    duration_text(g->baseline_ns, before, sizeof before);
    duration_text(g->candidate_ns, now, sizeof now);
    verdict_interval_text(&g->change, interval, sizeof interval);
    if (isfinite(g->detectable)) snprintf(detectable, sizeof detectable, "%.1f %%", verdict_percent(g->detectable));
    snprintf(n, sizeof n, r->second[c].n ? "%d + %d" : "%d", r->first[c].n, r->second[c].n);
    words_of(r, c, words, sizeof words);
    grid_add(&table, 7, (const char *const[]){name, before, now, interval, detectable, n, words});
  }
  const bool markdown = format == GRID_MARKDOWN;
  fprintf(out, "%sattnbench gate: %s\n\nBaseline: %s.", markdown ? "## " : "", headlines[gate_outcome(r)], r->baseline);
  fprintf(out, "%s%s%s\n\n", *r->note ? " " : "", r->note, *r->note ? "." : "");
  if (r->cases) grid_print(out, &table, format);
  if (r->cases)
    fprintf(
        out,
        "\nnoise hides: the smallest change that these rounds could tell from none, from the baseline against itself. "
        "Slower needs the\nwhole interval beyond it, twice; not slower, the whole interval below the threshold of %.3g %%. "
        "Intervals hold for all cases and\nlooks together, %g %%.\n",
        100 * r->threshold, 100 * (1 - r->alpha));
  grid_free(&table);
}

void gate_print_junit(FILE *out, const struct gate_report *r)
{
  int failures = 0, skipped = 0;
  for (int c = 0; c < r->cases; c++) {
    failures += gate_outcome_of(r, c) == GATE_REGRESSION;
    skipped += gate_outcome_of(r, c) == GATE_INCONCLUSIVE;
  }
  fprintf(out,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
          "<testsuite name=\"attnbench gate\" tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\">\n",
          r->cases, failures, skipped);
  for (int c = 0; c < r->cases; c++) {
    char words[96], interval[64];
    const struct gate_case *g = last_of(r, c);
    const enum gate_outcome outcome = gate_outcome_of(r, c);
    words_of(r, c, words, sizeof words);
    verdict_interval_text(&g->change, interval, sizeof interval);
    fputs("<testcase classname=\"attnbench.gate\" name=\"", out);
    xml_print(out, g->name);
    fprintf(out, "\" time=\"%.9f\"", g->candidate_ns * 1e-9);
    if (outcome == GATE_PASSED)
      fputs("/>\n", out);
    else {
      fprintf(out, "><%s message=\"", outcome == GATE_REGRESSION ? "failure" : "skipped");
      xml_print(out, words);
      fprintf(out, " (interval %s)\"/></testcase>\n", interval);
    }
  }
  fputs("</testsuite>\n</testsuites>\n", out);
}

/* In a workflow command %, carriage return and line feed are escaped. */
static void print_command_text(FILE *out, const char *text)
{
  for (; *text; text++)
    if (*text == '%' || *text == '\r' || *text == '\n')
      fprintf(out, "%%%02X", (unsigned)(unsigned char)*text);
    else
      fputc(*text, out);
}

void gate_print_annotations(FILE *out, const struct gate_report *r)
{
  for (int c = 0; c < r->cases; c++) {
    const enum gate_outcome outcome = gate_outcome_of(r, c);
    char words[96], name[400];
    if (outcome == GATE_PASSED) continue;
    words_of(r, c, words, sizeof words);
    fprintf(out, "::%s title=attnbench gate::", outcome == GATE_REGRESSION ? "error" : "warning");
    print_command_text(out, case_short(r->first[c].name, name, sizeof name));
    fputs(": ", out);
    print_command_text(out, words);
    fputc('\n', out);
  }
  if (*r->note) {
    fputs("::warning title=attnbench gate::", out);
    print_command_text(out, r->note);
    fputc('\n', out);
  }
}
