#include "welch.h"

#include <math.h>

/* The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method: numerator and denominator of
 * the convergents as ratios, so that neither overflows. Converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (fabs(d) < tiny) d = tiny;
  d = 1 / d;
  double value = d;
  for (int m = 1; m < 10000; m++) {
    double factor = 1;
    for (int odd = 0; odd < 2; odd++) {
      const double term = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                              : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
      d = 1 + term * d;
      c = 1 + term / c;
      if (fabs(d) < tiny) d = tiny;
      if (fabs(c) < tiny) c = tiny;
      d = 1 / d;
      factor *= c * d;
    }
    value *= factor;
    if (fabs(factor - 1) < 1e-16) break;
  }
  return value;
}

/* I_x(a, b); y is 1 - x, given as it is known better than the difference would be. */
static double incomplete_beta(double a, double b, double x, double y)
{
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a : 1 - front * beta_fraction(b, a, y) / b;
}

static void moments(const double *x, int n, double *mean, double *variance)
{
  double sum = 0, squares = 0;
  for (int i = 0; i < n; i++) sum += x[i];
  *mean = sum / n;
  for (int i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  *variance = squares / (n - 1);
}

double welch_t_test(const double *x, int nx, const double *y, int ny)
{
  double mean_x, mean_y, variance_x, variance_y;
  if (nx < 2 || ny < 2) return 1;
  moments(x, nx, &mean_x, &variance_x);
  moments(y, ny, &mean_y, &variance_y);
  const double ex = variance_x / nx, ey = variance_y / ny, difference = mean_x - mean_y;
  if (!(ex + ey > 0)) return difference == 0;
  const double t2 = difference * difference / (ex + ey);
  const double freedom = (ex + ey) * (ex + ey) / (ex * ex / (nx - 1) + ey * ey / (ny - 1));
  return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t2), t2 / (freedom + t2));
}
