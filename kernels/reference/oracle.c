/* Attention by its definition, in float64. Deliberately shares no code with the kernels but the row limit. */
#include "oracle.h"

#include "half.h"

#include <math.h>

/* What is added to the score of (query i, key j): -inf hides the key. */
static double bias(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i, int64_t j)
{
  const int64_t length = p->kv_lengths ? args->kv_lengths[b] : p->Skv, position = i + p->diagonal + length - p->Skv;
  if (j >= p->mask_length || j >= length) return -INFINITY;
  if (p->causal && j > position) return -INFINITY;
  if (p->window_left >= 0 && j < position - p->window_left) return -INFINITY;
  if (p->window_right >= 0 && j > position + p->window_right) return -INFINITY;
  if (p->block_keys) {
    const int64_t byte = i / p->block_queries * p->block_row + j / p->block_keys / 8;
    if (!(args->blocks[b * p->block_b + h * p->block_h + byte] >> j / p->block_keys % 8 & 1)) return -INFINITY;
  }
  const double alibi = p->alibi ? -(double)args->alibi_slopes[h] * fabs((double)(position - j)) : 0;
  const int64_t at = b * p->mask.b + h * p->mask.h + i * p->mask.s + j * p->mask.d;
  switch (p->mask_kind) {
  case ATTN_MASK_NONE: break;
  case ATTN_MASK_BOOL: return ((const uint8_t *)args->mask)[at] ? alibi : -INFINITY;
  case ATTN_MASK_ADDITIVE: return alibi + (double)((const float *)args->mask)[at];
  case ATTN_MASK_ADDITIVE_F16: return alibi + (double)attn_f16_to_f32(((const uint16_t *)args->mask)[at]);
  }
  return alibi;
}

/* Element d of query row q, turned by its position if the problem has a rope: sines of the angle itself. */
static double query(const struct attn_problem *p, const attn_args *args, int64_t q, double position, int64_t d)
{
  const double x = (double)attn_element_get(p->dtype, args->q, q + d * p->q.d);
  const struct attn_rope *rope = p->rope;
  if (!rope || d >= rope->desc.dims) return x;
  const bool halves = rope->desc.pairing == ATTN_ROPE_HALVES;
  const int64_t pair = halves ? d % rope->pairs : d / 2;
  const bool second = halves ? d >= rope->pairs : d % 2;
  const int64_t other = halves ? (second ? d - rope->pairs : d + rope->pairs) : (second ? d - 1 : d + 1);
  const double y = (double)attn_element_get(p->dtype, args->q, q + other * p->q.d);
  const double angle = position * rope->frequency[pair];
  return rope->desc.magnitude * (x * cos(angle) + (second ? y : -y) * sin(angle));
}

void attn_oracle_row(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i, double *o_row,
                     double *lse, double *scores)
{
  /* Strides of a tensor without elements are anything. */
  const int64_t q = p->Dqk ? b * p->q.b + h * p->q.h + i * p->q.s : 0;
  const int64_t k = p->Skv && p->Dqk ? b * p->k.b + h / p->G * p->k.h : 0;
  const int64_t v = p->Skv && p->Dv ? b * p->v.b + h / p->G * p->v.h : 0;
  const double sink = p->sinks ? (double)args->sinks[h] : -INFINITY;
  const double position = (double)(i + p->diagonal + (p->kv_lengths ? args->kv_lengths[b] - p->Skv : 0));
  double max = sink, sum = 0;
  for (int64_t j = 0; j < p->Skv; j++) {
    const double added = bias(p, args, b, h, i, j);
    double dot = 0;
    for (int64_t d = 0; d < p->Dqk; d++)
      dot += query(p, args, q, position, d) * (double)attn_element_get(p->dtype, args->k, k + j * p->k.s + d * p->k.d);
    dot *= p->scale;
    if (p->softcap != 0) dot = (double)p->softcap * tanh(dot / (double)p->softcap);
    scores[j] = added == -INFINITY ? -INFINITY : dot + added;
    if (scores[j] > max || isnan(scores[j])) max = scores[j];
  }
  for (int64_t d = 0; d < p->Dv; d++) o_row[d] = 0;
  for (int64_t j = 0; j < p->Skv; j++) {
    if (scores[j] == -INFINITY) { /* hidden: no weight, whatever its value is */
      scores[j] = 0;
      continue;
    }
    scores[j] = exp(scores[j] - max);
    sum += scores[j];
    for (int64_t d = 0; d < p->Dv; d++)
      o_row[d] += scores[j] * (double)attn_element_get(p->dtype, args->v, v + j * p->v.s + d * p->v.d);
  }
  if (sink != -INFINITY) sum += exp(sink - max);
  if (sum != 0) { /* true of NaN as well */
    for (int64_t d = 0; d < p->Dv; d++) o_row[d] /= sum;
    for (int64_t j = 0; j < p->Skv; j++) scores[j] /= sum;
  }
  *lse = sum == 0 ? -INFINITY : max + log(sum);
}
