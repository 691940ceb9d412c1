/* Bytes -> a raw attn_desc, with any sizes, strides, flags and numbers. libattn refuses it with a message, or plans it;
 * then, if it is small, it runs on buffers of exactly the promised extents between guard pages, and every output element is
 * that of the oracle, every other byte untouched. */
#include "fuzz.h"

#include "../kernels/draw.h"
#include "../kernels/guard.h"

#include "../../dispatch/internal.h"
#include "../../dispatch/problem.h"

#include <math.h>

enum { MOST_BYTES = 1 << 16, FILL = 0x7f };

/* Most of them small, so that most problems run, and below `usual`. */
static int64_t number(struct draw *d, int64_t usual)
{
  static const int64_t odd[] = {0,
                                -1,
                                INT64_MAX,
                                INT64_MIN,
                                INT32_MAX,
                                (int64_t)1 << 32,
                                (int64_t)1 << 62,
                                (int64_t)1 << 40,
                                INT64_MAX - 1,
                                SIZE_MAX / 16};
  const uint8_t kind = draw_byte(d);
  if (kind < 236) return kind % usual;
  if (kind < 242) return draw_below(d, 4096);
  if (kind < 252) return odd[kind - 242];
  int64_t x = 0;
  for (int i = 0; i < 8; i++) x = (int64_t)((uint64_t)x << 8 | draw_byte(d));
  return x;
}

static attn_strides strides(struct draw *d)
{
  if (draw_below(d, 4)) return (attn_strides){0};
  attn_strides s;
  s.b = number(d, 200);
  s.h = number(d, 100);
  s.s = number(d, 30);
  s.d = number(d, 3);
  return s;
}

static float real(struct draw *d)
{
  static const float values[] = {0, 1, 0.125f, -2, 50, 1e-30f, 3e38f, NAN, INFINITY, 1e-45f};
  return values[draw_below(d, 10)];
}

static void describe(attn_desc *p, struct draw *d)
{
  *p = (attn_desc){.dtype = (attn_dtype)draw_below(d, 5), .layout = (attn_layout)draw_below(d, 3)};
  p->B = number(d, 3);
  p->Hkv = number(d, 4);
  p->Hq = draw_below(d, 16) ? (int64_t)((uint64_t)p->Hkv * (uint64_t)draw_below(d, 4)) : number(d, 24);
  p->Sq = number(d, 12);
  p->Skv = number(d, 24);
  p->Dqk = number(d, 20);
  p->Dv = number(d, 20);
  p->q = strides(d);
  p->k = strides(d);
  p->v = strides(d);
  p->o = strides(d);
  p->lse = strides(d);
  p->flags = (unsigned)draw_below(d, 256);
  if (p->flags & ATTN_Q_STARTS && draw_below(d, 2))
    p->flags ^= ATTN_KV_STARTS | (unsigned)(draw_below(d, 2) * ATTN_Q_STARTS);
  p->causal_offset = number(d, 24);
  p->window_left = number(d, 24);
  p->window_right = number(d, 24);
  if (draw_below(d, 4) == 0) p->scale = real(d);
  if (draw_below(d, 4) == 0) p->softcap = real(d);
  p->mask.kind = (attn_mask_kind)(draw_below(d, 2) ? draw_below(d, 4) : 0);
  p->mask.length = number(d, 24);
  p->mask.stride = strides(d);
}

static void fill(struct guard *g, attn_dtype dtype, struct draw *d)
{
  if (!g->room) return;
  for (size_t i = 0; i < g->bytes / attn_element_bytes(dtype); i++)
    attn_element_put(dtype, g->data, (int64_t)i, rng_unit(&d->rng));
}

/* NULL, where nothing is to be read, stays NULL. */
static void *moved(const void *from, int64_t bytes) { return from ? (char *)from + bytes : NULL; }

