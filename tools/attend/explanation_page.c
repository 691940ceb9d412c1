/* The page and the picture: one file each, without script and without anything from elsewhere. */
#include "explanation.h"

#include <math.h>
#include <string.h>

static void escape(FILE *out, const char *text)
{
  for (; *text; text++) switch (*text) {
    case '&': fputs("&amp;", out); break;
    case '<': fputs("&lt;", out); break;
    case '>': fputs("&gt;", out); break;
    case '"': fputs("&quot;", out); break;
    default: fputc(*text, out);
    }
}

static const char *heading(const struct explanation *e) { return e->head_names ? e->head_names[e->head] : ""; }

/* Both themes shade with one colour, mixed into the background; text on strong cells takes the other colour. */
static const char style[] =
    ":root{color-scheme:light "
    "dark;--back:#fff;--text:#1a1a1a;--faint:#5c5c5c;--line:#d0d0d0;--heat:11,87,164;--strong:#fff}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14161a;--text:#e8e8e8;--faint:#a8a8a8;--line:#3a3d44;"
    "--heat:255,179,71;--strong:#14161a}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;background:var(--back);color:var(--text);max-width:70rem;margin:2rem auto;"
    "padding:0 1rem}\n"
    ".wide{overflow-x:auto}\ntable{border-collapse:collapse;margin:.5rem 0 1.5rem;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;color:var(--faint);padding:.3rem 0}\n"
    "th,td{padding:.3rem .6rem;border:1px solid var(--line);text-align:right;font-weight:400}\n"
    "thead th,tbody th{text-align:left;font-weight:600}td.k{text-align:left}\n"
    ".heat td{background:rgba(var(--heat),var(--w));text-align:center}\n.heat td.s{color:var(--strong)}\n"
    "p.about{color:var(--faint)}\n";

static void write_heat(FILE *out, const struct explanation *e, const struct attention_heat *heat)
{
  char name[512], number[EXPLANATION_NUMBER_BYTES];
  const double peak = explanation_peak(heat);
  const bool coarse = heat->rows < heat->queries || heat->columns < heat->keys;
  fprintf(out,
          "<div class=\"wide\"><table class=\"heat\" id=\"weights\"><caption>Attention of each query (row) to each key "
          "(column)%s</caption>\n<thead><tr><th scope=\"col\">query</th>",
          coarse ? "; a cell is the attention of its queries, on average, to all of its keys" : "");
  for (int64_t c = 0; c < heat->columns; c++) {
    fputs("<th scope=\"col\">", out);
    escape(out, explanation_name(e->key, heat->keys, heat->columns, c, name, sizeof name));
    fputs("</th>", out);
  }
  fputs("</tr></thead><tbody>\n", out);
  for (int64_t r = 0; r < heat->rows; r++) {
    fputs("<tr><th scope=\"row\">", out);
    escape(out, explanation_name(e->query, heat->queries, heat->rows, r, name, sizeof name));
    fputs("</th>", out);
    for (int64_t c = 0; c < heat->columns; c++) {
      const double w = heat->cell[r * heat->columns + c], share = isnan(w) ? 0 : w / peak;
      fprintf(out, "<td%s style=\"--w:%.3f\">%s</td>", share > 0.6 ? " class=\"s\"" : "",
              isnan(w) ? 0
              : w < 1  ? w
                       : 1,
              explanation_number(w, number));
    }
    fputs("</tr>\n", out);
  }
  fputs("</tbody></table></div>\n", out);
}

