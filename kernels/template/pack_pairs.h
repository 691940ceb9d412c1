/* Packing for tiles that multiply 16-bit elements by pairs (vf_step: c + a0 b0 + a1 b1, summed in f32): the functions of
 * pack.h, where a packed float is the bits of two elements, the first in the lower half.
 *
 *   Q  [row tile], as query.h says      neighbours of a row; not scaled, for that would round it: the scores are
 *   K  [key panel][packed(Dqk)][NR]     neighbours of a row
 *   V  [value panel][packed(keys)][NR]  neighbouring keys
 *   P  as V, in the place of the scores: weights rounded to the 16-bit type, to nearest even
 *
 * ATTN_PAIRS pairs of a row stand together: with 2, for matrix multiplications of 2x4 by 4x2 elements, the order is
 * [packed(Dqk) / 2][NR][2] and so on. What is missing to fill them up, or ATTN_QUERY_PAIRS of Q, is 0. */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "care.h"
#include "edge.h"
#include "query.h"

#include <float.h>
#include <string.h>

#ifndef ATTN_QUERY_PAIRS
#define ATTN_QUERY_PAIRS ATTN_PAIRS
#endif
enum { PACKED = 2, ALL_CAREFUL = 0, READS_CACHES = 0, BEHIND_P = 0, TOGETHER = ATTN_PAIRS, OF_QUERY = ATTN_QUERY_PAIRS };
_Static_assert(NR % (2 * VL) == 0, "a panel's weights are packed two vectors at a time");
_Static_assert(OF_QUERY % TOGETHER == 0 && NR % (PACKED * OF_QUERY) == 0, "neighbouring panels leave no gap");

static inline int64_t packed(int64_t n) { return round_up(n, PACKED * OF_QUERY) / PACKED; }

static inline int64_t behind_q(const struct attn_problem *p)
{
  (void)p;
  return 0;
}

/* Turned queries would have to be rounded. */
static inline bool pairs_support(const struct attn_problem *p) { return !p->rope; }

/* Where pair n of row (or column) i stands, if there are `width` of them. */
static inline int64_t pair_place(int64_t n, int64_t i, int64_t width)
{
  return (n / TOGETHER * width + i) * TOGETHER + n % TOGETHER;
}
static inline float pair_of(element first, element second)
{
  const element both[2] = {first, second};
  float bits;
  memcpy(&bits, both, sizeof bits);
  return bits;
}

/* Pair n of a row of `depth`. */
static inline float pair_at(const element *row, int64_t step, int64_t n, int64_t depth)
{
  return pair_of(2 * n < depth ? row[2 * n * step] : 0, 2 * n + 1 < depth ? row[(2 * n + 1) * step] : 0);
}

static inline unsigned pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  enum { COPIED = (int)QUERY_CHUNK < (int)VL ? (int)QUERY_CHUNK : (int)VL };
  const struct attn_problem *p = u->problem;
  for (int64_t i = 0; i < MR; i++) {
    const element *src = row + i < row_end ? (const element *)u->q + attn_q_at(u, row + i) : NULL;
    const int64_t whole = src && p->q.d == 1 ? p->Dqk / 2 / COPIED * COPIED : 0;
    for (int64_t n = 0; n < whole; n += COPIED) memcpy(dst + query_at(n, i), src + 2 * n, COPIED * sizeof *dst);
    for (int64_t n = whole; n < packed(p->Dqk); n++) dst[query_at(n, i)] = src ? pair_at(src, p->q.d, n, p->Dqk) : 0;
  }
  return 0;
}

/* Whole blocks of TB rows and TB pairs; returns how many pairs of those rows are done. */
static inline int64_t pack_k_blocks(float *restrict dst, const element *restrict src, int64_t row_stride, int64_t rows,
                                    int64_t depth)
{
  const int64_t whole = depth / 2 / TB * TB, pairs = packed(depth);
  for (int64_t j = 0; j < rows; j += TB) {
    const element *row = src + j * row_stride;
    float *panel = dst + j / NR * NR * pairs;
    for (int64_t n = 0; n < whole; n += TB) {
      float block[TB][TB];
      for (int64_t r = 0; r < TB; r++) {
        if (j + 2 * TB <= rows) __builtin_prefetch(row + (r + TB) * row_stride + 2 * n);
        memcpy(block[r], row + r * row_stride + 2 * n, sizeof block[r]);
      }
      if (TOGETHER == 1) {
        vf_transpose_block(panel + n * NR + j % NR, NR, block[0], TB);
      } else {
        for (int64_t r = 0; r < TB; r++)
          for (int64_t x = 0; x < TB; x += TOGETHER)
            memcpy(panel + pair_place(n + x, j % NR + r, NR), &block[r][x], TOGETHER * sizeof(float));
      }
    }
  }
  return whole;
}

