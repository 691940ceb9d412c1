/* Which cases a run consists of. */
#ifndef BENCH_SELECTION_H
#define BENCH_SELECTION_H

#include "case.h"
#include "presets.h"

/* NULL lists and 0 counts mean: no restriction. */
struct bench_selection {
  const struct bench_preset *preset; /* may be NULL if cases are named */
  const char *const *case_names;     /* as given on the command line */
  int cases;
  const char *kernels, *isas, *threads, *filter; /* comma-separated lists, and an extended regular expression */
};

struct bench_case_list {
  struct bench_case *c;
  int count;
};

/* Expands presets over kernels that this CPU can run and over thread counts; named cases are taken as they are; the filter
 * applies to both. No case twice. False and a message: something named does not exist or cannot run here, or nothing
 * matched. */
bool bench_select_cases(struct bench_case_list *list, const struct bench_selection *selection, char *error,
                        size_t error_bytes);

#endif
