#include "tensors.h"

#include "rng.h"

#include "../../kernels/reference/half.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Gaps between input elements hold NaN (all bits set): whoever reads one and uses it, shows it. */
enum { INPUT_FILL = 0xff };

static attn_strides strides_of(char arrangement, int64_t H, int64_t S, int64_t D)
{
  switch (arrangement) {
  case SEQUENCE: return (attn_strides){S * H * D, D, H * D, 1};
  case PADDED: return (attn_strides){H * (S * (D + 3) + 7) + 11, S * (D + 3) + 7, D + 3, 1};
  case TRANSPOSED: return (attn_strides){H * D * S, D * S, 1, S};
  case STEPPED: return (attn_strides){H * S * (2 * D + 1), S * (2 * D + 1), 2 * D + 1, 2};
  case BROADCAST: return (attn_strides){0, 0, D, 1};
  case ONE_ROW: return (attn_strides){H * D, D, 0, 1};
  }
  return (attn_strides){H * S * D, S * D, D, 1};
}

static void set_strides(attn_desc *d, const struct check_case *c)
{
  const bool all_c = !memcmp(c->arrangement, "cccc", 4), all_s = !memcmp(c->arrangement, "ssss", 4);
  d->layout = all_s ? ATTN_BSHD : ATTN_BHSD;
  if (!all_c && !all_s) { /* those two stay 0: the defaults of attn.h are tested with them */
    d->q = strides_of(c->arrangement[0], d->Hq, d->Sq, d->Dqk);
    d->k = strides_of(c->arrangement[1], d->Hkv, d->Skv, d->Dqk);
    d->v = strides_of(c->arrangement[2], d->Hkv, d->Skv, d->Dv);
    d->o = strides_of(c->arrangement[3], d->Hq, d->Sq, d->Dv);
  }
  if (c->lse == 'p') d->lse = (attn_strides){d->Hq * (2 * d->Sq + 3) + 5, 2 * d->Sq + 3, 2, 0};
  if (d->mask.kind == ATTN_MASK_NONE) return;
  const int64_t length = d->mask.length ? d->mask.length : d->Skv;
  if (c->mask_s && !c->mask_b && !c->mask_h && c->mask_step == 1) return; /* the default again */
  attn_strides *m = &d->mask.stride;
  const int64_t row = length * c->mask_step + 3;
  m->d = c->mask_step;
  m->s = c->mask_s ? row : 0;
  m->h = c->mask_h ? (c->mask_s ? d->Sq : 1) * row + 1 : 0;
  m->b = c->mask_b ? (c->mask_h ? d->Hq : 1) * (d->Sq * row + 1) : 0;
}

static bool mask_visible(const struct check_case *c, const struct attn_problem *p, struct rng *r, int64_t i, int64_t j)
{
  const uint64_t roll = rng_next(r) >> 11;
  switch (c->pattern) {
  case PATTERN_RANDOM: return roll % 10 < 7;
  case PATTERN_SPARSE: return roll % 20 == 0;
  case PATTERN_WINDOW: return j <= i + p->Skv - p->Sq && j + 12 > i + p->Skv - p->Sq;
  case PATTERN_TILES: return j / 32 % 2;
  case PATTERN_ROWS: return i % 3 != 1;
  case PATTERN_HIDDEN: return false;
  case PATTERN_EDGES: return j == 0 || j == p->mask_length - 1;
  case PATTERN_LONE: return j == 64 * (i % 3) + 1;
  case PATTERN_LOWEST: return j % 4 == 0 && i % 2;
  default: return true;
  }
}

static void fill_mask(struct tensors *t, const struct check_case *c, struct rng *r)
{
  const struct attn_problem *p = &t->problem;
  static const uint8_t truths[] = {1, 255, 0x80, 2};
  const bool f16 = p->mask_kind == ATTN_MASK_ADDITIVE_F16;
  const float hide = c->pattern != PATTERN_LOWEST ? -INFINITY : f16 ? -65504 : -FLT_MAX;
  if (p->mask_kind == ATTN_MASK_NONE) return;
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++)
        for (int64_t j = 0; j < p->mask_length; j++) {
          const int64_t at = b * p->mask.b + h * p->mask.h + i * p->mask.s + j * p->mask.d;
          const bool visible = mask_visible(c, p, r, i, j);
          if (p->mask_kind == ATTN_MASK_BOOL)
            t->buffer[TENSOR_MASK].data[at] = visible ? truths[rng_next(r) >> 20 & 3] : 0;
          else
            attn_element_put(f16 ? ATTN_F16 : ATTN_F32, t->buffer[TENSOR_MASK].data, at, visible ? rng_unit(r) : hide);
        }
}

/* Slopes as in the paper's geometric series, one of them 0; a sink far below, among and above the scores; lengths from 0 to
 * all keys. */
