/* The roof loops, written once in the compiler's vector types; roof_<isa>.c sets the width and the number of
 * accumulators and is compiled with the flags of its ISA.
 *
 * FMA: every accumulator is its own dependency chain, so ROOF_ACCUMULATORS >= latency x ports reaches the port limit:
 * 2 x 4 on Zen and recent Intel cores, 2 x 5 on Skylake, 4 x 4 on Neoverse V. All of them and the two factors must fit the
 * registers: 16 on AVX2 and SSE, 32 on AVX-512 and NEON. Values tend to y/(1-x) = 1: no denormals, no overflow.
 *
 * Read: an address stream per hardware prefetcher, two cache lines a step. Sums are xor, which never waits. */
#ifndef BENCH_ROOF_BODY_H
#define BENCH_ROOF_BODY_H

#include "roof_loops.h"

#if ROOF_VECTOR_BYTES == 4
typedef float roof_vector;
#else
typedef float roof_vector __attribute__((vector_size(ROOF_VECTOR_BYTES)));
#endif
typedef uint64_t roof_word __attribute__((vector_size(ROOF_VECTOR_BYTES < 16 ? 16 : ROOF_VECTOR_BYTES)));
#ifndef ROOF_STEP
#define ROOF_STEP(a, x, y) ((a) * (x) + (y))
#endif
enum { ROOF_WORD_BYTES = sizeof(roof_word), ROOF_STEP_BYTES = 128, ROOF_MAX_STREAMS = 8 };

#ifdef ROOF_ACCUMULATORS
static float roof_fma(long rounds)
{
  roof_vector a[ROOF_ACCUMULATORS], x = {0}, y = {0}, sum = {0};
  x += 0.75f;
  y += 0.25f;
  __asm__("" : "+" ROOF_REGISTER(x), "+" ROOF_REGISTER(y)); /* values that the compiler does not know */
#pragma GCC unroll 32
  for (int i = 0; i < ROOF_ACCUMULATORS; i++) a[i] = y * (float)i;
  for (long r = 0; r < rounds; r++)
    for (int s = 0; s < ROOF_FMA_STEPS; s++)
#pragma GCC unroll 32
      for (int i = 0; i < ROOF_ACCUMULATORS; i++) a[i] = ROOF_STEP(a[i], x, y);
#pragma GCC unroll 32
  for (int i = 0; i < ROOF_ACCUMULATORS; i++) sum += a[i];
  return ((const float *)&sum)[0];
}
#endif

static inline __attribute__((always_inline)) uint64_t roof_read_streams(const char *start, size_t bytes, int streams,
                                                                        size_t ahead_bytes)
{
  const size_t stream_bytes = bytes / (size_t)streams;
  roof_word sum[ROOF_MAX_STREAMS] = {0};
  for (size_t at = 0; at < stream_bytes; at += ROOF_STEP_BYTES)
#pragma GCC unroll 8
    for (int s = 0; s < streams; s++) {
      const char *p = start + (size_t)s * stream_bytes + at;
      if (ahead_bytes) {
        __builtin_prefetch(p + ahead_bytes);
        __builtin_prefetch(p + ahead_bytes + ROOF_STEP_BYTES / 2);
      }
#pragma GCC unroll 8
      for (int i = 0; i < ROOF_STEP_BYTES / ROOF_WORD_BYTES; i++) sum[s] ^= ((const roof_word *)p)[i];
    }
  for (int s = 1; s < streams; s++) sum[0] ^= sum[s];
  uint64_t all = 0;
  for (int i = 0; i < ROOF_WORD_BYTES / 8; i++) all ^= sum[0][i];
  return all;
}

static uint64_t roof_read(const void *start, size_t bytes, int variant)
{
  enum { NEAR_BYTES = 512, FAR_BYTES = 2048 };
  switch (variant) {
  case 0: return roof_read_streams(start, bytes, 1, 0);
  case 1: return roof_read_streams(start, bytes, 2, 0);
  case 2: return roof_read_streams(start, bytes, 4, 0);
  case 3: return roof_read_streams(start, bytes, 8, 0);
  case 4: return roof_read_streams(start, bytes, 1, NEAR_BYTES);
  case 5: return roof_read_streams(start, bytes, 2, NEAR_BYTES);
  case 6: return roof_read_streams(start, bytes, 4, NEAR_BYTES);
  case 7: return roof_read_streams(start, bytes, 8, NEAR_BYTES);
  case 8: return roof_read_streams(start, bytes, 1, FAR_BYTES);
  case 9: return roof_read_streams(start, bytes, 2, FAR_BYTES);
  case 10: return roof_read_streams(start, bytes, 4, FAR_BYTES);
  default: return roof_read_streams(start, bytes, 8, FAR_BYTES);
  }
}

#define ROOF_FLOPS_PER_ROUND (2.0 * ROOF_FMA_STEPS * ROOF_ACCUMULATORS * (ROOF_VECTOR_BYTES / sizeof(float)))

#endif
