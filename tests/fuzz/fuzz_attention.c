/* Bytes -> a kernel and a case of the harness (tests/kernels): any shape, strides, mask, lengths, variants, special values;
 * all tensors end or begin at guard pages; directly, through a plan, from a contiguous and a paged cache; compared with the
 * oracle. What fails prints the case. */
#include "fuzz.h"

#include "../kernels/draw.h"
#include "../kernels/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const struct attn_kernel *able[64];
  static int kernels;
  if (!kernels) {
    const struct attn_restrictions all = {.features = attn_cpu_features(), .isa = ATTN_ISA_COUNT};
    char buffer[200];
    for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
      if (!attn_kernel_obstacle(*k, NULL, &all, buffer, sizeof buffer)) able[kernels++] = *k;
  }
  if (size < 8) return -1;
  uint64_t seed = 0;
  memcpy(&seed, data, 4);
  struct draw draw = {.bytes = data + 4, .left = size - 4};
  const struct attn_kernel *kernel = able[draw_below(&draw, kernels)];
  struct check_case c;
  case_random(&c, kernel, "fuzz", draw_below(&draw, 16) ? 16 : 48, &draw);
  const struct verdict v = verify_case(kernel, &c, seed);
  if (!v.ok) {
    fprintf(stderr, "kernel %s, seed %llu, case %s\n  %s\n", kernel->name, (unsigned long long)seed, c.name, v.why);
    abort();
  }
  return 0;
}