static void fill_variants(struct tensors *t, struct rng *r)
{
  const struct attn_problem *p = &t->problem;
  float *slope = (float *)t->buffer[TENSOR_SLOPES].data, *sink = (float *)t->buffer[TENSOR_SINKS].data;
  int64_t *length = (int64_t *)t->buffer[TENSOR_LENGTHS].data;
  for (int64_t h = 0; slope && h < p->Hq; h++) slope[h] = h % 4 == 3 ? 0 : exp2f(-(float)(h % 5));
  for (int64_t h = 0; sink && h < p->Hq; h++) sink[h] = h % 4 == 2 ? -INFINITY : h % 4 == 3 ? 40 : 3 * rng_normal(r);
  for (size_t i = 0; i < t->buffer[TENSOR_BLOCKS].bytes; i++) /* half of the blocks, now and then a byte of none or all */
    t->buffer[TENSOR_BLOCKS].data[i] = (uint8_t)(i % 5 == 3 ? 0 : i % 7 == 2 ? 255 : rng_next(r) >> 20);
  for (int64_t b = 0; length && b < p->B; b++) length[b] = b % 3 == 2 ? 0 : 1 + rng_below(r, p->Skv);
}

/* A score of about x for query (1, 1, ..., 1) with some noise: each of D elements gives x / (scale D). */
static float key_for(const struct attn_problem *p, double score, struct rng *r)
{
  const double scale = p->scale == 0 ? 1 : p->scale;
  return (float)(score / (scale * (double)p->Dqk)) + 0.01f * rng_unit(r);
}

static float element(const struct check_case *c, const struct attn_problem *p, int which, int64_t s, int64_t d,
                     struct rng *r, uint64_t seed)
{
  const float x = rng_normal(r);
  const bool q = which == TENSOR_Q, k = which == TENSOR_K, v = which == TENSOR_V;
  static const double slopes[] = {0.3, 4, 40};
  const double slope = slopes[seed % 3];
  switch (c->data) {
  case DATA_LARGE: return v ? x : 20 * x;
  case DATA_RISING: return q ? 1 + 0.01f * x : k ? key_for(p, slope * (double)s, r) : x;
  case DATA_FALLING: return q ? 1 + 0.01f * x : k ? key_for(p, -slope * (double)s, r) : x;
  case DATA_STEPS: return q ? 1 + 1e-4f * x : k ? key_for(p, (double)(s / 8) * (5.4 + 0.02 * (double)(seed % 10)), r) : x;
  case DATA_ONE_HUGE: return q ? 1 + 0.1f * x : k ? (s == (int64_t)(seed % (uint64_t)p->Skv) ? key_for(p, 1e4, r) : x) : x;
  case DATA_EQUAL: return k ? 0.37f * (float)(d % 5) - 0.6f : x;
  case DATA_TIES: return v ? x : (float)(rng_below(r, 3) - 1);
  case DATA_DENORMAL:
    if (p->dtype == ATTN_F16) return x * (v ? 1e-6f : 1e-5f);
    return q ? x * 1e-20f : k ? x * 1e-21f : x * 1e-39f;
  case DATA_NEGATIVE: return q ? 1 + 0.1f * x : k ? key_for(p, -3000 + 3 * x, r) : x;
  case DATA_DROP: return q ? 1 + 1e-4f * x : k ? key_for(p, s < 256 ? 0 : -88 - (double)(s % 40), r) : x;
  case DATA_LEAP: return q ? 1 + 1e-4f * x : k ? key_for(p, s < 256 ? 0 : 89 + (double)(s % 10), r) : x;
  case DATA_LOW: return q ? 1 + 1e-4f * x : k ? key_for(p, s < 256 ? -82 : -97 - (double)(s % 10), r) : x;
  case DATA_ZERO: return q ? 0 : x;
  case DATA_WIDE: return v ? x * powf(10, (p->dtype == ATTN_F16 ? 3 : 15) * rng_unit(r)) : x;
  default: return x;
  }
}

static void fill(struct tensors *t, const struct check_case *c, int which, const attn_strides *stride, int64_t H, int64_t S,
                 int64_t D, struct rng *r, uint64_t seed)
{
  for (int64_t b = 0; b < t->problem.B; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t s = 0; s < S; s++)
        for (int64_t d = 0; d < D; d++)
          attn_element_put(t->problem.dtype, t->buffer[which].data,
                           b * stride->b + h * stride->h + s * stride->s + d * stride->d,
                           element(c, &t->problem, which, s, d, r, seed));
}

