/* Packing: whatever the caller's strides, the tiles read contiguous, zero-padded panels. Here a packed float is one
 * element; pack_pairs.h has the same functions for two, pack_digits.h for elements in two digits.
 *
 *   Q  [row tile], as query.h says    scaled, so that scores come out in log2 units
 *   K  [key panel][Dqk][NR]       transposed
 *   V  [value panel][keys][NR]    the last panel may be narrower: whole vectors only */
#ifndef ATTN_PACK_H
#define ATTN_PACK_H

#include "care.h"
#include "edge.h"
#include "load_as.h"
#include "query.h"

#include <float.h>
#include <string.h>

enum {
  PACKED = 1,                               /* elements to a packed float */
  ALL_CAREFUL = 0,                          /* values that are not finite need care even if no key is hidden */
  READS_CACHES = ELEMENT_DTYPE == ATTN_F32, /* Q and O are of any type then */
  BEHIND_P = 0,                             /* floats of a row of P behind its scores, for the packing to use */
};
static inline int64_t packed(int64_t n) { return n; }

/* Floats behind Q that pack_q() may use. */
static inline int64_t behind_q(const struct attn_problem *p) { return p->Dqk > TB ? p->Dqk : TB; }

/* Q and O are of the kernel's type, but a kernel in f32 takes any over a cache. */
static inline vf load_query(const struct attn_unit *u, int64_t at)
{
  return load_as(READS_CACHES ? u->problem->dtype : ELEMENT_DTYPE, u->q, at);
}

/* Where n rows of the unit's head from `row` on begin in q, by one division; those beyond the last one begin where it does.
 */
static inline void find_rows(int64_t *at, int64_t n, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  const struct attn_problem *p = u->problem;
  int64_t head = p->G == 1 ? 0 : row % p->G, begins = attn_q_at(u, row);
  for (int64_t i = 0; i < n; i++) {
    at[i] = begins;
    if (row + i + 1 >= row_end) continue;
    begins += p->q.h;
    if (++head == p->G) head = 0, begins += p->q.s - p->G * p->q.h;
  }
}

static inline bool evenly_apart(const int64_t *at, int64_t n)
{
  bool even = true;
  for (int64_t i = 2; i < n; i++) even &= at[i] - at[i - 1] == at[1] - at[0];
  return even;
}

/* Queries of a tile in columns: elements [0, whole) of its rows, which begin at src[i]. Columns of a block of TB overlap
 * where TB is no divisor of MR: each is right before the next begins, so up to TB floats behind the tile may change. The
 * next tile's rows, behind them in src, are asked for. even: all before those exist, equally far apart. */
static inline void pack_query_columns(float *restrict dst, const struct attn_unit *u, const int64_t *src, int64_t rows,
                                      int64_t whole, bool even)
{
  enum { ROWS = (MR + TB - 1) / TB * TB };
  const vf factor = vf_set(u->problem->q_factor);
  for (int64_t d = 0; d < whole; d += TB) {
    for (int64_t i = 0; i < MR; i++) __builtin_prefetch((const element *)u->q + src[ROWS + i] + d);
    for (int64_t i = 0; i < MR; i += TB) {
      if (even) {
        el_transpose_block(dst + d * MR + i, MR, (const element *)u->q + src[i] + d, src[1] - src[0]);
        continue;
      }
      float block[TB][TB];
      for (int64_t r = 0; r < TB; r++)
        for (int64_t c = 0; c < TB; c += VL)
          vf_store(&block[r][c], i + r < rows ? vf_mul(load_query(u, src[i + r] + d + c), factor) : vf_zero());
      vf_transpose_block(dst + d * MR + i, MR, block[0], TB);
    }
  }
  for (int64_t at = 0; even && at < whole * MR; at += VL) vf_store(dst + at, vf_mul(vf_load(dst + at), factor));
}

/* The same row by row, in chunks of whole vectors. The next tile's rows are asked for meanwhile, which are as many short
 * streams: no hardware prefetcher follows them. They stand behind the tile's own in src. */
