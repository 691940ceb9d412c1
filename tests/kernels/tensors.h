/* The buffers of a case: laid out, guarded, filled. */
#ifndef TESTS_TENSORS_H
#define TESTS_TENSORS_H

#include "case.h"

#include "../../dispatch/problem.h"

enum {
  TENSOR_Q,
  TENSOR_K,
  TENSOR_V,
  TENSOR_MASK,
  TENSOR_O,
  TENSOR_LSE,
  TENSOR_SLOPES,
  TENSOR_SINKS,
  TENSOR_LENGTHS,
  TENSOR_BLOCKS,
  TENSOR_COUNT
};

struct tensors {
  attn_desc desc; /* with strides */
  struct attn_problem problem;
  attn_args args;
  struct guard buffer[TENSOR_COUNT];
};

/* False, with attn_error_message() set, if libattn refuses the description. */
bool tensors_make(struct tensors *t, const struct check_case *c, uint64_t seed);
void tensors_free(struct tensors *t);

/* Both outputs back to their fill, so that an element that is not written shows. */
void tensors_reset_outputs(struct tensors *t, unsigned char fill);

/* Whether every byte of the outputs' rooms that is no element still has the fill. */
bool tensors_gaps_untouched(const struct tensors *t, unsigned char fill, const char **name);

#endif
