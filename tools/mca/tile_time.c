/* Times the register tiles of one kernel against the FMA roof: TILE_SOURCE is the kernel's own source file, so that the
 * tiles, their sizes and their flags are those that ship. Prints, for each tile, the fraction of the roof that it reaches:
 * median, lower and upper quartile over the rounds. Operands stay in the L1 cache. */
#include TILE_SOURCE /* NOLINT(bugprone-suspicious-include): that is the point */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TILE_DEPTH = 128, CALLS = 200, ROUNDS = 301 };

typedef void tile_function(float *out, const float *left, const float *right);

static inline void store_tile(float *out, vf acc[MR][NV])
{
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (j, NV) vf_store(out + (i * NV + j) * VL, acc[i][j]);
}

__attribute__((noinline)) static void time_qk(float *out, const float *left, const float *right)
{
  vf acc[MR][NV];
  qk_all(acc, left, right, TILE_DEPTH, NV);
  store_tile(out, acc);
}

__attribute__((noinline)) static void time_pv(float *out, const float *left, const float *right)
{
  vf acc[MR][NV];
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (j, NV) acc[i][j] = vf_zero();
  pv_tile(acc, left, P_STRIDE, right, TILE_DEPTH, NV);
  store_tile(out, acc);
}

/* As many multiply-adds on registers as a tile has, with sums that differ, lest the compiler make one of all. */
__attribute__((noinline)) static void time_roof(float *out, const float *left, const float *right)
{
  vf acc[MR][NV];
  const vf a = vf_load(left), b = vf_load(right);
  UNROLLED_FOR (i, MR)
    UNROLLED_FOR (j, NV) acc[i][j] = vf_load(right + (i * NV + j) * VL);
  for (int d = 0; d < TILE_DEPTH; d++) {
    UNROLLED_FOR (i, MR)
      UNROLLED_FOR (j, NV) acc[i][j] = vf_fma(a, b, acc[i][j]);
  }
  store_tile(out, acc);
}

static double seconds(tile_function *run, float *out, const float *left, const float *right)
{
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < CALLS; i++) run(out, left, right);
  clock_gettime(CLOCK_MONOTONIC, &to);
  return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(void)
{
  static const struct {
    const char *name;
    tile_function *run;
  } tile[] = {{"qk_tile", time_qk}, {"pv_tile", time_pv}};
  static _Alignas(64) float out[MR * NR], left[MR * P_STRIDE + TILE_DEPTH * MR], right[TILE_DEPTH * NR];
  for (size_t i = 0; i < sizeof left / sizeof *left; i++) left[i] = 1.0f / (float)(i + 1);
  for (size_t i = 0; i < sizeof right / sizeof *right; i++) right[i] = 1.0f / (float)(i + 1);
  for (size_t t = 0; t < sizeof tile / sizeof *tile; t++) {
    double fraction[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) { /* the roof before and after, so that a drift of the clock cancels */
      const double before = seconds(time_roof, out, left, right);
      const double it = seconds(tile[t].run, out, left, right);
      fraction[r] = (before + seconds(time_roof, out, left, right)) / 2 / it;
    }
    qsort(fraction, ROUNDS, sizeof *fraction, ascending);
    printf("%s %.4f %.4f %.4f\n", tile[t].name, fraction[ROUNDS / 2], fraction[ROUNDS / 4], fraction[ROUNDS * 3 / 4]);
  }
  return ferror(stdout) || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
