/* How a tile's values begin and end: sums of 0, and rows of O. */
#ifndef ATTN_FINISH_H
#define ATTN_FINISH_H

#include "../scores.h"
#include "output.h"
#include "stream.h"

#include <string.h>

/* Weights that were rounded together, as those of equal scores are, do not sum up to l: O is normalised by what they do sum
 * up to, while l, which LSE is made of, keeps its precision. */
static inline float packing_factor(const struct stream *s, int64_t r, float sum)
{
  const float sum_packed = PACKED > 1 ? vf_hsum(vf_load(s->packed_sum + r * VL)) : 0;
  return sum_packed > 0 ? sum / sum_packed : 1;
}

/* The weights of the rows of tiles [first, end) are complete. */
static inline void finish_rows(struct stream *s, int64_t first, int64_t end)
{
  const struct attn_unit *u = s->unit;
  const int64_t rows = u->row1 - u->row0;
  for (int64_t r = first * MR; r < end * MR && r < rows; r++) {
    u->row_max[r] = s->max[r];
    u->row_sum[r] = vf_hsum(vf_load(s->sum + r * VL));
    const float packing = packing_factor(s, r, u->row_sum[r]);
    s->factor[r] = packing * attn_finish_row(u, u->row0 + r, &u->row_max[r], &u->row_sum[r]);
    s->out[r] = attn_o_at(u, u->row0 + r);
  }
}

/* Tiles [first, end) begin with sums of 0, unless they have others. */
static inline void begin_sums(struct stream *s, int64_t first, int64_t end)
{
  for (int64_t t = first; t < end; t++) {
    if (s->summed[t] != SUMMED_NOTHING) continue;
    memset(s->o + tile_row_at(t, 0, 0, s->values), 0, (size_t)(MR * s->values) * sizeof *s->o);
    s->summed[t] = SUMMED_SOME;
  }
}

static inline void stream_finish(struct stream *s)
{
  const struct attn_unit *u = s->unit;
  for (int64_t t = 0; t < s->tiles; t++) {
    if (s->summed[t] == SUMMED_AND_WRITTEN) continue;
    begin_sums(s, t, t + 1);
    finish_rows(s, t, t + 1);
    for (int64_t i = 0; i < rows_of(s, t); i++) write_row(u, t * MR + i, s->o, s->values, s->factor[t * MR + i]);
  }
}

#endif
