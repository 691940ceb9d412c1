/* JUnit XML: a test for each case, passed with its median time; wrong results have failed, what was left out is skipped. */
#include "export.h"

#include "../xml_text.h"

#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static bool is_wrong(const json_t *entry) { return !strcmp(text_of(entry, "state"), "wrong"); }

bool export_junit(FILE *out, const struct results *r, struct complaint *why)
{
  const json_t *left = json_object_get(r->rest, "left_out");
  const int rows = (int)json_array_size(left);
  int wrong = 0;
  double seconds = 0;
  (void)why;
  for (int i = 0; i < rows; i++) wrong += is_wrong(json_array_get(left, (size_t)i));
  for (int i = 0; i < r->count; i++) seconds += export_median(&r->c[i]).estimate * 1e-9;
  fprintf(out,
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"attnbench\" tests=\"%d\" "
          "failures=\"%d\" errors=\"0\" skipped=\"%d\" time=\"%.9f\" hostname=\"",
          r->count + rows, wrong, rows - wrong, seconds);
  xml_print(out, r->host);
  fputs("\">\n", out);
  for (int i = 0; i < r->count; i++) {
    fputs("<testcase classname=\"attnbench\" name=\"", out);
    xml_print(out, r->c[i].name);
    fprintf(out, "\" time=\"%.9f\"/>\n", export_median(&r->c[i]).estimate * 1e-9);
  }
  for (int i = 0; i < rows; i++) {
    const json_t *entry = json_array_get(left, (size_t)i);
    fputs("<testcase classname=\"attnbench\" name=\"", out);
    xml_print(out, text_of(entry, "name"));
    fprintf(out, "\"><%s message=\"", is_wrong(entry) ? "failure" : "skipped");
    xml_print(out, text_of(entry, "reason"));
    fputs("\"/></testcase>\n", out);
  }
  fputs("</testsuite>\n</testsuites>\n", out);
  return true;
}
