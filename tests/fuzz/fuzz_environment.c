/* ATTN_* variables, a line each: a plan comes about as they say, or the message names the variable. */
#include "fuzz.h"

#include "../../dispatch/internal.h"

static const char *const names[] = {"ATTN_ISA", "ATTN_KERNEL", "ATTN_NUM_THREADS", "ATTN_TUNING", "ATTN_QUIRKS"};
enum { NAMES = sizeof names / sizeof *names };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const attn_desc desc = {.B = 1, .Hq = 2, .Hkv = 1, .Sq = 200, .Skv = 300, .Dqk = 128, .Dv = 128};
  char *text = text_of(data, size), *rest = text;
  for (int i = 0; i < NAMES; i++) {
    const char *value = rest ? strsep(&rest, "\n") : NULL;
    if (value && i == 3 && strchr(value, '/')) value = NULL; /* no file from elsewhere */
    if (value)
      setenv(names[i], value, 1);
    else
      unsetenv(names[i]);
  }
  attn_plan *plan;
  const attn_status status = attn_plan_create(&plan, &desc, NULL);
  if (status) {
    const char *message = attn_error_message();
    REQUIRE(!plan && *message);
    REQUIRE(status == ATTN_ERR_UNSUPPORTED || (status == ATTN_ERR_ENVIRONMENT && strstr(message, "ATTN_")));
  } else {
    const char *isa = getenv("ATTN_ISA"), *kernel = getenv("ATTN_KERNEL"), *threads = getenv("ATTN_NUM_THREADS");
    if (kernel && *kernel) REQUIRE(!strcmp(attn_plan_kernel(plan), kernel));
    if (isa && !strcmp(isa, "scalar")) REQUIRE(!strcmp(attn_plan_isa(plan), "scalar"));
    if (threads && *threads) REQUIRE(attn_plan_threads(plan) <= atoi(threads));
    REQUIRE(attn_plan_threads(plan) >= 1);
  }
  attn_plan_destroy(plan);
  free(text);
  return 0;
}
