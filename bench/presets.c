#include "presets.h"

#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* of a shape: no layer */

/* Sizes from the models' published configurations. */
#define BERT_BASE                                                                                                          \
  {                                                                                                                        \
    ATTN_F32, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_NONE                                                                 \
  }
#define VIT_L_16                                                                                                           \
  {                                                                                                                        \
    ATTN_F32, 1, 16, 16, 577, 577, 64, 64, BENCH_MASK_NONE                                                                 \
  } /* 24 x 24 patches + 1 */
#define WHISPER_CROSS                                                                                                      \
  {                                                                                                                        \
    ATTN_F32, 1, 20, 20, 448, 1500, 64, 64, BENCH_MASK_NONE                                                                \
  } /* 30 s of audio, full context */
#define LLAMA_8B_PREFILL                                                                                                   \
  {                                                                                                                        \
    ATTN_F32, 1, 32, 8, 2048, 2048, 128, 128, BENCH_MASK_CAUSAL                                                            \
  }
#define LONG_16K                                                                                                           \
  {                                                                                                                        \
    ATTN_F32, 1, 1, 1, 16384, 16384, 128, 128, BENCH_MASK_NONE                                                             \
  }

static const struct bench_preset_shape quick[] = {
    {"bert-base", BERT_BASE, BENCH_ALL_KERNELS, false},
    {"vit-l-16", VIT_L_16, BENCH_HAND_WRITTEN, false},
    {"whisper-large cross", WHISPER_CROSS, BENCH_HAND_WRITTEN, false},
    {"llama-3.1-8b prefill", LLAMA_8B_PREFILL, BENCH_HAND_WRITTEN, false},
    {"long 16k", LONG_16K, BENCH_HAND_WRITTEN, true},
};

static const struct bench_preset_shape models[] = {
    {"bert-base", BERT_BASE, BENCH_ALL_KERNELS, false},
    {"vit-l-16", VIT_L_16, BENCH_ALL_KERNELS, false},
    {"whisper-large cross", WHISPER_CROSS, BENCH_ALL_KERNELS, false},
    {"llama-3.1-8b prefill", LLAMA_8B_PREFILL, BENCH_ALL_KERNELS, false},
    {"long 16k", LONG_16K, BENCH_ALL_KERNELS, false},
};

