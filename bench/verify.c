#include "verify.h"

#include "bound.h"
#include "refuse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MARGIN_BYTES = 256, CANARY = 0xa5 };

/* The largest sum of p|v| over the elements of a row, NaN left aside. */
static double largest_weight(const struct grid_case *c, int64_t b, int64_t h, const double *probability)
{
  const struct attn_problem *p = &c->problem;
  double largest = 0;
  for (int64_t d = 0; d < p->Dv; d++) {
    double sum = 0;
    for (int64_t j = 0; j < p->Skv; j++)
      if (probability[j] != 0)
        sum += probability[j] * fabs((double)attn_element_get(p->dtype, c->args.v,
                                                              b * p->v.b + h / p->G * p->v.h + j * p->v.s + d * p->v.d));
    if (sum > largest) largest = sum;
  }
  return largest;
}

bool bench_truth_create(struct verify_truth *truth, const struct grid_case *c)
{
  enum { CANCELLATION = 8 };
  const struct attn_problem *p = &c->problem;
  const int64_t rows = p->B * p->Hq * p->Sq;
  double *scores = malloc((size_t)p->Skv * sizeof *scores);
  *truth = (struct verify_truth){.o = malloc((size_t)(rows * p->Dv) * sizeof(double)),
                                 .lse = malloc((size_t)rows * sizeof(double))};
  const bool ok = scores && truth->o && truth->lse;
  for (int64_t r = 0; r < rows && ok; r++) {
    const int64_t b = r / p->Sq / p->Hq, h = r / p->Sq % p->Hq, i = r % p->Sq;
    attn_oracle_row(p, &c->args, b, h, i, truth->o + r * p->Dv, &truth->lse[r], scores);
    const double weight = i == 0 || i == p->Sq - 1 ? largest_weight(c, b, h, scores) : 0;
    if (weight > truth->weight) truth->weight = weight;
  }
  truth->unit = truth->weight / CANCELLATION;
  for (int64_t n = 0; n < rows * p->Dv && ok; n++)
    if (fabs(truth->o[n]) > truth->unit) truth->unit = fabs(truth->o[n]);
  if (truth->unit == 0) truth->unit = 1; /* nobody sees anything */
  free(scores);
  if (!ok) bench_truth_destroy(truth);
  return ok;
}

void bench_truth_destroy(struct verify_truth *truth)
{
  free(truth->o);
  free(truth->lse);
  *truth = (struct verify_truth){0};
}

/* An output with a margin on both sides, all of it canaries before the run. */
struct output {
  unsigned char *base;
  size_t bytes; /* without the margins */
};

static bool output_create(struct output *out, size_t bytes)
{
  out->bytes = bytes;
  out->base = malloc(bytes + 2 * MARGIN_BYTES);
  if (out->base) memset(out->base, CANARY, bytes + 2 * MARGIN_BYTES);
  return out->base != NULL;
}

static void *output_start(const struct output *out) { return out->base + MARGIN_BYTES; }

/* Puts canaries over the elements that the kernel had to write; then nothing else may be left. */
static bool only_elements_written(struct output *out, const struct attn_problem *p, const attn_strides *s, int64_t d_count,
                                  size_t element)
{
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++)
        for (int64_t d = 0; d < d_count; d++)
          memset((char *)output_start(out) + (size_t)(b * s->b + h * s->h + i * s->s + d * s->d) * element, CANARY,
                 element);
  for (size_t at = 0; at < out->bytes + 2 * MARGIN_BYTES; at++)
    if (out->base[at] != CANARY) return false;
  return true;
}

/* Bit for bit; of a NaN only that it is one: which operand's payload survives an addition is up to the compiler. */
static bool same_elements(const struct output *x, const struct output *y, const struct attn_problem *p, attn_dtype dtype,
                          const attn_strides *s, int64_t d_count, const char *name, char *why, size_t bytes)
{
  const size_t element = attn_element_bytes(dtype);
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++)
        for (int64_t d = 0; d < d_count; d++) {
          const int64_t at = b * s->b + h * s->h + i * s->s + d * s->d;
          const char *one = (const char *)output_start(x) + (size_t)at * element;
          const char *two = (const char *)output_start(y) + (size_t)at * element;
          if (!memcmp(one, two, element)) continue;
          const float a = attn_element_get(dtype, one, 0), z = attn_element_get(dtype, two, 0);
          if (isnan(a) && isnan(z)) continue;
          return fail(why, bytes, "%s[b %lld][h %lld][i %lld][d %lld] is %.9g on one thread and %.9g on two", name,
                      (long long)b, (long long)h, (long long)i, (long long)d, (double)a, (double)z);
        }
  return true;
}

