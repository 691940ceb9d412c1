#include "mask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float softcap = 50; /* as Gemma 2 has it */

static const struct {
  const char *name; /* with the number of keys behind it, if it is a window */
  unsigned flags;
  attn_mask_kind kind;
  bool capped;
} masks[BENCH_MASK_COUNT] = {
    [BENCH_MASK_NONE] = {"none", 0, ATTN_MASK_NONE, false},
    [BENCH_MASK_CAUSAL] = {"causal", ATTN_CAUSAL, ATTN_MASK_NONE, false},
    [BENCH_MASK_BOOL] = {"bool", 0, ATTN_MASK_BOOL, false},
    [BENCH_MASK_ADDITIVE] = {"additive", 0, ATTN_MASK_ADDITIVE, false},
    [BENCH_MASK_WINDOW] = {"window", ATTN_WINDOW_LEFT | ATTN_WINDOW_RIGHT, ATTN_MASK_NONE, false},
    [BENCH_MASK_CAUSAL_WINDOW] = {"causal-window", ATTN_CAUSAL | ATTN_WINDOW_LEFT, ATTN_MASK_NONE, false},
    [BENCH_MASK_SOFTCAP] = {"softcap", 0, ATTN_MASK_NONE, true},
    [BENCH_MASK_CAUSAL_SOFTCAP] = {"causal-softcap", ATTN_CAUSAL, ATTN_MASK_NONE, true},
    [BENCH_MASK_ALIBI] = {"alibi", ATTN_ALIBI, ATTN_MASK_NONE, false},
    [BENCH_MASK_CAUSAL_ALIBI] = {"causal-alibi", ATTN_CAUSAL | ATTN_ALIBI, ATTN_MASK_NONE, false},
    [BENCH_MASK_SINKS] = {"sinks", ATTN_SINKS, ATTN_MASK_NONE, false},
    [BENCH_MASK_CAUSAL_SINKS] = {"causal-sinks", ATTN_CAUSAL | ATTN_SINKS, ATTN_MASK_NONE, false},
    [BENCH_MASK_BOOL_RANDOM] = {"bool-random", 0, ATTN_MASK_BOOL, false},
    [BENCH_MASK_BOOL_BLOCKS] = {"bool50", 0, ATTN_MASK_BOOL, false},
    [BENCH_MASK_BLOCKS] = {"blocks50", 0, ATTN_MASK_NONE, false},
    [BENCH_MASK_ADDITIVE_F16] = {"additive-f16", 0, ATTN_MASK_ADDITIVE_F16, false},
};

static bool is_window(enum bench_mask_kind kind) { return kind == BENCH_MASK_WINDOW || kind == BENCH_MASK_CAUSAL_WINDOW; }

bool bench_mask_parse(bench_mask *mask, const char *word, char *error, size_t error_bytes)
{
  size_t used = (size_t)snprintf(error, error_bytes, "mask '%s' is not one of: ", word);
  for (int i = 0; i < BENCH_MASK_COUNT; i++) {
    const bool windowed = is_window((enum bench_mask_kind)i);
    const size_t n = strlen(masks[i].name);
    if (used < error_bytes)
      used += (size_t)snprintf(error + used, error_bytes - used, "%s%s%s", i ? ", " : "", masks[i].name,
                               windowed ? "<keys>" : "");
    if (!windowed && !strcmp(word, masks[i].name)) {
      *mask = (bench_mask)i;
      return true;
    }
    const char *digits = word + n;
    if (!windowed || strncmp(word, masks[i].name, n) || !*digits || strspn(digits, "0123456789") != strlen(digits) ||
        digits[0] == '0')
      continue;
    errno = 0;
    const long keys = strtol(digits, NULL, 10);
    if (errno || keys > BENCH_MASK_LARGEST_WINDOW) {
      snprintf(error, error_bytes, "mask '%s': the window is not within 1..%d", word, BENCH_MASK_LARGEST_WINDOW);
      return false;
    }
    *mask = BENCH_WINDOW(i, keys);
    return true;
  }
  return false;
}

char *bench_mask_print(bench_mask mask, char name[BENCH_MASK_NAME_BYTES])
{
  const enum bench_mask_kind kind = bench_mask_kind(mask);
  if (is_window(kind))
    snprintf(name, BENCH_MASK_NAME_BYTES, "%s%lld", masks[kind].name, (long long)bench_mask_window(mask));
  else
    snprintf(name, BENCH_MASK_NAME_BYTES, "%s", masks[kind].name);
  return name;
}

void bench_mask_describe(attn_desc *desc, bench_mask mask)
{
  const enum bench_mask_kind kind = bench_mask_kind(mask);
  const int64_t keys = bench_mask_window(mask);
  desc->flags |= masks[kind].flags;
  desc->mask.kind = masks[kind].kind;
  if (masks[kind].capped) desc->softcap = softcap;
  if (kind == BENCH_MASK_BLOCKS) desc->blocks.queries = desc->blocks.keys = BENCH_MASK_BLOCK;
  if (!is_window(kind)) return;
  desc->window_left =
      kind == BENCH_MASK_WINDOW ? keys / 2 : keys - 1; /* the query's own position is one of a causal window */
  desc->window_right = keys / 2;
}
