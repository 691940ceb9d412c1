/* A layer as a case: projections, attention, output projection (attn_layer), of the widths Wq, Wkv and Wo.
 *
 * Inputs are ~ N(0, 1), weights and biases ~ N(0, 1 / inputs), so that Q, K and V are ~ N(0, 1) as those of attention
 * alone. If Sq = Skv and Wq = Wkv it is self-attention: the query is key and value as well. Otherwise the key is the value.
 */
#ifndef BENCH_LAYER_H
#define BENCH_LAYER_H

#include "expect.h"

struct bench_layer {
  struct bench_shape shape;
  attn_layer_desc desc;
  attn_layer_weights weights;
  attn_layer_args args;
  struct bench_tensors output; /* a view: the output as that of one head of its width */
  float *memory;               /* inputs, weights and output */
  size_t memory_bytes;
};

/* What a layer takes beyond the tensors of its attention, packed weights and workspace included. */
double bench_layer_memory(const struct bench_shape *shape);

/* Beyond those of attention: multiply-adds of the projections, counted as two. */
double bench_layer_flops(const struct bench_shape *shape);

/* Of inputs, weights, biases and output, once each. */
double bench_layer_bytes(const struct bench_shape *shape);

/* Masks, slopes and sinks are those of attention, which must outlive the layer. False and a message in error: no memory or
 * threads. */
bool bench_layer_create(struct bench_layer *l, const struct bench_shape *shape, const struct bench_tensors *attention,
                        uint64_t seed, int threads, char *error, size_t error_bytes);
void bench_layer_destroy(struct bench_layer *l); /* {0} is allowed */

/* What the output is: projections and attention in float64, but Q, K and V are stored in between as the f32 tensors of
 * attention. Replaces these. Rows and failures as bench_expect_create(). */
bool bench_layer_expect(struct bench_expectation *e, const struct bench_layer *l, struct bench_tensors *attention,
                        double most_multiply_adds, uint64_t seed, int threads);

/* For bench_expect_check(). */
double bench_layer_error_bound(const struct bench_shape *shape);

/* With this attention kernel, and projections of its ISA. */
attn_status bench_layer_open(attn_layer **layer, const struct bench_layer *l, const struct attn_kernel *kernel,
                             int threads);

#endif
