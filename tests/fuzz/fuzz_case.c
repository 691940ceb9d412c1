/* Names of cases: what is accepted prints as a name that means the same. */
#include "fuzz.h"

#include "../../bench/case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *text = text_of(data, size), error[256] = "", name[BENCH_CASE_NAME_BYTES], again[BENCH_CASE_NAME_BYTES];
  struct bench_case c, c2;
  if (bench_case_parse(&c, text, error, sizeof error)) {
    bench_case_print(&c, name);
    REQUIRE(bench_case_parse(&c2, name, error, sizeof error) && bench_case_equal(&c, &c2));
    REQUIRE(!strcmp(bench_case_print(&c2, again), name));
    REQUIRE(!strncmp(text, name, strlen(name))); /* only /real_time may follow */
    REQUIRE(*bench_shape_describe(&c.shape, again, sizeof again));
    const attn_desc d = bench_shape_desc(&c.shape);
    REQUIRE(d.B == c.shape.B && d.Dv == c.shape.Dv);
  } else {
    REQUIRE(*error);
  }
  free(text);
  return 0;
}
