#include "case_text.h"

#include "../bench/case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *case_short(const char *name, char *text, size_t bytes)
{
  struct bench_case c;
  char shape[96], why[256];
  if (!bench_case_parse(&c, name, why, sizeof why))
    snprintf(text, bytes, "%s", name);
  else
    snprintf(text, bytes, "%s %s %s T%d", c.kernel, bench_dtype_name(c.shape.dtype),
             bench_shape_describe(&c.shape, shape, sizeof shape), c.threads);
  return text;
}

/* The n-th part between slashes, from 1. */
static bool part_of(const char *name, long n, char *value, size_t bytes)
{
  for (; n > 1 && name; n--) {
    name = strchr(name, '/');
    if (name) name++;
  }
  if (n < 1 || !name) return false;
  snprintf(value, bytes, "%.*s", (int)strcspn(name, "/"), name);
  return true;
}

bool case_field(const char *name, const char *field, char *value, size_t bytes)
{
  static const struct {
    const char *field;
    int part;
  } unnamed[] = {{"kernel", 2}, {"dtype", 3}, {"mask", 11}};
  struct bench_case c;
  char why[256];
  const bool ours = bench_case_parse(&c, name, why, sizeof why);
  for (size_t i = 0; i < sizeof unnamed / sizeof *unnamed; i++)
    if (!strcmp(field, unnamed[i].field)) return ours && part_of(name, unnamed[i].part, value, bytes);
  if (!strcmp(field, "isa")) { /* a kernel's name is <op>_<dtype>_<isa>[_<tag>] */
    static const char *const isas[] = {"scalar", "avx2", "avx512", "avx512bf16", "amx", "neon", "neonbf16"};
    for (size_t i = 0; ours && i < sizeof isas / sizeof *isas; i++) {
      const char *found = strstr(c.kernel, isas[i]);
      const char after = found ? found[strlen(isas[i])] : 'x';
      if (!found || found == c.kernel || found[-1] != '_' || (after && after != '_')) continue;
      snprintf(value, bytes, "%s", isas[i]);
      return true;
    }
    return false;
  }
  if (*field && strspn(field, "0123456789") == strlen(field)) return part_of(name, strtol(field, NULL, 10), value, bytes);
  const size_t length = strlen(field);
  for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
    if (!strncmp(part, field, length) && part[length] == ':') {
      snprintf(value, bytes, "%.*s", (int)strcspn(part + length + 1, "/"), part + length + 1);
      return true;
    }
  return false;
}

char *duration_text(double ns, char *text, size_t bytes)
{
  static const struct {
    double ns;
    const char *name;
  } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
  size_t i = 0;
  while (i + 1 < sizeof units / sizeof *units && ns < units[i].ns) i++;
  const double value = ns / units[i].ns;
  snprintf(text, bytes, "%.*f %s", value >= 1e3 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3, value, units[i].name);
  return text;
}
