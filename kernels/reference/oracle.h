/* The float64 oracle: the definition of attention in three passes (scores, softmax, weighted sum), for tests and
 * verification only. Built without contraction or fast-math. */
#ifndef ATTN_ORACLE_H
#define ATTN_ORACLE_H

#include "../kernel.h"

/* One query row, in float64, from the tensors of an attn_args. o_row [Dv]; *lse natural logarithm (-inf: no visible
 * key); scores: scratch of Skv doubles. After return scores[j] is the probability of key j. Thread-safe. */
void attn_oracle_row(const struct attn_problem *problem, const attn_args *args, int64_t b, int64_t h, int64_t i,
                     double *o_row, double *lse, double *scores);

#endif
