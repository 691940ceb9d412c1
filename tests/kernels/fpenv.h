/* The control part of the floating-point environment: rounding, flush-to-zero, exception masks. A kernel must leave it as
 * it was; the sticky exception flags may change. */
#ifndef TESTS_FPENV_H
#define TESTS_FPENV_H

#include <stdint.h>

static inline uint64_t fpenv_control(void)
{
#if defined(__x86_64__)
  uint32_t mxcsr = 0; /* MemorySanitizer does not see what assembly writes */
  uint16_t x87 = 0;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  __asm__ volatile("fnstcw %0" : "=m"(x87));
  return (uint64_t)x87 << 32 | (mxcsr & ~0x3fu);
#elif defined(__aarch64__)
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  return fpcr;
#else
#error "say how to read the floating-point control register of this architecture"
#endif
}

static inline void fpenv_restore(uint64_t control)
{
#if defined(__x86_64__)
  const uint32_t mxcsr = (uint32_t)control;
  const uint16_t x87 = (uint16_t)(control >> 32);
  __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
  __asm__ volatile("fldcw %0" ::"m"(x87));
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" ::"r"(control));
#endif
}

#endif