static inline void pack_query_rows(float *restrict dst, const struct attn_unit *u, const int64_t *src, int64_t rows,
                                   int64_t whole)
{
  enum { LINE = 64 / sizeof(element) };
  const vf factor = vf_set(u->problem->q_factor);
  for (int64_t i = 0; i < MR; i++) {
    for (int64_t d = 0; d < whole; d += LINE) __builtin_prefetch((const element *)u->q + src[MR + i] + d);
    for (int64_t d = 0; d < whole; d += VL)
      vf_store(dst + query_at(d, i), i < rows ? vf_mul(load_query(u, src[i] + d), factor) : vf_zero());
  }
}

/* Turns the queries of row r of the unit, which is row i of a tile. space: for a row. */
static inline void turn_query(float *restrict dst, const struct attn_unit *u, int64_t r, int64_t i, float *restrict space)
{
  const struct attn_problem *p = u->problem;
  for (int64_t d = 0; d < p->Dqk; d++) space[d] = dst[query_at(d, i)];
  attn_rope_turn(p->rope, attn_row_position(u, r), space, 1);
  for (int64_t d = 0; d < p->Dqk; d++) dst[query_at(d, i)] = space[d];
}

/* Rows [row, row + MR) of the unit's head, turned if the problem has a rope; those at or beyond row_end become 0.
 * behind_q() floats behind the tile may change. Returns what products must take care of; so do pack_k() and pack_v(). */
static inline unsigned pack_q(float *restrict dst, const struct attn_unit *u, int64_t row, int64_t row_end)
{
  enum { COLUMNS = QUERY_CHUNK == 1, ROWS = COLUMNS ? (MR + TB - 1) / TB * TB : MR, AT_ONCE = COLUMNS ? TB : VL };
  const struct attn_problem *p = u->problem;
  const int64_t whole = p->q.d == 1 ? p->Dqk / AT_ONCE * AT_ONCE : 0;
  const int64_t rows = row_end - row < MR ? row_end - row : MR;
  int64_t src[ROWS + MR];
  find_rows(src, ROWS + MR, u, row, row_end);
  if (COLUMNS)
    pack_query_columns(dst, u, src, rows, whole,
                       p->dtype == ELEMENT_DTYPE && row + ROWS <= row_end && evenly_apart(src, ROWS));
  else
    pack_query_rows(dst, u, src, rows, whole);
  for (int64_t i = 0; i < MR; i++)
    for (int64_t d = whole; d < p->Dqk; d++)
      dst[query_at(d, i)] = i < rows ? attn_element_get(p->dtype, u->q, src[i] + d * p->q.d) * p->q_factor : 0;
  for (int64_t i = 0; p->rope && i < rows; i++) turn_query(dst, u, row + i, i, dst + MR * query_floats(p->Dqk));
  return 0;
}

/* Keys [0, n) of a block; the last panel is filled up with 0. TB rows at a time, which are read from end to end, while the
 * next TB are asked for: too many short streams for the hardware's prefetcher. */
static inline unsigned pack_k(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                              int64_t depth)
{
  enum { LINE = 64 / sizeof(element) };
  const int64_t whole_rows = stride->d == 1 ? n / TB * TB : 0, whole_depth = depth / TB * TB;
  if (n % NR) memset(dst + n / NR * NR * depth, 0, sizeof *dst * NR * (size_t)depth);
  for (int64_t j = 0; j < whole_rows; j += TB) {
    const element *rows = src + j * stride->s;
    float *panel = dst + j / NR * NR * depth + j % NR;
    for (int64_t d = 0; d < whole_depth; d += TB) {
      if (d % LINE == 0 && j + 2 * TB <= n)
        for (int64_t r = TB; r < 2 * TB; r++) __builtin_prefetch(rows + r * stride->s + d);
      el_transpose_block(panel + d * NR, NR, rows + d, stride->s);
    }
  }
  for (int64_t j = 0; j < n; j++) {
    float *column = dst + j / NR * NR * depth + j % NR;
    for (int64_t d = j < whole_rows ? whole_depth : 0; d < depth; d++)
      column[d * NR] = el_get(src[j * stride->s + d * stride->d]);
  }
  return 0;
}

