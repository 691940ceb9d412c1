/* Rotary embedding: frequencies with their scaling, the tables that kernels read, and turning a whole tensor. */
#include "error.h"

#include "../kernels/reference/half.h"
#include "../kernels/rope.h"

#include <math.h>
#include <stdlib.h>

static const double two_pi = 6.283185307179586476925;

static attn_status check_desc(const attn_rope_desc *d)
{
  if (d->pairing != ATTN_ROPE_HALVES && d->pairing != ATTN_ROPE_INTERLEAVED)
    return attn_fail(ATTN_ERR_INVALID, "pairing = %d is not ATTN_ROPE_HALVES or ATTN_ROPE_INTERLEAVED", (int)d->pairing);
  if ((int)d->scaling < ATTN_ROPE_PLAIN || d->scaling > ATTN_ROPE_LLAMA3)
    return attn_fail(ATTN_ERR_INVALID, "scaling = %d is not one of ATTN_ROPE_PLAIN, _LINEAR, _DYNAMIC, _YARN, _LLAMA3",
                     (int)d->scaling);
  if (d->dims < 2 || d->dims % 2 || d->dims > 1 << 16)
    return attn_fail(ATTN_ERR_INVALID, "dims = %lld is not an even number within 2..65536", (long long)d->dims);
  if (!(d->base > 1) || !isfinite(d->base))
    return attn_fail(ATTN_ERR_INVALID, "base = %g is not above 1; 0 is 10000", d->base);
  if (!isfinite(d->magnitude) || d->magnitude <= 0)
    return attn_fail(ATTN_ERR_INVALID, "magnitude = %g is not a positive number; 0 leaves it to the scaling", d->magnitude);
  if (d->scaling != ATTN_ROPE_PLAIN && (!(d->factor > 0) || !isfinite(d->factor)))
    return attn_fail(ATTN_ERR_INVALID, "factor = %g: this scaling needs a positive one", d->factor);
  if (d->scaling >= ATTN_ROPE_DYNAMIC && d->context < 1)
    return attn_fail(ATTN_ERR_INVALID, "context = %lld: this scaling needs the positions the model was trained for",
                     (long long)d->context);
  if (d->scaling == ATTN_ROPE_DYNAMIC && (d->dims < 4 || d->length < 0))
    return attn_fail(ATTN_ERR_INVALID,
                     "dims = %lld, length = %lld: ATTN_ROPE_DYNAMIC takes dims of 4 and more, length >= 0",
                     (long long)d->dims, (long long)d->length);
  if (d->scaling == ATTN_ROPE_YARN && !(d->beta_slow > 0 && d->beta_fast >= d->beta_slow && isfinite(d->beta_fast)))
    return attn_fail(ATTN_ERR_INVALID, "beta_fast = %g, beta_slow = %g: the first must be the larger, both positive",
                     d->beta_fast, d->beta_slow);
  if (d->scaling == ATTN_ROPE_LLAMA3 &&
      !(d->low_freq_factor > 0 && d->high_freq_factor > d->low_freq_factor && isfinite(d->high_freq_factor)))
    return attn_fail(ATTN_ERR_INVALID,
                     "low_freq_factor = %g, high_freq_factor = %g: the second must be the larger, both positive",
                     d->low_freq_factor, d->high_freq_factor);
  return ATTN_OK;
}

static void fill_defaults(attn_rope_desc *d)
{
  if (d->base == 0) d->base = 10000;
  if (d->beta_fast == 0) d->beta_fast = 32;
  if (d->beta_slow == 0) d->beta_slow = 1;
  if (d->low_freq_factor == 0) d->low_freq_factor = 1;
  if (d->high_freq_factor == 0) d->high_freq_factor = 4;
  if (d->magnitude == 0) d->magnitude = d->scaling == ATTN_ROPE_YARN && d->factor > 1 ? 0.1 * log(d->factor) + 1 : 1;
}

/* YaRN: the pair, as a fraction, that turns `turns` times within the context. */
static double yarn_pair(const attn_rope_desc *d, double turns)
{
  return (double)d->dims * log((double)d->context / (turns * two_pi)) / (2 * log(d->base));
}

/* Pairs that turn often keep their frequency, those that turn less than once are slowed down by factor; a ramp between. */
static double yarn(const attn_rope_desc *d, int64_t pair, double plain)
{
  double low = floor(yarn_pair(d, d->beta_fast)), high = ceil(yarn_pair(d, d->beta_slow));
  if (low < 0) low = 0;
  if (high > (double)(d->dims - 1)) high = (double)(d->dims - 1);
  if (high == low) high += 0.001;
  double slowed = ((double)pair - low) / (high - low);
  slowed = slowed < 0 ? 0 : slowed > 1 ? 1 : slowed;
  return plain / d->factor * slowed + plain * (1 - slowed);
}

static double llama3(const attn_rope_desc *d, double plain)
{
  const double wavelength = two_pi / plain, context = (double)d->context;
  if (wavelength < context / d->high_freq_factor) return plain;
  if (wavelength > context / d->low_freq_factor) return plain / d->factor;
  const double kept = (context / wavelength - d->low_freq_factor) / (d->high_freq_factor - d->low_freq_factor);
  return (1 - kept) * plain / d->factor + kept * plain;
}

