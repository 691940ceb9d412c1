/* Attention in three passes over a whole head: S = Q K^T for all rows and keys, P = softmax(S) row by row, O = P V.
 *
 * What streaming is compared with: the same packing and the same register tiles as fwd_stream.h, but the Sq x Skv scores
 * are written to memory, read and written by the softmax, and read again. */
#ifndef ATTN_NAIVE_H
#define ATTN_NAIVE_H

#include "../scores.h"
#include "pack.h"

#include "output.h"
#include "query.h"
#include "value_tile.h"

#include <float.h>
#include <string.h>

enum { NAIVE_KEYS = 256 / NR * NR };

struct naive {
  const struct attn_unit *unit;
  int64_t tiles, values, stride; /* stride: between rows of S */
  float *q, *o;                  /* packed as in pack.h, output.h */
  float *kv;                     /* a block of K, later of V */
  float *s;                      /* [tiles * MR][stride] scores, then weights */
};

static inline size_t naive_layout(struct naive *n, const struct attn_problem *p, int64_t rows, char *base)
{
  n->tiles = round_up(rows, MR) / MR;
  n->values = round_up(p->Dv, VL);
  n->stride = round_up(p->Skv, NR) + 16; /* rows in different cache sets */
  const int64_t padded = n->tiles * MR, depth = p->Dqk > n->values ? p->Dqk : n->values;
  const int64_t q = round_up(padded * query_floats(p->Dqk) + behind_q(p), 16), o = round_up(padded * n->values, 16),
                kv = NAIVE_KEYS * depth;
  n->q = (float *)base;
  n->o = n->q + q;
  n->kv = n->o + o;
  n->s = n->kv + kv;
  return sizeof(float) * ((size_t)q + (size_t)o + (size_t)kv + (size_t)padded * (size_t)n->stride);
}

static inline size_t naive_scratch_bytes(const struct attn_problem *p, int64_t rows)
{
  struct naive n;
  static char any; /* only its address is used */
  return naive_layout(&n, p, rows, &any);
}

static inline void naive_scores(struct naive *n)
{
  const struct attn_unit *u = n->unit;
  const struct attn_problem *p = u->problem;
  const element *k = (const element *)u->k + attn_k_at(u);
  for (int64_t j0 = 0; j0 < p->Skv; j0 += NAIVE_KEYS) {
    const int64_t keys = p->Skv - j0 < NAIVE_KEYS ? p->Skv - j0 : NAIVE_KEYS;
    pack_k(n->kv, k + j0 * p->k.s, &p->k, keys, p->Dqk);
    for (int64_t panel = 0; panel < keys; panel += NR)
      for (int64_t t = 0; t < n->tiles; t++) {
        vf score[MR][NV];
        ZERO_TILE(score, MR, NV);
        qk_all(score, n->q + t * MR * query_floats(p->Dqk), n->kv + panel * p->Dqk, p->Dqk, NV);
        UNROLLED_FOR (i, MR)
          UNROLLED_FOR (j, NV) vf_store(n->s + (t * MR + i) * n->stride + j0 + panel + j * VL, score[i][j]);
      }
  }
}

/* Turns the scores of row r into weights; returns whether it hides any key. */
static inline bool naive_softmax(struct naive *n, int64_t r)
{
  const struct attn_unit *u = n->unit;
  const struct attn_problem *p = u->problem;
  const struct attn_row row = attn_row_get(u, u->row0 + r);
  const int64_t keys = round_up(p->Skv, NR);
  float *s = n->s + r * n->stride, top = -FLT_MAX;
  attn_edit_scores(p, &row, 0, keys, s);
  vf max = vf_set(-FLT_MAX), sum = vf_zero();
  for (int64_t j = 0; j < keys; j += VL) max = vf_max(vf_load(s + j), max);
  float lanes[VL];
  vf_store(lanes, max);
  for (int l = 0; l < VL; l++) top = lanes[l] > top ? lanes[l] : top;
  for (int64_t j0 = 0; j0 < keys; j0 += NAIVE_KEYS) { /* summed in blocks: the error grows with the square root of one */
    const int64_t end = keys - j0 < NAIVE_KEYS ? keys : j0 + NAIVE_KEYS;
    vf block = vf_zero();
    for (int64_t j = j0; j < end; j += VL) {
      const vf score = vf_load(s + j), below = vf_at_least(vf_set(-ATTN_DEPTH), vf_sub(score, vf_set(top)));
      const vf weight = vf_hide(vf_exp2(below), score);
      vf_store(s + j, weight);
      block = vf_add(block, weight);
    }
    sum = vf_add(sum, block);
  }
  u->row_max[r] = top;
  u->row_sum[r] = vf_hsum(sum);
  return row.first > 0 || row.limit < p->Skv || attn_has_mask(p);
}

/* A function of its own, so that its loops have all registers for themselves. */
__attribute__((noinline)) static void naive_value_tile(float *o, const float *p, int64_t p_stride, const float *v,
                                                       int64_t keys, int64_t width)
{
  if (width == NR)
    add_value_tile(o, p, p_stride, v, UINT32_MAX, keys, NV);
  else
    add_value_tile(o, p, p_stride, v, UINT32_MAX, keys, 1);
}

static inline void naive_values(struct naive *n, bool hides)
{
  const struct attn_unit *u = n->unit;
  const struct attn_problem *p = u->problem;
  const element *v = (const element *)u->v + attn_v_at(u);
  for (int64_t j0 = 0; j0 < p->Skv; j0 += NAIVE_KEYS) {
    const int64_t keys = p->Skv - j0 < NAIVE_KEYS ? p->Skv - j0 : NAIVE_KEYS;
    const unsigned care = pack_v(n->kv, v + j0 * p->v.s, &p->v, keys, NAIVE_KEYS, p->Dv);
    for (int64_t left = 0; left < n->values; left += NR) {
      const int64_t width = n->values - left < NR ? n->values - left : NR;
      const float *panel = n->kv + left * NAIVE_KEYS;
      for (int64_t t = 0; t < n->tiles; t++) {
        const float *weights = n->s + t * MR * n->stride + j0;
        float *o = n->o + tile_row_at(t, 0, left, n->values);
        if (hides && care & CARE_VALUES)
          value_tile_careful(o, weights, n->stride, panel, UINT32_MAX, keys, width);
        else
          naive_value_tile(o, weights, n->stride, panel, keys, width);
      }
    }
  }
}

static inline void naive_run(const struct attn_unit *u)
{
  const struct attn_problem *p = u->problem;
  const int64_t rows = u->row1 - u->row0;
  struct naive n = {.unit = u};
  naive_layout(&n, p, rows, u->scratch);
  for (int64_t t = 0; t < n.tiles; t++) pack_q(n.q + t * MR * query_floats(p->Dqk), u, u->row0 + t * MR, u->row1);
  memset(n.o, 0, (size_t)(n.tiles * MR * n.values) * sizeof *n.o);
  naive_scores(&n);
  bool hides = false;
  for (int64_t r = 0; r < rows; r++) hides |= naive_softmax(&n, r);
  naive_values(&n, hides);
  for (int64_t r = 0; r < rows; r++)
    write_row(u, r, n.o, n.values, attn_finish_row(u, u->row0 + r, &u->row_max[r], &u->row_sum[r]));
}

#endif
