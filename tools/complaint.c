#include "complaint.h"

#include <stdarg.h>
#include <stdio.h>

void complaint_set(struct complaint *complaint, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(complaint->text, sizeof complaint->text, format, args);
  va_end(args);
}
