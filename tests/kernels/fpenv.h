/* The control part of the floating-point environment: rounding, flush-to-zero, exception masks. A kernel must leave it as
 * it was; the sticky exception flags may change. */
#ifndef TESTS_FPENV_H
#define TESTS_FPENV_H

#include <stdint.h>

static inline uint64_t fpenv_control(void)
{
#if defined(__x86_64__)
  uint32_t mxcsr;
  uint16_t x87;
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

#endif
