/* The statistics behind verdicts. Pure functions: no input or output, no state, nothing kept. Counts are at least 1 and
 * values finite unless said otherwise.
 *
 * Methods: Mann & Whitney 1947 with midranks (the distribution given the ties); sign test and the interval of the median
 * from order statistics (Conover, Practical Nonparametric Statistics, 3.4 and 3.2); Hodges & Lehmann 1963 for the shift and
 * its interval; Holm 1979. tests/stats_scipy.py compares them with SciPy. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdbool.h>

double stats_median(const double *values, int n);         /* NaN: no memory */
double stats_geometric_mean(const double *values, int n); /* of positive values */

enum stats_method {
  STATS_AUTO,   /* exact up to STATS_EXACT_TOTAL values together, else normal */
  STATS_EXACT,  /* every way to share the values out, ties included */
  STATS_NORMAL, /* normal, corrected for ties and for continuity */
  STATS_NONE    /* result only: there was no memory */
};
enum { STATS_EXACT_TOTAL = 128 };

struct stats_mann_whitney {
  double u; /* pairs with x > y, ties half */
  double p; /* two-sided: twice the smaller tail, at most 1; NaN: no memory */
  enum stats_method method;
};

/* STATS_EXACT takes time with (nx + ny)^3 and is meant for some hundred values. */
struct stats_mann_whitney stats_mann_whitney(const double *x, int nx, const double *y, int ny, enum stats_method method);

/* Smallest two-sided p that samples of these sizes can give: 2 / C(nx + ny, nx), at most 1. */
double stats_mann_whitney_least_p(int nx, int ny);

struct stats_interval {
  double estimate, low, high; /* low = -inf and high = inf: too few values for this level */
};

/* Shift from x to y: median of all differences y - x, and the interval at this level (0.95, say) that belongs to the
 * two-sided Mann-Whitney test. NaN: no memory. */
struct stats_interval stats_shift(const double *x, int nx, const double *y, int ny, double level);

/* Median and the widest-spread order statistics that cover it with at least this probability, whatever the distribution. */
struct stats_interval stats_median_interval(const double *values, int n, double level);

/* Two-sided p of k successes of n at even odds. n = 0 gives 1. */
double stats_sign_test(int k, int n);

/* Holm's adjusted p, in the order given; NaN entries are no member of the family and stay. False: no memory. */
bool stats_holm(double *p, int n);

#endif