static double frequency(const attn_rope_desc *d, int64_t pair)
{
  const double exponent = 2 * (double)pair / (double)d->dims;
  double base = d->base;
  if (d->scaling == ATTN_ROPE_DYNAMIC && d->length > d->context) {
    const double dims = (double)d->dims, stretch = d->factor * (double)d->length / (double)d->context - (d->factor - 1);
    base *= pow(stretch, dims / (dims - 2));
  }
  const double plain = 1 / pow(base, exponent);
  switch (d->scaling) {
  case ATTN_ROPE_LINEAR: return plain / d->factor;
  case ATTN_ROPE_YARN: return yarn(d, pair, plain);
  case ATTN_ROPE_LLAMA3: return llama3(d, plain);
  default: return plain;
  }
}

attn_status attn_rope_create(attn_rope **out, const attn_rope_desc *desc)
{
  if (!out) return attn_fail(ATTN_ERR_INVALID, "rope is NULL; pass the address of an attn_rope pointer");
  *out = NULL;
  if (!desc) return attn_fail(ATTN_ERR_INVALID, "desc is NULL");
  attn_rope_desc d = *desc;
  fill_defaults(&d);
  const attn_status status = check_desc(&d);
  if (status) return status;
  const int64_t pairs = d.dims / 2;
  const size_t turns = ATTN_ROPE_STEP * (size_t)pairs;
  struct attn_rope *rope = malloc(sizeof *rope);
  if (rope)
    *rope = (struct attn_rope){.desc = d,
                               .pairs = pairs,
                               .frequency = malloc((size_t)pairs * sizeof *rope->frequency),
                               .coarse = malloc(turns * sizeof *rope->coarse),
                               .fine = malloc(turns * sizeof *rope->fine)};
  if (!rope || !rope->frequency || !rope->coarse || !rope->fine) {
    attn_rope_destroy(rope);
    return attn_fail(ATTN_ERR_NO_MEMORY, "rope of %lld dims: no memory", (long long)d.dims);
  }
  for (int64_t i = 0; i < pairs; i++) rope->frequency[i] = frequency(&d, i);
  for (int64_t n = 0; n < ATTN_ROPE_STEP; n++)
    for (int64_t i = 0; i < pairs; i++) {
      const double near = (double)n * rope->frequency[i], far = (double)(n * ATTN_ROPE_STEP) * rope->frequency[i];
      rope->fine[n * pairs + i] = (struct attn_turn){cos(near), sin(near)};
      rope->coarse[n * pairs + i] = (struct attn_turn){d.magnitude * cos(far), d.magnitude * sin(far)};
    }
  *out = rope;
  return ATTN_OK;
}

void attn_rope_destroy(attn_rope *rope)
{
  if (!rope) return;
  free(rope->frequency);
  free(rope->coarse);
  free(rope->fine);
  free(rope);
}

attn_status attn_rope_apply(const attn_rope *rope, attn_dtype dtype, void *x, int64_t heads, int64_t n, int64_t D,
                            attn_strides stride, int64_t first)
{
  if (!rope) return attn_fail(ATTN_ERR_INVALID, "rope is NULL; make one with attn_rope_create");
  if (dtype != ATTN_F32 && dtype != ATTN_F16 && dtype != ATTN_BF16)
    return attn_fail(ATTN_ERR_INVALID, "dtype = %d is not one of ATTN_F32, ATTN_F16, ATTN_BF16", (int)dtype);
  if (heads < 0 || n < 0 || D < rope->desc.dims)
    return attn_fail(ATTN_ERR_INVALID, "heads = %lld, n = %lld, D = %lld: none may be negative, D not below dims = %lld",
                     (long long)heads, (long long)n, (long long)D, (long long)rope->desc.dims);
  if (first <= -ATTN_ROPE_POSITIONS || first >= ATTN_ROPE_POSITIONS || n > ATTN_ROPE_POSITIONS - first)
    return attn_fail(ATTN_ERR_INVALID, "first = %lld, n = %lld: positions lie between -%d and %d", (long long)first,
                     (long long)n, (int)ATTN_ROPE_POSITIONS, (int)ATTN_ROPE_POSITIONS);
  if (!stride.h && !stride.s && !stride.d) stride = (attn_strides){0, n * D, D, 1};
  if (stride.h < 0 || stride.s < 0 || stride.d < 0)
    return attn_fail(ATTN_ERR_INVALID, "a stride is negative; strides count elements forward");
  if (heads && n && !x) return attn_fail(ATTN_ERR_INVALID, "x is NULL");
  float *row = malloc((size_t)rope->desc.dims * sizeof *row);
  if (!row) return attn_fail(ATTN_ERR_NO_MEMORY, "no memory for a row of %lld dims", (long long)rope->desc.dims);
  for (int64_t h = 0; h < heads; h++)
    for (int64_t s = 0; s < n; s++) {
      const int64_t at = h * stride.h + s * stride.s;
      for (int64_t d = 0; d < rope->desc.dims; d++) row[d] = attn_element_get(dtype, x, at + d * stride.d);
      attn_rope_turn(rope, first + s, row, 1);
      for (int64_t d = 0; d < rope->desc.dims; d++) attn_element_put(dtype, x, at + d * stride.d, row[d]);
    }
  free(row);
  return ATTN_OK;
}
