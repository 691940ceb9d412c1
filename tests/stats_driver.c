/* bench/stats.c behind lines of text, for tests/stats_scipy.py. One request a line, one line of answers each:
 *   mw METHOD NX NY X... Y...     u p         METHOD: exact, normal
 *   shift LEVEL NX NY X... Y...   estimate low high
 *   sign K N                      p
 *   median LEVEL N V...           estimate low high
 *   holm N P...                   P...
 *   welch NX NY X... Y...         p */
#include "../bench/stats.h"
#include "../bench/welch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static int read_count(void)
{
  int n;
  if (scanf("%d", &n) != 1 || n < 0 || n > MOST) exit(2);
  return n;
}

static double read_value(void)
{
  double value;
  if (scanf("%lf", &value) != 1) exit(2);
  return value;
}

static void read_values(double *values, int n)
{
  for (int i = 0; i < n; i++) values[i] = read_value();
}

static void answer_interval(struct stats_interval r) { printf("%.17g %.17g %.17g\n", r.estimate, r.low, r.high); }

int main(void)
{
  static double x[MOST], y[MOST];
  char what[16], method[16];
  while (scanf("%15s", what) == 1) {
    if (!strcmp(what, "mw")) {
      if (scanf("%15s", method) != 1) return 2;
      const int nx = read_count(), ny = read_count();
      read_values(x, nx);
      read_values(y, ny);
      const struct stats_mann_whitney r =
          stats_mann_whitney(x, nx, y, ny, strcmp(method, "exact") ? STATS_NORMAL : STATS_EXACT);
      printf("%.17g %.17g\n", r.u, r.p);
    } else if (!strcmp(what, "shift")) {
      const double level = read_value();
      const int nx = read_count(), ny = read_count();
      read_values(x, nx);
      read_values(y, ny);
      answer_interval(stats_shift(x, nx, y, ny, level));
    } else if (!strcmp(what, "sign")) {
      const int k = read_count(), n = read_count();
      printf("%.17g\n", stats_sign_test(k, n));
    } else if (!strcmp(what, "median")) {
      const double level = read_value();
      const int n = read_count();
      read_values(x, n);
      answer_interval(stats_median_interval(x, n, level));
    } else if (!strcmp(what, "holm")) {
      const int n = read_count();
      read_values(x, n);
      if (!stats_holm(x, n)) return 2;
      for (int i = 0; i < n; i++) printf("%.17g%c", x[i], i + 1 < n ? ' ' : '\n');
    } else if (!strcmp(what, "welch")) {
      const int nx = read_count(), ny = read_count();
      read_values(x, nx);
      read_values(y, ny);
      printf("%.17g\n", welch_t_test(x, nx, y, ny));
    } else
      return 2;
  }
  return 0;
}
