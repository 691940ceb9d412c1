/* Welch's t-test: do two samples have the same mean, whatever their variances? (Welch 1947; degrees of freedom after
 * Satterthwaite.) A pure function. tests/stats_scipy.py compares it with SciPy. */
#ifndef BENCH_WELCH_H
#define BENCH_WELCH_H

/* Two-sided p. 1 where a side has fewer than two values; where neither side varies, 0 if they differ and 1 if not. */
double welch_t_test(const double *x, int nx, const double *y, int ny);

#endif
