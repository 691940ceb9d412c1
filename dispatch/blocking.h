/* How a kernel cuts its work: what it allows, what suits the caches, what a tuning file says (tuning.h). */
#ifndef ATTN_BLOCKING_H
#define ATTN_BLOCKING_H

#include "../kernels/kernel.h"

/* The fields of struct attn_blocking by name: for files, messages and whoever tries values. */
enum { ATTN_BLOCKING_FIELDS = 3 };
const char *attn_blocking_name(int field);
int64_t *attn_blocking_field(struct attn_blocking *blocking, int field);

/* Whether the kernel takes that value of the field; 0, its own choice, always. *step and *most: what it takes. */
bool attn_blocking_allows(const struct attn_kernel *kernel, int field, int64_t value, int64_t *step, int64_t *most);

/* Keys and rows whose packed K and V, weights, Q and O fill half of an L2 of that size, of which a core has l2_bytes; 0,
 * unknown: the kernel's own choice. */
struct attn_blocking attn_blocking_for_cache(const struct attn_kernel *kernel, const struct attn_problem *problem,
                                             size_t l2_bytes);

/* The same for the caches of this machine. */
struct attn_blocking attn_blocking_default(const struct attn_kernel *kernel, const struct attn_problem *problem);

/* For a plan: the tuning file's if it has a line for kernel and head sizes, else the caches'. ATTN_ERR_ENVIRONMENT: the
 * file is not there or not right. */
attn_status attn_blocking_choose(struct attn_blocking *blocking, const struct attn_kernel *kernel,
                                 const struct attn_problem *problem);

/* attn_plan_create() with this blocking instead of the chosen one (NULL: chosen), to try it. ATTN_ERR_INVALID if the kernel
 * does not take it. */
attn_status attn_plan_create_blocked(attn_plan **plan, const attn_desc *desc, const attn_options *options,
                                     const struct attn_blocking *blocking);

/* What the plan runs with. A field of 0: the kernel's own choice. */
struct attn_blocking attn_plan_blocking(const attn_plan *plan);

#endif
