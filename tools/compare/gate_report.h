/* What a gate tells: text, Markdown, JUnit XML, and GitHub's annotations. */
#ifndef ATTNBENCH_GATE_REPORT_H
#define ATTNBENCH_GATE_REPORT_H

#include "gate.h"
#include "../grid_table.h"

enum gate_outcome { GATE_PASSED, GATE_REGRESSION, GATE_INCONCLUSIVE, GATE_REFUSED };

struct gate_report {
  const char *baseline;
  const struct gate_case *first, *second; /* second: [cases], of the confirming series; n == 0 where there was none */
  int cases;
  double threshold, alpha;
  const char *note; /* "" or why there is no verdict */
};

/* Of one case: slower in both series is a regression, in one only is inconclusive. */
enum gate_outcome gate_outcome_of(const struct gate_report *report, int c);
enum gate_outcome gate_outcome(const struct gate_report *report);

void gate_print(FILE *out, const struct gate_report *report, enum grid_format format);
void gate_print_junit(FILE *out, const struct gate_report *report);
void gate_print_annotations(FILE *out, const struct gate_report *report);

#endif
