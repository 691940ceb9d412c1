/* soak: calls of libattn at random for as long as it is told, then: was anything lost, did any result change?
 *
 * A round is some hundred calls: cases of the harness against the oracle, caches that live through the round and are
 * appended to, shortened and read by plans, layers, ropes, masks, scores, merges, sequences of different lengths, runs of
 * one plan from two threads, calls that must be refused. Whatever can be computed twice, with another number of threads,
 * must have the same bits. At its end everything is destroyed, memory is measured, and a fixed set of problems, one for
 * each kernel, is computed anew: the bits of the beginning. Memory is flat if no later round leaves more behind than the
 * first tenth of them (of bytes in use, and of resident pages). The last line is "N passed, N failed". */
#include "soak.h"

#include <argp.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 120, SLACK_BYTES = 64 << 10, SLACK_RESIDENT = 4 << 20 };

static struct {
  uint64_t seed;
  double seconds;
  long rounds;
  bool verbose;
} soak = {.seed = 1, .seconds = 10};

float soak_numbers[SOAK_FLOATS];
const struct attn_kernel *soak_kernels[SOAK_MOST_KERNELS];
int soak_kernel_count;
long soak_failed, soak_cases;
static uint16_t halves[2][SOAK_FLOATS]; /* the same numbers in bf16 and f16 */

bool soak_require(bool holds, const char *what)
{
  if (!holds && soak_failed++ < 5) printf("FAIL %s: %s (seed %" PRIu64 ")\n", what, attn_error_message(), soak.seed);
  return holds;
}

float *soak_outputs(size_t n)
{
  float *o = malloc(n * sizeof *o);
  if (!o) abort();
  memset(o, 0x7f, n * sizeof *o);
  return o;
}

static uint64_t digest_of(const void *data, size_t bytes)
{
  const unsigned char *x = data;
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < bytes; i++) h = (h ^ x[i]) * 0x100000001b3u;
  return h;
}

/* A problem for each kernel, always the same; with some number of threads. */
static uint64_t probe(const struct attn_kernel *kernel, int threads)
{
  enum { B = 2, HKV = 2, KEYS = 150, DQK = 40, DV = 24 };
  const bool decode = kernel->supports || kernel->key_span, int8 = kernel->dtype == ATTN_I8;
  const bool cached = int8 || kernel->flags & ATTN_KERNEL_ONLY_CACHES;
  const attn_dtype dtype = int8 ? ATTN_F32 : kernel->dtype;
  const attn_desc d = {.dtype = dtype,
                       .B = B,
                       .Hq = decode ? 16 : 4,
                       .Hkv = HKV,
                       .Sq = decode ? 2 : 70,
                       .Skv = KEYS,
                       .Dqk = DQK,
                       .Dv = DV,
                       .flags = ATTN_CAUSAL};
  const attn_cache_desc c = {.dtype = kernel->dtype, .B = B, .Hkv = HKV, .Dqk = DQK, .Dv = DV, .capacity = KEYS};
  const attn_options options = {.threads = threads, .kernel = kernel->name};
  const unsigned char *in = dtype == ATTN_F32 ? (unsigned char *)soak_numbers : (unsigned char *)halves[dtype == ATTN_F16];
  const size_t element = attn_element_bytes(dtype), n = (size_t)(B * d.Hq * d.Sq);
  float *o = soak_outputs(n * DV), *lse = soak_outputs(n);
  attn_args args = {.q = in, .k = in + 24000 * element, .v = in + 50000 * element, .o = o, .lse = lse};
  const attn_tokens tokens = {.dtype = dtype, .n = KEYS, .k = args.k, .v = args.v};
  attn_cache *cache = NULL;
  attn_plan *plan = NULL;
  uint64_t digest = 0;
  attn_status status = cached ? attn_cache_create(&cache, &c) : ATTN_OK;
  for (int b = 0; cached && b < B && !status; b++) status = attn_cache_append(cache, b, &tokens);
  if (cached) args.k = args.v = NULL;
  if (!status)
    status = cached ? attn_plan_create_cached(&plan, &d, cache, &options) : attn_plan_create(&plan, &d, &options);
  if (!status && !attn_run(plan, &args)) digest = digest_of(o, n * DV * element) ^ digest_of(lse, n * sizeof *lse);
  attn_plan_destroy(plan);
  attn_cache_destroy(cache);
  free(o);
  free(lse);
  return digest;
}

