#include "grid.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Around the tiles of all ISAs: 6 and 12 rows; 8, 16 and 32 columns; blocks of 64 and 256 keys, once two of these. */
static const int64_t sizes[] = {1, 2, 5, 6, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 64, 97, 255, 256, 257, 513};
static const int64_t head_sizes[] = {1, 3, 8, 16, 17, 33, 40, 64, 80, 96, 128, 136};
static const int64_t groups[] = {1, 2, 3, 7};
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

int bench_grid_count(void) { return COUNT(sizes) * COUNT(sizes); }

static int64_t below(uint64_t *state, int64_t n) { return (int64_t)(bench_random(state) % (uint64_t)n); }
static bool one_in(uint64_t *state, int64_t n) { return below(state, n) == 0; }

static void say(struct grid_case *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct grid_case *c, const char *format, ...)
{
  const size_t used = strlen(c->text);
  va_list args;
  va_start(args, format);
  vsnprintf(c->text + used, sizeof c->text - used, format, args);
  va_end(args);
}

/* Gaps of a few elements after every row, sequence and head; elements element_stride apart. */
static attn_strides odd_strides(uint64_t *state, int64_t heads, int64_t sequence, int64_t d, int64_t element_stride)
{
  attn_strides s = {.d = element_stride};
  s.s = d * element_stride + below(state, 5);
  s.h = sequence * s.s + below(state, 7);
  s.b = heads * s.h + below(state, 3);
  return s;
}

static void choose_layout(struct grid_case *c, uint64_t *state)
{
  attn_desc *d = &c->desc;
  const int64_t choice = below(state, 5);
  if (choice == 1) {
    d->layout = ATTN_BSHD;
    say(c, " BSHD");
  } else if (choice >= 2) {
    const int64_t element_stride = choice == 2 ? 2 : 1;
    d->q = odd_strides(state, d->Hq, d->Sq, d->Dqk, element_stride);
    d->k = odd_strides(state, d->Hkv, d->Skv, d->Dqk, element_stride);
    d->v = odd_strides(state, d->Hkv, d->Skv, d->Dv, element_stride);
    d->o = odd_strides(state, d->Hq, d->Sq, d->Dv, element_stride);
    d->lse = odd_strides(state, d->Hq, d->Sq, 1, element_stride);
    if (choice == 4) d->k.b = d->v.b = 0;
    say(c, choice == 2 ? " element stride 2" : choice == 3 ? " odd strides" : " odd strides, K and V shared by the batch");
  }
}

static void choose_scale(struct grid_case *c, uint64_t *state)
{
  attn_desc *d = &c->desc;
  switch (below(state, 6)) {
  case 0: d->scale = 0.05f; break;
  case 1: d->scale = -0.1f; break;
  case 2: d->flags |= ATTN_SCALE_EXPLICIT; break;
  default: return;
  }
  say(c, " scale %g", (double)d->scale);
}

static void choose_mask(struct grid_case *c, uint64_t *state)
{
  attn_desc *d = &c->desc;
  d->mask.kind = (attn_mask_kind)below(state, 3);
  if (d->mask.kind == ATTN_MASK_NONE) return;
  const int64_t length = one_in(state, 3) ? 1 + below(state, d->Skv) : d->Skv;
  d->mask.length = length;
  say(c, d->mask.kind == ATTN_MASK_BOOL ? " bool mask" : " additive mask");
  if (length < d->Skv) say(c, " of %lld keys", (long long)length);
  switch (below(state, 4)) {
  case 0: break; /* the default: the same for every batch and head */
  case 1:
    d->mask.stride = (attn_strides){d->Hq * d->Sq * length, d->Sq * length, length, 1};
    say(c, " per head");
    break;
  case 2:
    d->mask.stride = (attn_strides){length, 0, 0, 1};
    say(c, " per batch");
    break;
  default:
    d->mask.stride = (attn_strides){0, d->Sq * (length + 3), length + 3, 1};
    say(c, " per head, odd strides");
    break;
  }
}

