/* Over int8 K and V rows of Q and the weights of a block are rounded to 16 bits: to whole steps of the row's, or of the
 * block's, own (docs/numerics.md). place_query() stores VL of a row of Q where the tiles want them,
 * place_weights() a row's weights of a block, times `levels`. */
#ifndef ATTN_DECODE_LEVELS_H
#define ATTN_DECODE_LEVELS_H

#include "decode_ahead.h"

/* A smaller largest element counts as this: reciprocals stay finite, steps normal. */
#define LEAST_LARGEST 0x1p-100f

/* Steps from 0 to the largest element of a row, or weight of a block. Not 32767, so that two signed digits of 8 bits hold
 * it: some CPUs multiply these. */
enum { LEVELS = 127 * 256 + 127 };

/* The same of a row of Q, or fewer: sums of `depth` products with int8 fit 32 bits. */
static inline float q_levels(int64_t depth)
{
  const int64_t most = INT32_MAX / (127 * depth);
  return (float)(most < LEVELS ? most : LEVELS);
}

/* Stores row r of Q. */
static inline void put_query(const struct decode *s, int64_t r, const float *row)
{
  vf far = vf_zero();
  for (int64_t d = 0; d < s->depth; d += VL) far = vf_farthest(far, vf_load(row + d));
  s->q_step[r] = NAN; /* NaN or Inf: no product matters */
  if (vf_any_beyond(far, FLT_MAX)) return;
  float largest = vf_hmax(far);
  largest = largest < LEAST_LARGEST ? LEAST_LARGEST : largest;
  const float levels = q_levels(s->unit->problem->k.s);
  s->q_step[r] = largest / levels;
  for (int64_t d = 0; d < s->depth; d += VL) place_query(s, r, d, vf_mul(vf_load(row + d), vf_set(levels / largest)));
}

/* Weights of row r times the scales of their values, in 16 bits: the largest of the block is LEVELS. A hidden key's
 * scale may be NaN; another NaN makes a step of NaN. */
static inline void round_weights(struct decode *s, int64_t r, const struct block *b)
{
  float *w = s->s + r * SCORES;
  const int64_t padded = whole_vectors(b->n);
  vf far = vf_zero();
  for (int64_t j = 0; j < padded; j += VL) {
    const vf weight = vf_mul_live(vf_load(w + j), vf_load(b->v_scale[j / STRETCH] + j % STRETCH));
    far = vf_farthest(far, weight);
    vf_store(w + j, weight);
  }
  const bool finite = !vf_any_beyond(far, FLT_MAX);
  float largest = finite ? vf_hmax(far) : 1;
  largest = largest < LEAST_LARGEST ? LEAST_LARGEST : largest;
  s->w_step[r] = finite ? largest / LEVELS : NAN;
  place_weights(s, r, w, padded, vf_set(LEVELS / largest));
}

#endif
