/* The field <mask> of a case's name: what hides keys or changes scores, in one word.
 *
 *   none, causal           all keys, or those up to the query
 *   window<N>              keys at most N/2 before or after the query
 *   causal-window<N>       the last N keys up to the query
 *   softcap                50 * tanh(score / 50)
 *   alibi                  slopes 2^(-8 (h+1) / Hq)
 *   sinks                  a sink ~ N(0, 1) for each head
 *   additive               f32 [Sq][Skv] ~ N(0, 1)
 *   additive-f16           f16 likewise
 *   bool                   bytes [Sq][Skv] that hide one key in eight, at random
 *   bool-random            that hide every second key, at random
 *   bool50                 that hide every second block of 64 x 64, at random
 *   blocks50               the same blocks as a bitmap, a bit each (attn_block_mask)
 *   causal-softcap, causal-alibi, causal-sinks: both */
#ifndef BENCH_MASK_H
#define BENCH_MASK_H

#include "attn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_mask_kind {
  BENCH_MASK_NONE,
  BENCH_MASK_CAUSAL,
  BENCH_MASK_BOOL,
  BENCH_MASK_ADDITIVE,
  BENCH_MASK_WINDOW,
  BENCH_MASK_CAUSAL_WINDOW,
  BENCH_MASK_SOFTCAP,
  BENCH_MASK_CAUSAL_SOFTCAP,
  BENCH_MASK_ALIBI,
  BENCH_MASK_CAUSAL_ALIBI,
  BENCH_MASK_SINKS,
  BENCH_MASK_CAUSAL_SINKS,
  BENCH_MASK_BOOL_RANDOM,
  BENCH_MASK_BOOL_BLOCKS,
  BENCH_MASK_BLOCKS,
  BENCH_MASK_ADDITIVE_F16,
  BENCH_MASK_COUNT
};

/* A kind in the low byte, the keys of a window above it. */
typedef uint32_t bench_mask;
#define BENCH_WINDOW(kind, keys) ((uint32_t)(kind) | (uint32_t)(keys) << 8)
static inline enum bench_mask_kind bench_mask_kind(bench_mask mask) { return (enum bench_mask_kind)(mask & 0xff); }
static inline int64_t bench_mask_window(bench_mask mask) { return mask >> 8; }

enum { BENCH_MASK_NAME_BYTES = 32, BENCH_MASK_LARGEST_WINDOW = (1 << 24) - 1, BENCH_MASK_BLOCK = 64 };

/* False: error says which words there are. */
bool bench_mask_parse(bench_mask *mask, const char *word, char *error, size_t error_bytes);
char *bench_mask_print(bench_mask mask, char name[BENCH_MASK_NAME_BYTES]);

/* Sets flags, window, softcap, kind of mask and blocks of the description. */
void bench_mask_describe(attn_desc *desc, bench_mask mask);

#endif
