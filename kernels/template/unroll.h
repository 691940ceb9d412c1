/* What every register tile needs: MR x NV accumulators are arrays whose loops are unrolled by force; without it gcc keeps
 * them in memory, at a third of the speed. */
#ifndef ATTN_UNROLL_H
#define ATTN_UNROLL_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLLED_FOR(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#else
#define UNROLLED_FOR(i, n) _Pragma("GCC unroll 32") for (int i = 0; i < (n); i++)
#endif

#define ZERO_TILE(acc, rows, vectors)                                                                                      \
  UNROLLED_FOR (i_, rows)                                                                                                  \
    UNROLLED_FOR (j_, vectors) (acc)[i_][j_] = vf_zero()

#endif
