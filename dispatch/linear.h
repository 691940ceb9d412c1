/* Projections: weights packed once for the kernel that suits this CPU, then y = x W^T + bias on the library's threads. Own
 * kernels, not a BLAS: the register tile of Q K^T is that of a matrix product, and so libattn needs no other library, its
 * threads are the plan's, and bits do not depend on their number. */
#ifndef ATTN_LINEAR_H
#define ATTN_LINEAR_H

#include "select.h"

#include "../kernels/linear.h"

struct attn_weights {
  const struct attn_linear *kernel; /* NULL: no projection */
  int64_t depth, outputs, panels;
  float *packed, *bias;
};

/* weights [outputs][depth] and bias [outputs] (NULL: 0) of dtype, for about as many rows. To be freed whatever the status
 * is. */
attn_status attn_weights_pack(struct attn_weights *w, const struct attn_restrictions *restrictions, const char *name,
                              attn_dtype dtype, const void *weights, const void *bias, int64_t outputs, int64_t depth,
                              int64_t rows);
void attn_weights_free(struct attn_weights *w);

/* Floats of scratch that a thread needs; a multiple of 16. Overflow: SIZE_MAX. */
size_t attn_weights_scratch(const struct attn_weights *w);

/* y [rows][outputs] of x [rows][depth], both contiguous. scratch: for each thread, 64-byte aligned. */
void attn_weights_apply(const struct attn_weights *w, const float *x, float *y, int64_t rows, int threads,
                        attn_placement placement, float *scratch, size_t scratch_floats);

#endif
