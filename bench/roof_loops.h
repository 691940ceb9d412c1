/* The loops whose speed is a roof, one set per ISA, in the order of enum attn_isa. */
#ifndef BENCH_ROOF_LOOPS_H
#define BENCH_ROOF_LOOPS_H

#include "../kernels/kernel.h"

enum { ROOF_FMA_STEPS = 64, ROOF_STREAM_VARIANTS = 4, ROOF_PREFETCH_VARIANTS = 3 };
enum { ROOF_READ_VARIANTS = ROOF_STREAM_VARIANTS * ROOF_PREFETCH_VARIANTS, ROOF_READ_GRAIN_BYTES = 8 * 4096 };

struct roof_loops {
  enum attn_isa isa;
  uint32_t needs;         /* ATTN_COMPILED_FEATURES of its object file */
  double flops_per_round; /* of fma() */
  float (*fma)(long rounds);
  /* Reads bytes (a multiple of ROOF_READ_GRAIN_BYTES) from a page-aligned start once, as variant 0..ROOF_READ_VARIANTS-1
   * says: 1, 2, 4 or 8 streams, without or with one of two prefetch distances. */
  uint64_t (*read)(const void *start, size_t bytes, int variant);
};

extern const struct roof_loops roof_loops_scalar;
#if defined(__x86_64__)
extern const struct roof_loops roof_loops_avx2, roof_loops_avx512, roof_loops_avx512bf16, roof_loops_amx;
#elif defined(__aarch64__)
extern const struct roof_loops roof_loops_neon, roof_loops_neonbf16;
#endif

#endif
