/* How far an f32 kernel may be from the float64 oracle.
 *
 * Ordinary data (N(0,1) in Q, K and V, default scale): |error| <= 2e-6 max|O|, the project's bar, for Dqk up to
 * 256. The rounding errors of a dot product that is summed in one chain of Dqk terms grow with sqrt(Dqk), and at 512 they
 * are the largest part (measured: 0.3e-6 at 64, up to 2.01e-6 at 512), so beyond 256 the bar is 2e-6 sqrt(Dqk / 256).
 *
 * Anything else: a forward error bound, u = 2^-24. In log2 units a score is t_j = log2(e) (scale q.k_j + bias_j). Its
 * computed value is off by at most
 *   dt_j = (Dqk + 3) u A_j                  A_j = log2(e) |scale| sum_d |q_d k_jd|: Q scaled (2 roundings), the dot product
 *        + 3 u log2(e) |bias_j| + 2 u |t_j| the bias scaled and added, then the subtraction of the row's reference
 *        + u |t_j - max|                    ... which is exact only for close operands
 *        + 2^-149 sum_d (|k_jd| + 1)        underflow in Q's scaling and in the products.
 * The exponential adds 3 ulp = 6u, and each later rise of the reference another 8u (exp2, product, subtraction); it can
 * rise once every 8 keys at most. So the weight of key j is off by a factor within exp(+-delta_j), delta_j = ln2 dt_j + 6u
 * + 8u (Skv - j) / 8. Sums of Skv terms in any order lose at most (Skv + 10) u of the sum of magnitudes. With p_j the exact
 * probabilities:
 *   |dO_d| <= sum_j p_j (exp(2 delta_j) - 1) (|v_jd| + |O_d|) + (Skv + 10) u (sum_j p_j |v_jd| + |O_d|)
 *           + Skv 2^-126 max_j |v_jd|      weights are clamped at 2^-126
 *                                          (with a sink the whole row is: then of weights up to 2^8, by which a score may
 *                                          exceed its row's reference)
 *           + (Skv + 10) 2^-149            underflow in the products,
 * (the factor 2 covers numerator and normalisation), and never more than 2 max_j |v_jd|: an output is a weighted mean
 * whatever the weights are. The same for LSE: |dLSE| <= max_j delta_j + (Skv + 10) u + 2 u |LSE|. */
#ifndef TESTS_BOUND_H
#define TESTS_BOUND_H

#include "../../dispatch/internal.h"

double bound_ordinary(const struct attn_problem *problem); /* relative to max|O| */

/* o_row, probabilities: from attn_oracle_row. Fills bound[Dv]; returns the bound of LSE. */
double bound_row(const struct attn_problem *problem, const attn_args *args, int64_t b, int64_t h, int64_t i,
                 const double *o_row, const double *probabilities, double lse, double *bound);

/* Adds what denormal numbers that are taken for 0 (ATTN_KERNEL_FLUSHES) amount to: up to 2^-126 of each element of Q, K and
 * V, and of their products' sums. Returns what that does to LSE. */
double bound_flushes(const struct attn_problem *problem, const attn_args *args, int64_t b, int64_t h, int64_t i,
                     const double *o_row, const double *probabilities, double *bound);

/* Adds the error of rounding weights to bf16 (ATTN_KERNEL_BF16_WEIGHTS), delta_j up to 2^-8 of each. O is normalised by the
 * sum of the rounded ones, so that to first order it errs by sum_j p_j delta_j (v_jd - O_d). */
void bound_bf16_weights(const struct attn_problem *problem, const attn_args *args, int64_t b, int64_t h,
                        const double *o_row, const double *probabilities, double *bound);

/* Adds the error of two digits of bf16 (ATTN_KERNEL_TWO_DIGITS): 2^-17 of each weight, 2^-16 of it more where values have
 * two digits, too (f16 tensors), and 2^-17 of each element of Q that is f32 or turned; turned, of both that it is made of.
 * Returns what that does to LSE. */
double bound_two_digits(const struct attn_problem *problem, const attn_args *args, int64_t b, int64_t h, int64_t i,
                        const double *o_row, const double *probabilities, double *bound);

/* Adds the error of rounding to 16 bits (ATTN_KERNEL_16BIT_ROWS): half a step of a row of Q in each element, and half a
 * step of the largest weight times scale of each step_keys in each weight. Returns what the first does to LSE. */
double bound_16bit_rows(const struct attn_problem *problem, const attn_args *args, int64_t b, int64_t h, int64_t i,
                        const double *o_row, const double *probabilities, int64_t step_keys, double *bound);

/* The bound of an element of O of that type: the f32 bound, then the rounding to nearest of the store. */
double bound_stored(attn_dtype dtype, double exact, double bound);

#endif
