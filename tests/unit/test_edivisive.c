/* Change points of series whose changes are known, because they were planted. */
#include "../../bench/edivisive.h"
#include "../../bench/welch.h"

#include "../kernels/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 400 };
static struct edivisive_change change[MOST];

/* N(0, 1): of Box and Muller, so that the tails are there. */
static double normal(struct rng *rng)
{
  const double u = ((double)(rng_next(rng) >> 11) + 0.5) * 0x1p-53, v = (double)(rng_next(rng) >> 11) * 0x1p-53;
  return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static void fill(double *x, int n, struct rng *rng)
{
  for (int i = 0; i < n; i++) x[i] = normal(rng);
}

/* Runs of a benchmark: most near the best, now and then far above. */
static void fill_skewed(double *x, int n, struct rng *rng)
{
  for (int i = 0; i < n; i++) x[i] = exp(normal(rng)) * (rng_below(rng, 20) ? 1 : 6);
}

static void raise(double *x, int from, int n, double by)
{
  for (int i = from; i < n; i++) x[i] += by;
}

static int search(const double *x, int n) { return edivisive(x, n, edivisive_noise(x, n), change); }

static void no_change_raises_few_alarms(void **state)
{
  (void)state;
  struct rng rng = {1};
  enum { SERIES = 300 };
  static const int lengths[] = {12, 50, 200};
  double x[MOST];
  for (int skewed = 0; skewed < 2; skewed++)
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
      int alarms = 0;
      for (int s = 0; s < SERIES; s++) {
        (skewed ? fill_skewed : fill)(x, lengths[l], &rng);
        alarms += search(x, lengths[l]) > 0;
      }
      print_message("%s noise, %d values: %d of %d series alarm\n", skewed ? "skewed" : "normal", lengths[l], alarms,
                    SERIES);
      assert_true(alarms <= SERIES / 50);
    }
}

static void a_step_is_found_where_it_is(void **state)
{
  (void)state;
  struct rng rng = {2};
  enum { SERIES = 200 };
  static const struct {
    int n, at;
    double sigmas;
    int exact, near; /* of SERIES, at least */
  } steps[] = {
      {40, 20, 5, 190, 196}, {100, 60, 4, 180, 195}, {300, 290, 6, 190, 194}, {200, 30, 3, 140, 195}, {30, 6, 6, 190, 194}};
  double x[MOST];
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    int exact = 0, near = 0;
    for (int s = 0; s < SERIES; s++) {
      fill(x, steps[i].n, &rng);
      raise(x, steps[i].at, steps[i].n, s & 1 ? steps[i].sigmas : -steps[i].sigmas);
      if (search(x, steps[i].n) != 1) continue;
      exact += change[0].at == steps[i].at;
      near += abs(change[0].at - steps[i].at) <= 2;
      const double found = change[0].mean_after - change[0].mean_before;
      if (change[0].at == steps[i].at) assert_true(fabs(fabs(found) - steps[i].sigmas) < 2.5 && (found > 0) == (s & 1));
    }
    print_message("step of %g sigma at %d of %d: exactly there %d, within 2 %d, of %d\n", steps[i].sigmas, steps[i].at,
                  steps[i].n, exact, near, SERIES);
    assert_true(exact >= steps[i].exact && near >= steps[i].near);
  }
}

static void several_steps(void **state)
{
  (void)state;
  struct rng rng = {3};
  enum { SERIES = 50 };
  double x[MOST];
  int all = 0;
  for (int s = 0; s < SERIES; s++) {
    fill(x, 300, &rng);
    raise(x, 40, 300, 6);
    raise(x, 100, 300, -9);
    raise(x, 115, 300, 6);
    raise(x, 250, 300, 5);
    const int n = search(x, 300);
    all += n == 4 && abs(change[0].at - 40) <= 1 && abs(change[1].at - 100) <= 1 && abs(change[2].at - 115) <= 1 &&
           abs(change[3].at - 250) <= 1;
  }
  print_message("four steps: all found and nothing else in %d of %d series\n", all, SERIES);
  assert_true(all >= 45);
}

static void spikes_are_no_change(void **state)
{
  (void)state;
  struct rng rng = {4};
  double x[MOST];
  int alarms = 0;
  for (int s = 0; s < 100; s++) {
    fill(x, 100, &rng);
    x[rng_below(&rng, 100)] += 50;
    const int at = 10 + (int)rng_below(&rng, 80);
    x[at] += 30;
    x[at + 1] += 30;
    alarms += search(x, 100) > 0;
  }
  assert_true(alarms <= 2);
}

static void small_changes_do_not_count(void **state)
{
  (void)state;
  struct rng rng = {5};
  double x[100];
  fill(x, 100, &rng);
  raise(x, 50, 100, 4);
  assert_int_equal(edivisive(x, 100, 2, change), 1);
  assert_true(change[0].p < EDIVISIVE_P);
  assert_int_equal(edivisive(x, 100, 8, change), 0);
}

/* Of changes that are equally doubtful the later one goes first, and what is left of both may be enough. */
static void equal_doubts(void **state)
{
  (void)state;
  enum { EACH = 2 * EDIVISIVE_WINDOW };
  double x[3 * EACH] = {0};
  raise(x, EACH, 3 * EACH, 1);
  raise(x, 2 * EACH, 3 * EACH, 1.5);
  assert_int_equal(edivisive(x, 3 * EACH, 0.5, change), 2);
  assert_int_equal(edivisive(x, 3 * EACH, 1.6, change), 1);
  assert_int_equal(change[0].at, EACH);
  assert_true(change[0].mean_before == 0 && change[0].mean_after == 1.75);
}

