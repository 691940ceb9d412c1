#include "stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double *sorted_copy(const double *values, int n)
{
  double *copy = malloc((size_t)n * sizeof *copy);
  if (!copy) return NULL;
  memcpy(copy, values, (size_t)n * sizeof *copy);
  qsort(copy, (size_t)n, sizeof *copy, by_value);
  return copy;
}

static double middle(const double *sorted, int n)
{
  return n % 2 ? sorted[n / 2] : sorted[n / 2 - 1] + (sorted[n / 2] - sorted[n / 2 - 1]) / 2;
}

double stats_median(const double *values, int n)
{
  double *sorted = sorted_copy(values, n);
  const double median = sorted ? middle(sorted, n) : NAN;
  free(sorted);
  return median;
}

double stats_geometric_mean(const double *values, int n)
{
  double sum = 0;
  for (int i = 0; i < n; i++) sum += log(values[i]);
  return exp(sum / n);
}

/* Both samples in one order. */
struct pooled {
  int n, groups;
  int *group;             /* [groups]: how many values are equal */
  int64_t x_doubled_rank; /* twice the sum of the midranks of x: a whole number */
  double tie_term;        /* sum of t^3 - t */
};

static bool pool(struct pooled *pooled, const double *x, int nx, const double *y, int ny)
{
  double *xs = sorted_copy(x, nx), *ys = sorted_copy(y, ny);
  *pooled = (struct pooled){.n = nx + ny, .group = malloc((size_t)(nx + ny) * sizeof *pooled->group)};
  if (!xs || !ys || !pooled->group) {
    free(xs);
    free(ys);
    free(pooled->group);
    return false;
  }
  for (int i = 0, j = 0; i < nx || j < ny;) {
    const double value = j == ny || (i < nx && xs[i] <= ys[j]) ? xs[i] : ys[j];
    const int i0 = i, before = i + j;
    while (i < nx && xs[i] == value) i++;
    while (j < ny && ys[j] == value) j++;
    const int t = i + j - before;
    pooled->group[pooled->groups++] = t;
    pooled->x_doubled_rank += (int64_t)(i - i0) * (2 * (int64_t)before + t + 1);
    pooled->tie_term += (double)t * t * t - t;
  }
  free(xs);
  free(ys);
  return true;
}

/* ways[s]: of choosing k values whose doubled midranks add up to s, for every s in 0..most; sums of positive numbers only,
 * so that the smallest tail keeps its relative precision. */
static double *count_rank_sums(const struct pooled *pooled, int k, int64_t *most)
{
  const int64_t top = (int64_t)k * (2 * (int64_t)pooled->n - k + 1); /* the k largest ranks, doubled */
  const size_t width = (size_t)top + 1;
  double *ways = calloc((size_t)(k + 1) * width, sizeof *ways);
  if (!ways) return NULL;
  ways[0] = 1;
  int before = 0;
  for (int g = 0; g < pooled->groups; g++) {
    const int t = pooled->group[g];
    const int64_t rank = 2 * (int64_t)before + t + 1;
    before += t;
    for (int have = before < k ? before : k; have > 0; have--) { /* downwards: what is read still lacks this group */
      double choose = 1;
      for (int take = 1; take <= t && take <= have; take++) {
        choose = choose * (t - take + 1) / take;
        const double *from = ways + (size_t)(have - take) * width;
        double *to = ways + (size_t)have * width + (size_t)(take * rank);
        const int64_t end = top - take * rank;
        for (int64_t s = 0; s <= end; s++) to[s] += choose * from[s];
      }
    }
  }
  memmove(ways, ways + (size_t)k * width, width * sizeof *ways);
  *most = top;
  return ways;
}

static double exact_p(const struct pooled *pooled, int nx)
{
  int64_t most;
  double *ways = count_rank_sums(pooled, nx, &most), low = 0, high = 0, total = 0;
  if (!ways) return NAN;
  for (int64_t s = 0; s <= most; s++) {
    total += ways[s];
    if (s <= pooled->x_doubled_rank) low += ways[s];
    if (s >= pooled->x_doubled_rank) high += ways[s];
  }
  free(ways);
  return fmin(1, 2 * fmin(low, high) / total);
}

static double normal_p(const struct pooled *pooled, double u, int nx, int ny)
{
  const double n = pooled->n, product = (double)nx * ny;
  const double variance = product / 12 * ((n + 1) - pooled->tie_term / (n * (n - 1)));
  const double distance = fmax(u, product - u) - product / 2 - 0.5;
  return variance > 0 ? fmin(1, erfc(distance / sqrt(variance) / M_SQRT2)) : 1;
}

struct stats_mann_whitney stats_mann_whitney(const double *x, int nx, const double *y, int ny, enum stats_method method)
{
  struct pooled pooled;
  struct stats_mann_whitney r = {NAN, NAN, STATS_NONE};
  if (!pool(&pooled, x, nx, y, ny)) return r;
  r.u = (double)(pooled.x_doubled_rank - (int64_t)nx * (nx + 1)) / 2;
  r.method = method != STATS_AUTO ? method : pooled.n <= STATS_EXACT_TOTAL ? STATS_EXACT : STATS_NORMAL;
  r.p = r.method == STATS_EXACT ? exact_p(&pooled, nx) : normal_p(&pooled, r.u, nx, ny);
  if (isnan(r.p)) r.method = STATS_NONE;
  free(pooled.group);
  return r;
}

