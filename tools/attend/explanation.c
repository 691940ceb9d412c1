#include "explanation.h"

#include <math.h>
#include <string.h>

enum { LEAST_NAME = 8, MOST_NAME = 14, NUMBER_CELL = 7, LEVELS = 5 };

/* Shades of a cell, relative to the strongest one. */
static const double level_from[LEVELS] = {0, 0.05, 0.25, 0.5, 0.75};
static const char *const unicode_shade[LEVELS] = {" ", "\u2591", "\u2592", "\u2593", "\u2588"};
static const char *const ascii_shade[LEVELS] = {" ", ".", "+", "#", "@"};
static const int colour_of[LEVELS] = {238, 25, 32, 214, 202};

static int level_of(double share)
{
  int level = 0;
  while (level + 1 < LEVELS && share >= level_from[level + 1]) level++;
  return level;
}

double explanation_peak(const struct attention_heat *heat)
{
  double peak = 0;
  for (int64_t i = 0; i < heat->rows * heat->columns; i++)
    if (heat->cell[i] > peak) peak = heat->cell[i];
  return peak > 0 ? peak : 1;
}

char *explanation_number(double value, char *buffer)
{
  snprintf(buffer, EXPLANATION_NUMBER_BYTES, isnan(value) ? "nan" : "%.2f", value);
  return buffer;
}

char *explanation_name(const struct tokens *tokens, int64_t of, int64_t cells, int64_t index, char *buffer, size_t bytes)
{
  const int64_t begin = attention_heat_begin(of, cells, index), end = attention_heat_begin(of, cells, index + 1);
  if (end - begin == 1)
    snprintf(buffer, bytes, "%s", tokens->text[begin]);
  else
    snprintf(buffer, bytes, "%lld-%lld", (long long)begin, (long long)end - 1);
  return buffer;
}

int explanation_receivers(const struct attention_stats *s, int64_t *keys, int n)
{
  int found = 0;
  for (int64_t j = 0; j < s->keys; j++) {
    if (!(s->received[j] > 0)) continue;
    int at = found < n ? found++ : n;
    while (at > 0 && s->received[keys[at - 1]] < s->received[j]) {
      if (at < n) keys[at] = keys[at - 1];
      at--;
    }
    if (at < n) keys[at] = j;
  }
  return found;
}

static int name_columns(const struct explanation *e)
{
  int most = LEAST_NAME;
  for (int64_t i = 0; i < e->query->count && i < EXPLANATION_MOST_LISTED; i++) {
    const int width = tokens_width(e->query->text[i]);
    if (width > most) most = width;
  }
  return most < MOST_NAME ? most : MOST_NAME;
}

int64_t explanation_most_columns(const struct explanation *e) { return EXPLANATION_COLUMNS - name_columns(e) - 2; }

static void print_shade(FILE *out, double share, int times, const struct explanation_style *style)
{
  const int level = level_of(share);
  if (style->colour) fprintf(out, "\033[38;5;%dm", colour_of[level]);
  for (int i = 0; i < times; i++) fputs(isnan(share) ? "?" : (style->ascii ? ascii_shade : unicode_shade)[level], out);
  if (style->colour) fputs("\033[0m", out);
}

/* Above the cells: the keys' names where they fit, otherwise their numbers, downwards. */
static void print_head(FILE *out, const struct explanation *e, const struct attention_heat *heat, int names, int cell)
{
  char name[128], fitted[256];
  if (cell == NUMBER_CELL) {
    fprintf(out, "%*s", names + 1, "");
    for (int64_t c = 0; c < heat->columns; c++)
      fprintf(out, " %s",
              tokens_fit(explanation_name(e->key, heat->keys, heat->columns, c, name, sizeof name), cell - 1, fitted,
                         sizeof fitted));
    fputc('\n', out);
    return;
  }
  if (heat->columns > 0 && heat->columns < heat->keys) {
    fprintf(out, "%*s a column: %lld to %lld of the keys 0-%lld\n", names, "", (long long)(heat->keys / heat->columns),
            (long long)((heat->keys - 1) / heat->columns + 1), (long long)heat->keys - 1);
    return;
  }
  for (int64_t power = heat->keys > 100 ? 100 : heat->keys > 10 ? 10 : 1; power; power /= 10) {
    fprintf(out, "%*s", names + 2, power == 1 ? "key  " : "");
    for (int64_t c = 0; c < heat->columns; c++)
      fprintf(out, "%c%*s", c >= power || power == 1 ? (char)('0' + c / power % 10) : ' ', cell - 1, "");
    fputc('\n', out);
  }
}