static bool block_visible(const struct attn_problem *p, const uint8_t *blocks, int64_t b, int64_t h, int64_t i, int64_t j)
{
  if (!p->block_keys) return true;
  const int64_t x = j / p->block_keys, row = b * p->block_b + h * p->block_h + i / p->block_queries * p->block_row;
  return blocks[row + x / 8] >> x % 8 & 1;
}

/* Whether any query of any head that shares KV head (b, hkv) sees key j. */
static bool seen_by_any(const struct tensors *t, int64_t b, int64_t hkv, int64_t j)
{
  const struct attn_problem *p = &t->problem;
  const int64_t length = p->kv_lengths ? t->args.kv_lengths[b] : p->Skv;
  if (j >= p->mask_length || j >= length) return false;
  for (int64_t h = hkv * p->G; h < (hkv + 1) * p->G; h++)
    for (int64_t i = 0; i < p->Sq; i++) {
      const int64_t at = b * p->mask.b + h * p->mask.h + i * p->mask.s + j * p->mask.d;
      const int64_t ahead = j - (i + p->diagonal + length - p->Skv);
      if (p->causal && ahead > 0) continue;
      if ((p->window_left >= 0 && -ahead > p->window_left) || (p->window_right >= 0 && ahead > p->window_right)) continue;
      if (p->mask_kind == ATTN_MASK_BOOL && !t->buffer[TENSOR_MASK].data[at]) continue;
      if (attn_mask_adds(p->mask_kind) && attn_bias_get(p->mask_kind, t->buffer[TENSOR_MASK].data, at) == -INFINITY)
        continue;
      if (!block_visible(p, t->buffer[TENSOR_BLOCKS].data, b, h, i, j)) continue;
      return true;
    }
  return false;
}

/* NaN in four ways: as instructions make it, with all bits set, of either sign, and one that is not quiet. */
static void put_nan(attn_dtype dtype, void *base, int64_t at)
{
  static const uint32_t f32[] = {0x7fc00000, 0x7fffffff, 0xffffffff, 0x7f800001};
  static const uint16_t f16[] = {0x7e00, 0x7fff, 0xffff, 0x7c01}, bf16[] = {0x7fc0, 0x7fff, 0xffff, 0x7f81};
  if (dtype == ATTN_F32)
    memcpy((float *)base + at, &f32[at % 4], sizeof *f32);
  else
    ((uint16_t *)base)[at] = (dtype == ATTN_F16 ? f16 : bf16)[at % 4];
}

static void sow(struct tensors *t, const struct check_case *c, struct rng *r)
{
  const struct attn_problem *p = &t->problem;
  void *q = t->buffer[TENSOR_Q].data, *k = t->buffer[TENSOR_K].data, *v = t->buffer[TENSOR_V].data;
  if (c->plant == PLANT_HIDDEN) {
    if (!p->k.s || !p->k.h || !p->k.b || !p->v.s || !p->v.h || !p->v.b) return; /* shared with a visible key */
    for (int64_t b = 0; b < p->B; b++)
      for (int64_t h = 0; h < p->Hkv; h++)
        for (int64_t j = 0; j < p->Skv; j++) {
          if (seen_by_any(t, b, h, j)) continue;
          const float poison[] = {NAN, INFINITY, -INFINITY};
          for (int64_t d = 0; d < p->Dqk; d++)
            attn_element_put(p->dtype, k, b * p->k.b + h * p->k.h + j * p->k.s + d * p->k.d, poison[j % 3]);
          for (int64_t d = 0; d < p->Dv; d++)
            attn_element_put(p->dtype, v, b * p->v.b + h * p->v.h + j * p->v.s + d * p->v.d, poison[(j + d) % 3]);
        }
    return;
  }
  const int64_t b = rng_below(r, p->B), h = rng_below(r, p->Hkv), j = rng_below(r, p->Skv);
  const int64_t at_k = b * p->k.b + h * p->k.h + j * p->k.s + rng_below(r, p->Dqk) * p->k.d;
  const int64_t at_v = b * p->v.b + h * p->v.h + j * p->v.s + rng_below(r, p->Dv) * p->v.d;
  const int64_t at_q = b * p->q.b + h * p->G * p->q.h + rng_below(r, p->Sq) * p->q.s + rng_below(r, p->Dqk) * p->q.d;
  switch (c->plant) {
  case PLANT_NAN_Q: put_nan(p->dtype, q, at_q); break;
  case PLANT_NAN_K: put_nan(p->dtype, k, at_k); break;
  case PLANT_NAN_V: put_nan(p->dtype, v, at_v); break;
  case PLANT_INF_V: attn_element_put(p->dtype, v, at_v, j % 2 ? INFINITY : -INFINITY); break;
  case PLANT_INF_K: attn_element_put(p->dtype, k, at_k, j % 2 ? INFINITY : -INFINITY); break;
  default: break;
  }
}