static void probes(long round)
{
  static uint64_t wanted[SOAK_MOST_KERNELS];
  for (int i = 0; i < soak_kernel_count; i++) {
    const uint64_t digest = probe(soak_kernels[i], 1 + (int)(round % 3));
    if (round == 0) wanted[i] = digest;
    if (!soak_require(digest && digest == wanted[i], "a fixed problem's bits"))
      printf("  of kernel %s\n", soak_kernels[i]->name);
  }
}

struct memory {
  size_t in_use, resident;
};

static struct memory measure(void)
{
  struct mallinfo2 info = mallinfo2();
  size_t total = 0, resident = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%zu %zu", &total, &resident) != 2) abort();
  fclose(f);
  return (struct memory){info.uordblks + info.hblkhd, resident * (size_t)sysconf(_SC_PAGESIZE)};
}

static struct memory largest(struct memory a, struct memory b)
{
  return (struct memory){a.in_use > b.in_use ? a.in_use : b.in_use, a.resident > b.resident ? a.resident : b.resident};
}

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
  char *end = argument;
  switch (key) {
  case 's': soak.seconds = strtod(argument, &end); break;
  case 'r': soak.rounds = strtol(argument, &end, 10); break;
  case 'e': soak.seed = strtoull(argument, &end, 10); break;
  case 'v': soak.verbose = true; return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
  if (*end || soak.seconds <= 0 || soak.rounds < 0) argp_error(state, "'%s' is not a number above 0", argument);
  return 0;
}

int main(int argc, char **argv)
{
  static const struct argp_option options[] = {{"seconds", 's', "N", 0, "For so long (default 10)", 0},
                                               {"rounds", 'r', "N", 0, "So many rounds instead", 0},
                                               {"seed", 'e', "N", 0, "Of everything (default 1)", 0},
                                               {"verbose", 'v', NULL, 0, "A line for each round", 0},
                                               {0}};
  static const struct argp argp = {options, parse, NULL, "Calls libattn at random: memory flat, results the same.",
                                   NULL,    NULL,  NULL};
  argp_err_exit_status = 2;
  if (argp_parse(&argp, argc, argv, 0, NULL, NULL)) return 2;
  const struct attn_restrictions all = {.features = attn_cpu_features(), .isa = ATTN_ISA_COUNT};
  char buffer[200];
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if (!attn_kernel_obstacle(*k, NULL, &all, buffer, sizeof buffer)) soak_kernels[soak_kernel_count++] = *k;
  struct draw chance = {.rng = {soak.seed}};
  for (int i = 0; i < SOAK_FLOATS; i++) soak_numbers[i] = rng_unit(&chance.rng);
  for (int i = 0; i < SOAK_FLOATS; i++) {
    attn_element_put(ATTN_BF16, halves[0], i, soak_numbers[i]);
    attn_element_put(ATTN_F16, halves[1], i, soak_numbers[i]);
  }
  probes(0);

  const double start = now();
  struct memory early = {0}, late = {0};
  long round = 0, warm = 0, calls = 0;
  for (double at = 0; soak.rounds ? round < soak.rounds : at < soak.seconds; round++) {
    for (int i = 0; i < CALLS; i++, calls++) soak_call(&chance);
    soak_forget();
    probes(round + 1);
    const struct memory m = measure();
    at = now() - start;
    const bool warming = round < 3 || (soak.rounds ? round < soak.rounds / 10 : at < soak.seconds / 10);
    *(warming ? &early : &late) = largest(warming ? early : late, m);
    warm += warming;
    if (soak.verbose) printf("round %ld: %zu bytes in use, %zu resident\n", round, m.in_use, m.resident);
  }
  soak_require(round > warm, "too short to say anything");
  soak_require(late.in_use <= early.in_use + SLACK_BYTES, "memory in use grows");
  soak_require(late.resident <= early.resident + SLACK_RESIDENT, "resident memory grows");
  printf("%.0f s, %ld calls in %ld rounds, %ld cases equal to the oracle, %d fixed problems each round\n", now() - start,
         calls, round, soak_cases, soak_kernel_count);
  printf("at most in use: %zu bytes in the first %ld rounds, %zu later; resident: %.1f and %.1f MiB\n", early.in_use, warm,
         late.in_use, (double)early.resident / 1048576, (double)late.resident / 1048576);
  printf("%d passed, %ld failed\n", soak_failed == 0, soak_failed);
  return soak_failed ? 3 : 0;
}
