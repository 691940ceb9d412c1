/* From what the caller wrote (attn_desc) to what is computed (attn_problem): every check of the description. */
#ifndef ATTN_PROBLEM_H
#define ATTN_PROBLEM_H

#include "../kernels/kernel.h"

/* Validates and fills every default in. */
attn_status attn_problem_resolve(struct attn_problem *problem, const attn_desc *desc);

/* Bytes from the first to one past the last element of each tensor; 0 if it has no element. Never overflows for a
 * problem that was resolved. */
struct attn_extents {
  size_t q, k, v, o, mask, lse, alibi_slopes, sinks, kv_lengths, q_starts, kv_starts, blocks;
};
struct attn_extents attn_problem_extents(const struct attn_problem *problem);

/* Fills the block mask's fields of a problem whose sizes are known. */
attn_status attn_blocks_resolve(struct attn_problem *problem, const attn_block_mask *blocks);

/* Checks a tensor [n0][n1][n2][n3] that is not part of an attn_desc, fills its strides if all are 0 and measures it. */
attn_status attn_tensor_resolve(const char *name, attn_strides *strides, const int64_t n[4], size_t element_bytes,
                                attn_layout layout, bool output, size_t *bytes);

/* Multiply-adds counted as two, over the pairs that causality, windows and the mask's length leave visible. Lengths and
 * starts are known only to a run: of sequences that lie one after another, it is what a single one would take. */
double attn_problem_flops(const struct attn_problem *problem);

#endif
