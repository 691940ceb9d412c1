#include "verify.h"

#include "bound.h"
#include "cached.h"
#include "crash.h"
#include "fpenv.h"
#include "rng.h"
#include "tensors.h"

#include "../../kernels/reference/half.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An element that is not written holds 3.4e38, which no case expects. */
enum { OUTPUT_FILL = 0x7f };

static bool fail(struct verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct verdict *v, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(v->why, sizeof v->why, format, args);
  va_end(args);
  return v->ok = false;
}

static double largest_seen(const struct attn_problem *p, const void *x, const attn_strides *s, int64_t H, int64_t S,
                           int64_t D)
{
  double largest = 0;
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t i = 0; i < S; i++)
        for (int64_t d = 0; d < D; d++) {
          const double y = fabs((double)attn_element_get(p->dtype, x, b * s->b + h * s->h + i * s->s + d * s->d));
          if (isfinite(y) && y > largest) largest = y;
        }
  return largest;
}

/* NaN where the oracle has NaN, the same infinity, or within the bound. */
static bool agrees(double exact, float got, double bound)
{
  if (isnan(exact)) return isnan(got);
  if (isinf(exact)) return (double)got == exact;
  return fabs((double)got - exact) <= bound;
}

/* Independent N(0,1) elements. One row for all keys is not: its rounding errors all point one way. */
static bool is_ordinary(const struct check_case *c)
{
  if (c->arrangement[1] == ONE_ROW || c->arrangement[2] == ONE_ROW) return false;
  if (c->desc.softcap != 0 || (c->desc.flags & ATTN_ALIBI)) return false; /* larger scores */
  return c->data == DATA_NORMAL && c->desc.scale == 0 && !(c->desc.flags & ATTN_SCALE_EXPLICIT) &&
         c->pattern != PATTERN_LOWEST && (c->plant == PLANT_NONE || c->plant == PLANT_HIDDEN);
}

/* Compares the outputs with the oracle. max|O| of a tensor of a handful of elements, or of columns, whose rows may all be
 * alike, may be next to nothing by cancellation; below 64 elements or 4 columns max|V| takes its place. */
static bool compare(const struct attn_kernel *kernel, const struct tensors *t, const struct check_case *c,
                    struct verdict *verdict)
{
  const struct attn_problem *p = &t->problem;
  const bool ordinary = is_ordinary(c);
  const void *o = t->args.o;
  double *row = malloc(((size_t)p->Dv * 2 + (size_t)p->Skv) * sizeof *row);
  if (!row) abort();
  double *bound = row + p->Dv, *scores = bound + p->Dv, lse, lse_bound = 0, scale = 0;
  if (ordinary) {
    const bool few = p->B * p->Hq * p->Sq * p->Dv < 64 || p->B * p->Hkv * p->Dv < 4;
    scale = few ? largest_seen(p, t->args.v, &p->v, p->Hkv, p->Skv, p->Dv) : largest_seen(p, o, &p->o, p->Hq, p->Sq, p->Dv);
  }
  for (int64_t b = 0; b < p->B && verdict->ok; b++)
    for (int64_t h = 0; h < p->Hq && verdict->ok; h++)
      for (int64_t i = 0; i < p->Sq && verdict->ok; i++) {
        attn_oracle_row(p, &t->args, b, h, i, row, &lse, scores);
        if (ordinary) {
          for (int64_t d = 0; d < p->Dv; d++) bound[d] = bound_ordinary(p) * scale;
          lse_bound = bound_ordinary(p) * (1 + fabs(lse));
        } else {
          lse_bound = bound_row(p, &t->args, b, h, i, row, scores, lse, bound);
        }
        if (kernel->flags & ATTN_KERNEL_FLUSHES) lse_bound += bound_flushes(p, &t->args, b, h, i, row, scores, bound);
        if (kernel->flags & ATTN_KERNEL_BF16_WEIGHTS) bound_bf16_weights(p, &t->args, b, h, row, scores, bound);
        if (kernel->flags & ATTN_KERNEL_TWO_DIGITS) lse_bound += bound_two_digits(p, &t->args, b, h, i, row, scores, bound);
        if (kernel->flags & ATTN_KERNEL_16BIT_ROWS)
          lse_bound += bound_16bit_rows(p, &t->args, b, h, i, row, scores, kernel->step_keys, bound);
        for (int64_t d = 0; d < p->Dv && verdict->ok; d++) {
          const float got = attn_element_get(p->dtype, o, b * p->o.b + h * p->o.h + i * p->o.s + d * p->o.d);
          const double limit = bound_stored(p->dtype, row[d], bound[d]);
          if (!agrees(row[d], got, limit))
            fail(verdict, "o[%lld][%lld][%lld][%lld] = %.9g, exact %.9g, error %.3g > %.3g", (long long)b, (long long)h,
                 (long long)i, (long long)d, (double)got, row[d], fabs((double)got - row[d]), limit);
          else if (ordinary && scale > 0 && p->dtype == ATTN_F32)
            verdict->error = fmax(verdict->error, fabs((double)got - row[d]) / scale);
        }
        if (!t->args.lse || !verdict->ok) continue;
        /* Kernels keep scores in log2 units; below -FLT_MAX of those they saturate. */
        if (isfinite(lse)) lse = fmax(lse, -(double)FLT_MAX * 0.69314718055994530942);
        const float got = t->args.lse[b * p->lse.b + h * p->lse.h + i * p->lse.s];
        if (!agrees(lse, got, lse_bound))
          fail(verdict, "lse[%lld][%lld][%lld] = %.9g, exact %.9g, bound %.3g", (long long)b, (long long)h, (long long)i,
               (double)got, lse, lse_bound);
      }
  free(row);
  return verdict->ok;
}

