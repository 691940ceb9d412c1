#include "bound.h"

#include "../../kernels/reference/half.h"

#include <math.h>

/* -inf: hidden. Written anew, so that a mistake in the kernels' row limits shows. */
static double bias_of(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i, int64_t j)
{
  const int64_t length = p->kv_lengths ? args->kv_lengths[b] : p->Skv, ahead = j - (i + p->diagonal + length - p->Skv);
  if (j >= length || j >= p->mask_length || (p->causal && ahead > 0)) return -INFINITY;
  if ((p->window_left >= 0 && -ahead > p->window_left) || (p->window_right >= 0 && ahead > p->window_right))
    return -INFINITY;
  if (p->block_keys) {
    const int64_t x = j / p->block_keys, row = b * p->block_b + h * p->block_h + i / p->block_queries * p->block_row;
    if (!(args->blocks[row + x / 8] & 1 << x % 8)) return -INFINITY;
  }
  const double alibi = p->alibi ? -(double)args->alibi_slopes[h] * (double)(ahead < 0 ? -ahead : ahead) : 0;
  const int64_t at = b * p->mask.b + h * p->mask.h + i * p->mask.s + j * p->mask.d;
  if (p->mask_kind == ATTN_MASK_BOOL) return ((const uint8_t *)args->mask)[at] ? alibi : -INFINITY;
  if (attn_mask_adds(p->mask_kind)) return alibi + (double)attn_bias_get(p->mask_kind, args->mask, at);
  return alibi;
}

/* delta_j of bound.h. max: the row's largest score, natural units. */
static double weight_error(const struct attn_problem *p, const attn_args *args, int64_t q, int64_t k, double bias,
                           double max, int64_t j)
{
  const double u = 0x1p-24, log2e = 1.44269504088896340736;
  double dot = 0, magnitude = 0, tiny = 0;
  for (int64_t d = 0; d < p->Dqk; d++) {
    const double key = (double)attn_element_get(p->dtype, args->k, k + d * p->k.d);
    const double product = (double)attn_element_get(p->dtype, args->q, q + d * p->q.d) * key;
    dot += product;
    magnitude += fabs(product);
    tiny += fabs(key) + 1;
  }
  double score = p->scale * dot, capping = 0;
  if (p->softcap !=
      0) { /* a slope of at most 1 passes the error of the dot product on; attn_tanh adds 10 u of its result */
    score = (double)p->softcap * tanh(score / (double)p->softcap);
    capping = 14 * u * log2e * fabs(score);
  }
  const double t = log2e * (score + bias);
  const double dt = (double)(p->Dqk + 3) * u * log2e * fabs(p->scale) * magnitude + 4 * u * log2e * fabs(bias) + capping +
                    2 * u * fabs(t) + u * fabs(t - log2e * max) + 0x1p-149 * tiny;
  return 0.693147180559945309 * dt + 6 * u + u * (double)(p->Skv - j);
}

static double value(const struct attn_problem *p, const attn_args *args, int64_t at)
{
  return fabs((double)attn_element_get(p->dtype, args->v, at));
}

double bound_ordinary(const struct attn_problem *p) { return 2e-6 * (p->Dqk > 256 ? sqrt((double)p->Dqk / 256) : 1); }

double bound_stored(attn_dtype dtype, double exact, double bound)
{
  switch (dtype) {
  case ATTN_F16: return bound + (fabs(exact) + bound) * 0x1p-11 + 0x1p-25;
  case ATTN_BF16: return bound + (fabs(exact) + bound) * 0x1p-8 + 0x1p-134;
  default: return bound;
  }
}

double bound_flushes(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i,
                     const double *o_row, const double *probabilities, double *bound)
{
  const int64_t q = b * p->q.b + h * p->q.h + i * p->q.s, k = b * p->k.b + h / p->G * p->k.h;
  const int64_t v = b * p->v.b + h / p->G * p->v.h;
  double worst = 0;
  for (int64_t j = 0; j < p->Skv; j++) {
    if (!(probabilities[j] > 0)) continue;
    double lost = 0;
    for (int64_t d = 0; d < p->Dqk; d++)
      lost += fabs((double)attn_element_get(p->dtype, args->q, q + d * p->q.d)) +
              fabs((double)attn_element_get(p->dtype, args->k, k + j * p->k.s + d * p->k.d));
    const double delta = 2 * 0x1p-126 * fabs(p->scale) * lost, spread = probabilities[j] * expm1(2 * fmin(delta, 20));
    worst = fmax(worst, delta);
    for (int64_t d = 0; d < p->Dv; d++)
      bound[d] += spread * (value(p, args, v + j * p->v.s + d * p->v.d) + fabs(o_row[d])) + 0x1p-125;
  }
  return worst;
}

void bound_bf16_weights(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, const double *o_row,
                        const double *probabilities, double *bound)
{
  const int64_t v = b * p->v.b + h / p->G * p->v.h;
  for (int64_t j = 0; j < p->Skv; j++)
    for (int64_t d = 0; probabilities[j] > 0 && d < p->Dv; d++) {
      const double from_mean = (double)attn_element_get(p->dtype, args->v, v + j * p->v.s + d * p->v.d) - o_row[d];
      bound[d] += 0x1.02p-8 * probabilities[j] * fabs(from_mean);
    }
}

