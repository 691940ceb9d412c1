/* What packing and output share: sizes in whole tiles, and rows whose end or stride does not suit a vector. */
#ifndef ATTN_EDGE_H
#define ATTN_EDGE_H

#include "../kernel.h"

static inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* Up to VL values of a row from element d on, whatever their stride. */
static inline vf load_edge(const element *row, int64_t step, int64_t d, int64_t width)
{
  const int64_t have = width - d < VL ? width - d : VL;
  if (step == 1) return have == VL ? el_load(row + d) : el_load_n(row + d, (int)have);
  float gathered[VL] = {0};
  for (int64_t l = 0; l < have; l++) gathered[l] = el_get(row[(d + l) * step]);
  return vf_load(gathered);
}

/* Cuts the first run of neighbouring live panels off: keys [*from, *to) of the block. */
static inline uint32_t next_run(uint32_t live, int64_t keys, int64_t *from, int64_t *to)
{
  const int first = __builtin_ctz(live), panels = __builtin_ctzll(~((uint64_t)live >> first));
  *from = (int64_t)first * NR;
  *to = *from + (int64_t)panels * NR < keys ? *from + (int64_t)panels * NR : keys;
  return live & ~(uint32_t)((((uint64_t)1 << panels) - 1) << first);
}

#endif
