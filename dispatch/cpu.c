#include "cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t features, quirks;
static char model[64];

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The register state that the OS saves: a wide instruction without it corrupts other processes or dies. */
static uint64_t xgetbv0(void)
{
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* Whether Linux lets this process use the tile registers: their 8 KiB, which grow the frames of signals, are given to whom
 * asks. With other systems nobody is asked. */
static bool tiles_are_granted(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: asm/prctl.h of 5.16 */
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
  return false;
#endif
}

/* AMD's family 0x19 is Zen 3 and 4. All of Intel's cores that do multiply-adds have two vector ports for these, three for
 * everything. Of those with dot products of bf16 pairs all have slow ones, as far as anybody measured: all but Cooper Lake
 * (model 0x55), the first. Under hypervisors model numbers may be others'. */
static uint32_t quirks_of_model(void)
{
  enum { ZEN_3_AND_4 = 0x19, COOPER_LAKE = 0x55 };
  uint32_t a, b, c, d;
  if (!__get_cpuid(0, &a, &b, &c, &d)) return 0;
  const bool amd = b == signature_AMD_ebx && c == signature_AMD_ecx && d == signature_AMD_edx;
  const bool intel = b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const uint32_t family = (a >> 8 & 0xf) + (a >> 20 & 0xff), number = (a >> 4 & 0xf) | (a >> 12 & 0xf0);
  if (amd && family == ZEN_3_AND_4) return ATTN_QUIRK_SLOW_REQUESTS;
  if (intel) return ATTN_QUIRK_SHARED_PORTS | (number != COOPER_LAKE ? ATTN_QUIRK_SLOW_PAIRS : 0);
  return 0;
}

static void detect(void)
{
  enum { XCR0_SSE_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_TILES = 0x60000 };
  enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 }; /* clang 14 has no names for them */
  uint32_t a, b, c, d, brand[12] = {0};
  quirks = quirks_of_model();
  if (__get_cpuid(0x80000004, &a, &b, &c, &d)) {
    for (uint32_t leaf = 0; leaf < 3; leaf++) {
      uint32_t *w = brand + 4 * leaf;
      __get_cpuid(0x80000002 + leaf, &w[0], &w[1], &w[2], &w[3]);
    }
    const char *text = (const char *)brand;
    while (*text == ' ') text++;
    snprintf(model, sizeof model, "%.47s", text);
    for (size_t n = strlen(model); n > 0 && model[n - 1] == ' ';) model[--n] = 0;
  }
  if (!__get_cpuid(1, &a, &b, &c, &d)) return;
  if (!model[0]) snprintf(model, sizeof model, "x86-64 CPUID signature %#x", a);
  if (!(c & bit_OSXSAVE)) return;
  const uint64_t xcr0 = xgetbv0();
  if ((xcr0 & XCR0_SSE_AVX) != XCR0_SSE_AVX || !(c & bit_AVX)) return;
  if (c & bit_FMA) features |= ATTN_FEATURE_FMA;
  if (c & bit_F16C) features |= ATTN_FEATURE_F16C;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
  if (b & bit_AVX2) features |= ATTN_FEATURE_AVX2;
  uint32_t more = 0, rest;
  if (a >= 1 && !__get_cpuid_count(7, 1, &more, &rest, &rest, &rest)) more = 0;
  if (more & bit_AVXVNNI) features |= ATTN_FEATURE_AVXVNNI;
  if ((xcr0 & XCR0_AVX512) != XCR0_AVX512 || !(b & bit_AVX512F)) return;
  features |= ATTN_FEATURE_AVX512F;
  if (b & bit_AVX512BW) features |= ATTN_FEATURE_AVX512BW;
  if (b & bit_AVX512DQ) features |= ATTN_FEATURE_AVX512DQ;
  if (b & bit_AVX512VL) features |= ATTN_FEATURE_AVX512VL;
  if (c & bit_AVX512VNNI) features |= ATTN_FEATURE_AVX512VNNI;
  const bool multiplies = d & AMX_TILE && d & (AMX_BF16 | AMX_INT8);
  const bool tiles = multiplies && (xcr0 & XCR0_TILES) == XCR0_TILES && tiles_are_granted();
  if (tiles && d & AMX_BF16) features |= ATTN_FEATURE_AMXBF16;
  if (tiles && d & AMX_INT8) features |= ATTN_FEATURE_AMXINT8;
  if (more & bit_AVX512BF16) features |= ATTN_FEATURE_AVX512BF16;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

static void detect(void)
{
  const unsigned long hwcap = getauxval(AT_HWCAP), hwcap2 = getauxval(AT_HWCAP2);
  if (hwcap & (1ul << 1)) features |= ATTN_FEATURE_NEON;                            /* HWCAP_ASIMD */
  if ((hwcap & (1ul << 9)) && (hwcap & (1ul << 10))) features |= ATTN_FEATURE_FP16; /* FPHP and ASIMDHP */
  if (hwcap & (1ul << 20)) features |= ATTN_FEATURE_DOTPROD;                        /* ASIMDDP */
  if (hwcap2 & (1ul << 13)) features |= ATTN_FEATURE_I8MM;
  if (hwcap2 & (1ul << 14)) features |= ATTN_FEATURE_BF16;
  if (hwcap & (1ul << 11)) { /* HWCAP_CPUID: the kernel emulates reads of MIDR_EL1 */
    uint64_t midr;
    __asm__("mrs %0, MIDR_EL1" : "=r"(midr));
    static const struct {
      unsigned implementer, part;
      const char *name;
    } known[] = {
        {0x41, 0xd03, "Cortex-A53"},  {0x41, 0xd05, "Cortex-A55"},  {0x41, 0xd07, "Cortex-A57"},
        {0x41, 0xd08, "Cortex-A72"},  {0x41, 0xd0b, "Cortex-A76"},  {0x41, 0xd0c, "Neoverse-N1"},
        {0x41, 0xd40, "Neoverse-V1"}, {0x41, 0xd49, "Neoverse-N2"}, {0x41, 0xd4f, "Neoverse-V2"},
        {0x41, 0xd84, "Neoverse-V3"}, {0x41, 0xd8e, "Neoverse-N3"}, {0xc0, 0xac3, "AmpereOne"},
    };
    const unsigned implementer = midr >> 24 & 0xff, part = midr >> 4 & 0xfff;
    snprintf(model, sizeof model, "Arm implementer %#x part %#x", implementer, part);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
      if (known[i].implementer == implementer && known[i].part == part) snprintf(model, sizeof model, "%s", known[i].name);
  }
}

#else
static void detect(void) {}
#endif

uint32_t attn_cpu_features(void)
{
  pthread_once(&once, detect);
  return features;
}

uint32_t attn_cpu_quirks(void)
{
  pthread_once(&once, detect);
  return quirks;
}

const char *attn_quirk_name(uint32_t bit)
{
  switch (bit) {
  case ATTN_QUIRK_SLOW_REQUESTS: return "slow-requests";
  case ATTN_QUIRK_SLOW_PAIRS: return "slow-pairs";
  case ATTN_QUIRK_SHARED_PORTS: return "shared-ports";
  }
  return NULL;
}

const char *attn_cpu_model(void)
{
  pthread_once(&once, detect);
  return model[0] ? model : "unknown CPU";
}

const char *attn_feature_name(uint32_t bit)
{
  switch (bit) {
  case ATTN_FEATURE_AVX2: return "avx2";
  case ATTN_FEATURE_FMA: return "fma";
  case ATTN_FEATURE_F16C: return "f16c";
  case ATTN_FEATURE_AVX512F: return "avx512f";
  case ATTN_FEATURE_AVX512BW: return "avx512bw";
  case ATTN_FEATURE_AVX512DQ: return "avx512dq";
  case ATTN_FEATURE_AVX512VL: return "avx512vl";
  case ATTN_FEATURE_AVX512VNNI: return "avx512vnni";
  case ATTN_FEATURE_AVX512BF16: return "avx512bf16";
  case ATTN_FEATURE_AMXBF16: return "amxbf16";
  case ATTN_FEATURE_AVXVNNI: return "avxvnni";
  case ATTN_FEATURE_AMXINT8: return "amxint8";
  case ATTN_FEATURE_NEON: return "neon";
  case ATTN_FEATURE_FP16: return "fp16";
  case ATTN_FEATURE_DOTPROD: return "dotprod";
  case ATTN_FEATURE_BF16: return "bf16";
  case ATTN_FEATURE_I8MM: return "i8mm";
  }
  return NULL;
}

static char *list_names(uint32_t set, const char *(*name)(uint32_t), char *buffer, size_t bytes)
{
  size_t used = 0;
  if (bytes) buffer[0] = 0;
  for (uint32_t bit = 1; bit; bit <<= 1) {
    if (!(set & bit) || !name(bit) || used >= bytes) continue;
    const int n = snprintf(buffer + used, bytes - used, "%s%s", used ? " " : "", name(bit));
    used += (size_t)n;
  }
  return buffer;
}

char *attn_feature_list(uint32_t set, char *buffer, size_t bytes)
{
  return list_names(set, attn_feature_name, buffer, bytes);
}

char *attn_quirk_list(uint32_t set, char *buffer, size_t bytes) { return list_names(set, attn_quirk_name, buffer, bytes); }
