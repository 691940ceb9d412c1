#include "report_assets.h"

#include <string.h>

/* The assembler reads the files, so that they are the same bytes in every build, for every architecture. The NUL keeps an
 * empty file from being none at all. */
#define ASSET(symbol, file)                                                                                                \
  __asm__(".pushsection .rodata\n" #symbol ":\n.incbin \"" file "\"\n" #symbol "_end:\n.byte 0\n.popsection\n");           \
  extern const char symbol[] __attribute__((visibility("hidden"))), symbol##_end[] __attribute__((visibility("hidden")));
ASSET(report_page_html, "page.html")
ASSET(report_page_css, "page.css")
ASSET(report_page_js, "page.js")
ASSET(report_chart_js, "chart.js")

static const struct {
  const char *name, *begin, *end;
} assets[] = {{"page.html", report_page_html, report_page_html_end},
              {"page.css", report_page_css, report_page_css_end},
              {"page.js", report_page_js, report_page_js_end},
              {"chart.js", report_chart_js, report_chart_js_end}};

bool report_asset_write(FILE *out, const char *name)
{
  for (size_t i = 0; i < sizeof assets / sizeof *assets; i++) {
    const size_t bytes = (size_t)(assets[i].end - assets[i].begin);
    if (strcmp(assets[i].name, name) || !bytes) continue;
    fwrite(assets[i].begin, 1, bytes, out);
    return true;
  }
  return false;
}

bool report_has_charts(void) { return report_chart_js_end - report_chart_js > 0; }
