/* The scalar reference: online softmax, one query row at a time, keys in blocks. The shortest statement of what every
 * fwd kernel computes. fwd_f32_scalar.c compiles it with the vectoriser off, fwd_f32_autovec_<isa>.c with it on: the
 * honest answer to what writing by hand buys. Dot products keep 16 partial sums, so that the compiler may vectorise
 * without reordering any addition. */
#ifndef ATTN_FWD_F32_BODY_H
#define ATTN_FWD_F32_BODY_H

#include "../scores.h"
#include "exp2.h"

#include <float.h>

enum { BODY_KEYS = 64, BODY_LANES = 16 };

static inline float dot(const float *restrict a, const float *restrict b, int64_t n)
{
  float partial[BODY_LANES] = {0}, sum = 0;
  int64_t d = 0;
  for (; d + BODY_LANES <= n; d += BODY_LANES)
    for (int l = 0; l < BODY_LANES; l++) partial[l] += a[d + l] * b[d + l];
  for (; d < n; d++) sum += a[d] * b[d];
  for (int l = 0; l < BODY_LANES; l++) sum += partial[l];
  return sum;
}

static inline float dot_strided(const float *a, const float *b, int64_t n, int64_t b_stride)
{
  float sum = 0;
  for (int64_t d = 0; d < n; d++) sum += a[d] * b[d * b_stride];
  return sum;
}

static inline size_t fwd_f32_body_scratch(const struct attn_problem *p, int64_t rows)
{
  (void)rows;
  return sizeof(float) * (size_t)(p->Dqk + p->Dv);
}

static inline void fwd_f32_body(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  const float *k = attn_head_k(u), *v = attn_head_v(u);
  float *restrict q = u->scratch, *restrict o = q + p->Dqk;
  for (int64_t r = u->row0; r < u->row1; r++) {
    const float *q_row = attn_row_q(u, r);
    for (int64_t d = 0; d < p->Dqk; d++) q[d] = q_row[d * p->q.d] * p->q_factor;
    for (int64_t d = 0; d < p->Dv; d++) o[d] = 0;
    float max = -FLT_MAX, sum = 0;
    const struct attn_row row = attn_row_get(u, r);
    for (int64_t j0 = 0; j0 < row.limit; j0 += BODY_KEYS) {
      const int64_t n = row.limit - j0 < BODY_KEYS ? row.limit - j0 : BODY_KEYS;
      float s[BODY_KEYS], w[BODY_KEYS], block_max = max, block_sum = 0;
      for (int64_t j = 0; j < n; j++) {
        const float *k_row = k + (j0 + j) * p->k.s;
        s[j] = p->k.d == 1 ? dot(q, k_row, p->Dqk) : dot_strided(q, k_row, p->Dqk, p->k.d);
      }
      attn_edit_scores(p, &row, j0, n, s);
      for (int64_t j = 0; j < n; j++) block_max = s[j] > block_max ? s[j] : block_max;
      if (block_max > max) {
        const float rescale = attn_exp2(max - block_max);
        max = block_max;
        sum *= rescale;
        for (int64_t d = 0; d < p->Dv; d++) o[d] *= rescale;
      }
      for (int64_t j = 0; j < n; j++) w[j] = s[j] == -INFINITY ? 0.0f : attn_exp2(s[j] - max);
      for (int64_t j = 0; j < n; j++) {
        if (s[j] == -INFINITY) continue; /* hidden: its value may be NaN */
        const float *restrict v_row = v + (j0 + j) * p->v.s;
        const float weight = w[j];
        block_sum += weight;
        if (p->v.d == 1)
          for (int64_t d = 0; d < p->Dv; d++) o[d] += weight * v_row[d];
        else
          for (int64_t d = 0; d < p->Dv; d++) o[d] += weight * v_row[d * p->v.d];
      }
      sum += block_sum;
    }
    const float norm = sum == 0 ? 0 : 1 / sum;
    float *o_row = attn_row_o(u, r);
    for (int64_t d = 0; d < p->Dv; d++) o_row[d * p->o.d] = o[d] * norm;
    u->row_max[r - u->row0] = max;
    u->row_sum[r - u->row0] = sum;
  }
}

#endif