double bound_two_digits(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i,
                        const double *o_row, const double *probabilities, double *bound)
{
  const int64_t q = b * p->q.b + h * p->q.h + i * p->q.s, k = b * p->k.b + h / p->G * p->k.h;
  const int64_t v = b * p->v.b + h / p->G * p->v.h;
  const double rounded = p->dtype != ATTN_F32 && !p->rope ? 0 : 0x1p-17 * (p->rope ? 2 : 1);
  const double left_out = p->dtype == ATTN_F16 && !p->cached ? 0x1p-16 : 0; /* second digits of weights by those of V */
  double worst = 0;
  for (int64_t j = 0; j < p->Skv; j++) {
    if (!(probabilities[j] > 0)) continue;
    double delta = 0; /* of the score */
    for (int64_t d = 0; d < p->Dqk; d++) {
      const double x = fabs((double)attn_element_get(p->dtype, args->q, q + d * p->q.d));
      const double y = fabs((double)attn_element_get(p->dtype, args->k, k + j * p->k.s + d * p->k.d));
      delta += fabs(p->scale) * rounded * x * y;
    }
    const double spread = probabilities[j] * expm1(2 * fmin(delta, 20));
    worst = fmax(worst, delta);
    for (int64_t d = 0; d < p->Dv; d++) {
      const double x = value(p, args, v + j * p->v.s + d * p->v.d);
      bound[d] += (0x1p-17 + left_out) * probabilities[j] * x + spread * (x + fabs(o_row[d]));
    }
  }
  return worst;
}

double bound_16bit_rows(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i,
                        const double *o_row, const double *probabilities, int64_t step_keys, double *bound)
{
  enum { LEVELS = 127 * 256 + 127 };
  const int64_t q = b * p->q.b + h * p->q.h + i * p->q.s, k = b * p->k.b + h / p->G * p->k.h;
  const int64_t v = b * p->v.b + h / p->G * p->v.h, most = INT32_MAX / (127 * ((p->Dqk + 3) / 4 * 4));
  const double levels = most < LEVELS ? (double)most : LEVELS;
  double largest = 0, worst = 0;
  for (int64_t d = 0; d < p->Dqk; d++)
    largest = fmax(largest, fabs((double)attn_element_get(p->dtype, args->q, q + d * p->q.d)));
  const double step =
      (1.001 * (p->rope ? sqrt(2) : 1) * fabs(p->scale) * largest + 0x1p-100 * (1 + (double)p->softcap)) / levels;
  for (int64_t j0 = 0; j0 < p->Skv; j0 += step_keys) {
    const int64_t end = j0 + step_keys < p->Skv ? j0 + step_keys : p->Skv;
    double weight = 127 * 0x1p-100;      /* what the kernels take for the largest at least, times a value in steps */
    for (int pass = 0; pass < 2; pass++) /* the largest weight, then what half a step of it does */
      for (int64_t j = j0; j < end; j++) {
        double keys = 0, values = 0;
        if (!(probabilities[j] > 0)) continue;
        for (int64_t d = 0; d < p->Dv; d++) values = fmax(values, value(p, args, v + j * p->v.s + d * p->v.d));
        if (pass == 0) {
          weight = fmax(weight, probabilities[j] * values);
          continue;
        }
        for (int64_t d = 0; d < p->Dqk; d++)
          keys += fabs((double)attn_element_get(p->dtype, args->k, k + j * p->k.s + d * p->k.d));
        const double delta = step / 2 * keys, spread = probabilities[j] * expm1(2 * fmin(delta, 20));
        worst = fmax(worst, delta);
        for (int64_t d = 0; d < p->Dv; d++) {
          const double x = value(p, args, v + j * p->v.s + d * p->v.d);
          bound[d] += spread * (x + fabs(o_row[d])) + (values > 0 ? 1.001 * weight / LEVELS / 2 * x / values : 0);
        }
      }
  }
  return worst;
}

double bound_row(const struct attn_problem *p, const attn_args *args, int64_t b, int64_t h, int64_t i, const double *o_row,
                 const double *probabilities, double lse, double *bound)
{
  const double u = 0x1p-24, n = (double)p->Skv;
  const int64_t q = b * p->q.b + h * p->q.h + i * p->q.s;
  const int64_t k = b * p->k.b + h / p->G * p->k.h;
  const int64_t v = b * p->v.b + h / p->G * p->v.h;
  double worst = 0;
  for (int64_t d = 0; d < p->Dv; d++) bound[d] = 0;
  for (int64_t j = 0; j < p->Skv; j++) {
    const double bias = bias_of(p, args, b, h, i, j);
    if (bias == -INFINITY) continue;
    const double delta = weight_error(p, args, q, k + j * p->k.s, bias, lse, j);
    if (delta > worst) worst = delta;
    const double spread = probabilities[j] * (expm1(2 * fmin(delta, 20)) + (n + 10) * u);
    for (int64_t d = 0; d < p->Dv; d++) bound[d] += spread * (value(p, args, v + j * p->v.s + d * p->v.d) + fabs(o_row[d]));
  }
  for (int64_t d = 0; d < p->Dv; d++) {
    double largest = 0;
    for (int64_t j = 0; j < p->Skv; j++)
      if (bias_of(p, args, b, h, i, j) != -INFINITY) largest = fmax(largest, value(p, args, v + j * p->v.s + d * p->v.d));
    bound[d] += n * 0x1p-126 * largest * (p->sinks ? 0x1p8 : 1) + (n + 10) * 0x1p-149;
    if (worst > 20 || bound[d] > 2 * largest) bound[d] = 2 * largest;
  }
  return worst + (n + 10) * u + 2 * u * fabs(lse);
}
