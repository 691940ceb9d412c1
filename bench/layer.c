#include "layer.h"

#include "bound.h"
#include "memory.h"
#include "team.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In this order in memory; the biases of Q, K, V and the output follow the weights of the output likewise. */
enum { QUERY, KEY, OUTPUT, WEIGHTS, BIASES = WEIGHTS + 4, PARTS = BIASES + 4 };
enum { PART_FLOATS = 16, FIRST_STREAM = 16 };

static bool is_self(const struct bench_shape *s) { return s->Sq == s->Skv && s->Wq == s->Wkv; }
static int64_t output_width(const struct bench_shape *s) { return s->Wo ? s->Wo : s->Hq * s->Dv; }

/* Rows and columns of a part; in double, for they may be anything until the memory is found to suffice. */
struct part {
  double rows, columns;
};

static struct part part_of(const struct bench_shape *s, int part)
{
  const double B = (double)s->B, Hq = (double)s->Hq, Hkv = (double)s->Hkv, Dqk = (double)s->Dqk, Dv = (double)s->Dv;
  const double Wq = (double)s->Wq, Wkv = (double)s->Wkv, Wo = (double)s->Wo;
  const struct part parts[PARTS] = {[QUERY] = {B * (double)s->Sq, Wq},
                                    [KEY] = {is_self(s) ? 0 : B * (double)s->Skv, Wkv},
                                    [OUTPUT] = {B * (double)s->Sq, s->Wo ? Wo : Hq * Dv},
                                    [WEIGHTS] = {Hq * Dqk, Wq},
                                    [WEIGHTS + 1] = {Hkv * Dqk, Wkv},
                                    [WEIGHTS + 2] = {Hkv * Dv, Wkv},
                                    [WEIGHTS + 3] = {Wo, Hq * Dv},
                                    [BIASES] = {Hq * Dqk, 1},
                                    [BIASES + 1] = {Hkv * Dqk, 1},
                                    [BIASES + 2] = {Hkv * Dv, 1},
                                    [BIASES + 3] = {Wo, 1}};
  return parts[part];
}

static double floats_of(const struct bench_shape *s, int first, int end)
{
  double sum = 0;
  for (int i = first; i < end; i++) sum += part_of(s, i).rows * part_of(s, i).columns;
  return sum;
}

double bench_layer_bytes(const struct bench_shape *s) { return sizeof(float) * floats_of(s, 0, PARTS); }

double bench_layer_memory(const struct bench_shape *s)
{
  const size_t workspace = bench_tensors_bytes(s);
  return bench_layer_bytes(s) + sizeof(float) * floats_of(s, WEIGHTS, PARTS) + (double)workspace;
}

double bench_layer_flops(const struct bench_shape *s)
{
  const double queries = (double)s->B * (double)s->Sq, keys = (double)s->B * (double)s->Skv;
  double flops = 0;
  for (int i = 0; i < 4; i++) flops += 2 * (i == 1 || i == 2 ? keys : queries) * floats_of(s, WEIGHTS + i, WEIGHTS + i + 1);
  return flops;
}

double bench_layer_error_bound(const struct bench_shape *s)
{
  return bench_layer_bound((double)s->Wq + 2 * (double)s->Wkv + (s->Wo ? (double)s->Hq * (double)s->Dv : 0));
}

