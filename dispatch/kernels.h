/* Every kernel of the suite, one line each, in order of preference within its architecture. */
#if defined(__x86_64__)
KERNEL(fwd_f32_avx512)
KERNEL(fwd_f16_avx512)
KERNEL(fwd_bf16_avx512)
KERNEL(fwd_f32_avx2)
KERNEL(fwd_f16_avx2)
KERNEL(fwd_bf16_avx2)
#elif defined(__aarch64__)
KERNEL(fwd_f32_neon)
#endif
KERNEL(fwd_f32_scalar)
KERNEL(fwd_f16_scalar)
KERNEL(fwd_bf16_scalar)
/* for comparison only */
#if defined(__x86_64__)
KERNEL(naive_f32_avx512)
KERNEL(naive_f32_avx2)
KERNEL(fwd_f32_autovec_avx512)
KERNEL(fwd_f32_autovec_avx2)
#elif defined(__aarch64__)
KERNEL(naive_f32_neon)
KERNEL(fwd_f32_autovec_neon)
#endif
