/* attnbench attend: attention over a person's own tensors. */
#include "command.h"

#include "atomic_file.h"
#include "attend/attend_shape.h"
#include "attend/npy.h"
#include "attend/oracle_sample.h"

#include "../dispatch/problem.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static const char doc[] =
    "Compute O = softmax(scale * Q K^T + mask) V from NumPy files, and tell on standard error how long it took, with which "
    "kernel, and how far sampled rows are from a float64 computation."
    "\vq, k and v are float32 or float16 (all the same), little-endian, in C or Fortran order, with equally many "
    "dimensions:\n"
    "\n"
    "  --layout   4 dimensions        3 dimensions    2 dimensions\n"
    "  bhsd       [B][H][S][D]        [H][S][D]       [S][D]\n"
    "  bshd       [B][S][H][D]        [S][H][D]       [S][D]\n"
    "\n"
    "B batch, H heads, S sequence, D head size. Leading dimensions left out are 1. Tensors [B][S][D] with one head are "
    "bhsd with B in the place of H: the result is the same. Tensors [B][S][H*D] need a reshape to [B][S][H][D] first.\n"
    "k and v may have fewer heads than q (grouped queries) and another S; v may have another D. The output is laid out as "
    "q "
    "is; the log-sum-exp (float32) is [B][H][S] in both layouts, with the same dimensions left out.\n"
    "\n"
    "The mask is bool (True: visible) or float32 (added to the scaled score; -inf hides), and [B][H][Sq][Skv] or its tail "
    "in "
    "both layouts; a dimension of 1, but the last, broadcasts. If its last dimension is shorter than Skv, the keys beyond "
    "are hidden. A query that sees no key gets zeros and a log-sum-exp of -inf.\n"
    "\n"
    "Output files appear complete or not at all. GFLOP/s counts 2*(Dqk+Dv) for every pair of query and key that --causal "
    "and the length of the mask leave visible.\n"
    "\n"
    "Examples:\n"
    "  attnbench attend --q q.npy --k k.npy --v v.npy --out o.npy\n"
    "  attnbench attend -q q.npy -k k.npy -v v.npy --causal \\\n"
    "      --layout bshd --out o.npy --lse l.npy\n"
    "\n"
    "Exit code: 0; 2 for bad usage, unusable input or output; 3 if the result is wrong (then nothing is written).";

enum { KEY_OUT = 256, KEY_LSE, KEY_SCALE, KEY_LAYOUT, KEY_OFFSET, KEY_ISA, KEY_KERNEL, KEY_REPETITIONS };

static const struct argp_option options[] = {
    {0, 0, NULL, 0, "Files", 1},
    {"q", 'q', "FILE", 0, "Queries", 1},
    {"k", 'k', "FILE", 0, "Keys", 1},
    {"v", 'v', "FILE", 0, "Values", 1},
    {"mask", 'm', "FILE", 0, "Mask, bool or float32", 1},
    {"out", KEY_OUT, "FILE", 0, "Where the output goes", 1},
    {"lse", KEY_LSE, "FILE", 0, "Where the log-sum-exp of each query goes, if wanted", 1},
    {0, 0, NULL, 0, "What is computed", 2},
    {"layout", KEY_LAYOUT, "NAME", 0, "bhsd (default) or bshd (also spelled bsdh)", 2},
    {"scale", KEY_SCALE, "X", 0, "Factor of Q K^T; default 1/sqrt(Dqk)", 2},
    {"causal", 'c', NULL, 0, "Hide the future; the last query sees the last key", 2},
    {"causal-offset", KEY_OFFSET, "N", 0,
     "Implies --causal, and lets each query see N keys more (fewer if negative); Sq - Skv lets query 0 see key 0 only", 2},
    {0, 0, NULL, 0, "How", 3},
    {"threads", 't', "N", 0, "Default: ATTN_NUM_THREADS, else the physical cores that may be used", 3},
    {"isa", KEY_ISA, "NAME", 0, "Highest instruction set allowed", 3},
    {"kernel", KEY_KERNEL, "NAME", 0, "Exactly this kernel (attnbench info lists them)", 3},
    {"repetitions", KEY_REPETITIONS, "N", 0, "Compute N times and tell the shortest and the median time", 3},
    {0}};

enum input { Q, K, V, MASK, INPUTS };
enum output { OUT, LSE, OUTPUTS };

struct attend {
  const char *in_path[INPUTS], *out_path[OUTPUTS];
  attn_layout layout;
  float scale;
  bool scale_given, causal;
  int64_t causal_offset;
  int repetitions;
  attn_options options;

  struct npy_array in[INPUTS];
  struct atomic_file out[OUTPUTS];
  attn_desc desc;
  attn_plan *plan;
  void *o;
  float *lse;
  double *seconds; /* [repetitions], sorted */
};

