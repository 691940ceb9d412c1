#include "exp2_check.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct exp2_version exp2_scalar, exp2_avx2, exp2_avx2_in_range, exp2_avx2_lean, exp2_avx512,
    exp2_avx512_in_range, exp2_avx512_lean, exp2_neon, exp2_neon_in_range;
const struct exp2_version *const exp2_versions[] = {
#if defined(__x86_64__)
    &exp2_avx512,        &exp2_avx512_in_range,
    &exp2_avx512_lean,   &exp2_avx2,
    &exp2_avx2_in_range, &exp2_avx2_lean,
#elif defined(__aarch64__)
    &exp2_neon, &exp2_neon_in_range,
#endif
    &exp2_scalar,        NULL};

enum { CHUNK = 1024, MOST_VERSIONS = 8, THREADS = 2 };
/* Bit patterns of 127, of -126 and of the sign. */
#define BITS_127 0x42fe0000u
#define BITS_126 0x42fc0000u
#define SIGN     0x80000000u

struct job {
  const struct exp2_version *const *versions;
  int n, thread;
  uint64_t stride;
  struct exp2_result results[MOST_VERSIONS];
};

static float float_of(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static void compare_chunk(struct job *job, const float *x, int count)
{
  double exact[CHUNK], per_ulp[CHUNK];
  float y[CHUNK];
  for (int i = 0; i < count; i++) {
    int exponent;
    exact[i] = exp2((double)x[i]);
    frexp(exact[i], &exponent); /* exact in [2^(e-1), 2^e): an ulp is 2^(e-24) */
    per_ulp[i] = ldexp(1, 24 - exponent);
  }
  for (int v = 0; v < job->n; v++) {
    struct exp2_result *r = &job->results[v];
    job->versions[v]->run(y, x, CHUNK);
    for (int i = 0; i < count; i++) {
      if (x[i] < job->versions[v]->lowest) continue;
      r->floats++;
      const double ulp = fabs((double)y[i] - exact[i]) * per_ulp[i];
      if (!(ulp <= r->worst_ulp)) { /* a NaN is worse than all */
        r->worst_ulp = ulp == ulp ? ulp : INFINITY;
        r->worst_x = x[i];
      }
    }
  }
}

struct batch {
  struct job *job;
  float x[CHUNK];
  int count;
};

static void flush_batch(struct batch *b)
{
  if (!b->count) return;
  for (int i = b->count; i < CHUNK; i++) b->x[i] = 0;
  compare_chunk(b->job, b->x, b->count);
  b->count = 0;
}

static void add(struct batch *b, uint32_t bits)
{
  b->x[b->count++] = float_of(bits);
  if (b->count == CHUNK) flush_batch(b);
}

static void *sweep(void *argument)
{
  struct job *job = argument;
  struct batch b = {.job = job};
  const uint64_t step = job->stride * THREADS, first = job->stride * (uint64_t)job->thread;
  for (uint64_t bits = first; bits <= BITS_127; bits += step) add(&b, (uint32_t)bits);
  for (uint64_t bits = first; bits <= BITS_126; bits += step) add(&b, (uint32_t)bits | SIGN);
  if (job->stride > 1 && job->thread == 0)
    for (int half = -252; half <= 254; half++) {
      const uint32_t centre = bits_of((float)half / 2);
      for (uint32_t near = 0; near <= 64; near++) {
        const uint32_t bits = centre + near - 32;
        if (half && float_of(bits) >= -126 && float_of(bits) <= 127) add(&b, bits);
      }
    }
  flush_batch(&b);
  return NULL;
}

/* What lies outside [-126, 127]: clamped below, NaN in, NaN out. */
static void check_specials(const struct exp2_version *version, struct exp2_result *r)
{
  const uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff, 0x7fa5a5a5, 0x7fc12345};
  const float low[] = {-INFINITY, -3.4e38f, -1e10f, -127, -126.5f, -126.00001f, -126, -150};
  float x[16], y[16];
  for (int i = 0; i < 8; i++) {
    x[i] = low[i];
    memcpy(&x[8 + i], &nans[i], sizeof nans[i]);
  }
  version->run(y, x, 16);
  for (int i = 0; i < 8 && !r->wrong[0]; i++) {
    if (y[i] != 0x1p-126f) snprintf(r->wrong, sizeof r->wrong, "2^%g gives %g, not 2^-126", (double)x[i], (double)y[i]);
    if (y[8 + i] == y[8 + i])
      snprintf(r->wrong, sizeof r->wrong, "NaN %#x gives %g, not NaN", (unsigned)nans[i], (double)y[8 + i]);
  }
}

void exp2_check(const struct exp2_version *const *versions, int n, uint64_t stride, struct exp2_result *results)
{
  if (n > MOST_VERSIONS) abort();
  static struct job jobs[THREADS];
  pthread_t thread[THREADS];
  for (int t = 0; t < THREADS; t++) {
    jobs[t] = (struct job){.versions = versions, .n = n, .thread = t, .stride = stride};
    if (pthread_create(&thread[t], NULL, sweep, &jobs[t])) {
      perror("check_kernels: pthread_create");
      exit(4);
    }
  }
  for (int t = 0; t < THREADS; t++) pthread_join(thread[t], NULL);
  for (int v = 0; v < n; v++) {
    results[v] = jobs[0].results[v];
    for (int t = 1; t < THREADS; t++) {
      const struct exp2_result *other = &jobs[t].results[v];
      results[v].floats += other->floats;
      if (other->worst_ulp > results[v].worst_ulp) {
        results[v].worst_ulp = other->worst_ulp;
        results[v].worst_x = other->worst_x;
      }
    }
    if (versions[v]->lowest == -INFINITY) check_specials(versions[v], &results[v]);
  }
}
