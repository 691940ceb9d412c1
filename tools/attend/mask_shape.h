/* From a mask as an array of 1 to 4 dimensions to the mask of an attn_desc, by NumPy's broadcasting. */
#ifndef ATTNBENCH_MASK_SHAPE_H
#define ATTNBENCH_MASK_SHAPE_H

#include "npy.h"

#include "attn.h"

/* The shape is [B][Hq][Sq][Skv] or its tail; a dimension of 1 but the last one broadcasts, and a last one shorter than
 * Skv hides the keys beyond. desc holds the sizes already. bool and float32 only. */
bool mask_describe(attn_desc *desc, const struct npy_header *mask, struct complaint *why);

#endif