double stats_mann_whitney_least_p(int nx, int ny)
{
  return fmin(1, 2 * exp(lgamma(nx + 1.0) + lgamma(ny + 1.0) - lgamma((double)nx + ny + 1)));
}

/* Differences y - x that are at most t; both sorted. Rounded subtraction keeps the order, so two fingers suffice. */
static int64_t count_at_most(const double *x, int nx, const double *y, int ny, double t)
{
  int64_t count = 0;
  int j = 0;
  for (int i = 0; i < nx; i++) {
    while (j < ny && y[j] - x[i] <= t) j++;
    count += j;
  }
  return count;
}

/* Doubles in their order as whole numbers, and back. */
static int64_t order_of(double value)
{
  int64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits < 0 ? INT64_MIN - bits : bits;
}

static double of_order(int64_t order)
{
  const int64_t bits = order < 0 ? INT64_MIN - order : order;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* The k-th smallest difference, k = 1 ... nx * ny: halves the range of doubles until one is left. */
static double difference_of_rank(const double *x, int nx, const double *y, int ny, int64_t k)
{
  int64_t low = order_of(y[0] - x[nx - 1]), high = order_of(y[ny - 1] - x[0]);
  while (low < high) {
    const int64_t half = low + (int64_t)(((uint64_t)high - (uint64_t)low) / 2);
    if (count_at_most(x, nx, y, ny, of_order(half)) >= k)
      high = half;
    else
      low = half + 1;
  }
  return of_order(low);
}

/* Largest c with P(U <= c - 1) <= tail, U without ties; 0: none. -1: no memory. */
static int64_t critical_rank(int nx, int ny, double tail)
{
  const int n = nx + ny;
  if (n > STATS_EXACT_TOTAL) {
    const double sd = sqrt((double)nx * ny * (n + 1.0) / 12);
    double low = 0, high = 40; /* the normal quantile, by halving */
    for (int i = 0; i < 100; i++) *(0.5 * erfc((low + high) / 2 / M_SQRT2) > tail ? &low : &high) = (low + high) / 2;
    const double c = floor((double)nx * ny / 2 - high * sd + 0.5);
    return c > 0 ? (int64_t)c : 0;
  }
  struct pooled all = {.n = n, .groups = n, .group = malloc((size_t)n * sizeof(int))};
  if (!all.group) return -1;
  for (int i = 0; i < n; i++) all.group[i] = 1;
  int64_t most, c = 0;
  double *ways = count_rank_sums(&all, nx, &most), total = 0, below = 0;
  free(all.group);
  if (!ways) return -1;
  for (int64_t s = 0; s <= most; s++) total += ways[s];
  for (int64_t s = (int64_t)nx * (nx + 1); s <= most; s += 2, c++) {
    below += ways[s];
    if (below > tail * total) break;
  }
  free(ways);
  return c;
}

struct stats_interval stats_shift(const double *x, int nx, const double *y, int ny, double level)
{
  struct stats_interval r = {NAN, NAN, NAN};
  double *xs = sorted_copy(x, nx), *ys = sorted_copy(y, ny);
  const int64_t pairs = (int64_t)nx * ny, c = critical_rank(nx, ny, (1 - level) / 2);
  if (xs && ys && c >= 0) {
    const double lower = difference_of_rank(xs, nx, ys, ny, (pairs + 1) / 2);
    const double upper = difference_of_rank(xs, nx, ys, ny, pairs / 2 + 1);
    r.estimate = lower + (upper - lower) / 2;
    r.low = c ? difference_of_rank(xs, nx, ys, ny, c) : -INFINITY;
    r.high = c ? difference_of_rank(xs, nx, ys, ny, pairs + 1 - c) : INFINITY;
  }
  free(xs);
  free(ys);
  return r;
}

/* P(at most k successes of n at even odds). */
static double binomial_tail(int k, int n)
{
  double sum = 0;
  for (int i = 0; i <= k; i++) sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) - n * M_LN2);
  return sum;
}

double stats_sign_test(int k, int n)
{
  const int fewer = k < n - k ? k : n - k;
  return fmin(1, 2 * binomial_tail(fewer, n));
}

struct stats_interval stats_median_interval(const double *values, int n, double level)
{
  double *sorted = sorted_copy(values, n);
  if (!sorted) return (struct stats_interval){NAN, NAN, NAN};
  struct stats_interval r = {middle(sorted, n), -INFINITY, INFINITY};
  int rank = 0; /* the interval from sorted[rank - 1] to its mirror misses with twice P(at most rank - 1) */
  while (rank < n / 2 && 2 * binomial_tail(rank, n) <= 1 - level) rank++;
  if (rank) {
    r.low = sorted[rank - 1];
    r.high = sorted[n - rank];
  }
  free(sorted);
  return r;
}

struct ranked {
  double p;
  int index;
};

static int by_p(const void *a, const void *b)
{
  const struct ranked *x = a, *y = b;
  return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : x->index - y->index;
}

bool stats_holm(double *p, int n)
{
  struct ranked *order = malloc((size_t)(n > 0 ? n : 1) * sizeof *order);
  int members = 0;
  double largest = 0;
  if (!order) return false;
  for (int i = 0; i < n; i++)
    if (!isnan(p[i])) order[members++] = (struct ranked){p[i], i};
  qsort(order, (size_t)members, sizeof *order, by_p);
  for (int i = 0; i < members; i++) {
    largest = fmax(largest, fmin(1, order[i].p * (members - i)));
    p[order[i].index] = largest;
  }
  free(order);
  return true;
}
