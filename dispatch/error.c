#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char message[1024];

void attn_fail_say(const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
}

const char *attn_error_message(void) { return message; }

const char *attn_status_name(attn_status status)
{
  switch (status) {
  case ATTN_OK: return "ATTN_OK";
  case ATTN_ERR_INVALID: return "ATTN_ERR_INVALID";
  case ATTN_ERR_OVERFLOW: return "ATTN_ERR_OVERFLOW";
  case ATTN_ERR_ALIAS: return "ATTN_ERR_ALIAS";
  case ATTN_ERR_UNSUPPORTED: return "ATTN_ERR_UNSUPPORTED";
  case ATTN_ERR_ENVIRONMENT: return "ATTN_ERR_ENVIRONMENT";
  case ATTN_ERR_NO_MEMORY: return "ATTN_ERR_NO_MEMORY";
  case ATTN_ERR_BUSY: return "ATTN_ERR_BUSY";
  }
  return "unknown attn_status";
}

#define TEXT(x)    TEXT_OF(x)
#define TEXT_OF(x) #x

const char *attn_version(void)
{
  return TEXT(ATTN_VERSION_MAJOR) "." TEXT(ATTN_VERSION_MINOR) "." TEXT(ATTN_VERSION_PATCH);
}