/* Views of the parts for the library. */
static void describe(struct bench_layer *l, float *const *part, const struct bench_tensors *attention)
{
  const struct bench_shape *s = &l->shape;
  const attn_args *a = &attention->args;
  const int64_t width = output_width(s);
  const bool projected = s->Wo > 0;
  l->desc =
      (attn_layer_desc){.attention = attention->desc, .query_width = s->Wq, .key_width = s->Wkv, .output_width = s->Wo};
  l->weights = (attn_layer_weights){.q = part[WEIGHTS],
                                    .k = part[WEIGHTS + 1],
                                    .v = part[WEIGHTS + 2],
                                    .o = projected ? part[WEIGHTS + 3] : NULL,
                                    .q_bias = part[BIASES],
                                    .k_bias = part[BIASES + 1],
                                    .v_bias = part[BIASES + 2],
                                    .o_bias = projected ? part[BIASES + 3] : NULL};
  l->args = (attn_layer_args){
      .query = part[QUERY],
      .key = is_self(s) ? NULL : part[KEY],
      .output = part[OUTPUT],
      .attention = {.mask = a->mask, .blocks = a->blocks, .alibi_slopes = a->alibi_slopes, .sinks = a->sinks}};
  l->output = (struct bench_tensors){
      .problem = {.dtype = ATTN_F32, .B = s->B, .Hq = 1, .Sq = s->Sq, .Dv = width, .o = {s->Sq * width, 0, width, 1}},
      .args = {.o = part[OUTPUT]}};
}

bool bench_layer_create(struct bench_layer *l, const struct bench_shape *shape, const struct bench_tensors *attention,
                        uint64_t seed, int threads, char *error, size_t error_bytes)
{
  *l = (struct bench_layer){.shape = *shape};
  const double bytes = bench_layer_bytes(shape) + PARTS * PART_FLOATS * sizeof(float);
  float *part[PARTS];
  if (bytes < 0x1p62) {
    l->memory_bytes = (size_t)bytes;
    l->memory = bench_memory_map(l->memory_bytes);
  }
  if (!l->memory) {
    snprintf(error, error_bytes, "no memory for weights of %.1f GiB", bytes / 0x1p30);
    return false;
  }
  size_t at = 0;
  for (int i = 0; i < PARTS; i++) {
    const struct part p = part_of(shape, i);
    const size_t n = (size_t)(p.rows * p.columns);
    part[i] = l->memory + at;
    at += (n + PART_FLOATS - 1) / PART_FLOATS * PART_FLOATS;
    if (n && !bench_fill_team(part[i], n, seed, FIRST_STREAM + (uint64_t)i, threads)) {
      snprintf(error, error_bytes, "%d threads could not be started", threads);
      bench_layer_destroy(l);
      return false;
    }
    const double inputs = i < WEIGHTS ? 1 : part_of(shape, i < BIASES ? i : i - BIASES + WEIGHTS).columns;
    const float scale = (float)(1 / sqrt(inputs));
    for (size_t j = 0; j < n && i >= WEIGHTS; j++) part[i][j] *= scale;
  }
  describe(l, part, attention);
  return true;
}

void bench_layer_destroy(struct bench_layer *l)
{
  bench_memory_free(l->memory, l->memory_bytes);
  *l = (struct bench_layer){0};
}

/* to[n] = x . weights[n] + bias[n]. Four sums at a time: one alone would wait for each of its additions. */
static void project(double *to, const double *x, const float *weights, const float *bias, int64_t outputs, int64_t inputs)
{
  for (int64_t n = 0; n < outputs; n += 4) {
    double sum[4] = {0};
    const float *row[4];
    for (int64_t r = 0; r < 4; r++) row[r] = weights + (n + r < outputs ? n + r : n) * inputs;
    for (int64_t d = 0; d < inputs; d++)
      for (int r = 0; r < 4; r++) sum[r] += x[d] * (double)row[r][d];
    for (int64_t r = 0; r < 4 && n + r < outputs; r++) to[n + r] = sum[r] + (double)bias[n + r];
  }
}

/* The heads of one position, projected and stored into a tensor of attention. work: inputs and all outputs. */
static void project_heads(float *tensor, const attn_strides *stride, int64_t heads, int64_t D, const float *x,
                          int64_t inputs, const float *weights, const float *bias, double *work)
{
  double *y = work + inputs;
  for (int64_t d = 0; d < inputs; d++) work[d] = (double)x[d];
  project(y, work, weights, bias, heads * D, inputs);
  for (int64_t h = 0; h < heads; h++)
    for (int64_t d = 0; d < D; d++) tensor[h * stride->h + d * stride->d] = (float)y[h * D + d];
}

