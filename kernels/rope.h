/* Rotary position embedding: what kernels read of an attn_rope, and the turning itself. dispatch/rope.c makes it.
 *
 * An angle is position * frequency. Sines and cosines of any position come from two small tables in float64, that of the
 * position's upper bits and that of its lower ones, by the addition theorem: 2^20 positions in 2048 rows, and no libm. */
#ifndef ATTN_ROPE_H
#define ATTN_ROPE_H

#include "attn.h"

#include <stdbool.h>

enum { ATTN_ROPE_STEP = 1 << 10 }; /* positions of the fine table, and steps of the coarse one */

struct attn_turn {
  double cosine, sine;
};

struct attn_rope {
  attn_rope_desc desc;             /* with all defaults filled in */
  int64_t pairs;                   /* dims / 2 */
  double *frequency;               /* [pairs] */
  struct attn_turn *coarse, *fine; /* [ATTN_ROPE_STEP][pairs]; coarse: times desc.magnitude */
};

/* Turns the head at x, whose elements lie `step` apart. */
static inline void attn_rope_turn(const struct attn_rope *rope, int64_t position, float *x, int64_t step)
{
  const int64_t pairs = rope->pairs, away = position < 0 ? -position : position;
  const struct attn_turn *coarse = rope->coarse + away / ATTN_ROPE_STEP * pairs,
                         *fine = rope->fine + away % ATTN_ROPE_STEP * pairs;
  const bool halves = rope->desc.pairing == ATTN_ROPE_HALVES;
  const int64_t next = (halves ? 1 : 2) * step, other = (halves ? pairs : 1) * step;
  for (int64_t i = 0; i < pairs; i++) {
    const double cosine = coarse[i].cosine * fine[i].cosine - coarse[i].sine * fine[i].sine;
    const double sine = coarse[i].sine * fine[i].cosine + coarse[i].cosine * fine[i].sine;
    const float c = (float)cosine, s = (float)(position < 0 ? -sine : sine);
    // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): no plan or cache has heads of fewer than dims elements
    float *const a = x + i * next, *const b = a + other, left = *a, right = *b;
    *a = left * c - right * s;
    *b = right * c + left * s;
  }
}

#endif
