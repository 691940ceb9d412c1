#include "edivisive.h"

#include "stats.h"
#include "welch.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(uint64_t *state)
{
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

struct split {
  int at;       /* 0: the segment is too short for one */
  double score; /* the scaled energy distance between the sides: m k / (m + k) of it */
};

/* The split at `at` of sums of distances: between the sides, within the left, within the right. */
static double score_of(int m, int k, double between, double left, double right)
{
  const double mm = m, kk = k;
  return mm * kk / (mm + kk) * (2 * between / (mm * kk) - 2 * left / (mm * (mm - 1)) - 2 * right / (kk * (kk - 1)));
}

/* Best split of n values, each side with at least EDIVISIVE_LEAST_SEGMENT; or the score at one place, if only is not 0.
 * Values pass one by one from right to left, and their distances with them. */
static struct split best_split(const double *x, int n, int only)
{
  struct split best = {0, -INFINITY};
  double between = 0, left = 0, right = 0;
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++) right += fabs(x[i] - x[j]);
  for (int i = 0; i < n; i++) {
    const int at = i + 1;
    double to_left = 0, to_right = 0;
    for (int j = 0; j < i; j++) to_left += fabs(x[i] - x[j]);
    for (int j = i + 1; j < n; j++) to_right += fabs(x[i] - x[j]);
    left += to_left;
    right -= to_right;
    between += to_right - to_left;
    if (only ? at != only : at < EDIVISIVE_LEAST_SEGMENT || n - at < EDIVISIVE_LEAST_SEGMENT) continue;
    const double score = score_of(at, n - at, between, left, right);
    if (score > best.score) best = (struct split){at, score};
  }
  return best;
}

/* Whether random orders of these at most EDIVISIVE_WINDOW values reach the score too often. */
static bool is_weakly_significant(const double *x, int n, double score)
{
  double order[EDIVISIVE_WINDOW];
  uint64_t random = 20140101;
  int reached = 1; /* the order as it is counts */
  memcpy(order, x, (size_t)n * sizeof *order);
  for (int r = 0; r < EDIVISIVE_PERMUTATIONS; r++) {
    for (int i = n - 1; i > 0; i--) {
      const int j = (int)(next_random(&random) % (uint64_t)(i + 1));
      const double moved = order[i];
      order[i] = order[j];
      order[j] = moved;
    }
    reached += best_split(order, n, 0).score >= score * (1 - 1e-12);
    if (reached > EDIVISIVE_WEAK_P * (EDIVISIVE_PERMUTATIONS + 1)) return false;
  }
  return true;
}

struct search {
  const double *x;
  bool *weak; /* [n] */
};

static void search_segment(struct search *s, int from, int to)
{
  if (to - from < 2 * EDIVISIVE_LEAST_SEGMENT) return;
  const struct split best = best_split(s->x + from, to - from, 0);
  if (!best.at || !is_weakly_significant(s->x + from, to - from, best.score)) return;
  s->weak[from + best.at] = true;
  search_segment(s, from, from + best.at);
  search_segment(s, from + best.at, to);
}

static void search_windows(struct search *s, int n)
{
  const int step = EDIVISIVE_WINDOW / 2;
  for (int from = 0;; from += step) {
    const int last = n - EDIVISIVE_WINDOW;
    const int begin = last <= 0 ? 0 : from < last ? from : last;
    search_segment(s, begin, n - begin < EDIVISIVE_WINDOW ? n : begin + EDIVISIVE_WINDOW);
    if (begin >= last) return;
  }
}

struct points {
  const double *x;
  int n, count, *at; /* at[0] ... at[count - 1]; at[-1] is 0, at[count] is n */
};

static void remove_point(struct points *p, int i)
{
  memmove(p->at + i, p->at + i + 1, (size_t)(p->count - i) * sizeof *p->at); /* the end moves with them */
  p->count--;
}