static void print_heat(FILE *out, const struct explanation *e, const struct attention_heat *heat,
                       const struct explanation_style *style)
{
  const int names = name_columns(e), room = EXPLANATION_COLUMNS - names - 2;
  int cell = heat->columns ? room / (int)heat->columns : 1;
  const double peak = explanation_peak(heat);
  char name[128], fitted[256], number[EXPLANATION_NUMBER_BYTES];
  if (cell >= NUMBER_CELL)
    cell = NUMBER_CELL;
  else if (cell > 2)
    cell = 2;
  print_head(out, e, heat, names, cell);
  for (int64_t r = 0; r < heat->rows; r++) {
    fprintf(out, "%s  ",
            tokens_fit(explanation_name(e->query, heat->queries, heat->rows, r, name, sizeof name), names, fitted,
                       sizeof fitted));
    for (int64_t c = 0; c < heat->columns; c++) {
      const double w = heat->cell[r * heat->columns + c];
      print_shade(out, w / peak, cell == NUMBER_CELL ? 2 : cell, style);
      if (cell == NUMBER_CELL) fprintf(out, "%-5s", explanation_number(w, number));
    }
    fputc('\n', out);
  }
  if (heat->rows < heat->queries || heat->columns < heat->keys)
    fputs("A cell is the attention of its queries, on average, to all of its keys.\n", out);
  fputs("Shades: ", out);
  for (int i = 1; i < LEVELS; i++) {
    print_shade(out, level_from[i], 2, style);
    fprintf(out, " from %.2g%s", level_from[i] * peak, i + 1 < LEVELS ? ", " : "\n");
  }
}

static void print_queries(FILE *out, const struct explanation *e)
{
  const struct attention_stats *s = e->stats;
  const int names = name_columns(e);
  char fitted[256], number[EXPLANATION_NUMBER_BYTES];
  fprintf(out, "\n%-*s  entropy  strongest keys\n", names, "query");
  for (int64_t i = 0; i < s->queries && i < EXPLANATION_MOST_LISTED; i++) {
    fprintf(out, "%s  %7s ", tokens_fit(e->query->text[i], names, fitted, sizeof fitted),
            explanation_number(s->entropy[i], number));
    for (int n = 0; n < s->top && s->strongest[i * s->top + n] >= 0; n++) {
      const char *token = e->key->text[s->strongest[i * s->top + n]];
      const int width = tokens_width(token) < MOST_NAME ? tokens_width(token) : MOST_NAME;
      fprintf(out, "%s %s %s", n ? "," : "", tokens_fit(token, width, fitted, sizeof fitted),
              explanation_number(s->weight[i * s->top + n], number));
    }
    if (s->top && s->strongest[i * s->top] < 0) fputs(" (sees no key)", out);
    fputc('\n', out);
  }
  if (s->queries > EXPLANATION_MOST_LISTED)
    fprintf(out, "(the first %d of %lld queries; --html lists more)\n", EXPLANATION_MOST_LISTED, (long long)s->queries);
}

static void print_receivers(FILE *out, const struct explanation *e)
{
  int64_t keys[EXPLANATION_MOST_RECEIVERS];
  const int n = explanation_receivers(e->stats, keys, EXPLANATION_MOST_RECEIVERS);
  char fitted[256], number[EXPLANATION_NUMBER_BYTES];
  fprintf(out, "\nattention received, from all queries (%lld see a key):\n",
          (long long)(e->stats->queries - e->stats->blind));
  for (int i = 0; i < n; i++)
    fprintf(out, "  %s %5lld  %s\n", tokens_fit(e->key->text[keys[i]], MOST_NAME, fitted, sizeof fitted),
            (long long)keys[i], explanation_number(e->stats->received[keys[i]], number));
}

static void print_heads(FILE *out, const struct explanation *e)
{
  char number[EXPLANATION_NUMBER_BYTES], keys[EXPLANATION_NUMBER_BYTES];
  fputs("\nhead  mean entropy  as if over\n", out);
  for (int64_t h = 0; h < e->heads; h++)
    fprintf(out, "%4lld  %7s bits  %s keys%s%s%s\n", (long long)h, explanation_number(e->head_entropy[h], number),
            explanation_number(exp2(e->head_entropy[h]), keys), e->head_names ? "  " : "",
            e->head_names ? e->head_names[h] : "", h == e->head ? "  (shown)" : "");
}

void explanation_print(FILE *out, const struct explanation *e, const struct attention_heat *heat,
                       const struct explanation_style *style)
{
  fprintf(out, "%s\nbatch %lld, head %lld of %lld%s%s\n%s\n\n", e->title, (long long)e->batch, (long long)e->head,
          (long long)e->heads, e->head_names ? ": " : "", e->head_names ? e->head_names[e->head] : "", e->about);
  print_heat(out, e, heat, style);
  print_queries(out, e);
  print_receivers(out, e);
  print_heads(out, e);
  if (*e->check) fprintf(out, "\n%s\n", e->check);
}