static int64_t part_count(const struct attn_kernel *kernel, const struct attn_problem *p)
{
  if (!kernel->key_span) return 1;
  const int64_t span = attn_key_span(kernel, p->mask_length);
  return (p->mask_length + span - 1) / span;
}

/* All parts of a head, the last one first: they must not depend on each other. */
static void run_split(const struct attn_kernel *kernel, const struct attn_unit *whole, float *parts)
{
  const struct attn_problem *p = whole->problem;
  const int64_t rows = whole->row1 - whole->row0, span = attn_key_span(kernel, p->mask_length);
  const struct attn_parts all = {part_count(kernel, p), attn_part_floats(rows, p->Dv), parts};
  for (int64_t n = all.count - 1; n >= 0; n--) {
    struct attn_unit unit = *whole;
    unit.key0 = n * span;
    unit.key1 = n * span + span < p->Skv ? n * span + span : p->Skv;
    unit.partial = parts + n * all.part_stride;
    unit.row_max = unit.partial + rows * p->Dv;
    unit.row_sum = unit.row_max + rows;
    kernel->run(&unit);
  }
  kernel->merge(whole, &all);
}

/* A function of its own: no local of the caller is at the mercy of the long jump. */
static bool survives(const struct attn_kernel *kernel, const struct attn_unit *unit, float *parts)
{
  if (CRASH_CATCH()) return false;
  if (parts)
    run_split(kernel, unit, parts);
  else
    kernel->run(unit);
  crash_disarm();
  return true;
}

/* Calls the kernel unit by unit, each with scratch, row_max and row_sum that end at a guard page. LSE is made as the driver
 * makes it. */
