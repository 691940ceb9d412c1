/* One row over a cache. K is read a stretch at a time, with several chains of sums. If stretches follow each other in
 * memory for long, V is read likewise, a few whole rows at a time, with sums in memory, and each line as it is used asks
 * for the one at its place in the next block. Where requests are slow (ATTN_QUIRK_SLOW_REQUESTS), nothing is asked
 * for then: the hardware's prefetchers bring more. */
#ifndef ATTN_DECODE_PASSING_H
#define ATTN_DECODE_PASSING_H

enum { PASSING_SUMS = 8, PASSING_KEYS = 4 };

/* Element `at` of what the next block has in the same place is wanted; NULL: nothing is. Once a line, if those before are
 * asked for as well. */
ALWAYS_INLINE void ask_at(const element *soon, int64_t at, const bool begins_line, const bool near)
{
  if (soon && begins_line) ask(soon + at, near);
}

/* out[x] = q . key[x] for the keys of a stretch; with `ahead`, asking for as much. */
ALWAYS_INLINE void passing_tile(const float *q, const element *key, int64_t depth, float *out, struct ahead *ahead,
                                const element *next, const bool near)
{
  enum { NV = STRETCH / VL, CHAINS = PASSING_SUMS / NV };
  const int lines = (int)(CHAINS * STRETCH * sizeof(element) + 63) / 64;
  vf acc[CHAINS][NV];
  int64_t d = 0, step = 0;
  const element *soon = ahead ? ahead_take(ahead, lines, depth / CHAINS, key, &step) : key;
  ZERO_TILE(acc, CHAINS, NV);
#define PASSING_AT(at, y, chain)                                                                                           \
  UNROLLED_FOR (x, NV)                                                                                                     \
  acc[chain][x] = vf_fma(vf_set(q[(at) + (y)]), load_beside(key + (at)*STRETCH + x * VL * BESIDE, y), acc[chain][x])
  for (; d + CHAINS <= depth; d += CHAINS, soon += step) {
    if (ahead) {
      UNROLLED_FOR (l, lines) __builtin_prefetch(soon + l * LINE, 0, 2);
      UNROLLED_FOR (l, lines) __builtin_prefetch(key + (d + KEYS_SOON) * STRETCH + l * LINE, 0, 2);
    }
    UNROLLED_FOR (chain, CHAINS) {
      ask_at(next, (d + chain) * STRETCH, chain * STRETCH % LINE == 0, near);
      PASSING_AT(d + chain - chain % BESIDE, chain % BESIDE, chain);
    }
  }
  for (; d < depth; d += BESIDE)
    UNROLLED_FOR (y, BESIDE) PASSING_AT(d, y, 0);
#undef PASSING_AT
  UNROLLED_FOR (x, NV) {
    UNROLLED_FOR (chain, CHAINS - 1) acc[0][x] = vf_add(acc[0][x], acc[chain + 1][x]);
    vf_store(out + x * VL, acc[0][x]);
  }
}

/* next: the block to ask for in order, or NULL; ahead: another way to ask, or NULL. */
ALWAYS_INLINE void passing_keys(const struct decode *s, int64_t first, const struct block *b, const struct block *next,
                                struct ahead *ahead, const bool near)
{
  const int64_t depth = s->unit->problem->k.s;
  for (int64_t j = 0; j < b->n; j += STRETCH)
    passing_tile(s->q + first * s->depth, b->k[j / STRETCH], depth, s->s + first * SCORES + j, ahead,
                 next ? (j < next->n ? next : b)->k[j / STRETCH] : NULL, near);
}

/* part[0..count) += weights w times vectors of PASSING_KEYS rows of V. */
ALWAYS_INLINE void passing_columns(float *part, const int count, const float *w, const element *v, int64_t step,
                                   const element *next, const bool near)
{
  vf acc[PASSING_SUMS];
  UNROLLED_FOR (c, count) acc[c] = vf_load(part + c * VL);
  UNROLLED_FOR (key, PASSING_KEYS)
    UNROLLED_FOR (c, count) {
      const int64_t at = key / BESIDE * BESIDE * step + c * VL * BESIDE;
      ask_at(next, at, key % BESIDE == 0 && c * VL * BESIDE % LINE == 0, near);
      acc[c] = vf_fma(vf_set(w[key]), load_beside(v + at, key % BESIDE), acc[c]);
    }
  UNROLLED_FOR (c, count) vf_store(part + c * VL, acc[c]);
}

ALWAYS_INLINE void passing_values(const struct decode *s, int64_t first, const struct block *b, const struct block *next,
                                  const bool near)
{
  enum { HALF = PASSING_SUMS / 2 };
  const struct attn_problem *p = s->unit->problem;
  const int64_t step = p->v.s;
  float *const part = s->part, *const o = s->o + first * s->values;
  memset(part, 0, (size_t)s->values * sizeof *part);
  for (int64_t j = 0, n; j < b->n; j += n) {
    const int64_t at = j % STRETCH * step;
    const element *const v = b->v[j / STRETCH] + at;
    const element *const soon = next ? (j < next->n ? next : b)->v[j / STRETCH] + at : NULL;
    const float *const w = s->s + first * SCORES + j;
    int64_t d = 0;
    n = b->n - j < PASSING_KEYS ? b->n - j : PASSING_KEYS;
    for (; n == PASSING_KEYS && d + PASSING_SUMS * VL <= p->Dv; d += PASSING_SUMS * VL)
      passing_columns(part + d, PASSING_SUMS, w, v + d * BESIDE, step, soon ? soon + d * BESIDE : NULL, near);
    for (; n == PASSING_KEYS && d + HALF * VL <= p->Dv; d += HALF * VL)
      passing_columns(part + d, HALF, w, v + d * BESIDE, step, soon ? soon + d * BESIDE : NULL, near);
    for (; d < s->values; d += VL) {
      vf sum = vf_load(part + d);
      for (int64_t key = 0; key < n; key++) sum = vf_fma(vf_set(w[key]), load_values(s, b, j + key, d), sum);
      vf_store(part + d, sum);
    }
  }
  for (int64_t d = 0; d < s->values; d += VL) vf_store(o + d, vf_add(vf_load(o + d), vf_load(part + d)));
}

/* What keys_rows() and values_rows() are to more rows. The sums of K are the same however it is asked for, or not: a
 * sequence has its bits from its tokens, however its pages lie. */
ALWAYS_INLINE void keys_of_one(const struct decode *s, int64_t first, const int rows, const bool near,
                               const struct block *b, const struct block *next)
{
  const int64_t depth = s->unit->problem->k.s;
  struct ahead ahead = {0};
  (void)rows;
  if (next) ahead = ahead_of(next->k, next->n, depth, depth);
  if (!s->in_order)
    passing_keys(s, first, b, NULL, &ahead, near);
  else if (s->slow_requests)
    passing_keys(s, first, b, NULL, NULL, near);
  else
    passing_keys(s, first, b, next ? next : b, NULL, near);
}

ALWAYS_INLINE void values_of_one(const struct decode *s, int64_t first, const int rows, const bool near,
                                 const struct block *b, const struct block *next)
{
  if (!s->in_order)
    values_rows(s, first, rows, BESIDE, near, b, next);
  else if (s->slow_requests)
    passing_values(s, first, b, NULL, near);
  else
    passing_values(s, first, b, next ? next : b, near);
}

#endif
