#include "grid_table.h"

#include <stdlib.h>
#include <string.h>

void grid_add(struct grid_table *table, int columns, const char *const *cells)
{
  if (table->failed) return;
  if (!table->columns) table->columns = columns;
  const size_t width = (size_t)table->columns;
  char **larger = realloc(table->cell, (size_t)(table->rows + 1) * width * sizeof *larger);
  if (!larger) {
    table->failed = true;
    return;
  }
  table->cell = larger;
  for (size_t i = 0; i < width; i++) {
    char **cell = &table->cell[(size_t)table->rows * width + i];
    *cell = strdup((int)i < columns && cells[i] ? cells[i] : "");
    table->failed |= !*cell;
  }
  table->rows++;
}

static const char *cell_of(const struct grid_table *t, int row, int column)
{
  return t->cell[(size_t)row * (size_t)t->columns + (size_t)column];
}

static bool is_left(const struct grid_table *t, int column) { return cell_of(t, 0, column)[0] == '<'; }

static const char *text_of(const struct grid_table *t, int row, int column)
{
  return cell_of(t, row, column) + (row == 0 && is_left(t, column));
}

static bool is_title(const struct grid_table *t, int row)
{
  for (int c = 1; c < t->columns; c++)
    if (*cell_of(t, row, c)) return false;
  return row > 0 && t->columns > 1;
}

/* Characters of UTF-8. */
static int width_of(const char *text)
{
  int width = 0;
  for (; *text; text++) width += (*text & 0xc0) != 0x80;
  return width;
}

static void pad(FILE *out, int n)
{
  for (; n > 0; n--) fputc(' ', out);
}

static void print_text(FILE *out, const struct grid_table *t)
{
  int *width = calloc((size_t)t->columns, sizeof *width);
  for (int r = 0; width && r < t->rows; r++)
    for (int c = 0; c < t->columns && !is_title(t, r); c++)
      if (width_of(text_of(t, r, c)) > width[c]) width[c] = width_of(text_of(t, r, c));
  for (int r = 0; r < t->rows; r++) {
    for (int c = 0; c < t->columns; c++) {
      const char *text = text_of(t, r, c);
      const int missing = width && !is_title(t, r) ? width[c] - width_of(text) : 0;
      const bool last = c + 1 == t->columns || is_title(t, r);
      if (!is_left(t, c)) pad(out, missing);
      fputs(text, out);
      if (last) break;
      if (is_left(t, c)) pad(out, missing);
      fputs("  ", out);
    }
    fputc('\n', out);
  }
  free(width);
}

/* What Markdown would take for a column or for markup of its own. */
static void print_escaped(FILE *out, const char *text)
{
  for (; *text; text++) {
    if (strchr("|\\`*_<>[]", *text)) fputc('\\', out);
    fputc(*text, out);
  }
}

static void print_markdown(FILE *out, const struct grid_table *t)
{
  for (int r = 0; r < t->rows; r++) {
    fputc('|', out);
    for (int c = 0; c < t->columns; c++) {
      fputc(' ', out);
      if (is_title(t, r) && c == 0) fputs("**", out);
      print_escaped(out, text_of(t, r, c));
      if (is_title(t, r) && c == 0) fputs("**", out);
      fputs(" |", out);
    }
    fputc('\n', out);
    if (r) continue;
    fputc('|', out);
    for (int c = 0; c < t->columns; c++) fputs(is_left(t, c) ? ":--|" : "--:|", out);
    fputc('\n', out);
  }
}

void csv_print(FILE *out, const char *text)
{
  const bool quoted = text[strcspn(text, ",\"\n\r")];
  if (quoted) fputc('"', out);
  for (; *text; text++) {
    if (*text == '"') fputc('"', out);
    fputc(*text, out);
  }
  if (quoted) fputc('"', out);
}

static void print_csv(FILE *out, const struct grid_table *t)
{
  for (int r = 0; r < t->rows; r++) {
    if (is_title(t, r)) continue;
    for (int c = 0; c < t->columns; c++) {
      if (c) fputc(',', out);
      csv_print(out, text_of(t, r, c));
    }
    fputc('\n', out);
  }
}

bool grid_print(FILE *out, const struct grid_table *t, enum grid_format format)
{
  if (t->failed) return false;
  switch (format) {
  case GRID_TEXT: print_text(out, t); break;
  case GRID_MARKDOWN: print_markdown(out, t); break;
  case GRID_CSV: print_csv(out, t); break;
  }
  return true;
}

void grid_free(struct grid_table *t)
{
  for (int i = 0; t->cell && i < t->rows * t->columns; i++) free(t->cell[i]);
  free(t->cell);
  *t = (struct grid_table){0};
}
