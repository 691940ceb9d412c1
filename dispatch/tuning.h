/* The tuning file that ATTN_TUNING names, as `attnbench tune` writes it:
 *
 *   attn-tuning 1
 *   # a comment
 *   fwd_f32_avx2 Dqk=128 Dv=128 block_keys=256 group_rows=96 unit_rows=960
 *
 * A line a kernel and pair of head sizes; any of the last three fields may be left out. Read strictly and as a whole: a
 * file with an error in any line is refused, whichever lines the plan would need. */
#ifndef ATTN_TUNING_H
#define ATTN_TUNING_H

#include "blocking.h"

#define ATTN_TUNING_HEADER "attn-tuning 1"
enum { ATTN_TUNING_MOST_BYTES = 1 << 20 };

/* *blocking becomes what the text says of that kernel and these head sizes, or zeros if it says nothing. name: of the file,
 * for messages, which name line, field and value: ATTN_ERR_ENVIRONMENT. */
attn_status attn_tuning_parse(struct attn_blocking *blocking, const char *name, const char *text, size_t bytes,
                              const struct attn_kernel *kernel, int64_t Dqk, int64_t Dv);

/* The same of a file. */
attn_status attn_tuning_read(struct attn_blocking *blocking, const char *path, const struct attn_kernel *kernel,
                             int64_t Dqk, int64_t Dv);

#endif
