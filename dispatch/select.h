/* Which kernel runs a problem: the first of the list whose needs this CPU meets, restricted by options and
 * environment, never widened by them. */
#ifndef ATTN_SELECT_H
#define ATTN_SELECT_H

#include "../kernels/kernel.h"

/* All kernels of this architecture in order of preference, NULL at the end. */
extern const struct attn_kernel *const attn_kernels[];

const struct attn_kernel *attn_kernel_find(const char *name); /* NULL: none of that name */
const char *attn_isa_name(enum attn_isa isa);
bool attn_isa_exists(enum attn_isa isa); /* on this architecture */

struct attn_restrictions {
  uint32_t features;                /* what the CPU has */
  uint32_t quirks;                  /* what it is like: ATTN_QUIRKS, else its own */
  enum attn_isa isa;                /* highest allowed; ATTN_ISA_COUNT: no limit */
  const struct attn_kernel *kernel; /* exactly this one; NULL: any that is not for comparison only */
};

/* Combines options (may be NULL) with ATTN_ISA, ATTN_KERNEL and ATTN_QUIRKS. A name that does not exist:
 * ATTN_ERR_ENVIRONMENT and a message that lists the valid ones. */
attn_status attn_restrictions_get(struct attn_restrictions *restrictions, const attn_options *options);

/* Why the kernel cannot run the problem under the restrictions; NULL if it can. problem may be NULL (any).
 * The text stands in buffer or in static storage. */
const char *attn_kernel_obstacle(const struct attn_kernel *kernel, const struct attn_problem *problem,
                                 const struct attn_restrictions *restrictions, char *buffer, size_t bytes);

/* Whether a kernel for few queries, one that splits keys and is not the only one, is for this problem, and not the one that
 * was chosen for many. */
bool attn_kernel_is_for_few(const struct attn_kernel *few, const struct attn_kernel *many,
                            const struct attn_problem *problem);

/* Chooses, or fails with ATTN_ERR_UNSUPPORTED and the reasons. ATTN_DEBUG=1 explains each step on stderr. */
attn_status attn_select(const struct attn_kernel **kernel, const struct attn_problem *problem,
                        const struct attn_restrictions *restrictions);

#endif
