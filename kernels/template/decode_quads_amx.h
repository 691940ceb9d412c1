/* The tiles of decode.h over int8 K and V of a cache, for matrix multiplications of bytes (AMX). A cache of int8 is made of
 * the matrices that these want: 16 quads of 16 keys, and 16 quads of values of 16 columns, are 16 lines of memory each. A
 * number of a row has 16 bits, two signed digits of 8, x = 256 * high + low, with sums of their own; their bits are those
 * of decode_quads.h but for the length of a block. Up to 16 rows pass at a time. */
#ifndef ATTN_DECODE_QUADS_AMX_H
#define ATTN_DECODE_QUADS_AMX_H

#include "decode_amx.h"

enum { QUAD = ATTN_QUAD, TILE_QUADS = TILE * QUAD, SQUARE = TILE * TILE };
_Static_assert((int)BLOCK == (int)TILE_QUADS, "a tile of weights for each block");

static inline int64_t values_width(const struct attn_problem *p) { return p->v.s; }
static inline int64_t depth_tiles(const struct decode *s) { return (s->unit->problem->k.s + TILE_QUADS - 1) / TILE_QUADS; }

/* Digits of 16 rows, a tile of high ones, then one of low ones: of Q for each TILE_QUADS elements, of weights for a block.
 */
static inline size_t tiles_layout(struct decode *s, const char *base, size_t used)
{
  const int64_t padded = padded_rows(s->rows);
  DECODE_TAKE(q16, padded * ((s->depth + TILE_QUADS - 1) / TILE_QUADS * TILE_QUADS));
  DECODE_TAKE(w16, padded * BLOCK);
  DECODE_TAKE(q_step, padded);
  DECODE_TAKE(w_step, padded);
  DECODE_TAKE(v_copy, BLOCK * s->values);
  return used;
}
static inline void tiles_start(struct decode *s)
{
  memset(s->q16, 0, (size_t)(padded_rows(s->rows) * depth_tiles(s) * TILE_QUADS) * sizeof *s->q16);
  memset(s->w16, 0, (size_t)(padded_rows(s->rows) * BLOCK) * sizeof *s->w16);
}

/* VL numbers of at most LEVELS, rounded to nearest; the low digit is what the high one leaves, signed. */
static inline void put_digits(int8_t *high, vf x)
{
  const __m512i n = _mm512_cvtps_epi32(x);
  const __m512i above = _mm512_srai_epi32(_mm512_add_epi32(n, _mm512_set1_epi32(128)), 8);
  _mm_storeu_si128((__m128i *)high, _mm512_cvtepi32_epi8(above));
  _mm_storeu_si128((__m128i *)(high + TILE_BYTES), _mm512_cvtepi32_epi8(n));
}
static inline void place_query(const struct decode *s, int64_t r, int64_t d, vf x)
{
  int8_t *tiles = (int8_t *)s->q16 + (r / TILE * depth_tiles(s) + d / TILE_QUADS) * 2 * TILE_BYTES;
  put_digits(tiles + r % TILE * TILE_QUADS + d % TILE_QUADS, x);
}
static inline __m512i rounded(const float *w, int64_t have, vf levels)
{
  return have > 0 ? _mm512_cvtps_epi32(vf_mul(vf_load(w), levels)) : _mm512_setzero_si512();
}
/* The same of 64 at a time: packed within 128 bits, whose quads are then put in order. Beyond the n first ones 0. */
static inline void place_weights(const struct decode *s, int64_t r, const float *w, int64_t n, vf levels)
{
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i half = _mm512_set1_epi16(128), byte = _mm512_set1_epi16(255);
  const __m512i a = _mm512_packs_epi32(rounded(w, n, levels), rounded(w + VL, n - VL, levels));
  const __m512i b = _mm512_packs_epi32(rounded(w + 2 * VL, n - 2 * VL, levels), rounded(w + 3 * VL, n - 3 * VL, levels));
  const __m512i high_a = _mm512_srai_epi16(_mm512_add_epi16(a, half), 8),
                high_b = _mm512_srai_epi16(_mm512_add_epi16(b, half), 8);
  const __m512i high = _mm512_packs_epi16(high_a, high_b);
  const __m512i low = _mm512_packus_epi16(_mm512_and_si512(a, byte), _mm512_and_si512(b, byte));
  int8_t *to = (int8_t *)s->w16 + r / TILE * 2 * TILE_BYTES + r % TILE * TILE_QUADS;
  _mm512_store_si512(to, _mm512_permutexvar_epi32(order, high));
  _mm512_store_si512(to + TILE_BYTES, _mm512_permutexvar_epi32(order, low));
}

#include "decode_levels.h"

/* What row i's digits amount to: VL sums of the high ones, and a tile further of the low ones. */
static inline vf row_sums(const int32_t *high, int64_t i)
{
  const __m512i above = _mm512_loadu_si512(high + i * TILE), low = _mm512_loadu_si512(high + SQUARE + i * TILE);
  return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(above, 8), low));
}