static bool compare_o(const struct attn_kernel *kernel, const struct grid_case *c, const struct verify_truth *truth,
                      const void *o, struct verify_tally *tally, char *why, size_t bytes)
{
  const struct attn_problem *p = &c->problem;
  double bound = bench_error_bound(p->dtype, kernel);
  if (kernel->flags & ATTN_KERNEL_BF16_WEIGHTS) /* where O cancels, the errors of the weights do not */
    bound *= fmax(1, truth->weight / 2 / truth->unit);
  int64_t n = 0;
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++) {
        const bool blind = truth->lse[n / p->Dv] == -INFINITY;
        tally->blind_rows += blind;
        for (int64_t d = 0; d < p->Dv; d++, n++) {
          const double got = (double)attn_element_get(p->dtype, o, b * p->o.b + h * p->o.h + i * p->o.s + d * p->o.d);
          const double error = fabs(got - truth->o[n]) / truth->unit;
          const bool right = isnan(truth->o[n]) ? isnan(got) : blind ? got == 0 : error <= bound;
          if (!isnan(truth->o[n]) && error > tally->o_error) tally->o_error = error;
          if (right) continue;
          return fail(why, bytes,
                      "o[b %lld][h %lld][i %lld][d %lld] is %.9g, the oracle says %.9g (error %.2e, bound %.2e)",
                      (long long)b, (long long)h, (long long)i, (long long)d, got, truth->o[n], error, bound);
        }
      }
  return true;
}

static bool compare_lse(const struct grid_case *c, const struct verify_truth *truth, const float *lse,
                        struct verify_tally *tally, char *why, size_t bytes)
{
  const struct attn_problem *p = &c->problem;
  const double bound = bench_lse_bound();
  int64_t n = 0;
  for (int64_t b = 0; b < p->B; b++)
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++, n++) {
        const double expected = truth->lse[n], got = (double)lse[b * p->lse.b + h * p->lse.h + i * p->lse.s];
        const double error = fabs(got - expected) / fmax(1, fabs(expected));
        const bool right = isnan(expected) ? isnan(got) : isinf(expected) ? got == expected : error <= bound;
        if (isfinite(expected) && error > tally->lse_error) tally->lse_error = error;
        if (right) continue;
        return fail(why, bytes, "lse[b %lld][h %lld][i %lld] is %.9g, the oracle says %.9g (error %.2e, bound %.2e)",
                    (long long)b, (long long)h, (long long)i, got, expected, error, bound);
      }
  return true;
}

/* Fills o and lse. Returns the threads that were used; 0: failed. */
static int run(const struct attn_kernel *kernel, const struct grid_case *c, int threads, struct output *o,
               struct output *lse, char *why, size_t bytes)
{
  const attn_options options = {.kernel = kernel->name, .threads = threads};
  attn_args args = c->args;
  attn_plan *plan;
  args.o = output_start(o);
  args.lse = output_start(lse);
  if (attn_plan_create(&plan, &c->desc, &options)) return fail(why, bytes, "no plan: %s", attn_error_message());
  const int used = attn_plan_threads(plan);
  const attn_status status = attn_run(plan, &args);
  attn_plan_destroy(plan);
  if (status) return fail(why, bytes, "run failed: %s", attn_error_message());
  return used;
}

bool bench_verify_case(const struct attn_kernel *kernel, const struct grid_case *c, const struct verify_truth *truth,
                       struct verify_tally *tally, char *why, size_t bytes)
{
  const struct attn_problem *p = &c->problem;
  struct output o[2] = {{0}}, lse[2] = {{0}};
  bool ok = true;
  tally->cases++;
  for (int n = 0; n < 2 && ok; n++) {
    ok = output_create(&o[n], c->extents.o) && output_create(&lse[n], c->extents.lse);
    if (!ok) fail(why, bytes, "no memory for the outputs");
    const int used = ok ? run(kernel, c, n + 1, &o[n], &lse[n], why, bytes) : 0;
    ok = used > 0;
    tally->on_two_threads += used > 1;
  }
  if (ok)
    ok = compare_o(kernel, c, truth, output_start(&o[0]), tally, why, bytes) &&
         compare_lse(c, truth, output_start(&lse[0]), tally, why, bytes);
  if (ok)
    ok = same_elements(&o[0], &o[1], p, p->dtype, &p->o, p->Dv, "o", why, bytes) &&
         same_elements(&lse[0], &lse[1], p, ATTN_F32, &p->lse, 1, "lse", why, bytes);
  for (int n = 0; n < 2 && ok; n++)
    if (!only_elements_written(&o[n], p, &p->o, p->Dv, attn_element_bytes(p->dtype)) ||
        !only_elements_written(&lse[n], p, &p->lse, 1, sizeof(float)))
      ok = fail(why, bytes, "memory that belongs to no row of the output was written");
  tally->failures += !ok;
  for (int n = 0; n < 2; n++) {
    free(o[n].base);
    free(lse[n].base);
  }
  return ok;
}
