/* bench/roofs.c with loops of known speed in place of the machine's. */
#include "../../bench/roofs.h"

#include "../../bench/clock.h"
#include "../../bench/memory.h"
#include "../../bench/roof_loops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const double round_s = 1e-6, start_s = 10e-6, disturbance_s = 10e-3;
enum { FLOPS_PER_ROUND = 1000 };
static int calls;

static void wait_for(double seconds)
{
  const double end = bench_clock() + seconds;
  while (bench_clock() < end) continue;
}

static float multiply_add(long rounds) /* whose first call something else interrupts */
{
  wait_for(start_s + (double)rounds * round_s + (calls++ ? 0 : disturbance_s));
  return 0;
}

static uint64_t read_nothing(const void *start, size_t bytes, int variant)
{
  (void)start;
  (void)bytes;
  (void)variant;
  return 0;
}

#define KNOWN .flops_per_round = FLOPS_PER_ROUND, .fma = multiply_add, .read = read_nothing
const struct roof_loops roof_loops_scalar = {.isa = ATTN_ISA_SCALAR, KNOWN};
#if defined(__x86_64__)
const struct roof_loops roof_loops_avx2 = {.isa = ATTN_ISA_AVX2, KNOWN},
                        roof_loops_avx512 = {.isa = ATTN_ISA_AVX512, KNOWN},
                        roof_loops_avx512bf16 = {.isa = ATTN_ISA_AVX512BF16, KNOWN},
                        roof_loops_amx = {.isa = ATTN_ISA_AMX, KNOWN};
#elif defined(__aarch64__)
const struct roof_loops roof_loops_neon = {.isa = ATTN_ISA_NEON, KNOWN},
                        roof_loops_neonbf16 = {.isa = ATTN_ISA_NEONBF16, KNOWN};
#endif

size_t bench_memory_available(void) { return 4 << 20; }
void *bench_memory_map(size_t bytes) { return malloc(bytes); }
void bench_memory_free(void *start, size_t bytes)
{
  if (bytes) free(start);
}

/* A first sample that a disturbance made long says nothing of how many rounds a sample needs: with the few that it had,
 * later ones would be of their start, and the roof a sixth of what it is. */
static void a_disturbed_first_sample_leaves_the_roof_alone(void **state)
{
  (void)state;
  calls = 0;
  struct bench_roofs *roofs = bench_roofs_create(1);
  assert_non_null(roofs);
  double best = 0;
  for (int i = 0; i < 20; i++) {
    const double sample = bench_roofs_fma(roofs, ATTN_ISA_SCALAR, 1);
    if (sample > best) best = sample;
  }
  const double roof = FLOPS_PER_ROUND / round_s;
  if (!(best > 0.9 * roof && best <= roof)) fail_msg("a roof of %.3g FLOP/s instead of %.3g", best, roof);
  bench_roofs_destroy(roofs);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_disturbed_first_sample_leaves_the_roof_alone)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