/* Windows may find the same change one place apart: the better of two that are too close stays. */
static void merge_close(struct points *p)
{
  for (int i = 0; i + 1 < p->count;) {
    if (p->at[i + 1] - p->at[i] >= EDIVISIVE_LEAST_SEGMENT) {
      i++;
      continue;
    }
    const int from = p->at[i - 1], to = p->at[i + 2];
    const double first = best_split(p->x + from, to - from, p->at[i] - from).score;
    const double second = best_split(p->x + from, to - from, p->at[i + 1] - from).score;
    remove_point(p, isnan(first) || second > first ? i : i + 1);
  }
}

static double mean(const double *x, int n)
{
  double sum = 0;
  for (int i = 0; i < n; i++) sum += x[i];
  return sum / n;
}

static struct edivisive_change change_at(const struct points *p, int i)
{
  const int from = p->at[i - 1], at = p->at[i], to = p->at[i + 1];
  return (struct edivisive_change){.at = at,
                                   .p = welch_t_test(p->x + from, at - from, p->x + at, to - at),
                                   .mean_before = mean(p->x + from, at - from),
                                   .mean_after = mean(p->x + at, to - at)};
}

/* The least credible goes first: its neighbours then have longer segments to stand on. */
static void confirm(struct points *p, double magnitude)
{
  for (;;) {
    int worst = -1;
    double highest = 0;
    for (int i = 0; i < p->count; i++) {
      const struct edivisive_change c = change_at(p, i);
      const bool too_small = fabs(c.mean_after - c.mean_before) < magnitude;
      const double doubt = too_small ? 1 + c.p : c.p;
      if ((too_small || c.p > EDIVISIVE_P) && doubt >= highest) {
        worst = i;
        highest = doubt;
      }
    }
    if (worst < 0) return;
    remove_point(p, worst);
  }
}

/* With the neighbours known, the place is looked for once more, in at most a window on each side. */
static void refine(struct points *p)
{
  for (int i = 0; i < p->count; i++) {
    const int at = p->at[i];
    const int from = at - p->at[i - 1] > EDIVISIVE_WINDOW ? at - EDIVISIVE_WINDOW : p->at[i - 1];
    const int to = p->at[i + 1] - at > EDIVISIVE_WINDOW ? at + EDIVISIVE_WINDOW : p->at[i + 1];
    const struct split best = best_split(p->x + from, to - from, 0);
    if (best.at) p->at[i] = from + best.at;
  }
}

int edivisive(const double *values, int n, double magnitude, struct edivisive_change *change)
{
  if (n < 2 * EDIVISIVE_LEAST_SEGMENT) return 0;
  struct search search = {values, calloc((size_t)n, sizeof(bool))};
  int *bounds = calloc((size_t)n + 2, sizeof *bounds);
  struct points points = {.x = values, .n = n, .at = bounds ? bounds + 1 : NULL};
  const bool ok = search.weak && bounds;
  if (ok) {
    search_windows(&search, n);
    for (int i = 0; i < n; i++)
      if (search.weak[i]) points.at[points.count++] = i;
    points.at[points.count] = n;
    merge_close(&points);
    confirm(&points, magnitude);
    refine(&points);
    confirm(&points, magnitude);
    for (int i = 0; i < points.count; i++) change[i] = change_at(&points, i);
  }
  free(search.weak);
  free(bounds);
  return ok ? points.count : -1;
}

double edivisive_noise(const double *values, int n)
{
  if (n < 2) return 0;
  double *step = malloc((size_t)(n - 1) * sizeof *step);
  if (!step) return NAN;
  for (int i = 0; i + 1 < n; i++) step[i] = fabs(values[i + 1] - values[i]);
  /* The median of |N(0, 1)| is 0.6745, and a difference of two has twice the variance. */
  const double sigma = stats_median(step, n - 1) / (0.674489750196082 * M_SQRT2);
  free(step);
  return sigma;
}