static bool run_directly(const struct attn_kernel *kernel, struct tensors *t, int64_t unit_rows, unsigned char garbage,
                         enum guard_side side, struct verdict *verdict)
{
  const struct attn_problem *p = &t->problem;
  const int64_t rows = p->G * p->Sq;
  const size_t need = kernel->scratch_bytes(p, unit_rows < rows ? unit_rows : rows), padded = (need + 63) & ~(size_t)63;
  struct guard scratch = guard_alloc("scratch", padded, side, 0, garbage);
  struct guard max = guard_alloc("row_max", (size_t)unit_rows * sizeof(float), side, 0, garbage);
  struct guard sum = guard_alloc("row_sum", (size_t)unit_rows * sizeof(float), side, 0, garbage);
  const int64_t parts = part_count(kernel, p);
  struct guard part = {0};
  if (parts > 1)
    part = guard_alloc("parts", sizeof(float) * (size_t)(parts * attn_part_floats(rows, p->Dv)), side, 0, garbage);
  for (int64_t head = 0; head < p->B * p->Hkv && verdict->ok; head++)
    for (int64_t row0 = 0; row0 < rows && verdict->ok; row0 += unit_rows) {
      const int64_t n = unit_rows < rows - row0 ? unit_rows : rows - row0;
      /* at the end of their room, whatever the unit's size */
      const size_t shift = side == GUARD_END ? (size_t)(unit_rows - n) * sizeof(float) : 0;
      struct attn_unit unit = {.problem = p,
                               .q = t->args.q,
                               .k = t->args.k,
                               .v = t->args.v,
                               .mask = t->args.mask,
                               .o = t->args.o,
                               .b = head / p->Hkv,
                               .hkv = head % p->Hkv,
                               .row0 = row0,
                               .row1 = row0 + n,
                               .key1 = p->Skv,
                               .row_max = (float *)(max.data + shift),
                               .row_sum = (float *)(sum.data + shift),
                               .scratch = scratch.data,
                               .alibi_slopes = t->args.alibi_slopes,
                               .sinks = t->args.sinks,
                               .kv_lengths = t->args.kv_lengths,
                               .blocks = t->args.blocks};
      const uint64_t control = fpenv_control();
      if (!survives(kernel, &unit, (float *)part.data)) {
        const struct guard *all[] = {&t->buffer[0], &t->buffer[1], &t->buffer[2], &t->buffer[3], &t->buffer[4],
                                     &t->buffer[5], &t->buffer[6], &t->buffer[7], &t->buffer[8], &t->buffer[9],
                                     &scratch,      &max,          &sum,          &part};
        char where[120] = "";
        guard_describe(all, sizeof all / sizeof *all, crash.address, where, sizeof where);
        fail(verdict, "%s at %s (rows %lld..%lld of head %lld)", crash_signal_name(crash.signal), where, (long long)row0,
             (long long)(row0 + n), (long long)head);
        break;
      }
      if (fpenv_control() != control) {
        fail(verdict, "the floating-point control register was changed");
        fpenv_restore(control); /* for the cases to come */
      }
      for (int64_t r = 0; r < n && t->args.lse; r++) {
        const int64_t at =
            unit.b * p->lse.b + attn_row_head(p, unit.hkv, row0 + r) * p->lse.h + attn_row_query(p, row0 + r) * p->lse.s;
        const float s = unit.row_sum[r];
        t->args.lse[at] = s == 0 ? -INFINITY : (float)(0.69314718055994530942 * (unit.row_max[r] + log2((double)s)));
      }
      for (size_t i = 0; i < shift && verdict->ok; i++)
        if (max.data[i] != garbage || sum.data[i] != garbage) fail(verdict, "wrote before row_max or row_sum");
      for (size_t i = need; i < padded && verdict->ok; i++)
        if (scratch.data[i] != garbage) fail(verdict, "wrote beyond its %zu bytes of scratch", need);
      guard_refill(&max, garbage);
      guard_refill(&sum, garbage);
    }
  guard_free(&scratch);
  guard_free(&max);
  guard_free(&sum);
  guard_free(&part);
  return verdict->ok;
}