static int64_t parse_integer(struct argp_state *state, const char *option, const char *text, int64_t least, int64_t most)
{
  char *end;
  errno = 0;
  const long long n = strtoll(text, &end, 10);
  if (end == text || *end || errno || n < least || n > most)
    argp_error(state, "--%s=%s is not a whole number within %lld..%lld", option, text, (long long)least, (long long)most);
  return n;
}

static void parse_scale(struct attend *a, struct argp_state *state, const char *text)
{
  char *end;
  a->scale = strtof(text, &end);
  if (end == text || *end || !isfinite(a->scale)) argp_error(state, "--scale=%s is not a finite number", text);
  a->scale_given = true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct attend *a = state->input;
  switch (key) {
  case 'q': a->in_path[Q] = arg; return 0;
  case 'k': a->in_path[K] = arg; return 0;
  case 'v': a->in_path[V] = arg; return 0;
  case 'm': a->in_path[MASK] = arg; return 0;
  case KEY_OUT: a->out_path[OUT] = arg; return 0;
  case KEY_LSE: a->out_path[LSE] = arg; return 0;
  case 'c': a->causal = true; return 0;
  case KEY_SCALE: parse_scale(a, state, arg); return 0;
  case KEY_OFFSET:
    a->causal = true;
    a->causal_offset = parse_integer(state, "causal-offset", arg, INT64_MIN, INT64_MAX);
    return 0;
  case KEY_LAYOUT:
    if (!strcmp(arg, "bshd") || !strcmp(arg, "bsdh"))
      a->layout = ATTN_BSHD;
    else if (!strcmp(arg, "bhsd"))
      a->layout = ATTN_BHSD;
    else
      argp_error(state, "--layout=%s is neither bhsd nor bshd", arg);
    return 0;
  case 't': a->options.threads = (int)parse_integer(state, "threads", arg, 1, 4096); return 0;
  case KEY_ISA: a->options.isa = arg; return 0;
  case KEY_KERNEL: a->options.kernel = arg; return 0;
  case KEY_REPETITIONS: a->repetitions = (int)parse_integer(state, "repetitions", arg, 1, 1000000); return 0;
  case ARGP_KEY_ARG: argp_error(state, "'%s': files are given by options, such as --q FILE", arg); return 0;
  case ARGP_KEY_END:
    if (!a->in_path[Q] || !a->in_path[K] || !a->in_path[V] || !a->out_path[OUT])
      argp_error(state, "--%s FILE is missing", !a->in_path[Q] ? "q" : !a->in_path[K] ? "k" : !a->in_path[V] ? "v" : "out");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static bool same_file(const char *a, const char *b)
{
  struct stat x, y;
  if (!strcmp(a, b)) return true;
  return !stat(a, &x) && !stat(b, &y) && S_ISREG(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool check_outputs(const struct attend *a, struct complaint *why)
{
  for (int o = 0; o < OUTPUTS; o++) {
    if (!a->out_path[o]) continue;
    for (int i = 0; i < INPUTS; i++)
      if (a->in_path[i] && same_file(a->out_path[o], a->in_path[i]))
        return complain(why, "%s: is an input as well; give the output another name", a->out_path[o]);
  }
  if (a->out_path[LSE] && same_file(a->out_path[OUT], a->out_path[LSE]))
    return complain(why, "%s: both --out and --lse; give them different names", a->out_path[LSE]);
  return true;
}

static bool describe(struct attend *a, struct complaint *why)
{
  const struct attend_tensors tensors = {
      &a->in[Q].header, &a->in[K].header, &a->in[V].header, a->in_path[MASK] ? &a->in[MASK].header : NULL,
      a->in_path[Q],    a->in_path[K],    a->in_path[V],    a->in_path[MASK]};
  if (!attend_describe(&a->desc, a->layout, &tensors, why)) return false;
  a->desc.scale = a->scale;
  if (a->scale_given) a->desc.flags |= ATTN_SCALE_EXPLICIT;
  if (a->causal) a->desc.flags |= ATTN_CAUSAL;
  a->desc.causal_offset = a->causal_offset;
  return true;
}

/* Inputs, plan and outputs: all that can be wrong is found before the work begins. */
static bool prepare(struct attend *a, struct attn_problem *problem, struct complaint *why)
{
  if (!check_outputs(a, why)) return false;
  for (int i = 0; i < INPUTS; i++)
    if (a->in_path[i] && !npy_read(&a->in[i], a->in_path[i], why)) return false;
  if (!describe(a, why)) return false;
  if (attn_plan_create(&a->plan, &a->desc, &a->options) || attn_problem_resolve(problem, &a->desc))
    return complain(why, "%s", attn_error_message());
  for (int o = 0; o < OUTPUTS; o++)
    if (a->out_path[o] && !atomic_file_open(&a->out[o], a->out_path[o], why)) return false;
  const struct attn_extents bytes = attn_problem_extents(problem);
  a->o = aligned_alloc(64, (bytes.o + 64) / 64 * 64);
  a->lse = aligned_alloc(64, (bytes.lse + 64) / 64 * 64);
  a->seconds = malloc((size_t)a->repetitions * sizeof *a->seconds);
  if (!a->o || !a->lse || !a->seconds) return complain(why, "no memory for the output of %zu bytes", bytes.o + bytes.lse);
  return true;
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *x, const void *y)
{
  const double a = *(const double *)x, b = *(const double *)y;
  return (a > b) - (a < b);
}

static bool compute(struct attend *a, attn_args *args, struct complaint *why)
{
  *args = (attn_args){.q = a->in[Q].data,
                      .k = a->in[K].data,
                      .v = a->in[V].data,
                      .mask = a->in[MASK].data,
                      .o = a->o,
                      .lse = a->out_path[LSE] ? a->lse : NULL};
  for (int n = 0; n < a->repetitions; n++) {
    const double start = now();
    if (attn_run(a->plan, args)) return complain(why, "%s", attn_error_message());
    a->seconds[n] = now() - start;
  }
  qsort(a->seconds, (size_t)a->repetitions, sizeof *a->seconds, ascending);
  return true;
}

static bool write_outputs(struct attend *a, struct complaint *why)
{
  int64_t o_shape[4], lse_shape[3];
  const int rank = a->in[Q].header.rank;
  attend_output_shapes(&a->desc, rank, o_shape, lse_shape);
  npy_write(a->out[OUT].stream, a->in[Q].header.dtype, rank, o_shape, a->o);
  if (a->out_path[LSE]) npy_write(a->out[LSE].stream, NPY_F32, rank - 1, lse_shape, a->lse);
  for (int o = 0; o < OUTPUTS; o++)
    if (a->out_path[o] && !atomic_file_finish(&a->out[o], why)) return false;
  for (int o = 0; o < OUTPUTS; o++)
    if (a->out_path[o] && !atomic_file_publish(&a->out[o], why)) return false;
  return true;
}

static void report(const struct attend *a, const struct attn_problem *p, const struct oracle_sample *sample)
{
  const double best = a->seconds[0], median = a->seconds[a->repetitions / 2];
  const int threads = attn_plan_threads(a->plan);
  fprintf(stderr, "kernel     %s (ISA %s), %d thread%s\n", attn_plan_kernel(a->plan), attn_plan_isa(a->plan), threads,
          threads == 1 ? "" : "s");
  fprintf(stderr, "shape      B %lld, Hq %lld, Hkv %lld, Sq %lld, Skv %lld, Dqk %lld, Dv %lld, %s\n", (long long)p->B,
          (long long)p->Hq, (long long)p->Hkv, (long long)p->Sq, (long long)p->Skv, (long long)p->Dqk, (long long)p->Dv,
          npy_dtype_name(a->in[Q].header.dtype));
  if (a->repetitions == 1)
    fprintf(stderr, "time       %.6g ms (one call, the first)\n", 1e3 * best);
  else
    fprintf(stderr, "time       %.6g ms median, %.6g ms shortest of %d\n", 1e3 * median, 1e3 * best, a->repetitions);
  fprintf(stderr, "speed      %.4g GFLOP/s\n", median > 0 ? 1e-9 * attn_problem_flops(p) / median : 0.0);
  fprintf(stderr, "error      %.3g at most in %lld rows compared with float64 (largest output %.3g)\n", sample->max_error,
          (long long)sample->rows, sample->max_output);
}

static int attend(struct attend *a, struct complaint *why)
{
  struct attn_problem problem;
  struct oracle_sample sample;
  attn_args args;
  if (!prepare(a, &problem, why) || !compute(a, &args, why)) return EXIT_USAGE;
  if (!oracle_sample(&sample, &problem, &args)) {
    complaint_set(why, "no memory for the comparison with float64");
    return EXIT_USAGE;
  }
  if (!sample.correct) {
    complaint_set(
        why,
        "kernel %s is WRONG at batch %lld, head %lld, query %lld: %.9g instead of %.9g (allowed %.3g); nothing written",
        attn_plan_kernel(a->plan), (long long)sample.b, (long long)sample.h, (long long)sample.i, sample.got, sample.wanted,
        sample.limit);
    return EXIT_WRONG;
  }
  if (!write_outputs(a, why)) return EXIT_USAGE;
  report(a, &problem, &sample);
  return 0;
}

int cmd_attend(int argc, char **argv)
{
  const struct argp argp = {options, parse, NULL, doc, NULL, NULL, NULL};
  struct attend a = {.repetitions = 1};
  struct complaint why;
  if (argp_parse(&argp, argc, argv, 0, NULL, &a)) return EXIT_USAGE;
  const int code = attend(&a, &why);
  if (code) fprintf(stderr, "%s: %s\n", argv[0], why.text);
  for (int o = 0; o < OUTPUTS; o++) atomic_file_discard(&a.out[o]);
  for (int i = 0; i < INPUTS; i++) npy_free(&a.in[i]);
  attn_plan_destroy(a.plan);
  free(a.o);
  free(a.lse);
  free(a.seconds);
  return code;
}
