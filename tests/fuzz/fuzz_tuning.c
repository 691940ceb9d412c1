/* Tuning files: what is accepted gives a blocking that the kernel takes. */
#include "fuzz.h"

#include "../../dispatch/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const struct attn_kernel *kernel;
  if (!kernel) {
    for (const struct attn_kernel *const *k = attn_kernels; !kernel && *k; k++)
      if ((*k)->blocking_step) kernel = *k;
    REQUIRE(kernel);
  }
  char *text = text_of(data, size);
  struct attn_blocking blocking;
  if (attn_tuning_parse(&blocking, "fuzz.txt", text, size, kernel, 128, 128) == ATTN_OK) {
    int64_t step, most;
    for (int i = 0; i < ATTN_BLOCKING_FIELDS; i++)
      REQUIRE(attn_blocking_allows(kernel, i, *attn_blocking_field(&blocking, i), &step, &most));
  } else {
    require_message(attn_error_message());
  }
  free(text);
  return 0;
}