/* cache: NULL, or where K and V are. */
static bool run_by_plan(const struct attn_kernel *kernel, struct tensors *t, int threads, const attn_cache *cache,
                        struct verdict *verdict)
{
  attn_plan *plan = NULL;
  attn_desc desc = t->desc;
  attn_args args = t->args;
  if (cache) {
    desc.k = desc.v = (attn_strides){0};
    args.k = args.v = NULL;
    args.kv_lengths = NULL;
  }
  const attn_options options = {.threads = threads, .kernel = kernel->name, .placement = ATTN_PLACE_NONE};
  const uint64_t control = fpenv_control();
  if (CRASH_CATCH()) {
    return fail(verdict, "%s in attn_run with %d threads, address %p", crash_signal_name(crash.signal), threads,
                crash.address);
  }
  attn_status status = cache ? attn_plan_create_cached(&plan, &desc, cache, &options)
                             : attn_plan_create_blocked(&plan, &desc, &options, &t->problem.blocking);
  if (!status) status = attn_run(plan, &args);
  crash_disarm();
  if (status) fail(verdict, "%s: %s", attn_status_name(status), attn_error_message());
  if (!status && strcmp(attn_plan_kernel(plan), kernel->name)) fail(verdict, "the plan took %s", attn_plan_kernel(plan));
  if (fpenv_control() != control) fail(verdict, "attn_run changed the floating-point control register");
  attn_plan_destroy(plan);
  return verdict->ok;
}

struct outputs {
  unsigned char *o, *lse;
};

static void keep(struct outputs *k, const struct tensors *t)
{
  const struct guard *o = &t->buffer[TENSOR_O], *lse = &t->buffer[TENSOR_LSE];
  k->o = malloc(o->room_bytes);
  k->lse = lse->room ? malloc(lse->room_bytes) : NULL;
  if (!k->o || (lse->room && !k->lse)) abort();
  memcpy(k->o, o->room, o->room_bytes);
  if (lse->room) memcpy(k->lse, lse->room, lse->room_bytes);
}

static bool same_bits(const struct outputs *k, const struct tensors *t, const char *how, struct verdict *verdict)
{
  const struct guard *o = &t->buffer[TENSOR_O], *lse = &t->buffer[TENSOR_LSE];
  if (o->room && memcmp(k->o, o->room, o->room_bytes)) return fail(verdict, "o has other bits %s", how);
  if (k->lse && memcmp(k->lse, lse->room, lse->room_bytes)) return fail(verdict, "lse has other bits %s", how);
  return true;
}

/* From a contiguous cache as the oracle says of `held`, which has the outputs of t; the same bits from a paged one. Sums
 * have another order there than over tensors. */
static bool run_cached(const struct attn_kernel *kernel, attn_dtype dtype, const struct check_case *c, struct tensors *t,
                       const struct tensors *held, uint64_t seed, struct verdict *verdict)
{
  struct outputs first = {0};
  for (int paged = 0; paged < 2 && verdict->ok; paged++) {
    attn_cache *cache = cached_make(t, dtype, paged ? 16 << seed % 3 : 0, seed);
    if (!cache) fail(verdict, "no cache: %s", attn_error_message());
    for (int threads = 1; threads <= (c->threads ? 3 : 1) && verdict->ok; threads++) {
      char how[64];
      const char *name;
      snprintf(how, sizeof how, "from a %s cache with %d threads", paged ? "paged" : "contiguous", threads);
      tensors_reset_outputs(t, OUTPUT_FILL);
      if (!run_by_plan(kernel, t, threads, cache, verdict)) break;
      if (first.o) {
        same_bits(&first, t, how, verdict);
      } else if (!tensors_gaps_untouched(t, OUTPUT_FILL, &name)) {
        fail(verdict, "wrote between or around the elements of %s, from a cache", name);
      } else if (compare(kernel, held, c, verdict)) {
        keep(&first, t);
      }
    }
    attn_cache_destroy(cache);
  }
  free(first.o);
  free(first.lse);
  return verdict->ok;
}