/* What the QK tile makes of a packed Q needs nothing more. */
static inline vf scaled_score(vf score, float factor)
{
  (void)factor;
  return score;
}

/* Where the packed weights from a key on begin in a tile's P. */
static inline int64_t weights_at(int64_t key) { return key; }

/* Packs weights [from, to) of row i of a tile p, rows `stride` apart: they may stay as they are. Returns the sum of them as
 * packed, if that can differ. */
static inline vf pack_weights(float *p, int64_t i, int64_t stride, int64_t from, int64_t to)
{
  (void)p;
  (void)i;
  (void)stride;
  (void)from;
  (void)to;
  return vf_zero();
}

/* Packed weights [0, n) of that row, times factor. */
static inline void scale_weights(float *p, int64_t i, int64_t stride, int64_t n, float factor)
{
  for (int64_t j = 0; j < n; j++) p[i * stride + j] *= factor;
}

/* Values of keys [0, n), written for a block of `keys`. Rows are asked for VALUES_SOON ahead, at the end those behind the
 * block: as a rule the next block's or head's. */
static inline unsigned pack_v(float *restrict dst, const element *restrict src, const attn_strides *stride, int64_t n,
                              int64_t keys, int64_t width)
{
  enum { VALUES_SOON = 16, LINE = 64 / sizeof(element) };
  const int64_t whole = stride->d == 1 ? width / NR * NR : 0; /* columns that need no care */
  vf far = vf_zero();
  for (int64_t j = 0; j < n; j++) {
    const element *row = src + j * stride->s;
    const uintptr_t soon = (uintptr_t)row + VALUES_SOON * (uintptr_t)stride->s * sizeof(element); /* may be nobody's */
    for (int64_t left = 0; left < whole; left += NR)
      UNROLLED_FOR (l, NV) {
        if (l * VL % LINE == 0) __builtin_prefetch((const char *)soon + (left + l * VL) * (int64_t)sizeof(element));
        const vf x = el_load(row + left + l * VL);
        far = vf_farthest(far, x);
        vf_store(dst + left * keys + j * NR + l * VL, x);
      }
    for (int64_t d = whole; d < width; d += VL) {
      const int64_t left = d / NR * NR, rest = width - left, padded = rest < NR ? round_up(rest, VL) : NR;
      const vf x = load_edge(row, stride->d, d, width);
      far = vf_farthest(far, x);
      vf_store(dst + left * keys + j * padded + d - left, x);
    }
  }
  return vf_any_beyond(far, FLT_MAX) ? CARE_VALUES : 0;
}

/* O += P V for a block that holds NaN or Inf in V: a hidden key (weight -0) must not be multiplied. One value panel of
 * `width` columns. live: bit j / NR says whether P of key j was computed.
 *
 * Bit for bit what add_value_tile() makes of finite values: which of the two a row meets depends on the last key of its
 * unit, and a row's bits must not. So the sum of the block starts at zero and is fused likewise. */
__attribute__((noinline, cold)) static void value_tile_careful(float *o, const float *p, int64_t p_stride, const float *v,
                                                               uint32_t live, int64_t keys, int64_t width)
{
  for (int64_t i = 0; i < MR; i++)
    for (int64_t d = 0; d < width; d++) {
      float acc = 0;
      for (uint32_t rest = live; rest;) {
        int64_t from, to;
        rest = next_run(rest, keys, &from, &to);
        for (int64_t j = from; j < to; j++) {
          const float weight = p[i * p_stride + j];
          if (weight == 0 && __builtin_signbit(weight)) continue;
          acc = __builtin_fmaf(weight, v[j * width + d], acc);
        }
      }
      o[i * width + d] += acc;
    }
}

#endif
