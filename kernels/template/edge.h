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

#endif