static void write_queries(FILE *out, const struct explanation *e)
{
  enum { MOST = 1000 };
  const struct attention_stats *s = e->stats;
  char number[EXPLANATION_NUMBER_BYTES];
  fputs(
      "<h2>Queries</h2>\n<table id=\"queries\"><caption>Entropy in bits, and the keys with the largest weights</caption>\n"
      "<thead><tr><th scope=\"col\">query</th><th scope=\"col\">entropy</th><th scope=\"col\">strongest "
      "keys</th></tr></thead><tbody>\n",
      out);
  for (int64_t i = 0; i < s->queries && i < MOST; i++) {
    fputs("<tr><th scope=\"row\">", out);
    escape(out, e->query->text[i]);
    fprintf(out, "</th><td>%s</td><td class=\"k\">", explanation_number(s->entropy[i], number));
    for (int n = 0; n < s->top && s->strongest[i * s->top + n] >= 0; n++) {
      fputs(n ? ", " : "", out);
      escape(out, e->key->text[s->strongest[i * s->top + n]]);
      fprintf(out, " %s", explanation_number(s->weight[i * s->top + n], number));
    }
    fputs(s->top && s->strongest[i * s->top] < 0 ? "(sees no key)</td></tr>\n" : "</td></tr>\n", out);
  }
  fputs("</tbody></table>\n", out);
  if (s->queries > MOST) fprintf(out, "<p>The first %d of %lld queries.</p>\n", MOST, (long long)s->queries);
}

static void write_receivers(FILE *out, const struct explanation *e)
{
  int64_t keys[EXPLANATION_MOST_RECEIVERS];
  const int n = explanation_receivers(e->stats, keys, EXPLANATION_MOST_RECEIVERS);
  char number[EXPLANATION_NUMBER_BYTES];
  fprintf(out,
          "<h2>Keys</h2>\n<table id=\"received\"><caption>Attention received, from all queries (%lld see a key)</caption>\n"
          "<thead><tr><th scope=\"col\">key</th><th scope=\"col\">number</th><th scope=\"col\">received</th></tr></thead>"
          "<tbody>\n",
          (long long)(e->stats->queries - e->stats->blind));
  for (int i = 0; i < n; i++) {
    fputs("<tr><th scope=\"row\">", out);
    escape(out, e->key->text[keys[i]]);
    fprintf(out, "</th><td>%lld</td><td>%s</td></tr>\n", (long long)keys[i],
            explanation_number(e->stats->received[keys[i]], number));
  }
  fputs("</tbody></table>\n", out);
}

static void write_heads(FILE *out, const struct explanation *e)
{
  char number[EXPLANATION_NUMBER_BYTES];
  fputs(
      "<h2>Heads</h2>\n<table id=\"heads\"><caption>Mean entropy in bits; 2 to that power is the number of keys over which "
      "it would be spread evenly</caption>\n<thead><tr><th scope=\"col\">head</th><th scope=\"col\">mean entropy</th><th "
      "scope=\"col\">as if over keys</th></tr></thead><tbody>\n",
      out);
  for (int64_t h = 0; h < e->heads; h++) {
    fprintf(out, "<tr><th scope=\"row\">%lld%s", (long long)h, e->head_names ? " " : "");
    if (e->head_names) escape(out, e->head_names[h]);
    fprintf(out, "</th><td>%s</td>", explanation_number(e->head_entropy[h], number));
    fprintf(out, "<td>%s</td></tr>\n", explanation_number(exp2(e->head_entropy[h]), number));
  }
  fputs("</tbody></table>\n", out);
}

void explanation_write_html(FILE *out, const struct explanation *e, const struct attention_heat *heat)
{
  fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
        "data:\">\n<meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\n<title>",
        out);
  escape(out, e->title);
  fprintf(out, "</title>\n<style>\n%s</style></head><body><main>\n<h1>", style);
  escape(out, e->title);
  fprintf(out, "</h1>\n<p class=\"about\">Batch %lld, head %lld of %lld%s", (long long)e->batch, (long long)e->head,
          (long long)e->heads, e->head_names ? ": " : "");
  escape(out, heading(e));
  fputs("; ", out);
  escape(out, e->about);
  fputs("</p>\n", out);
  write_heat(out, e, heat);
  write_queries(out, e);
  write_receivers(out, e);
  write_heads(out, e);
  if (*e->check) {
    fputs("<p class=\"about\">", out);
    escape(out, e->check);
    fputs("</p>\n", out);
  }
  fputs("</main></body></html>\n", out);
}

