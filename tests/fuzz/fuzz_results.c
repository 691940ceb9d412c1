/* Files of results: what is accepted can be compared with itself, without a difference. */
#include "fuzz.h"

#include "../../tools/compare/comparison.h"

#include <math.h>

static void check(const struct results *r)
{
  for (int i = 0; i < r->count; i++) {
    const struct results_case *c = &r->c[i];
    REQUIRE(c->name && c->label && c->times > 0 && results_find(r, c->name) == c);
    require_message(c->name);
    for (int n = 0; n < c->times; n++) REQUIRE(isfinite(c->time_ns[n]) && c->time_ns[n] > 0);
  }
  char text[1024];
  REQUIRE(!results_machine_differs(r, r, text, sizeof text));
  if (r->count > 50) return;
  struct comparison c = {.file = {r, r}, .files = 2, .alpha = 0.05, .margin = 0.02};
  REQUIRE(comparison_make(&c, NULL, NULL));
  REQUIRE(c.rows == r->count && c.common == r->count);
  for (int i = 0; i < c.rows; i++)
    REQUIRE(c.row[i].cell[1].verdict != VERDICT_SLOWER && c.row[i].cell[1].verdict != VERDICT_FASTER);
  comparison_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct results r;
  char *text = text_of(data, size), error[1024] = "";
  if (results_parse(&r, "fuzz.json", text, size, error, sizeof error)) {
    check(&r);
    results_free(&r);
  } else {
    require_message(error);
    REQUIRE(!r.c && !r.path);
  }
  free(text);
  return 0;
}
