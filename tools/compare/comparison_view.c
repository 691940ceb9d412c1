#include "comparison_view.h"

#include "../case_text.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *comparison_letter(int file)
{
  static char text[COMPARISON_MAX_FILES][4];
  snprintf(text[file], sizeof text[file], file < 26 ? "%c" : "A%c", 'A' + file % 26);
  return text[file];
}

void comparison_note(struct comparison_notes *notes, const char *format, ...)
{
  va_list args;
  const size_t used = strlen(notes->text);
  va_start(args, format);
  vsnprintf(notes->text + used, sizeof notes->text - used, format, args);
  va_end(args);
}

/* The group of a row: "" without --group-by, "(none)" where the name lacks the field. */
static void group_of(const char *field, const char *name, char *group, size_t bytes)
{
  group[0] = 0;
  if (field && !case_field(name, field, group, bytes)) snprintf(group, bytes, "(none)");
}

static void words(const struct comparison *c, const struct comparison_notes *notes, const struct comparison_cell *cell,
                  char *text, size_t bytes)
{
  if (notes->foreign && (cell->verdict == VERDICT_FASTER || cell->verdict == VERDICT_SLOWER))
    snprintf(text, bytes, "takes %.1f %% %s", fabs(verdict_percent(cell->effect.estimate)),
             cell->verdict == VERDICT_SLOWER ? "longer" : "less");
  else
    verdict_text(cell->verdict, &cell->effect, c->margin, text, bytes);
}

enum { MOST_COLUMNS = 2 + 2 * COMPARISON_MAX_FILES + 6, CELL_BYTES = RESULTS_MAX_TEXT + 64 };
struct line {
  char text[MOST_COLUMNS][CELL_BYTES];
  int n;
};

static char *next_cell(struct line *line)
{
  line->text[line->n][0] = 0;
  return line->text[line->n++];
}

static void flush_line(struct grid_table *table, const struct line *line)
{
  const char *cells[MOST_COLUMNS];
  for (int i = 0; i < line->n; i++) cells[i] = line->text[i];
  grid_add(table, line->n, cells);
}

static void add_heading(struct grid_table *table, const struct comparison *c)
{
  struct line line = {.n = 0};
  strcpy(next_cell(&line), "<case");
  for (int f = 0; f < c->files; f++) strcpy(next_cell(&line), comparison_letter(f));
  for (int f = 1; f < c->files; f++) {
    snprintf(next_cell(&line), CELL_BYTES, "%s/A", comparison_letter(f));
    strcpy(next_cell(&line), "<verdict");
    if (c->files > 2) continue;
    strcpy(next_cell(&line), "interval of change");
    strcpy(next_cell(&line), "p");
    strcpy(next_cell(&line), "n");
  }
  flush_line(table, &line);
}

static void add_row(struct grid_table *table, const struct comparison *c, const struct comparison_notes *notes,
                    const struct comparison_row *row, bool full_names)
{
  struct line line = {.n = 0};
  const struct results_case *first = row->cell[0].c;
  if (full_names)
    snprintf(next_cell(&line), CELL_BYTES, "%s", row->name);
  else
    case_short(row->name, next_cell(&line), CELL_BYTES);
  for (int f = 0; f < c->files; f++) {
    const struct results_case *found = row->cell[f].c;
    if (found)
      duration_text(stats_median(found->time_ns, found->times), next_cell(&line), CELL_BYTES);
    else
      strcpy(next_cell(&line), "missing");
  }
  for (int f = 1; f < c->files; f++) {
    const struct comparison_cell *cell = &row->cell[f];
    const bool both = first && cell->c;
    char *ratio = next_cell(&line), *verdict = next_cell(&line);
    if (both) {
      snprintf(ratio, CELL_BYTES, "%.3f", exp(cell->effect.estimate));
      words(c, notes, cell, verdict, CELL_BYTES);
    } else
      strcpy(ratio, "-");
    if (c->files > 2) continue;
    char *interval = next_cell(&line), *p = next_cell(&line), *n = next_cell(&line);
    if (!both) continue;
    verdict_interval_text(&cell->effect, interval, CELL_BYTES);
    snprintf(p, CELL_BYTES, "%.2g", cell->p_family);
    snprintf(n, CELL_BYTES, "%d+%d", first->times, cell->c->times);
  }
  flush_line(table, &line);
}

/* The geometric mean over the rows of a group that every file has. */
static void add_mean(struct grid_table *table, const struct comparison *c, const char *field, const char *group)
{
  struct line line = {.n = 0};
  int n = 0, missing = 0;
  double sum[COMPARISON_MAX_FILES] = {0};
  for (int r = 0; r < c->rows; r++) {
    char of_row[CELL_BYTES];
    bool everywhere = true;
    group_of(field, c->row[r].name, of_row, sizeof of_row);
    if (group && strcmp(of_row, group)) continue;
    for (int f = 0; f < c->files; f++) everywhere &= c->row[r].cell[f].c != NULL;
    if (!everywhere) missing++;
    for (int f = 1; f < c->files && everywhere; f++) sum[f] += c->row[r].cell[f].effect.estimate;
    n += everywhere;
  }
  char *title = next_cell(&line);
  snprintf(title, CELL_BYTES, "geometric mean of %d", n);
  if (missing) snprintf(title + strlen(title), CELL_BYTES - strlen(title), "; %d missing in a file, left out", missing);
  for (int f = 0; f < c->files; f++) next_cell(&line);
  for (int f = 1; f < c->files; f++) {
    char *ratio = next_cell(&line);
    if (n) snprintf(ratio, CELL_BYTES, "%.3f", exp(sum[f] / n));
    if (!n) strcpy(ratio, "-");
    next_cell(&line);
  }
  flush_line(table, &line);
}

