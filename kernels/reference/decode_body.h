/* Decoding, stated as briefly as it can be: what kernels/template/decode.h does with vectors. Reads plain tensors and
 * caches, paged or not; takes a range of keys and may leave a part. */
#ifndef ATTN_DECODE_BODY_H
#define ATTN_DECODE_BODY_H

#include "../scores.h"
#include "exp2.h"

#include <float.h>
#include <math.h>

enum { DECODE_BLOCK = 64, DECODE_LANES = 8 };

static inline size_t decode_body_scratch(const struct attn_problem *p, int64_t rows)
{
  (void)rows;
  return sizeof(float) * ((size_t)p->Dqk + 2 * (size_t)p->Dv);
}

/* A plain tensor has kernels that need not read key by key; a cache has not. */
static inline bool decode_body_supports(const struct attn_problem *p)
{
  return p->cached || (p->k.d == 1 && p->v.d == 1 && p->G * p->Sq <= 16);
}

/* Lanes of partial sums: the error grows with Dqk / DECODE_LANES. Elements of k, `beside` of them beside each other, are
 * `step` apart (attn_k_element()). */
static inline __attribute__((always_inline)) float decode_dot(const float *restrict q, const element *restrict k,
                                                              int64_t step, int64_t n, const int64_t beside)
{
  float partial[DECODE_LANES] = {0}, sum = 0;
  int64_t d = 0;
  for (; d + DECODE_LANES <= n; d += DECODE_LANES)
    for (int l = 0; l < DECODE_LANES; l++)
      partial[l] += q[d + l] * el_get(k[(d + l) / beside * beside * step + (d + l) % beside]);
  for (; d < n; d++) sum += q[d] * el_get(k[d / beside * beside * step + d % beside]);
  for (int l = 0; l < DECODE_LANES; l++) sum += partial[l];
  return sum;
}

static inline void decode_body_row(const struct attn_unit *u, int64_t r, const float *restrict q, float *restrict o,
                                   float *restrict part)
{
  const struct attn_problem *p = u->problem;
  const element *k = (const element *)u->k + attn_k_at(u), *v = (const element *)u->v + attn_v_at(u);
  const struct attn_row row = attn_row_get(u, r);
  const int64_t end = row.limit < u->key1 ? row.limit : u->key1, beside = attn_interleave(p);
  float max = -FLT_MAX, sum = 0;
  for (int64_t d = 0; d < p->Dv; d++) o[d] = 0;
  int64_t j0 = row.first / DECODE_BLOCK * DECODE_BLOCK;
  for (j0 = j0 < u->key0 ? u->key0 : j0; j0 < end; j0 += DECODE_BLOCK) {
    const int64_t n = end - j0 < DECODE_BLOCK ? end - j0 : DECODE_BLOCK;
    float s[DECODE_BLOCK], top = max, block_sum = 0;
    if (attn_all_hidden(p, &row, j0, n)) continue;
    for (int64_t j = 0; j < n; j++) {
      const element *key = k + attn_key_page(u, j0 + j) * p->k_page + attn_k_element(p, attn_key_at(u, j0 + j), 0);
      s[j] = p->cached ? decode_dot(q, key, p->k.d, p->Dqk, ATTN_INTERLEAVE(ELEMENT_DTYPE))
                       : decode_dot(q, key, p->k.d, p->Dqk, 1);
      if (ELEMENT_DTYPE == ATTN_I8) s[j] *= u->k_scale[attn_scale_at(u, j0 + j)];
    }
    attn_edit_scores(p, &row, j0, n, s);
    for (int64_t j = 0; j < n; j++) top = s[j] > top ? s[j] : top;
    if (top > max) {
      const float rescale = attn_exp2(max - top);
      max = top;
      sum *= rescale;
      for (int64_t d = 0; d < p->Dv; d++) o[d] *= rescale;
    }
    for (int64_t d = 0; d < p->Dv; d++) part[d] = 0;
    for (int64_t j = 0; j < n; j++) {
      if (s[j] == -INFINITY) continue; /* hidden: its value may be NaN */
      const float weight = attn_exp2(s[j] - max);
      const float scaled = ELEMENT_DTYPE == ATTN_I8 ? weight * u->v_scale[attn_scale_at(u, j0 + j)] : weight;
      const element *value = v + attn_key_page(u, j0 + j) * p->v_page + attn_v_element(p, attn_key_at(u, j0 + j), 0);
      block_sum += weight;
      for (int64_t d = 0; d < p->Dv; d++) part[d] += scaled * el_get(value[d * beside]);
    }
    sum += block_sum;
    for (int64_t d = 0; d < p->Dv; d++) o[d] += part[d];
  }
  u->row_max[r - u->row0] = max;
  u->row_sum[r - u->row0] = sum;
}

static inline void decode_body_output(const struct attn_unit *u, int64_t r, const float *o)
{
  const struct attn_problem *p = u->problem;
  const float norm = attn_finish_row(u, r, &u->row_max[r - u->row0], &u->row_sum[r - u->row0]);
  for (int64_t d = 0; d < p->Dv; d++) attn_element_put(p->dtype, u->o, attn_o_at(u, r) + d * p->o.d, o[d] * norm);
}

static inline void decode_body(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  float *q = u->scratch, *o = q + p->Dqk, *part = o + p->Dv;
  for (int64_t r = u->row0; r < u->row1; r++) {
    for (int64_t d = 0; d < p->Dqk; d++)
      q[d] = attn_element_get(p->dtype, u->q, attn_q_at(u, r) + d * p->q.d) * p->q_factor;
    if (p->rope) attn_rope_turn(p->rope, attn_row_position(u, r), q, 1);
    decode_body_row(u, r, q, o, part);
    if (u->partial)
      memcpy(u->partial + (r - u->row0) * p->Dv, o, (size_t)p->Dv * sizeof *o);
    else
      decode_body_output(u, r, o);
  }
}

static inline void decode_body_merge(const struct attn_unit *u, const struct attn_parts *parts)
{
  const struct attn_problem *p = u->problem;
  const int64_t rows = u->row1 - u->row0;
  float *o = u->scratch;
  for (int64_t r = 0; r < rows; r++) {
    float max = -FLT_MAX, sum = 0;
    for (int64_t n = 0; n < parts->count; n++) {
      const float *part = attn_part_max(parts, n, rows, p->Dv);
      if (part[rows + r] != 0 && part[r] > max) max = part[r];
    }
    for (int64_t d = 0; d < p->Dv; d++) o[d] = 0;
    for (int64_t n = 0; n < parts->count; n++) {
      const float *part = attn_part_max(parts, n, rows, p->Dv), *from = attn_part_o(parts, n, r, p->Dv);
      if (part[rows + r] == 0) continue;
      const float weight = attn_exp2(part[r] - max);
      sum += weight * part[rows + r];
      for (int64_t d = 0; d < p->Dv; d++) o[d] += weight * from[d];
    }
    u->row_max[r] = max;
    u->row_sum[r] = sum;
    decode_body_output(u, u->row0 + r, o);
  }
}

#endif