static void choose_problem(struct grid_case *c, uint64_t *state, int index)
{
  attn_desc *d = &c->desc;
  const int64_t group = groups[below(state, COUNT(groups))];
  d->Sq = sizes[index / COUNT(sizes)];
  d->Skv = sizes[index % COUNT(sizes)];
  d->B = 1 + below(state, 2);
  d->Hkv = 1 + below(state, 2);
  d->Hq = d->Hkv * group;
  d->Dqk = head_sizes[below(state, COUNT(head_sizes))];
  d->Dv = one_in(state, 2) ? d->Dqk : head_sizes[below(state, COUNT(head_sizes))];
  say(c, "B %lld Hq %lld Hkv %lld Sq %lld Skv %lld Dqk %lld Dv %lld", (long long)d->B, (long long)d->Hq, (long long)d->Hkv,
      (long long)d->Sq, (long long)d->Skv, (long long)d->Dqk, (long long)d->Dv);
  if (one_in(state, 2)) {
    d->flags |= ATTN_CAUSAL;
    if (one_in(state, 2)) d->causal_offset = below(state, 2 * d->Skv + 1) - d->Skv;
    say(c, " causal %+lld", (long long)d->causal_offset);
  }
  choose_mask(c, state);
  choose_layout(c, state);
  choose_scale(c, state);
}

static void fill_mask(struct grid_case *c, uint64_t *state, void *mask)
{
  const struct attn_problem *p = &c->problem;
  const bool is_bool = p->mask_kind == ATTN_MASK_BOOL;
  const int64_t n = (int64_t)(c->extents.mask / (is_bool ? 1 : sizeof(float))), density = 2 + below(state, 7);
  for (int64_t at = 0; at < n; at++) {
    const bool hidden = one_in(state, density);
    if (is_bool)
      ((uint8_t *)mask)[at] = hidden ? 0 : (uint8_t)(1 + below(state, 255));
    else {
      float bias;
      bench_fill_normal(&bias, 1, bench_random(state), 0);
      ((float *)mask)[at] = hidden ? -INFINITY : bias;
    }
  }
  for (int64_t b = 0; b < p->B; b++) /* some queries that see nothing, some keys that nobody sees */
    for (int64_t h = 0; h < p->Hq; h++) {
      const int64_t i = below(state, p->Sq), j = below(state, p->mask_length);
      const bool whole_row = one_in(state, 2), whole_column = one_in(state, 2);
      for (int64_t x = 0; whole_row && x < p->mask_length; x++) {
        const int64_t at = b * p->mask.b + h * p->mask.h + i * p->mask.s + x * p->mask.d;
        if (is_bool)
          ((uint8_t *)mask)[at] = 0;
        else
          ((float *)mask)[at] = -INFINITY;
      }
      for (int64_t x = 0; whole_column && x < p->Sq; x++) {
        const int64_t at = b * p->mask.b + h * p->mask.h + x * p->mask.s + j * p->mask.d;
        if (is_bool)
          ((uint8_t *)mask)[at] = 0;
        else
          ((float *)mask)[at] = -INFINITY;
      }
    }
}

bool bench_grid_visible(const struct grid_case *c, int64_t b, int64_t h, int64_t i, int64_t j)
{
  const struct attn_problem *p = &c->problem;
  const int64_t at = b * p->mask.b + h * p->mask.h + i * p->mask.s + j * p->mask.d;
  if (j >= p->mask_length || (p->causal && j > i + p->diagonal)) return false;
  if (p->mask_kind == ATTN_MASK_BOOL) return ((const uint8_t *)c->args.mask)[at] != 0;
  return p->mask_kind == ATTN_MASK_NONE || ((const float *)c->args.mask)[at] != -INFINITY;
}