static const struct bench_preset_shape full[] = {
    {"bert-base", BERT_BASE, BENCH_ALL_KERNELS, false},
    {"vit-l-16", VIT_L_16, BENCH_ALL_KERNELS, false},
    {"whisper-large cross", WHISPER_CROSS, BENCH_ALL_KERNELS, false},
    {"llama-3.1-8b prefill", LLAMA_8B_PREFILL, BENCH_ALL_KERNELS, false},
    {"long 16k", LONG_16K, BENCH_ALL_KERNELS, false},
    {"small call", {ATTN_F32, 1, 1, 1, 16, 16, 64, 64, BENCH_MASK_NONE}, BENCH_ALL_KERNELS, false},
    {"2k, D 64", {ATTN_F32, 1, 8, 8, 2048, 2048, 64, 64, BENCH_MASK_NONE}, BENCH_ALL_KERNELS, false},
    {"2k, D 128", {ATTN_F32, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_ALL_KERNELS, false},
    {"4k, D 64, causal", {ATTN_F32, 1, 8, 8, 4096, 4096, 64, 64, BENCH_MASK_CAUSAL}, BENCH_HAND_WRITTEN, false},
    {"4k, D 128, causal", {ATTN_F32, 1, 8, 8, 4096, 4096, 128, 128, BENCH_MASK_CAUSAL}, BENCH_HAND_WRITTEN, false},
    {"odd head sizes", {ATTN_F32, 1, 8, 8, 1000, 1000, 80, 72, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"padding mask", {ATTN_F32, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_BOOL}, BENCH_HAND_WRITTEN, false},
    {"2k, D 128, f16", {ATTN_F16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"2k, D 128, bf16", {ATTN_BF16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"additive bias", {ATTN_F32, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_ADDITIVE}, BENCH_HAND_WRITTEN, false},
};

/* What the overhead of a call and the edges of tiles cost. */
static const struct bench_preset_shape small[] = {
    {"16 x 16", {ATTN_F32, 1, 1, 1, 16, 16, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"1 head, 33", {ATTN_F32, 1, 1, 1, 33, 33, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"1 head, 64", {ATTN_F32, 1, 1, 1, 64, 64, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"1 head, 64, D 128", {ATTN_F32, 1, 1, 1, 64, 64, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"12 heads, 64", {ATTN_F32, 1, 12, 12, 64, 64, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"8 x 512", {ATTN_F32, 1, 1, 1, 8, 512, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"64 x 2048", {ATTN_F32, 1, 1, 1, 64, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"1 head, 2048", {ATTN_F32, 1, 1, 1, 2048, 2048, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    /* CLIP ViT-L/14 at 336 x 336: text tokens look at patches and the class token */
    {"cross-modal 77 x 577", {ATTN_F32, 1, 12, 12, 77, 577, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
};

/* Every kernel once in every data type, and the ones that count on the large shapes. */
static const struct bench_preset_shape results[] = {
    {"bert-base", BERT_BASE, BENCH_ALL_KERNELS, false},
    {"bert-base, f16", {ATTN_F16, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_NONE}, BENCH_ALL_KERNELS, false},
    {"bert-base, bf16", {ATTN_BF16, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_NONE}, BENCH_ALL_KERNELS, false},
    {"2k, D 64", {ATTN_F32, 1, 8, 8, 2048, 2048, 64, 64, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"2k, D 128", {ATTN_F32, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"2k, D 128, f16", {ATTN_F16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"2k, D 128, bf16", {ATTN_BF16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"llama-3.1-8b prefill", LLAMA_8B_PREFILL, BENCH_HAND_WRITTEN, false},
};

/* What the bars of prefill compare (bars.c). Those that are compared with each other stand together, so that the machine
 * has little time to drift between them. */
static const struct bench_preset_shape roof[] = {
    {"2k, D 64", {ATTN_F32, 1, 8, 8, 2048, 2048, 64, 64, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"4k, D 64, causal", {ATTN_F32, 1, 8, 8, 4096, 4096, 64, 64, BENCH_MASK_CAUSAL}, BENCH_STREAMING, false},
    {"4k, D 128, causal", {ATTN_F32, 1, 8, 8, 4096, 4096, 128, 128, BENCH_MASK_CAUSAL}, BENCH_STREAMING, false},
    {"2k, D 128", {ATTN_F32, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"2k, D 128, f16", {ATTN_F16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"2k, D 128, bf16", {ATTN_BF16, 1, 8, 8, 2048, 2048, 128, 128, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"2k, D 80", {ATTN_F32, 1, 8, 8, 2048, 2048, 80, 80, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"2k, D 96", {ATTN_F32, 1, 8, 8, 2048, 2048, 96, 96, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"2k, D 256", {ATTN_F32, 1, 8, 8, 2048, 2048, 256, 256, BENCH_MASK_NONE}, BENCH_STREAMING, false},
    {"512, D 64", {ATTN_F32, 1, 8, 8, 512, 512, 64, 64, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
    {"512, D 128", {ATTN_F32, 1, 8, 8, 512, 512, 128, 128, BENCH_MASK_NONE}, BENCH_HAND_WRITTEN, false},
};

/* What a variant costs. Those that are compared with each other stand together: the machine has little time to drift. */
#define VARIANT_2K(mask)                                                                                                   \
  {                                                                                                                        \
    ATTN_F32, 1, 4, 4, 2048, 2048, 128, 128, mask                                                                          \
  }
#define VARIANT_16K(mask)                                                                                                  \
  {                                                                                                                        \
    ATTN_F32, 1, 1, 1, 16384, 16384, 128, 128, mask                                                                        \
  }
static const struct bench_preset_shape variants[] = {
    {"2k, plain", VARIANT_2K(BENCH_MASK_NONE), BENCH_STREAMING, false},
    {"2k, causal", VARIANT_2K(BENCH_MASK_CAUSAL), BENCH_STREAMING, false},
    {"2k, softcap", VARIANT_2K(BENCH_MASK_SOFTCAP), BENCH_STREAMING, false},
    {"2k, ALiBi", VARIANT_2K(BENCH_MASK_ALIBI), BENCH_STREAMING, false},
    {"2k, sinks", VARIANT_2K(BENCH_MASK_SINKS), BENCH_STREAMING, false},
    {"2k, additive mask", VARIANT_2K(BENCH_MASK_ADDITIVE), BENCH_STREAMING, false},
    {"2k, additive mask, f16", VARIANT_2K(BENCH_MASK_ADDITIVE_F16), BENCH_STREAMING, false},
    {"2k, 1 of 8 keys hidden", VARIANT_2K(BENCH_MASK_BOOL), BENCH_STREAMING, false},
    {"2k, half of the keys hidden", VARIANT_2K(BENCH_MASK_BOOL_RANDOM), BENCH_STREAMING, false},
    {"2k, half of the blocks hidden", VARIANT_2K(BENCH_MASK_BOOL_BLOCKS), BENCH_STREAMING, false},
    {"2k, the same as a bitmap", VARIANT_2K(BENCH_MASK_BLOCKS), BENCH_STREAMING, false},
    {"2k, causal window 512", VARIANT_2K(BENCH_WINDOW(BENCH_MASK_CAUSAL_WINDOW, 512)), BENCH_STREAMING, false},
    {"16k, plain", VARIANT_16K(BENCH_MASK_NONE), BENCH_STREAMING, true},
    {"16k, causal window 1024", VARIANT_16K(BENCH_WINDOW(BENCH_MASK_CAUSAL_WINDOW, 1024)), BENCH_STREAMING, true},
    {"16k, window 1024", VARIANT_16K(BENCH_WINDOW(BENCH_MASK_WINDOW, 1024)), BENCH_STREAMING, true},
};

/* Projections and all. CLIP ViT-L/14 at 336 x 336 as in "small"; the encoder of BERT-base; Llama-3.1-8B on a short prompt,
 * whose weights no cache holds. */
static const struct bench_preset_shape layer[] = {
    {"cross-modal layer 77 x 577",
     {ATTN_F32, 1, 12, 12, 77, 577, 64, 64, BENCH_MASK_NONE, 768, 1024, 768},
     BENCH_STREAMING,
     false},
    {"cross-modal, no output proj.",
     {ATTN_F32, 1, 12, 12, 77, 577, 64, 64, BENCH_MASK_NONE, 768, 1024, 0},
     BENCH_STREAMING,
     false},
    {"bert-base layer", {ATTN_F32, 1, 12, 12, 512, 512, 64, 64, BENCH_MASK_NONE, 768, 768, 768}, BENCH_STREAMING, false},
    {"llama-3.1-8b layer, 256",
     {ATTN_F32, 1, 32, 8, 256, 256, 128, 128, BENCH_MASK_CAUSAL, 4096, 4096, 4096},
     BENCH_STREAMING,
     true},
};

/* One query a sequence over a cache beyond the last-level cache. */
#define DECODE(type, B, Hq, Hkv, Skv, D)                                                                                   \
  {                                                                                                                        \
    type, B, Hq, Hkv, 1, Skv, D, D, BENCH_MASK_NONE                                                                        \
  }
/* The same from an attn_cache; from memory, though it is small. */
#define CACHED(type, kv_type, B, Hq, Hkv, Skv, D)                                                                          \
  {                                                                                                                        \
    type, B, Hq, Hkv, 1, Skv, D, D, .mask = BENCH_MASK_NONE, .kv = kv_type                                                 \
  }
#define COLD(type, B, Hq, Hkv, Skv, D)                                                                                     \
  {                                                                                                                        \
    type, B, Hq, Hkv, 1, Skv, D, D, .mask = BENCH_MASK_NONE, .cache = BENCH_CACHE_COLD                                     \
  }
/* Sequences of different lengths. A step of a server: two prompts, a chunk of a third, a token each of 13 others; and one
 * that only decodes. */
#define MIXED_STEP                                                                                                         \
  {                                                                                                                        \
    3,                                                                                                                     \
    {                                                                                                                      \
      {2, 512, 512, 512, 512}, {1, 256, 256, 4096, 4096}, { 13, 1, 1, 1024, 8192 }                                         \
    }                                                                                                                      \
  }
#define DECODE_STEP                                                                                                        \
  {                                                                                                                        \
    1,                                                                                                                     \
    {                                                                                                                      \
      {                                                                                                                    \
        16, 1, 1, 512, 8192                                                                                                \
      }                                                                                                                    \
    }                                                                                                                      \
  }
#define MIXED(type, kv_type, Hq, Hkv)                                                                                      \
  {                                                                                                                        \
    type, 16, Hq, Hkv, 512, 8192, 128, 128, .mask = BENCH_MASK_CAUSAL, .kv = kv_type, .seqs = MIXED_STEP                   \
  }
#define UNEVEN(type, kv_type, Hq, Hkv)                                                                                     \
  {                                                                                                                        \
    type, 16, Hq, Hkv, 1, 8192, 128, 128, .mask = BENCH_MASK_CAUSAL, .kv = kv_type, .seqs = DECODE_STEP                    \
  }
static const struct bench_preset_shape decode[] = {
    {"decode 16k, group 1", DECODE(ATTN_F16, 1, 8, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 4", DECODE(ATTN_F16, 1, 32, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 8", DECODE(ATTN_F16, 1, 64, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 4, bf16", DECODE(ATTN_BF16, 1, 32, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 4, f32", DECODE(ATTN_F32, 1, 32, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 128k, one head", DECODE(ATTN_F16, 1, 1, 1, 131072, 128), BENCH_DECODE, false},
    {"decode 16k, 4 speculative", {ATTN_F16, 1, 32, 8, 4, 16384, 128, 128, BENCH_MASK_CAUSAL}, BENCH_DECODE, false},
    {"decode 1k, hot", DECODE(ATTN_F16, 1, 32, 8, 1024, 128), BENCH_DECODE, false},
    {"decode 1k, cold", COLD(ATTN_F16, 1, 32, 8, 1024, 128), BENCH_DECODE, false},
    {"decode 16k, group 1, cache", CACHED(ATTN_F16, BENCH_KV_F16, 1, 8, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 1, int8", CACHED(ATTN_F32, BENCH_KV_I8, 1, 8, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 4, cache", CACHED(ATTN_F16, BENCH_KV_F16, 1, 32, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 4, int8", CACHED(ATTN_F32, BENCH_KV_I8, 1, 32, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 8, cache", CACHED(ATTN_F16, BENCH_KV_F16, 1, 64, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 8, bf16 cache", CACHED(ATTN_BF16, BENCH_KV_BF16, 1, 64, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 16k, group 8, int8", CACHED(ATTN_F32, BENCH_KV_I8, 1, 64, 8, 16384, 128), BENCH_DECODE, false},
    {"decode 1M, one head, int8", CACHED(ATTN_F32, BENCH_KV_I8, 1, 1, 1, 1048576, 64), BENCH_DECODE, false},
};

/* Llama-3.1-8B 32/8, Qwen3-14B 40/8, multi-head 32/32, multi-query 32/1. */
static const struct bench_preset_shape serving[] = {
    {"llama 1 x 128k", DECODE(ATTN_F16, 1, 32, 8, 131072, 128), BENCH_DECODE, false},
    {"llama 4 x 8k", DECODE(ATTN_F16, 4, 32, 8, 8192, 128), BENCH_DECODE, false},
    {"llama 16 x 4k", DECODE(ATTN_F16, 16, 32, 8, 4096, 128), BENCH_DECODE, false},
    {"llama 16 x 4k, cache", CACHED(ATTN_F16, BENCH_KV_F16, 16, 32, 8, 4096, 128), BENCH_DECODE, false},
    {"llama 16 x 4k, int8", CACHED(ATTN_F32, BENCH_KV_I8, 16, 32, 8, 4096, 128), BENCH_DECODE, false},
    {"llama 16 x 1k", DECODE(ATTN_F16, 16, 32, 8, 1024, 128), BENCH_DECODE, false},
    {"qwen3 1 x 32k", DECODE(ATTN_BF16, 1, 40, 8, 32768, 128), BENCH_DECODE, false},
    {"qwen3 16 x 4k", DECODE(ATTN_BF16, 16, 40, 8, 4096, 128), BENCH_DECODE, false},
    {"multi-head 1 x 16k", DECODE(ATTN_F16, 1, 32, 32, 16384, 128), BENCH_DECODE, false},
    {"multi-head 16 x 1k", DECODE(ATTN_F16, 16, 32, 32, 1024, 128), BENCH_DECODE, false},
    {"multi-query 1 x 128k", DECODE(ATTN_F16, 1, 32, 1, 131072, 128), BENCH_DECODE, false},
    {"multi-query 16 x 4k", DECODE(ATTN_F16, 16, 32, 1, 4096, 128), BENCH_DECODE, false},
    {"llama 16 x 512-8k, cache", UNEVEN(ATTN_F16, BENCH_KV_F16, 32, 8), BENCH_DECODE, false},
    {"llama 16 x 512-8k, int8", UNEVEN(ATTN_F32, BENCH_KV_I8, 32, 8), BENCH_DECODE, false},
    {"qwen3 16 x 512-8k, cache", UNEVEN(ATTN_BF16, BENCH_KV_BF16, 40, 8), BENCH_DECODE, false},
    {"llama mixed", MIXED(ATTN_F16, BENCH_KV_TENSORS, 32, 8), BENCH_STREAMING, false},
    {"llama mixed, cache", MIXED(ATTN_F16, BENCH_KV_F16, 32, 8), BENCH_STREAMING, false},
    {"llama mixed, int8", MIXED(ATTN_F32, BENCH_KV_I8, 32, 8), BENCH_STREAMING, false},
    {"qwen3 mixed, cache", MIXED(ATTN_BF16, BENCH_KV_BF16, 40, 8), BENCH_STREAMING, false},
    {"multi-query mixed, cache", MIXED(ATTN_F16, BENCH_KV_F16, 32, 1), BENCH_STREAMING, false},
};

#define SHAPES(list) list, (int)(sizeof list / sizeof *list)
const struct bench_preset bench_presets[] = {
    {"quick", "the model shapes with the hand-written kernels, about 90 s on two cores", SHAPES(quick), 5, 0.05},
    {"models", "the model shapes with every kernel, about ten minutes", SHAPES(models), 5, 0.1},
    {"results", "every kernel in every data type, for a page of results", SHAPES(results), 7, 0.1},
    {"roof", "the bars of prefill, each with what it asks and what was reached", SHAPES(roof), 5, 0.1},
    {"decode", "one token a sequence over long K and V: tensors, caches of f16, bf16 and int8; what is asked and reached",
     SHAPES(decode), 7, 0.1},
    {"serving", "as models are served: heads of known models, 1 to 16 sequences, 1k to 128k; prompts among decoding",
     SHAPES(serving), 5, 0.1},
    {"variants", "what masks, windows, softcap, ALiBi and sinks cost, relative to none", SHAPES(variants), 5, 0.1},
    {"layer", "whole layers: projections, attention, output projection", SHAPES(layer), 5, 0.1},
    {"small", "short sequences and single heads", SHAPES(small), 5, 0.05},
    {"full", "model shapes, long and odd ones, masks; every kernel where it can finish", SHAPES(full), 7, 0.2},
};
const int bench_preset_count = sizeof bench_presets / sizeof *bench_presets;

const struct bench_preset *bench_preset_find(const char *name)
{
  for (int i = 0; i < bench_preset_count; i++)
    if (!strcmp(bench_presets[i].name, name)) return &bench_presets[i];
  return NULL;
}

const char *bench_preset_label(const struct bench_shape *shape)
{
  for (int p = 0; p < bench_preset_count; p++)
    for (int i = 0; i < bench_presets[p].count; i++)
      if (bench_shape_equal(&bench_presets[p].shapes[i].shape, shape)) return bench_presets[p].shapes[i].label;
  return NULL;
}