void explanation_write_svg(FILE *out, const struct explanation *e, const struct attention_heat *heat)
{
  enum { LEFT = 130, TOP = 130, MARGIN = 20, LABELLED = 64 };
  const double peak = explanation_peak(heat);
  const bool labelled = heat->rows <= LABELLED && heat->columns <= LABELLED, numbered = heat->columns <= 16;
  const int64_t cell = numbered ? 56 : labelled ? 20 : 5;
  const int64_t width = LEFT + heat->columns * cell + MARGIN, height = TOP + heat->rows * cell + MARGIN;
  char name[512], other[512], fitted[256], number[EXPLANATION_NUMBER_BYTES];
  fprintf(out,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %lld %lld\" width=\"%lld\" height=\"%lld\" role=\"img\" "
          "aria-labelledby=\"title about\">\n<title id=\"title\">",
          (long long)width, (long long)height, (long long)width, (long long)height);
  escape(out, e->title);
  fprintf(
      out,
      "</title>\n<desc id=\"about\">Attention of each query (row) to each key (column); batch %lld, head %lld of %lld; ",
      (long long)e->batch, (long long)e->head, (long long)e->heads);
  escape(out, e->about);
  fputs("</desc>\n<style>svg{color-scheme:light dark;background:#fff;--h:#0b57a4;--t:#1a1a1a;--s:#fff;--l:#d0d0d0}"
        "text{font:13px system-ui,sans-serif;fill:var(--t)}.r{fill:var(--h);stroke:var(--l);stroke-opacity:1}"
        ".n{text-anchor:middle}.n.s{fill:var(--s)}"
        "@media(prefers-color-scheme:dark){svg{background:#14161a;--h:#ffb347;--t:#e8e8e8;--s:#14161a;--l:#3a3d44}}</"
        "style>\n",
        out);
  fprintf(out, "<text x=\"%d\" y=\"24\" font-weight=\"600\">", MARGIN);
  escape(out, tokens_fit(e->title, 60, fitted, sizeof fitted));
  fprintf(out, "</text>\n<text x=\"%d\" y=\"44\">batch %lld, head %lld%s", MARGIN, (long long)e->batch, (long long)e->head,
          e->head_names ? ": " : "");
  escape(out, heading(e));
  fputs("</text>\n", out);
  for (int64_t c = 0; c < heat->columns && labelled; c++) {
    const long long x = (long long)(LEFT + c * cell + cell / 2 + 4);
    fprintf(out, "<text transform=\"translate(%lld %d) rotate(-60)\">", x, TOP - 8);
    explanation_name(e->key, heat->keys, heat->columns, c, name, sizeof name);
    escape(out, tokens_fit(name, tokens_width(name) < 12 ? tokens_width(name) : 12, fitted, sizeof fitted));
    fputs("</text>\n", out);
  }
  for (int64_t r = 0; r < heat->rows; r++) {
    const long long y = (long long)(TOP + r * cell);
    explanation_name(e->query, heat->queries, heat->rows, r, name, sizeof name);
    if (labelled) {
      fprintf(out, "<text x=\"%d\" y=\"%lld\" text-anchor=\"end\">", LEFT - 8, y + (long long)cell / 2 + 5);
      escape(out, tokens_fit(name, tokens_width(name) < 14 ? tokens_width(name) : 14, fitted, sizeof fitted));
      fputs("</text>\n", out);
    }
    for (int64_t c = 0; c < heat->columns; c++) {
      const double w = heat->cell[r * heat->columns + c], share = isnan(w) ? 0 : w / peak;
      const long long x = (long long)(LEFT + c * cell);
      fprintf(out, "<g><title>");
      escape(out, name);
      fputs(" to ", out);
      escape(out, explanation_name(e->key, heat->keys, heat->columns, c, other, sizeof other));
      fprintf(out,
              ": %s</title><rect class=\"r\" x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%lld\" fill-opacity=\"%.3f\"/>",
              explanation_number(w, number), x, y, (long long)cell, (long long)cell,
              isnan(w) ? 0
              : w < 1  ? w
                       : 1);
      if (numbered)
        fprintf(out, "<text class=\"n%s\" x=\"%lld\" y=\"%lld\">%s</text>", share > 0.6 ? " s" : "",
                x + (long long)cell / 2, y + (long long)cell / 2 + 5, number);
      fputs("</g>\n", out);
    }
  }
  fputs("</svg>\n", out);
}
