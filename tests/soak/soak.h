/* Calls of libattn at random (calls.c), for a soak of them (soak.c). */
#ifndef TESTS_SOAK_H
#define TESTS_SOAK_H

#include "../kernels/draw.h"

#include "../../dispatch/internal.h"

enum { SOAK_FLOATS = 1 << 16, SOAK_MOST_KERNELS = 64 };

extern float soak_numbers[SOAK_FLOATS]; /* what all inputs are taken from */
extern const struct attn_kernel *soak_kernels[SOAK_MOST_KERNELS];
extern int soak_kernel_count;
extern long soak_failed, soak_cases; /* soak_cases: those compared with the oracle */

void soak_call(struct draw *chance); /* one of the calls; caches live on */
void soak_forget(void);              /* what lives on */

bool soak_require(bool holds, const char *what); /* counts and tells what does not */
float *soak_outputs(size_t n);                   /* to free() */

#endif
