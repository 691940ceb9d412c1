#include "comparison.h"

#include <math.h>
#include <stdlib.h>

static bool add_row(struct comparison *c, const struct results_case *found)
{
  struct comparison_row *larger = realloc(c->row, (size_t)(c->rows + 1) * sizeof *larger);
  if (!larger) return false;
  c->row = larger;
  struct comparison_row *row = &c->row[c->rows++];
  *row = (struct comparison_row){.name = found->name, .label = found->label};
  for (int f = 0; f < c->files; f++)
    row->cell[f] = (struct comparison_cell){.c = results_find(c->file[f], found->name),
                                            .effect = {NAN, NAN, NAN},
                                            .p = NAN,
                                            .p_family = NAN,
                                            .method = STATS_NONE,
                                            .verdict = VERDICT_INCONCLUSIVE};
  return true;
}

static double *logarithms(const struct results_case *c)
{
  double *ln = malloc((size_t)c->times * sizeof *ln);
  for (int i = 0; ln && i < c->times; i++) ln[i] = log(c->time_ns[i]);
  return ln;
}

static bool compare_cell(const struct comparison *c, const struct results_case *first, struct comparison_cell *cell)
{
  double *x = logarithms(first), *y = logarithms(cell->c);
  bool ok = x && y;
  if (ok) {
    const struct stats_mann_whitney test = stats_mann_whitney(x, first->times, y, cell->c->times, STATS_AUTO);
    cell->effect = stats_shift(x, first->times, y, cell->c->times, 1 - c->alpha);
    cell->p = cell->p_family = test.p;
    cell->method = test.method;
    ok = !isnan(test.p) && !isnan(cell->effect.estimate);
  }
  free(x);
  free(y);
  return ok;
}

/* Holm over every test of the table. */
static bool correct(struct comparison *c)
{
  const int cells = c->rows * c->files;
  double *p = malloc((size_t)cells * sizeof *p);
  if (!p) return false;
  for (int i = 0; i < cells; i++) {
    p[i] = c->row[i / c->files].cell[i % c->files].p;
    c->tests += !isnan(p[i]);
  }
  const bool ok = stats_holm(p, cells);
  for (int i = 0; i < cells; i++) {
    struct comparison_cell *cell = &c->row[i / c->files].cell[i % c->files];
    cell->p_family = p[i];
    if (!isnan(p[i])) cell->verdict = verdict_of(&cell->effect, p[i] <= c->alpha, c->margin);
  }
  free(p);
  return ok;
}

static bool average(struct comparison *c)
{
  double *ratio = malloc((size_t)c->rows * sizeof *ratio);
  if (!ratio) return false;
  for (int f = 0; f < c->files; f++) {
    int n = 0;
    for (int r = 0; r < c->rows; r++) {
      bool everywhere = true;
      for (int g = 0; g < c->files; g++) everywhere &= c->row[r].cell[g].c != NULL;
      if (everywhere) ratio[n++] = f ? exp(c->row[r].cell[f].effect.estimate) : 1;
    }
    c->common = n;
    c->mean_ratio[f] = n ? stats_geometric_mean(ratio, n) : NAN;
  }
  free(ratio);
  return true;
}

bool comparison_make(struct comparison *c, bool (*wanted)(const char *name, void *context), void *context)
{
  for (int f = 0; f < c->files; f++)
    for (int i = 0; i < c->file[f]->count; i++) {
      const struct results_case *found = &c->file[f]->c[i];
      bool known = wanted && !wanted(found->name, context);
      for (int before = 0; before < f && !known; before++) known = results_find(c->file[before], found->name) != NULL;
      if (!known && !add_row(c, found)) return false;
    }
  for (int r = 0; r < c->rows; r++)
    for (int f = 1; f < c->files; f++) {
      const struct results_case *first = c->row[r].cell[0].c;
      if (first && c->row[r].cell[f].c && !compare_cell(c, first, &c->row[r].cell[f])) return false;
    }
  return !c->rows || (correct(c) && average(c));
}

void comparison_free(struct comparison *c)
{
  free(c->row);
  c->row = NULL;
  c->rows = 0;
}
