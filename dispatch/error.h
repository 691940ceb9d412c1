/* The message behind attn_error_message(): one per thread. */
#ifndef ATTN_ERROR_H
#define ATTN_ERROR_H

#include "attn.h"

void attn_fail_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* attn_fail(status, format, ...) sets this thread's message and is the status. A macro, so that static analysis sees that
 * it is not ATTN_OK. */
#define attn_fail(status, ...) (attn_fail_say(__VA_ARGS__), (status))

#endif
