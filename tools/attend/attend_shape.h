/* From the shapes of a person's q, k, v and mask to an attn_desc, and back to the shapes of o and lse. */
#ifndef ATTNBENCH_ATTEND_SHAPE_H
#define ATTNBENCH_ATTEND_SHAPE_H

#include "npy.h"

#include "attn.h"

struct attend_tensors {
  const struct npy_header *q, *k, *v, *mask;        /* mask: NULL if there is none */
  const char *q_path, *k_path, *v_path, *mask_path; /* for messages */
};

/* Fills dtype, layout (given), sizes, strides and mask of desc. The complaint begins with the path of the file that does
 * not fit. */
bool attend_describe(attn_desc *desc, attn_layout layout, const struct attend_tensors *tensors, struct complaint *why);

/* Shapes of the outputs, with as many dimensions as q had: o like q with Dv as the last, lse [B][Hq][Sq] or its tail. */
void attend_output_shapes(const attn_desc *desc, int rank, int64_t *o_shape, int64_t *lse_shape);

#endif
