/* The scalar reference: online softmax, one query row at a time, keys in blocks. The shortest statement of what every
 * fwd kernel computes. An element_*.h comes first. fwd_*_scalar.c compile it with the vectoriser off,
 * fwd_f32_autovec_<isa>.c with it on: the honest answer to what writing by hand buys. Dot products keep 16 partial sums, so
 * that the compiler may vectorise without reordering any addition. */
#ifndef ATTN_FWD_BODY_H
#define ATTN_FWD_BODY_H

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

/* The row itself if it is contiguous f32, else a copy of it in buffer. */
static inline const float *as_f32(const element *row, int64_t stride, int64_t n, float *restrict buffer)
{
  if (ELEMENT_DTYPE == ATTN_F32 && stride == 1) return (const float *)row;
  for (int64_t d = 0; d < n; d++) buffer[d] = el_get(row[d * stride]);
  return buffer;
}

static inline size_t fwd_body_scratch(const struct attn_problem *p, int64_t rows)
{
  (void)rows;
  return sizeof(float) * ((size_t)p->Dqk + 2 * (size_t)p->Dv + (size_t)(p->Dqk > p->Dv ? p->Dqk : p->Dv));
}

static inline void fwd_body(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  const element *k = (const element *)u->k + attn_k_at(u), *v = (const element *)u->v + attn_v_at(u);
  float *restrict q = u->scratch, *restrict o = q + p->Dqk, *restrict part = o + p->Dv, *restrict buffer = part + p->Dv;
  for (int64_t r = u->row0; r < u->row1; r++) {
    const element *q_row = (const element *)u->q + attn_q_at(u, r);
    for (int64_t d = 0; d < p->Dqk; d++) q[d] = el_get(q_row[d * p->q.d]) * p->q_factor;
    if (p->rope) attn_rope_turn(p->rope, attn_row_position(u, r), q, 1);
    for (int64_t d = 0; d < p->Dv; d++) o[d] = 0;
    float max = -FLT_MAX, sum = 0;
    const struct attn_row row = attn_row_get(u, r);
    for (int64_t j0 = row.first / BODY_KEYS * BODY_KEYS; j0 < row.limit; j0 += BODY_KEYS) {
      const int64_t n = row.limit - j0 < BODY_KEYS ? row.limit - j0 : BODY_KEYS;
      float s[BODY_KEYS], w[BODY_KEYS], block_max = max, block_sum = 0;
      if (attn_all_hidden(p, &row, j0, n)) continue;
      for (int64_t j = 0; j < n; j++) s[j] = dot(q, as_f32(k + (j0 + j) * p->k.s, p->k.d, p->Dqk, buffer), p->Dqk);
      attn_edit_scores(p, &row, j0, n, s);
      for (int64_t j = 0; j < n; j++) block_max = s[j] > block_max ? s[j] : block_max;
      if (block_max > max) {
        const float rescale = attn_exp2(max - block_max);
        max = block_max;
        sum *= rescale;
        for (int64_t d = 0; d < p->Dv; d++) o[d] *= rescale;
      }
      for (int64_t d = 0; d < p->Dv; d++) part[d] = 0; /* a sum of sums: its error does not grow with Skv */
      for (int64_t j = 0; j < n; j++)
        w[j] = s[j] == -INFINITY ? 0.0f : attn_exp2(s[j] - max < -ATTN_DEPTH ? -ATTN_DEPTH : s[j] - max);
      for (int64_t j = 0; j < n; j++) {
        if (s[j] == -INFINITY) continue; /* hidden: its value may be NaN */
        const float *restrict v_row = as_f32(v + (j0 + j) * p->v.s, p->v.d, p->Dv, buffer);
        const float weight = w[j];
        block_sum += weight;
        for (int64_t d = 0; d < p->Dv; d++) part[d] += weight * v_row[d];
      }
      sum += block_sum;
      for (int64_t d = 0; d < p->Dv; d++) o[d] += part[d];
    }
    const float norm = attn_finish_row(u, r, &max, &sum);
    element *o_row = (element *)u->o + attn_o_at(u, r);
    for (int64_t d = 0; d < p->Dv; d++) o_row[d * p->o.d] = el_put(o[d] * norm);
    u->row_max[r - u->row0] = max;
    u->row_sum[r - u->row0] = sum;
  }
}

#endif
