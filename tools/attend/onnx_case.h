/* One conformance case: a folder with case.json, in_<name>.npy and out_<name>.npy. */
#ifndef ATTNBENCH_ONNX_CASE_H
#define ATTNBENCH_ONNX_CASE_H

#include "onnx_attention.h"

struct onnx_case {
  struct onnx_attention op;
  struct npy_array expected[ONNX_OUTPUTS]; /* data == NULL: not asked for */
  char unknown[256];                       /* operator, opset or attributes that are not known here; "" */
};

/* On failure the complaint names the file and the field. Free the case either way. */
bool onnx_case_load(struct onnx_case *c, const char *folder, struct complaint *why);
void onnx_case_free(struct onnx_case *c);

extern const char *const onnx_output_names[ONNX_OUTPUTS];

#endif
