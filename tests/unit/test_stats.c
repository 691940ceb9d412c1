/* bench/stats.c against enumeration and against figures from tables; tests/stats_scipy.py compares with SciPy. */
#include "../../bench/stats.h"

#include "../kernels/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double wanted, double tolerance)
{
  if (!(fabs(got - wanted) <= tolerance)) fail_msg("%.17g instead of %.17g", got, wanted);
}

/* U by its definition. */
static double pairs_won(const double *x, int nx, const double *y, int ny)
{
  double u = 0;
  for (int i = 0; i < nx; i++)
    for (int j = 0; j < ny; j++) u += x[i] > y[j] ? 1 : x[i] == y[j] ? 0.5 : 0;
  return u;
}

/* Every way to choose nx of the pooled values as x. */
static double p_by_enumeration(const double *x, int nx, const double *y, int ny)
{
  double all[16], a[16], b[16], low = 0, high = 0, total = 0;
  const int n = nx + ny;
  memcpy(all, x, (size_t)nx * sizeof *all);
  memcpy(all + nx, y, (size_t)ny * sizeof *all);
  const double observed = pairs_won(x, nx, y, ny);
  for (unsigned set = 0; set < 1u << n; set++) {
    if (__builtin_popcount(set) != nx) continue;
    int na = 0, nb = 0;
    for (int i = 0; i < n; i++) *(set >> i & 1 ? &a[na++] : &b[nb++]) = all[i];
    const double u = pairs_won(a, na, b, nb);
    total++;
    low += u <= observed;
    high += u >= observed;
  }
  return fmin(1, 2 * fmin(low, high) / total);
}

static void mann_whitney_by_enumeration(void **state)
{
  (void)state;
  struct rng rng = {7};
  for (int round = 0; round < 300; round++) {
    const int nx = 1 + (int)(rng_next(&rng) % 6), ny = 1 + (int)(rng_next(&rng) % 6);
    const unsigned values = round % 3 ? 4 : 1000000; /* many ties, or none */
    double x[6], y[6];
    for (int i = 0; i < nx; i++) x[i] = (double)(rng_next(&rng) % values);
    for (int i = 0; i < ny; i++) y[i] = (double)(rng_next(&rng) % values);
    const struct stats_mann_whitney r = stats_mann_whitney(x, nx, y, ny, STATS_AUTO);
    assert_int_equal(r.method, STATS_EXACT);
    assert_near(r.u, pairs_won(x, nx, y, ny), 0);
    assert_near(r.p, p_by_enumeration(x, nx, y, ny), 1e-13);
  }
}

static void mann_whitney_known(void **state)
{
  (void)state;
  const double low[] = {1, 2, 3, 4, 5}, high[] = {11, 12, 13, 14, 15};
  assert_near(stats_mann_whitney(low, 5, high, 5, STATS_AUTO).p, 2.0 / 252, 1e-15);
  assert_near(stats_mann_whitney(low, 3, high, 3, STATS_AUTO).p, 0.1, 1e-15);
  assert_near(stats_mann_whitney_least_p(5, 5), 2.0 / 252, 1e-14);
  assert_near(stats_mann_whitney_least_p(3, 3), 0.1, 1e-14);
  assert_near(stats_mann_whitney_least_p(1, 1), 1, 0);
  assert_near(stats_mann_whitney(low, 5, low, 5, STATS_AUTO).p, 1, 1e-15);
}

static void many_values_take_the_normal(void **state)
{
  (void)state;
  double x[100], y[100];
  for (int i = 0; i < 100; i++) {
    x[i] = i;
    y[i] = i + 8.5;
  }
  const struct stats_mann_whitney exact = stats_mann_whitney(x, 64, y, 64, STATS_AUTO);
  const struct stats_mann_whitney normal = stats_mann_whitney(x, 64, y, 64, STATS_NORMAL);
  assert_int_equal(exact.method, STATS_EXACT);
  assert_near(normal.p / exact.p, 1, 0.05);
  assert_int_equal(stats_mann_whitney(x, 100, y, 100, STATS_AUTO).method, STATS_NORMAL);
}

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The estimate against all differences; the interval against the test itself: shifting y by a value inside must not be
 * rejected, by one outside must be. */