/* From a cache of another type: the oracle is given what it holds. */
static bool run_rounded(const struct attn_kernel *kernel, attn_dtype dtype, const struct check_case *c, struct tensors *t,
                        uint64_t seed, struct verdict *verdict)
{
  struct tensors stored = *t;
  float *k, *v;
  attn_cache *cache = cached_make(t, dtype, 0, seed);
  if (!cache) return fail(verdict, "no cache: %s", attn_error_message());
  cached_read_back(cache, dtype, &stored, &k, &v);
  attn_cache_destroy(cache);
  run_cached(kernel, dtype, c, t, &stored, seed, verdict);
  free(k);
  free(v);
  return verdict->ok;
}

static bool run_all(const struct attn_kernel *kernel, const struct check_case *c, struct tensors *t, uint64_t seed,
                    struct verdict *verdict)
{
  const struct attn_problem *p = &t->problem;
  const int64_t tile = kernel->row_tile, rows = p->G * p->Sq, whole = (rows + tile - 1) / tile * tile;
  const bool whole_head = kernel->flags & ATTN_KERNEL_WHOLE_HEAD;
  const int64_t most = whole_head || whole < kernel->unit_rows ? whole : kernel->unit_rows / tile * tile;
  tensors_reset_outputs(t, OUTPUT_FILL);
  if (!run_directly(kernel, t, most, 0xff, c->side, verdict)) return false;
  const char *name;
  if (!tensors_gaps_untouched(t, OUTPUT_FILL, &name))
    return fail(verdict, "wrote between or around the elements of %s", name);
  if (!compare(kernel, t, c, verdict)) return false;
  struct outputs first;
  keep(&first, t);
  bool ok = true;
  if (!whole_head && most > tile) {
    tensors_reset_outputs(t, OUTPUT_FILL);
    ok = run_directly(kernel, t, (most / tile + 2) / 3 * tile, 0x5a, c->side, verdict) &&
         same_bits(&first, t, "when its rows come in smaller units", verdict);
  } else {
    tensors_reset_outputs(t, OUTPUT_FILL);
    ok = run_directly(kernel, t, most, 0x5a, c->side, verdict) &&
         same_bits(&first, t, "on a second run with other bytes in scratch", verdict);
  }
  for (int threads = 1; threads <= (c->threads ? 3 : 1) && ok; threads++) {
    char how[64];
    snprintf(how, sizeof how, "through attn_run with %d threads", threads);
    tensors_reset_outputs(t, OUTPUT_FILL);
    ok = run_by_plan(kernel, t, threads, NULL, verdict) && same_bits(&first, t, how, verdict);
  }
  if (ok && (kernel->key_span || kernel->flags & ATTN_KERNEL_OWN_CACHES))
    ok = run_cached(kernel, kernel->dtype, c, t, t, seed, verdict);
  if (ok && kernel->flags & ATTN_KERNEL_FLOAT_CACHES)
    ok = run_rounded(kernel, (attn_dtype)(seed / 8 % (ATTN_BF16 + 1)), c, t, seed, verdict);
  free(first.o);
  free(first.lse);
  return ok;
}

struct verdict verify_case(const struct attn_kernel *kernel, const struct check_case *c, uint64_t seed)
{
  struct verdict verdict = {.ok = true};
  struct tensors t;
  const uint64_t case_seed = rng_seed_of(seed, c->name);
  if (!tensors_make(&t, c, case_seed)) {
    fail(&verdict, "libattn refuses the case: %s", attn_error_message());
    return verdict;
  }
  /* The block of keys decides the order of sums, so one is taken for all ways to run: the caches' choice or the kernel's.
   */
  if (case_seed % 2) t.problem.blocking = attn_blocking_default(kernel, &t.problem);
  if (kernel->dtype == ATTN_I8) {
    run_rounded(kernel, kernel->dtype, c, &t, case_seed, &verdict);
  } else if (kernel->flags & ATTN_KERNEL_ONLY_CACHES) {
    run_cached(kernel, kernel->dtype, c, &t, &t, case_seed, &verdict);
  } else {
    verdict.skipped = kernel->supports && !kernel->supports(&t.problem);
    if (!verdict.skipped) run_all(kernel, c, &t, case_seed, &verdict);
  }
  tensors_free(&t);
  return verdict;
}
