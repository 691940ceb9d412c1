/* The Attention operator of ONNX, opset 23 to 25, in terms of libattn.
 * Specification: https://onnx.ai/onnx/operators/onnx__Attention.html
 *
 * Where it differs from attn.h: causality is aligned at the top left, shifted by the length of the past (by
 * nonpad_kv_seqlen[b] - Sq if that is given); the past is another pair of tensors in front of K and V; 3-D tensors hold
 * the heads side by side, [B][S][H*D]. Windows are counted from that same position, as in attn.h.
 *
 * Everything is computed by libattn in the type of Q, sums in f32; float64 tensors are rounded to f32 and the results
 * widened again. So softmax_precision, whichever type it names, changes nothing. */
#ifndef ATTNBENCH_ONNX_ATTENTION_H
#define ATTNBENCH_ONNX_ATTENTION_H

#include "npy.h"

/* Positions of the operator's inputs and outputs. */
enum { ONNX_Q, ONNX_K, ONNX_V, ONNX_MASK, ONNX_PAST_KEY, ONNX_PAST_VALUE, ONNX_NONPAD, ONNX_INPUTS };
enum { ONNX_Y, ONNX_PRESENT_KEY, ONNX_PRESENT_VALUE, ONNX_QK, ONNX_OUTPUTS };

struct onnx_attention {
  /* Attributes. {0} stands for their absence, except of the windows: -1. */
  bool is_causal, scale_given;
  double scale, softcap;
  int64_t q_num_heads, kv_num_heads;
  int64_t left_window, right_window; /* negative: unlimited */
  int64_t softmax_precision;         /* a TensorProto data type; 0: that of Q */
  int64_t qk_matmul_output_mode;

  struct npy_array input[ONNX_INPUTS]; /* data == NULL: absent */
  bool wanted[ONNX_OUTPUTS];
};

struct onnx_result {
  struct npy_array output[ONNX_OUTPUTS]; /* those that were wanted and could be computed */
  const char *kernel;
};

enum onnx_status {
  ONNX_DONE,
  ONNX_UNSUPPORTED, /* valid, but no kernel that may be used here can do it */
  ONNX_INVALID      /* contradicts the specification */
};

/* Names of what this operator needs and libattn lacks, separated by ", "; "" if there is nothing. */
char *onnx_attention_missing(const struct onnx_attention *op, char *buffer, size_t bytes);

/* Requires that onnx_attention_missing(op) is "". Free the result in any case. */
enum onnx_status onnx_attention_run(struct onnx_result *result, const struct onnx_attention *op, struct complaint *why);
void onnx_result_free(struct onnx_result *result);

#endif
