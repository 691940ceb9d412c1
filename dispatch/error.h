/* The message behind attn_error_message(): one per thread. */
#ifndef ATTN_ERROR_H
#define ATTN_ERROR_H

#include "attn.h"

/* Sets this thread's message and returns status. */
attn_status attn_fail(attn_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