/* The problem and the tensors of sequence b alone. length: [B] */
static void take_sequence(struct attn_problem *p, attn_args *args, int64_t *length, int64_t b)
{
  const int64_t bytes = (int64_t)attn_element_bytes(p->dtype);
  length[b] = p->kv_lengths ? args->kv_lengths[b] : p->Skv;
  if (p->kv_starts) {
    length[b] = args->kv_starts[b + 1] - args->kv_starts[b];
    p->diagonal += length[b] - p->Skv;
    p->Skv = p->mask_length = length[b]; /* the oracle multiplies by hidden keys as well */
    args->k = moved(args->k, args->kv_starts[b] * p->k.s * bytes);
    args->v = moved(args->v, args->kv_starts[b] * p->v.s * bytes);
  }
  args->kv_lengths = length;
  p->kv_lengths = true;
  if (!p->q_starts) return;
  const int64_t from = args->q_starts[b], queries = args->q_starts[b + 1] - from;
  p->diagonal += p->Sq - queries;
  p->Sq = queries;
  args->q = moved(args->q, from * p->q.s * bytes);
  args->o = moved(args->o, from * p->o.s * bytes);
  if (args->lse && from) args->lse += from * p->lse.s;
}

static void compare(const struct attn_problem *whole, const attn_args *given, int64_t *length)
{
  const struct attn_problem *p = whole;
  const attn_args *args = given;
  struct attn_problem own;
  attn_args its;
  double *row = malloc(((size_t)p->Dv + (size_t)p->Skv + 1) * sizeof *row), lse;
  REQUIRE(row);
  /* large scores, or large biases: the harness knows their bounds, not this */
  const bool far = p->alibi && (p->diagonal > 4096 || p->diagonal < -4096);
  const bool loose = p->softcap != 0 || fabs(p->scale) > 4 || far;
  const double bound = p->dtype == ATTN_F32 ? 1e-4 : p->dtype == ATTN_F16 ? 2e-3 : 2e-2;
  for (int64_t b = 0; b < p->B; b++) {
    if (length) {
      own = *whole, its = *given;
      take_sequence(&own, &its, length, b);
      p = &own, args = &its;
    }
    for (int64_t h = 0; h < p->Hq; h++)
      for (int64_t i = 0; i < p->Sq; i++) {
        attn_oracle_row(p, args, b, h, i, row, &lse, row + p->Dv);
        for (int64_t x = 0; x < p->Dv; x++) {
          const double got = (double)attn_element_get(p->dtype, args->o, b * p->o.b + h * p->o.h + i * p->o.s + x * p->o.d);
          if (loose ? got >= -1.01 && got <= 1.01 : fabs(got - row[x]) <= bound) continue;
          fprintf(stderr,
                  "o[%lld][%lld][%lld][%lld] = %.9g, exact %.9g: type %d, Hq %lld, Skv %lld, Dqk %lld, Dv %lld, causal %d, "
                  "scale %g, softcap %g, mask %d\n",
                  (long long)b, (long long)h, (long long)i, (long long)x, got, row[x], (int)p->dtype, (long long)p->Hq,
                  (long long)p->Skv, (long long)p->Dqk, (long long)p->Dv, (int)p->causal, (double)p->scale,
                  (double)p->softcap, (int)p->mask_kind);
          abort();
        }
        if (!args->lse) continue;
        const double got = (double)args->lse[b * p->lse.b + h * p->lse.h + i * p->lse.s];
        REQUIRE(isinf(lse) ? got == lse : loose || fabs(got - lse) <= 1e-4 * (1 + fabs(lse)));
      }
  }
  free(row);
}

/* [B + 1], none less than the one before it, or NULL. */
static int64_t *draw_starts(bool wanted, int64_t B, int64_t most, struct draw *d)
{
  if (!wanted) return NULL;
  int64_t *starts = malloc((size_t)(B + 1) * sizeof *starts);
  REQUIRE(starts);
  for (int64_t b = 0; b <= B; b++) {
    const int64_t least = b ? starts[b - 1] : 0;
    starts[b] = least + draw_below(d, (most - least) / (B + 1 - b) + 1);
  }
  return starts;
}

