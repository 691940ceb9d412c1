/* Projections in f32: what the others do with vectors. */
#include "../linear.h"

enum { COLUMNS = 8 };

static void linear_run(const struct attn_linear_unit *u)
{
  for (int64_t r = 0; r < u->rows; r++)
    for (int64_t panel = u->panel0; panel < u->panel1; panel++) {
      const float *x = u->x + r * u->x_stride, *w = u->weights + panel * COLUMNS * u->depth;
      float sum[COLUMNS] = {0};
      for (int64_t d = 0; d < u->depth; d++)
        for (int j = 0; j < COLUMNS; j++) sum[j] += x[d] * w[d * COLUMNS + j];
      for (int64_t j = 0; j < COLUMNS && panel * COLUMNS + j < u->outputs; j++)
        u->y[r * u->y_stride + panel * COLUMNS + j] = sum[j] + u->bias[panel * COLUMNS + j];
    }
}

const struct attn_linear linear_f32_scalar = {
    .name = "linear_f32_scalar",
    .isa = ATTN_ISA_SCALAR,
    .needs = ATTN_COMPILED_FEATURES,
    .rows = 1,
    .columns = COLUMNS,
    .run = linear_run,
};
