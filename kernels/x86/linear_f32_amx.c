/* Projections in f32 by tile registers (AMX) that multiply bf16: the products of fwd_f32_amx.c's scores, numbers in three
 * digits. Denormal digits and sums count as 0. */
#define ATTN_DIGITS 3
#include "vec_amx.h"

#include "../linear.h"

enum { MR = 2 * TILE, NV = 2, NR = NV * VL };
#include "../template/score_digits_amx.h"

#include <string.h>

/* Numbers [d, d + VL) of a row of `depth`, 0 behind its end. */
static inline vf numbers_of(const float *row, int64_t d, int64_t depth)
{
  return d + VL <= depth ? vf_load(row + d) : d < depth ? vf_load_n(row + d, (int)(depth - d)) : vf_zero();
}

/* [depth / 32][DIGITS][MR][16] of a tile's rows, of which there are `rows`; the others are 0. */
static inline void pack_rows(float *to, const float *x, int64_t stride, int64_t rows, int64_t depth)
{
  for (int64_t i = 0; i < MR; i++)
    for (int64_t d = 0; d < depth; d += TOGETHER) {
      float *at = to + packed(d) * MR + i * VL;
      const float *row = x + i * stride;
      const vf low = i < rows ? numbers_of(row, d, depth) : vf_zero();
      const vf high = i < rows ? numbers_of(row, d + VL, depth) : vf_zero();
      put_digits(at, MR * VL, at + 2 * MR * VL, low, high, TO_NEAREST);
    }
}

/* [depth / 32][DIGITS][16][NR] of a panel's rows of weights. */
static void pack_panel(float *to, const float *weights, int64_t depth)
{
  for (int64_t n = 0; n < NR; n += TB)
    for (int64_t d = 0; d < depth; d += TOGETHER) {
      float rows[2][TB][TB];
      for (int64_t r = 0; r < TB; r++)
        UNROLLED_FOR (x, 2) vf_store(rows[x][r], numbers_of(weights + (n + r) * depth, d + x * VL, depth));
      put_rows_as_columns(to + packed(d) * NR + n, rows);
    }
}

/* Weight d of output n of a packed panel: the sum of its digits, or Inf or NaN, which the first one is. */
static float weight_at(const float *panel, int64_t n, int64_t d)
{
  const float *at = panel + (packed(d / TOGETHER * TOGETHER) + d % TILE) * NR + n;
  float sum = 0;
  for (int digit = 0; digit < DIGITS; digit++) {
    uint32_t bits;
    float number;
    memcpy(&bits, at + digit * TILE * NR, sizeof bits);
    bits = d % TOGETHER < TILE ? bits << 16 : bits & 0xffff0000u;
    memcpy(&number, &bits, sizeof number);
    if (digit == 0 && !isfinite(number)) return number;
    sum += number;
  }
  return sum;
}

/* An output is NaN if Inf or NaN was multiplied: what it is without digits. */
__attribute__((noinline, cold)) static float output_without_digits(const float *x, const float *panel, int64_t n,
                                                                   int64_t depth, float bias)
{
  float sum = 0;
  for (int64_t d = 0; d < depth; d++) sum += x[d] * weight_at(panel, n, d);
  return sum + bias;
}

/* to: [MR][NR], of which the lower half stays as it is unless there are both. */
__attribute__((noinline)) static void multiply_tile(float *to, const float *x, const float *w, int64_t depth, bool both)
{
  enum { TO_BYTES = NR * sizeof(float) };
  tile_zero(0);
  tile_zero(1);
  tile_zero(2);
  tile_zero(3);
  for (int64_t d = 0; d < packed(depth); d += STEP) multiply_scores(x + d * MR, w + d * NR, both);
  tile_store(to, TO_BYTES, 0);
  tile_store(to + TILE, TO_BYTES, 1);
  if (!both) return;
  tile_store(to + TILE * NR, TO_BYTES, 2);
  tile_store(to + TILE * NR + TILE, TO_BYTES, 3);
}

static void run_with_tiles(const struct attn_linear_unit *u)
{
  float tile[MR * NR] __attribute__((aligned(64)));
  const int64_t floats = packed(u->depth);
  tiles_open();
  for (int64_t r = 0; r < u->rows; r += MR)
    pack_rows(u->scratch + r * floats, u->x + r * u->x_stride, u->x_stride, u->rows - r, u->depth);
  for (int64_t panel = u->panel0; panel < u->panel1; panel++) {
    const float *weights = u->weights + panel * NR * floats, *bias = u->bias + panel * NR;
    const int64_t left = u->outputs - panel * NR, width = left < NR ? left : NR;
    for (int64_t r = 0; r < u->rows; r += MR) {
      multiply_tile(tile, u->scratch + r * floats, weights, u->depth, u->rows - r > TILE);
      for (int64_t i = 0; i < MR && r + i < u->rows; i++) {
        float *row = tile + i * NR, *y = u->y + (r + i) * u->y_stride + panel * NR;
        UNROLLED_FOR (l, NV) vf_store(row + l * VL, vf_add(vf_load(row + l * VL), vf_load(bias + l * VL)));
        for (int64_t n = 0; n < width; n++) /* rarely any */
          if (row[n] != row[n]) row[n] = output_without_digits(u->x + (r + i) * u->x_stride, weights, n, u->depth, bias[n]);
        memcpy(y, row, (size_t)width * sizeof *y);
      }
    }
  }
  tiles_close();
}

const struct attn_linear linear_f32_amx = {
    .name = "linear_f32_amx",
    .isa = ATTN_ISA_AMX,
    .needs = ATTN_COMPILED_FEATURES,
    .rows = MR,
    .columns = NR,
    .rows_from = 13, /* 12 are one tile of AVX-512's: of 768 x 768 weights 0.47 ms instead of 0.68 */
    .packed = packed,
    .pack_panel = pack_panel,
    .run = run_with_tiles,
};