/* Scores of the rows of tile t and two stretches of keys. */
static inline void score_stretches(const struct decode *s, int64_t t, const struct block *b, int64_t j, struct ahead *ahead)
{
  const int64_t quads = s->unit->problem->k.s / QUAD, keys[2] = {j, j + STRETCH < b->n ? j + STRETCH : j};
  const element *const first = b->k[keys[0] / STRETCH], *const second = b->k[keys[1] / STRETCH];
  const int8_t *q = (const int8_t *)s->q16 + t * depth_tiles(s) * 2 * TILE_BYTES;
  int32_t sums[4 * SQUARE] __attribute__((aligned(64)));
  int8_t copy[2][TILE_BYTES] __attribute__((aligned(64)));
  tile_zero(0);
  tile_zero(1);
  tile_zero(2);
  tile_zero(3);
  for (int64_t n = 0; n < quads; n += TILE, q += 2 * TILE_BYTES) {
    const element *soon = lines_ahead(ahead, 2 * TILE);
    ask_eight(soon, 0, s->near);
    tile_load(4, q, LINE);
    tile_load(6, whole_tile(first + n * LINE, quads - n, copy[0]), LINE);
    tile_add_quads(0, 4, 6);
    ask_eight(soon, 1, s->near);
    tile_load(5, q + TILE_BYTES, LINE);
    tile_add_quads(1, 5, 6);
    ask_eight(soon, 2, s->near);
    tile_load(7, whole_tile(second + n * LINE, quads - n, copy[1]), LINE);
    tile_add_quads(2, 4, 7);
    ask_eight(soon, 3, s->near);
    tile_add_quads(3, 5, 7);
  }
  tile_store(sums, LINE, 0);
  tile_store(sums + SQUARE, LINE, 1);
  tile_store(sums + 2 * SQUARE, LINE, 2);
  tile_store(sums + 3 * SQUARE, LINE, 3);
  for (int64_t i = 0; i < rows_of_tile(s, t); i++)
    UNROLLED_FOR (x, 2) {
      const int64_t r = t * TILE + i;
      const vf scale = vf_mul(vf_set(s->q_step[r]), vf_load(b->k_scale[keys[x] / STRETCH]));
      vf_store(s->s + r * SCORES + keys[x], vf_mul(row_sums(sums + 2 * x * SQUARE, i), scale));
    }
}

static inline void score_block(const struct decode *s, const struct block *b, const struct block *next)
{
  const int64_t width = s->unit->problem->k.s;
  struct ahead ahead = {0};
  if (next) ahead = ahead_of(next->k, next->n, width, width);
  for (int64_t j = 0; next && j < next->n; j += STRETCH) {
    __builtin_prefetch(next->k_scale[j / STRETCH], 0, 2);
    __builtin_prefetch(next->v_scale[j / STRETCH], 0, 2);
  }
  for (int64_t t = 0; t * TILE < s->rows; t++)
    for (int64_t j = 0; j < b->n; j += 2 * STRETCH) score_stretches(s, t, b, j, &ahead);
}

/* The values of a block: as they lie if that is in one piece, else a copy. */
static inline const int8_t *block_values(const struct decode *s, const struct block *b)
{
  const int64_t width = s->values;
  bool whole = b->n > BLOCK - STRETCH;
  for (int i = 1; whole && i < STRETCHES; i++) whole = b->v[i] == b->v[0] + i * STRETCH * width;
  if (whole) return b->v[0];
  for (int64_t j = 0; j < b->n; j += STRETCH) memcpy(s->v_copy + j * width, b->v[j / STRETCH], (size_t)(STRETCH * width));
  return s->v_copy;
}

/* o += weights * V for the rows of tile t, whose digits are in tiles 4 and 5, and one or two tiles of columns. */
static inline void add_columns(const struct decode *s, int64_t t, int64_t left, const int8_t *v, const element *soon)
{
  const int64_t width = s->values;
  const bool both = left + TILE < width;
  int32_t sums[4 * SQUARE] __attribute__((aligned(64)));
  ask_eight(soon, 0, s->near);
  tile_load(6, v + left * QUAD, width * QUAD);
  tile_zero(0);
  tile_zero(1);
  tile_add_quads(0, 4, 6);
  tile_add_quads(1, 5, 6);
  ask_eight(soon, 1, s->near);
  if (both) {
    tile_load(7, v + left * QUAD + LINE, width * QUAD);
    tile_zero(2);
    tile_zero(3);
    tile_add_quads(2, 4, 7);
    tile_add_quads(3, 5, 7);
  }
  ask_eight(soon, 2, s->near);
  tile_store(sums, LINE, 0);
  tile_store(sums + SQUARE, LINE, 1);
  if (both) {
    tile_store(sums + 2 * SQUARE, LINE, 2);
    tile_store(sums + 3 * SQUARE, LINE, 3);
  }
  ask_eight(soon, 3, s->near);
  for (int64_t i = 0; i < rows_of_tile(s, t); i++) {
    float *o = s->o + (t * TILE + i) * width + left;
    const vf step = vf_set(s->w_step[t * TILE + i]);
    vf_store(o, vf_fma(row_sums(sums, i), step, vf_load(o)));
    if (both) vf_store(o + TILE, vf_fma(row_sums(sums + 2 * SQUARE, i), step, vf_load(o + TILE)));
  }
}

static inline void add_values(struct decode *s, const struct block *b, bool hides, const struct block *next)
{
  const int8_t *v = block_values(s, b);
  struct ahead ahead = {0};
  (void)hides; /* integers are finite */
  if (next) ahead = ahead_of(next->v, next->n, s->values, s->values);
  for (int64_t r = 0; r < s->rows; r++) round_weights(s, r, b);
  for (int64_t t = 0; t * TILE < s->rows; t++) {
    const int8_t *w = (const int8_t *)s->w16 + t * 2 * TILE_BYTES;
    tile_load(4, w, LINE);
    tile_load(5, w + TILE_BYTES, LINE);
    for (int64_t left = 0; left < s->values; left += 2 * TILE) add_columns(s, t, left, v, lines_ahead(&ahead, 2 * TILE));
  }
}

#endif
