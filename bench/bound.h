/* How far a result may be from the float64 oracle: the one place that says so. */
#ifndef BENCH_BOUND_H
#define BENCH_BOUND_H

#include "../kernels/kernel.h"

/* Largest |o - oracle| / max|oracle| of inputs ~ N(0, 1). docs/numerics.md derives it; in short, for f32 (u = 2^-24):
 * a score of length Dqk carries a random walk of rounding errors of about u * sqrt(Dqk) * |s|, some 5e-7 absolute at
 * |s| <= 6; exp2 adds 2.5 ulp = 1.5e-7 relative; P V adds a walk over the keys that the softmax weights damp.
 * Together below 1e-6, doubled for the tail of a few million draws. f16 and bf16 are converted exactly, computed in f32,
 * and rounded once at the end: another unit roundoff, 2^-11 and 2^-8. A kernel that also rounds its weights to bf16 adds as
 * much once more: relative to O, the error of O is that of one weight. */
double bench_error_bound(attn_dtype dtype, const struct attn_kernel *kernel);

/* The same of a layer, whose projections of Q, K, V and the output are sums of so many terms altogether: sums of n terms ~
 * N(0, 1/n) err by 0.3 u sqrt(n), independently; three standard deviations of that are added. docs/numerics.md. */
double bench_layer_bound(double terms);

/* Largest |lse - oracle| / max(1, |oracle|): the sum of positive weights is better conditioned than O, and it is
 * stored as f32 whatever the data type. */
double bench_lse_bound(void);

#endif
