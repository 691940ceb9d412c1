/* Kernels of the layer's projections: y = x W^T + bias in f32. A smaller contract than kernel.h's, with the same rules for
 * what a kernel may and must do. Weights are packed by dispatch/linear.c as [panel of outputs][depth][columns], unless the
 * kernel does that itself, the last panel filled up with zeros, and the bias as whole panels. A row's bits depend on the
 * row and the weights alone. */
#ifndef ATTN_LINEAR_KERNEL_H
#define ATTN_LINEAR_KERNEL_H

#include "kernel.h"

/* Rows [0, rows) of x and y, panels [panel0, panel1) of the outputs. */
struct attn_linear_unit {
  const float *x;
  float *y;
  int64_t x_stride, y_stride, rows, depth, outputs, panel0, panel1;
  const float *weights, *bias;
  float *scratch; /* row_tile-rounded rows times packed(depth) floats, 64-byte aligned */
};

struct attn_linear {
  const char *name;
  enum attn_isa isa;
  uint32_t needs;
  int rows, columns; /* of a register tile */
  int64_t rows_from; /* rows of x that it is worth: fewer have the next kernel; 0: any */
  /* Floats of a row or an output, and what packs a panel of `columns` outputs from row-major weights. Both or neither;
   * NULL: depth, and as above. */
  int64_t (*packed)(int64_t depth);
  void (*pack_panel)(float *to, const float *weights, int64_t depth);
  void (*run)(const struct attn_linear_unit *unit);
};

#endif