bool tensors_make(struct tensors *t, const struct check_case *c, uint64_t seed)
{
  *t = (struct tensors){.desc = c->desc};
  set_strides(&t->desc, c);
  if (attn_problem_resolve(&t->problem, &t->desc)) return false;
  const struct attn_problem *p = &t->problem;
  const struct attn_extents e = attn_problem_extents(p);
  const size_t bytes[TENSOR_COUNT] = {e.q,     e.k,          e.v,     e.mask, e.o, c->lse ? e.lse : 0, e.alibi_slopes,
                                      e.sinks, e.kv_lengths, e.blocks};
  static const char *const names[TENSOR_COUNT] = {"q",   "k",      "v",     "mask",    "o",
                                                  "lse", "slopes", "sinks", "lengths", "blocks"};
  for (int i = 0; i < TENSOR_COUNT; i++) {
    if (!bytes[i]) continue;
    const size_t element = i == TENSOR_LENGTHS  ? sizeof(int64_t)
                           : i == TENSOR_BLOCKS ? 1
                           : i >= TENSOR_LSE    ? sizeof(float)
                           : i != TENSOR_MASK   ? attn_element_bytes(p->dtype)
                                                : attn_mask_element(p->mask_kind);
    t->buffer[i] = guard_alloc(names[i], bytes[i], c->side, (size_t)c->skew * element, INPUT_FILL);
  }
  struct rng r = {seed};
  fill(t, c, TENSOR_Q, &p->q, p->Hq, p->Sq, p->Dqk, &r, seed);
  fill(t, c, TENSOR_K, &p->k, p->Hkv, p->Skv, p->Dqk, &r, seed);
  fill(t, c, TENSOR_V, &p->v, p->Hkv, p->Skv, p->Dv, &r, seed);
  fill_mask(t, c, &r);
  fill_variants(t, &r);
  t->args.kv_lengths = (const int64_t *)t->buffer[TENSOR_LENGTHS].data;
  if (c->plant != PLANT_NONE) sow(t, c, &r);
  for (int i = 0; i < TENSOR_COUNT; i++)
    if (i != TENSOR_O && i != TENSOR_LSE) guard_read_only(&t->buffer[i]);
  t->args = (attn_args){.q = t->buffer[TENSOR_Q].data,
                        .k = t->buffer[TENSOR_K].data,
                        .v = t->buffer[TENSOR_V].data,
                        .mask = t->buffer[TENSOR_MASK].data,
                        .o = t->buffer[TENSOR_O].data,
                        .lse = (float *)t->buffer[TENSOR_LSE].data,
                        .alibi_slopes = (const float *)t->buffer[TENSOR_SLOPES].data,
                        .sinks = (const float *)t->buffer[TENSOR_SINKS].data,
                        .kv_lengths = (const int64_t *)t->buffer[TENSOR_LENGTHS].data,
                        .blocks = t->buffer[TENSOR_BLOCKS].data};
  return true;
}

void tensors_free(struct tensors *t)
{
  for (int i = 0; i < TENSOR_COUNT; i++) guard_free(&t->buffer[i]);
}

void tensors_reset_outputs(struct tensors *t, unsigned char fill_byte)
{
  for (int i = TENSOR_O; i <= TENSOR_LSE; i++)
    if (t->buffer[i].room) guard_refill(&t->buffer[i], fill_byte);
}

static bool gaps_untouched(const struct guard *g, const attn_strides *stride, int64_t B, int64_t H, int64_t S, int64_t D,
                           size_t element_bytes, unsigned char fill_byte)
{
  if (!g->room) return true;
  bool *element = calloc(g->bytes / element_bytes, sizeof *element), ok = true;
  if (!element) abort();
  for (int64_t b = 0; b < B; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t s = 0; s < S; s++)
        for (int64_t d = 0; d < D; d++) element[b * stride->b + h * stride->h + s * stride->s + d * stride->d] = true;
  const size_t before = (size_t)(g->data - g->room);
  for (size_t i = 0; i < g->room_bytes && ok; i++) {
    const bool inside = i >= before && i < before + g->bytes;
    ok = g->room[i] == fill_byte || (inside && element[(i - before) / element_bytes]);
  }
  free(element);
  return ok;
}

bool tensors_gaps_untouched(const struct tensors *t, unsigned char fill_byte, const char **name)
{
  const struct attn_problem *p = &t->problem;
  *name = "o";
  if (!gaps_untouched(&t->buffer[TENSOR_O], &p->o, p->B, p->Hq, p->Sq, p->Dv, attn_element_bytes(p->dtype), fill_byte))
    return false;
  *name = "lse";
  return gaps_untouched(&t->buffer[TENSOR_LSE], &p->lse, p->B, p->Hq, p->Sq, 1, sizeof(float), fill_byte);
}
