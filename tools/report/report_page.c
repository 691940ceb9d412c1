#include "report_page.h"

#include "report_assets.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

void report_warn(struct report_warnings *warnings, const char *format, ...)
{
  va_list args;
  const size_t used = strlen(warnings->text);
  va_start(args, format);
  vsnprintf(warnings->text + used, sizeof warnings->text - used, format, args);
  va_end(args);
}

/* JSON within <script>: of ASCII only, and with no character that HTML could take for the end of it. All of these can
 * stand in strings only, where the escape means the same. */
static int write_escaped(const char *text, size_t bytes, void *out)
{
  for (size_t i = 0; i < bytes; i++)
    if (strchr("<>&'", text[i]) && text[i])
      fprintf(out, "\\u%04x", (unsigned)text[i]);
    else
      putc(text[i], out);
  return 0; /* errors of the stream are found when the file is closed */
}

/* A number used once: scripts and styles that bear it were put here by this program, others do not run. */
static bool make_nonce(char nonce[33], struct complaint *why)
{
  unsigned char bytes[16];
  if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes) return complain(why, "no random bytes: %s", strerror(errno));
  for (size_t i = 0; i < sizeof bytes; i++) snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
  return true;
}

static void write_script(FILE *out, const char *nonce, const char *asset)
{
  fprintf(out, "<script nonce=\"%s\">\n", nonce);
  report_asset_write(out, asset);
  fputs("</script>\n", out);
}

bool report_page_write(FILE *out, const struct report *report, struct report_warnings *warnings, struct complaint *why)
{
  char nonce[33];
  if (!make_nonce(nonce, why)) return false;
  json_t *data = report_data(report, warnings);
  if (!data) return complain(why, "no memory for the page");
  fprintf(out,
          "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'nonce-%s'; style-src "
          "'nonce-%s'; img-src data:; base-uri 'none'; form-action 'none'\">\n<style nonce=\"%s\">\n",
          nonce, nonce, nonce);
  report_asset_write(out, "page.css");
  fputs("</style>\n", out);
  report_asset_write(out, "page.html");
  fputs("<script type=\"application/json\" id=\"data\">", out);
  const bool written =
      !json_dump_callback(data, write_escaped, out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(8));
  fputs("</script>\n", out);
  write_script(out, nonce, "chart.js");
  write_script(out, nonce, "page.js");
  fputs("</body>\n</html>\n", out);
  json_decref(data);
  return written || complain(why, "no memory for the page");
}