static void make_table(struct grid_table *table, const struct comparison *c, const struct comparison_notes *notes,
                       const char *field, bool full_names)
{
  char group[CELL_BYTES], of_row[CELL_BYTES];
  add_heading(table, c);
  for (int first = 0; first < c->rows; first++) { /* each group at its first row */
    bool shown = false;
    group_of(field, c->row[first].name, group, sizeof group);
    for (int r = 0; r < first && !shown; r++) {
      group_of(field, c->row[r].name, of_row, sizeof of_row);
      shown = !strcmp(of_row, group);
    }
    if (shown) continue;
    if (field) {
      char title[CELL_BYTES * 2];
      snprintf(title, sizeof title, "%s: %s", field, group);
      grid_add(table, 1, (const char *const[]){title});
    }
    for (int r = first; r < c->rows; r++) {
      group_of(field, c->row[r].name, of_row, sizeof of_row);
      if (!strcmp(of_row, group)) add_row(table, c, notes, &c->row[r], full_names);
    }
    if (field) add_mean(table, c, field, group);
  }
  if (field) grid_add(table, 1, (const char *const[]){"all"});
  add_mean(table, c, field, NULL);
}

static void print_legend(FILE *out, const struct comparison *c, enum grid_format format)
{
  const char *end = format == GRID_MARKDOWN ? "  \n" : "\n";
  for (int f = 0; f < c->files; f++) {
    const struct results *r = c->file[f];
    fprintf(out, "%s  %s", comparison_letter(f), r->path);
    if (*r->date) fprintf(out, ", %s", r->date);
    if (*r->commit) fprintf(out, ", commit %s", r->commit);
    if (*r->cpu) fprintf(out, ", %s", r->cpu);
    if (*r->host) fprintf(out, ", %s", r->host);
    if (r->left_out) fprintf(out, "; %d rows in it have no time", r->left_out);
    fputs(end, out);
  }
}

void comparison_print(FILE *out, const struct comparison *c, const struct comparison_notes *notes, const char *group,
                      enum grid_format format)
{
  struct grid_table table = {0};
  make_table(&table, c, notes, group, format != GRID_TEXT);
  if (format != GRID_CSV) {
    print_legend(out, c, format);
    if (*notes->text) fprintf(out, "\n%s", notes->text);
    fputc('\n', out);
  }
  if (!grid_print(out, &table, format)) fputs("no memory for the table\n", stderr);
  if (format != GRID_CSV)
    fprintf(out,
            "\nTimes are medians; %s/A is the median ratio of times, above 1 is slower. %d test%s, together at most %g "
            "%% chance of a false faster or slower.\n",
            c->files > 2 ? "x" : "B", c->tests, c->tests == 1 ? "" : "s", 100 * c->alpha);
  grid_free(&table);
}

static void put_real(json_t *object, const char *key, double value)
{
  if (isfinite(value)) json_object_set_new(object, key, json_real(value));
}

static json_t *json_cell(const struct comparison *c, const struct comparison_row *row, int f)
{
  static const char *const methods[] = {"auto", "exact", "normal", "none"};
  const struct comparison_cell *cell = &row->cell[f];
  json_t *object = json_object();
  json_object_set_new(object, "file", json_integer(f));
  if (!cell->c) return object;
  put_real(object, "median_ns", stats_median(cell->c->time_ns, cell->c->times));
  json_object_set_new(object, "n", json_integer(cell->c->times));
  if (f == 0 || !row->cell[0].c) return object;
  put_real(object, "ratio", exp(cell->effect.estimate));
  put_real(object, "ratio_low", exp(cell->effect.low));
  put_real(object, "ratio_high", exp(cell->effect.high));
  put_real(object, "p", cell->p);
  put_real(object, "p_family", cell->p_family);
  json_object_set_new(object, "method", json_string(methods[cell->method]));
  json_object_set_new(object, "verdict", json_string(verdict_name(cell->verdict)));
  put_real(object, "margin", c->margin);
  return object;
}

bool comparison_write_json(FILE *out, const struct comparison *c, const struct comparison_notes *notes)
{
  json_t *root = json_object(), *files = json_array(), *rows = json_array();
  for (int f = 0; f < c->files; f++) {
    const struct results *r = c->file[f];
    json_t *file = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "path", r->path, "date", r->date, "host_name", r->host,
                             "cpu_model", r->cpu, "commit", r->commit, "method_version", r->method);
    if (f && file) put_real(file, "geometric_mean_ratio", c->mean_ratio[f]);
    json_array_append_new(files, file);
  }
  for (int r = 0; r < c->rows; r++) {
    json_t *row = json_pack("{s:s, s:[]}", "name", c->row[r].name, "files");
    for (int f = 0; f < c->files; f++) json_array_append_new(json_object_get(row, "files"), json_cell(c, &c->row[r], f));
    json_array_append_new(rows, row);
  }
  json_object_set_new(root, "different_machines", json_boolean(notes->foreign));
  put_real(root, "alpha", c->alpha);
  json_object_set_new(root, "files", files);
  json_object_set_new(root, "cases", rows);
  const bool ok = json_object_size(root) >= 4 && json_array_size(files) == (size_t)c->files &&
                  json_array_size(rows) == (size_t)c->rows &&
                  !json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) && fputc('\n', out) != EOF;
  json_decref(root);
  return ok;
}