static void shift_inverts_the_test(void **state)
{
  (void)state;
  struct rng rng = {11};
  for (int round = 0; round < 100; round++) {
    enum { MOST = 14 };
    const int nx = 4 + (int)(rng_next(&rng) % 11), ny = 4 + (int)(rng_next(&rng) % 11), pairs = nx * ny;
    double x[MOST], y[MOST], moved[MOST], difference[MOST * MOST];
    for (int i = 0; i < nx; i++) x[i] = rng_unit(&rng);
    for (int i = 0; i < ny; i++) y[i] = rng_unit(&rng) + 0.2;
    for (int i = 0; i < pairs; i++) difference[i] = y[i % ny] - x[i / ny];
    qsort(difference, (size_t)pairs, sizeof *difference, by_value);
    const struct stats_interval r = stats_shift(x, nx, y, ny, 0.95);
    assert_near(r.estimate, pairs % 2 ? difference[pairs / 2] : (difference[pairs / 2 - 1] + difference[pairs / 2]) / 2,
                1e-12);
    assert_true(r.low < r.estimate && r.estimate < r.high);
    if (!isfinite(r.low)) {
      assert_true(stats_mann_whitney_least_p(nx, ny) > 0.05);
      continue;
    }
    const double at[] = {r.low - 1e-9, r.low + 1e-9, r.high - 1e-9, r.high + 1e-9};
    for (int k = 0; k < 4; k++) {
      for (int i = 0; i < ny; i++) moved[i] = y[i] - at[k];
      const bool rejected = stats_mann_whitney(x, nx, moved, ny, STATS_EXACT).p <= 0.05;
      assert_int_equal(rejected, k == 0 || k == 3);
    }
  }
}

static void sign_test_known(void **state)
{
  (void)state;
  assert_near(stats_sign_test(0, 5), 0.0625, 1e-15);
  assert_near(stats_sign_test(8, 8), 2.0 / 256, 1e-15);
  assert_near(stats_sign_test(1, 10), 22.0 / 1024, 1e-14);
  assert_near(stats_sign_test(5, 10), 1, 0);
  assert_near(stats_sign_test(0, 0), 1, 0);
}

static void interval_of_the_median(void **state)
{
  (void)state;
  double v[100];
  for (int i = 0; i < 100; i++) v[i] = (i * 37) % 100 + 1; /* 1..100 in disorder */
  struct stats_interval r = stats_median_interval(v, 100, 0.95);
  assert_near(r.estimate, 50.5, 0);
  assert_near(r.low, 40, 0); /* the textbook's ranks for n = 100 */
  assert_near(r.high, 61, 0);
  const double ten[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
  r = stats_median_interval(ten, 10, 0.95);
  assert_near(r.low, 2, 0);
  assert_near(r.high, 9, 0);
  r = stats_median_interval(ten, 5, 0.95); /* 2 / 2^5 > 0.05 */
  assert_true(isinf(r.low) && isinf(r.high));
  r = stats_median_interval(ten, 6, 0.95);
  assert_near(r.low, 5, 0);
  assert_near(r.high, 10, 0);
}

static void holm_known(void **state)
{
  (void)state;
  double p[] = {0.01, 0.04, NAN, 0.03, 0.005};
  assert_true(stats_holm(p, 5));
  const double wanted[] = {0.03, 0.06, NAN, 0.06, 0.02};
  for (int i = 0; i < 5; i++)
    if (i == 2)
      assert_true(isnan(p[i]));
    else
      assert_near(p[i], wanted[i], 1e-15);
  assert_true(stats_holm(p, 0));
}

static void means_and_medians(void **state)
{
  (void)state;
  const double v[] = {8, 1, 4, 2};
  assert_near(stats_median(v, 4), 3, 0);
  assert_near(stats_median(v, 3), 4, 0);
  assert_near(stats_geometric_mean(v, 4), pow(64, 0.25), 1e-14);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(mann_whitney_by_enumeration),
      cmocka_unit_test(mann_whitney_known),
      cmocka_unit_test(many_values_take_the_normal),
      cmocka_unit_test(shift_inverts_the_test),
      cmocka_unit_test(sign_test_known),
      cmocka_unit_test(interval_of_the_median),
      cmocka_unit_test(holm_known),
      cmocka_unit_test(means_and_medians),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
