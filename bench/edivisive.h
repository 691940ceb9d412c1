/* Change points of a series: where its distribution changed, without knowing how many there are.
 *
 * Method: E-divisive (Matteson and James, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate
 * Data", 2014): a segment is split where the energy distance between its sides is largest, and the split is kept if random
 * orders of the same values rarely reach that distance. Long series are searched in windows that overlap by half, so that a
 * change long ago cannot hide a recent one (and the time is linear). What is found so is weak; a Welch t-test of the
 * neighbouring segments has to confirm it, as Fleming et al. do ("Hunter: Using Change Point Detection to Hunt for
 * Performance Regressions", 2023).
 *
 * Pure functions of their arguments: the permutations are drawn from a fixed seed. */
#ifndef BENCH_EDIVISIVE_H
#define BENCH_EDIVISIVE_H

#include <stdbool.h>

enum { EDIVISIVE_WINDOW = 50, EDIVISIVE_PERMUTATIONS = 499, EDIVISIVE_LEAST_SEGMENT = 3 };
#define EDIVISIVE_WEAK_P 0.01
#define EDIVISIVE_P      0.001

struct edivisive_change {
  int at;             /* first value of the new segment */
  double p;           /* of the t-test between the segments */
  double mean_before; /* of the segments on both sides */
  double mean_after;
};

/* Changes by place into change[] (room for n); values are finite. magnitude: the least |difference of means| that counts.
 * -1: no memory. */
int edivisive(const double *values, int n, double magnitude, struct edivisive_change *change);

/* Standard deviation of a series about its level, from the differences of neighbours: steps do not widen it. 0 for n < 2.
 */
double edivisive_noise(const double *values, int n);

#endif