/* Of all the queries that share this key in memory, the number that see it. */
static int64_t viewers(const struct grid_case *c, int64_t b, int64_t hkv, int64_t j)
{
  const struct attn_problem *p = &c->problem;
  int64_t n = 0;
  for (int64_t other = 0; other < p->B; other++) {
    if (other != b && p->k.b) continue;
    for (int64_t h = hkv * p->G; h < (hkv + 1) * p->G; h++)
      for (int64_t i = 0; i < p->Sq; i++) n += bench_grid_visible(c, other, h, i, j);
  }
  return n;
}

/* NaN where nobody looks; in some cases also where few look, who then must get NaN, and nobody else. */
static void plant_nan(struct grid_case *c, uint64_t *state)
{
  const struct attn_problem *p = &c->problem;
  const bool also_seen = one_in(state, 4);
  int64_t hidden = 0, seen = 0;
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t hkv = 0; hkv < p->Hkv; hkv++)
      for (int64_t j = 0; j < p->Skv; j++) {
        const int64_t n = viewers(c, b, hkv, j);
        const bool few = also_seen && n > 0 && n < p->G * p->Sq / 2 && !seen && one_in(state, 16);
        if (n > 0 && !few) continue;
        *(n ? &seen : &hidden) += 1;
        for (int64_t d = 0; d < p->Dqk; d++)
          attn_element_put(p->dtype, (void *)c->args.k, b * p->k.b + hkv * p->k.h + j * p->k.s + d * p->k.d, NAN);
        for (int64_t d = 0; d < p->Dv; d++)
          attn_element_put(p->dtype, (void *)c->args.v, b * p->v.b + hkv * p->v.h + j * p->v.s + d * p->v.d, NAN);
      }
  if (hidden) say(c, ", NaN in %lld hidden keys", (long long)hidden);
  if (seen) say(c, ", NaN in a key that few see");
}

bool bench_grid_create(struct grid_case *c, uint64_t seed, int index, attn_dtype dtype, char *error, size_t error_bytes)
{
  uint64_t state = seed * 0x9e3779b97f4a7c15u + (uint64_t)index;
  *c = (struct grid_case){.desc = {.dtype = dtype}};
  choose_problem(c, &state, index);
  if (attn_problem_resolve(&c->problem, &c->desc)) {
    snprintf(error, error_bytes, "%s", attn_error_message());
    return false;
  }
  c->extents = attn_problem_extents(&c->problem);
  const size_t bytes[3] = {c->extents.q, c->extents.k, c->extents.v}, element = attn_element_bytes(dtype);
  void *tensor[3] = {malloc(bytes[0]), malloc(bytes[1]), malloc(bytes[2])};
  void *mask = c->extents.mask ? malloc(c->extents.mask) : NULL;
  c->args = (attn_args){.q = tensor[0], .k = tensor[1], .v = tensor[2], .mask = mask};
  bool ok = tensor[0] && tensor[1] && tensor[2] && (mask || !c->extents.mask);
  for (size_t t = 0; t < 3 && ok; t++) {
    const size_t n = bytes[t] / element;
    float *normal = malloc(n * sizeof *normal);
    ok = normal != NULL;
    if (ok) bench_fill_normal(normal, n, seed, (uint64_t)index * 4 + t);
    for (size_t i = 0; i < n && ok; i++) attn_element_put(dtype, tensor[t], (int64_t)i, normal[i]);
    free(normal);
  }
  if (!ok) {
    snprintf(error, error_bytes, "no memory for case %d", index);
    bench_grid_destroy(c);
    return false;
  }
  if (mask) fill_mask(c, &state, mask);
  plant_nan(c, &state);
  return true;
}

void bench_grid_destroy(struct grid_case *c)
{
  free((void *)c->args.q);
  free((void *)c->args.k);
  free((void *)c->args.v);
  free((void *)c->args.mask);
  c->args = (attn_args){0};
}