struct job {
  const struct bench_layer *l;
  const struct bench_tensors *attention;
  atomic_llong next;
  atomic_bool failed;
};

static double *make_work(const struct bench_shape *s)
{
  const int64_t in = s->Wq > s->Wkv ? s->Wq : s->Wkv, o = s->Hq * s->Dv, q = s->Hq * s->Dqk;
  return malloc((size_t)(in + (o > q ? o : q)) * sizeof(double)); /* Hkv <= Hq */
}

static void project_keys(void *context, int thread, int threads)
{
  struct job *job = context;
  const struct bench_shape *s = &job->l->shape;
  const struct attn_problem *p = &job->attention->problem;
  const attn_layer_weights *w = &job->l->weights;
  const attn_args *to = &job->attention->args;
  const float *key = is_self(s) ? job->l->args.query : job->l->args.key;
  double *work = make_work(s);
  (void)thread, (void)threads;
  if (!work) atomic_store(&job->failed, true);
  for (int64_t n; work && (n = atomic_fetch_add(&job->next, 1)) < s->B * s->Skv;) {
    const int64_t b = n / s->Skv, j = n % s->Skv;
    project_heads((float *)to->k + b * p->k.b + j * p->k.s, &p->k, s->Hkv, s->Dqk, key + n * s->Wkv, s->Wkv, w->k,
                  w->k_bias, work);
    project_heads((float *)to->v + b * p->v.b + j * p->v.s, &p->v, s->Hkv, s->Dv, key + n * s->Wkv, s->Wkv, w->v, w->v_bias,
                  work);
  }
  free(work);
}

static bool layer_row(const void *context, struct bench_expectation *e, int64_t n, double *scores)
{
  const struct job *job = context;
  const struct bench_shape *s = &job->l->shape;
  const struct attn_problem *p = &job->attention->problem;
  const attn_layer_weights *w = &job->l->weights;
  const attn_args *a = &job->attention->args;
  const int64_t b = e->row[n] / s->Sq, i = e->row[n] % s->Sq;
  double *work = make_work(s), *row = e->o + n * e->width;
  if (!work) return false;
  project_heads((float *)a->q + b * p->q.b + i * p->q.s, &p->q, s->Hq, s->Dqk, job->l->args.query + e->row[n] * s->Wq,
                s->Wq, w->q, w->q_bias, work);
  double *heads = s->Wo ? work : row;
  for (int64_t h = 0; h < s->Hq; h++) attn_oracle_row(p, a, b, h, i, heads + h * s->Dv, &e->lse[n], scores);
  if (s->Wo) project(row, heads, w->o, w->o_bias, s->Wo, s->Hq * s->Dv);
  free(work);
  return true;
}

bool bench_layer_expect(struct bench_expectation *e, const struct bench_layer *l, struct bench_tensors *attention,
                        double most_multiply_adds, uint64_t seed, int threads)
{
  const struct bench_shape *s = &l->shape;
  struct job job = {.l = l, .attention = attention};
  const double of_projections = floats_of(s, WEIGHTS, WEIGHTS + 1) + floats_of(s, WEIGHTS + 3, BIASES);
  *e = (struct bench_expectation){0};
  return bench_team_run(threads, project_keys, &job) && !atomic_load(&job.failed) &&
         bench_expect_create_by(e, layer_row, &job, s->B * s->Sq, output_width(s), s->Skv,
                                of_projections + (double)s->Hq * (double)s->Skv * (double)(s->Dqk + s->Dv),
                                most_multiply_adds, seed, threads);
}

attn_status bench_layer_open(attn_layer **layer, const struct bench_layer *l, const struct attn_kernel *kernel, int threads)
{
  const attn_options options = {.kernel = kernel->name, .isa = attn_isa_name(kernel->isa), .threads = threads};
  return attn_layer_create(layer, &l->desc, &l->weights, &options);
}
