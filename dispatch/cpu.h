/* The only place that asks the CPU what it has. */
#ifndef ATTN_CPU_H
#define ATTN_CPU_H

#include "../kernels/kernel.h"

/* Features that both this CPU and this operating system support (AVX state needs XGETBV as well as CPUID).
 * Asked once, thread-safe. */
uint32_t attn_cpu_features(void);

/* What a CPU is slow or fast at beyond its features. Asked once, thread-safe. Names as in ATTN_QUIRKS. */
enum attn_quirk {
  ATTN_QUIRK_SLOW_REQUESTS = 1u << 0, /* "slow-requests": requests of software for memory slow it down, most of all into L1;
                                         long runs are read faster unasked (measured on Zen 4; not so on Zen 5) */
  ATTN_QUIRK_SLOW_PAIRS = 1u << 1,    /* "slow-pairs": a dot product of bf16 pairs takes more than twice as long as a
                                         multiply-add of f32, so that kernels of f32 inside are faster */
  ATTN_QUIRK_SHARED_PORTS = 1u << 2   /* "shared-ports": additions and shifts take the ports of multiply-adds, so that
                                         exponentials between these gain nothing */
};
uint32_t attn_cpu_quirks(void);
const char *attn_quirk_name(uint32_t bit); /* NULL if bit is no quirk */

/* "AMD EPYC 9R14", or a family/implementer number where the CPU does not tell. Static storage. */
const char *attn_cpu_model(void);

/* "avx512f" ...; NULL if bit is no feature. */
const char *attn_feature_name(uint32_t bit);

/* Writes "avx2 fma f16c" (blank-separated names of all bits in features) to buffer, always terminated. Returns buffer.
 * attn_quirk_list() likewise. */
char *attn_feature_list(uint32_t features, char *buffer, size_t bytes);
char *attn_quirk_list(uint32_t quirks, char *buffer, size_t bytes);

#endif