static inline unsigned pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                              int64_t depth)
{
  const int64_t whole_rows = stride->d == 1 ? n / TB * TB : 0, pairs = packed(depth);
  const int64_t whole = pack_k_blocks(dst, src, stride->s, whole_rows, depth);
  for (int64_t j = 0; j < round_up(n, NR); j++) {
    float *panel = dst + j / NR * NR * pairs;
    for (int64_t x = j < whole_rows ? whole : 0; x < pairs; x++)
      panel[pair_place(x, j % NR, NR)] = j < n ? pair_at(src + j * stride->s, stride->d, x, depth) : 0;
  }
  return 0;
}

static inline vf scaled_score(vf score, float factor) { return vf_mul(score, vf_set(factor)); }

static inline int64_t weights_at(int64_t key) { return key / PACKED * TOGETHER; }

/* Where row i of a tile keeps its packed weights: with two pairs together, beside those of its neighbour. */
static inline float *packed_row(float *p, int64_t i, int64_t stride)
{
  return p + i / TOGETHER * TOGETHER * stride + i % TOGETHER * TOGETHER;
}

/* Packs weights [j, j + 2 VL) of a row that keeps them at `at`, rows `stride` floats apart. Returns sum + those, as packed.
 */
static inline vf pack_two_vectors(float *at, int64_t stride, int64_t j, vf low, vf high, vf sum)
{
  (void)stride;
  const vf pairs = vf_pairs_of(low, high);
  vf_store_weights(at + weights_at(j), pairs);
  return vf_step(pairs, vf_pairs_of_ones(), sum);
}

static inline vf pack_weights(float *p, int64_t i, int64_t stride, int64_t from, int64_t to)
{
  const float *row = p + i * stride;
  float *at = packed_row(p, i, stride);
  vf sum = vf_zero();
  for (int64_t j = from; j < to; j += 2 * VL)
    sum = pack_two_vectors(at, stride, j, vf_load(row + j), vf_load(row + j + VL), sum);
  return sum;
}

static inline void scale_weights(float *p, int64_t i, int64_t stride, int64_t n, float factor)
{
  float *at = packed_row(p, i, stride);
  for (int64_t j = 0; j < n; j += 2 * VL) {
    const vf pairs = vf_load_weights(at + weights_at(j)), by = vf_set(factor);
    vf_store_weights(at + weights_at(j), vf_pair_up(vf_mul(vf_pair_first(pairs), by), vf_mul(vf_pair_second(pairs), by)));
  }
}

static inline unsigned pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                              int64_t keys, int64_t width)
{
  vf far = vf_zero();
  for (int64_t j = 0; j < PACKED * packed(n); j += 2 * TOGETHER)
    for (int64_t d = 0; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      vf pairs[TOGETHER];
      UNROLLED_FOR (x, TOGETHER) {
        vf value[2];
        UNROLLED_FOR (y, 2) {
          const int64_t key = j + 2 * x + y;
          value[y] = key < n ? load_edge(src + key * stride->s, stride->d, d, width) : vf_zero();
          far = vf_farthest(far, value[y]);
        }
        pairs[x] = vf_pair_up(value[0], value[1]);
      }
      vf_store_pairs(dst + left * packed(keys) + pair_place(j / 2, d - left, padded), pairs);
    }
  return vf_any_beyond(far, FLT_MAX) ? CARE_VALUES : 0;
}

#ifndef ATTN_PRODUCTS_BY_TILES
/* See pack.h. The value of a hidden key (weight -0) is taken for 0, which changes no bit of finite ones. */
__attribute__((noinline, cold)) static void value_tile_careful(float *o, float *p, int64_t p_stride, const float *v,
                                                               uint32_t live, int64_t keys, int64_t width)
{
  for (int64_t i = 0; i < MR; i++) {
    const float *row = packed_row(p, i, p_stride);
    for (int64_t d = 0; d < width; d += VL) {
      float *at = o + i * width + d;
      vf acc = vf_zero();
      for (uint32_t rest = live; rest;) {
        int64_t from, to;
        rest = next_run(rest, keys, &from, &to);
        for (int64_t j = packed(from); j < packed(to); j += TOGETHER) {
          vf values[TOGETHER];
          vf_load_pairs(values, v + pair_place(j, d, width));
          UNROLLED_FOR (x, TOGETHER) {
            const vf weights = vf_set(row[j * TOGETHER + x]);
            acc = vf_step(weights, vf_hide_pairs(values[x], weights), acc);
          }
        }
      }
      vf_store(at, vf_add(vf_load(at), acc));
    }
  }
}
#endif

#endif