/* Ten values of which the last four are raised: 5 of 500 orders, this one included, are as extreme, just few enough. Nine
 * of which four are: 6. */
static void the_least_evidence(void **state)
{
  (void)state;
  double x[10] = {0};
  raise(x, 6, 10, 1);
  assert_int_equal(edivisive(x, 10, 0, change), 1);
  assert_int_equal(change[0].at, 6);
  assert_int_equal(edivisive(x + 1, 9, 0, change), 0);
}

/* The smallest steps that are confirmed, of values that vary a little more from series to series: the p of some is the
 * largest that counts, to the last bit. */
static void the_largest_p(void **state)
{
  (void)state;
  enum { N = 24, AT = N / 2, SERIES = 2000, WANTED = 3 };
  int found = 0, s = 0;
  for (; s < SERIES && found < WANTED; s++) {
    double x[N], p = 0, low = 0, high = 4; /* p falls from one to the other */
    for (int n = 0; n < 60 && p != EDIVISIVE_P; n++) {
      const double by = (low + high) / 2;
      for (int i = 0; i < N; i++) x[i] = i < AT ? (i + 1) % 2 : by + (i + 1) % 2 * (1.15 + s * 0x1p-13);
      p = welch_t_test(x, AT, x + AT, N - AT);
      *(p > EDIVISIVE_P ? &low : &high) = by;
    }
    if (p != EDIVISIVE_P) continue;
    found++;
    assert_int_equal(edivisive(x, N, 0, change), 1);
    assert_true(change[0].at == AT && change[0].p == EDIVISIVE_P);
  }
  print_message("%d of %d series\n", found, s);
  assert_int_equal(found, WANTED);
}

/* t^2 is infinite, and x of the incomplete beta function 0. */
static void means_immeasurably_far_apart(void **state)
{
  (void)state;
  const double near[] = {0, 1}, far[] = {1e200, 1e200};
  assert_true(welch_t_test(near, 2, far, 2) == 0);
  assert_true(welch_t_test(far, 2, near, 2) == 0);
}

/* Steps that two windows see, and each at another place. */
static void windows_agree_on_one_place(void **state)
{
  (void)state;
  static const uint64_t seeds[] = {232, 1073, 1395, 1428}; /* without merge_close() each ends elsewhere */
  double x[75];
  for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
    struct rng rng = {seeds[s]};
    const int at = 26 + (int)rng_below(&rng, 23), by = 2 + (int)rng_below(&rng, 3);
    for (int i = 0; i < 75; i++) x[i] = (double)rng_below(&rng, 4) + (i < at ? 0 : by);
    assert_int_equal(edivisive(x, 75, 0, change), 1);
    assert_int_equal(change[0].at, at);
  }
}

/* Two steps with a few values between them, of which windows find three places: the better one of two that are too close
 * stays, and with it the other step. */
static void the_better_place_stays(void **state)
{
  (void)state;
  static const uint64_t seeds[] = {501, 525, 610};
  double x[65];
  for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
    struct rng rng = {seeds[s]};
    const int first = 26 + (int)rng_below(&rng, 23), second = first + 4 + (int)rng_below(&rng, 8);
    for (int i = 0; i < 65; i++) x[i] = (double)rng_below(&rng, 3) + (i < first ? 0 : 4) + (i < second ? 0 : 4);
    assert_int_equal(edivisive(x, 65, 0, change), 2);
    assert_int_equal(change[0].at, first);
    assert_int_equal(change[1].at, second);
  }
}

static void edges(void **state)
{
  (void)state;
  double x[100] = {0};
  assert_int_equal(search(x, 0), 0);
  assert_int_equal(search(x, 1), 0);
  assert_int_equal(search(x, 100), 0); /* nothing varies */
  raise(x, 70, 100, 1);
  assert_int_equal(search(x, 100), 1); /* and then once */
  assert_int_equal(change[0].at, 70);
  assert_true(change[0].p == 0 && change[0].mean_before == 0 && change[0].mean_after == 1);
  assert_int_equal(search(x + 68, 5), 0); /* too short */
}

static void the_same_series_gives_the_same_answer(void **state)
{
  (void)state;
  struct rng rng = {6};
  double x[MOST];
  fill_skewed(x, 200, &rng);
  raise(x, 90, 200, 3);
  const int n = search(x, 200);
  struct edivisive_change first[MOST];
  for (int i = 0; i < n; i++) first[i] = change[i];
  for (int again = 0; again < 3; again++) {
    assert_int_equal(search(x, 200), n);
    for (int i = 0; i < n; i++) assert_true(change[i].at == first[i].at && change[i].p == first[i].p);
  }
}

static void noise_ignores_steps(void **state)
{
  (void)state;
  struct rng rng = {7};
  double x[MOST];
  fill(x, MOST, &rng);
  raise(x, 100, MOST, 100);
  const double noise = edivisive_noise(x, MOST);
  assert_true(noise > 0.85 && noise < 1.15);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_change_raises_few_alarms),
      cmocka_unit_test(a_step_is_found_where_it_is),
      cmocka_unit_test(several_steps),
      cmocka_unit_test(spikes_are_no_change),
      cmocka_unit_test(small_changes_do_not_count),
      cmocka_unit_test(equal_doubts),
      cmocka_unit_test(the_least_evidence),
      cmocka_unit_test(the_largest_p),
      cmocka_unit_test(means_immeasurably_far_apart),
      cmocka_unit_test(windows_agree_on_one_place),
      cmocka_unit_test(the_better_place_stays),
      cmocka_unit_test(edges),
      cmocka_unit_test(noise_ignores_steps),
      cmocka_unit_test(the_same_series_gives_the_same_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
