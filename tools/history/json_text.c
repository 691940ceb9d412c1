#include "json_text.h"

#include <jansson.h>
#include <stdlib.h>

char *json_text(const json_t *value)
{
  enum { FLAGS = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17) };
  const size_t bytes = json_dumpb(value, NULL, 0, FLAGS); /* 0: no memory */
  char *text = bytes ? malloc(bytes + 1) : NULL;
  if (!text) return NULL;
  if (json_dumpb(value, text, bytes, FLAGS) == bytes) {
    text[bytes] = 0;
    return text;
  }
  free(text);
  return NULL;
}