static void run(attn_plan *plan, const struct attn_problem *p, const struct attn_extents *e, struct draw *d)
{
  const size_t bytes[] = {e->q, e->k, e->v, e->mask, e->o, e->lse, e->alibi_slopes, e->sinks, e->kv_lengths};
  enum { Q, K, V, MASK, O, LSE, SLOPES, SINKS, LENGTHS, BUFFERS };
  struct guard g[BUFFERS];
  const bool begin = draw_below(d, 2);
  for (int i = 0; i < BUFFERS; i++)
    g[i] = bytes[i] ? guard_alloc("", bytes[i], begin ? GUARD_BEGIN : GUARD_END, 0, FILL) : (struct guard){0};
  fill(&g[Q], p->dtype, d);
  fill(&g[K], p->dtype, d);
  fill(&g[V], p->dtype, d);
  fill(&g[SLOPES], ATTN_F32, d);
  fill(&g[SINKS], ATTN_F32, d);
  for (size_t i = 0; i < g[MASK].bytes; i++) g[MASK].data[i] = p->mask_kind == ATTN_MASK_BOOL ? draw_byte(d) & 1 : 0;
  for (int64_t b = 0; b < (int64_t)(g[LENGTHS].bytes / 8); b++) ((int64_t *)g[LENGTHS].data)[b] = draw_below(d, p->Skv + 1);
  static float nothing[1];
  int64_t *q_starts = draw_starts(p->q_starts, p->B, p->Sq, d), *kv_starts = draw_starts(p->kv_starts, p->B, p->Skv, d);
  int64_t *length = q_starts || kv_starts ? malloc((size_t)(p->B + 1) * sizeof *length) : NULL;
  const attn_args args = {.q = g[Q].data,
                          .k = g[K].data,
                          .v = g[V].data,
                          .o = g[O].data,
                          .mask = g[MASK].data,
                          .lse = draw_below(d, 3) ? e->lse ? (float *)g[LSE].data : nothing : NULL,
                          .alibi_slopes = (const float *)g[SLOPES].data,
                          .sinks = (const float *)g[SINKS].data,
                          .kv_lengths = (const int64_t *)g[LENGTHS].data,
                          .q_starts = q_starts,
                          .kv_starts = kv_starts};
  REQUIRE(attn_run(plan, &args) == ATTN_OK);
  const bool overflows = fabs((double)p->q_factor) > 1e30; /* products that leave f32 become Inf, and their sums NaN */
  if (!overflows && (e->o || (args.lse && e->lse))) compare(p, &args, length);
  free(q_starts);
  free(kv_starts);
  free(length);
  for (int i = 0; i < BUFFERS; i++) guard_free(&g[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 8) return -1;
  struct draw d = {.bytes = data, .left = size};
  attn_desc desc;
  describe(&desc, &d);
  /* A team of threads costs more than everything else: now and then is enough. */
  const attn_options options = {.threads = draw_below(&d, 32) ? 1 : (int)draw_below(&d, 5), .placement = ATTN_PLACE_NONE};
  attn_plan *plan;
  const attn_status status = attn_plan_create(&plan, &desc, &options);
  struct attn_problem p;
  if (status) {
    REQUIRE(!plan && status != ATTN_ERR_BUSY && status != ATTN_ERR_ALIAS && *attn_error_message());
    return 0;
  }
  REQUIRE(attn_problem_resolve(&p, &desc) == ATTN_OK);
  const struct attn_extents e = attn_problem_extents(&p);
  const double work = (double)p.B * (double)p.Hq * (double)p.Sq * ((double)p.Skv + 1) * ((double)p.Dqk + (double)p.Dv + 1);
  if (e.q < MOST_BYTES && e.k < MOST_BYTES && e.v < MOST_BYTES && e.o < MOST_BYTES && e.mask < MOST_BYTES &&
      e.lse < MOST_BYTES && e.alibi_slopes < MOST_BYTES && e.sinks < MOST_BYTES && e.kv_lengths < MOST_BYTES &&
      e.q_starts < MOST_BYTES && e.kv_starts < MOST_BYTES && p.Dv < 4096 && p.Skv < 4096 &&
      work < (draw_below(&d, 32) ? 1e5 : 1e6))
    run(plan, &p, &e, &d);
  attn_plan_destroy(plan);
  return 0;
}
