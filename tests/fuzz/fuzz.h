/* What the fuzz targets share. A target is one file fuzz_<name>.c with LLVMFuzzerTestOneInput(); mk/fuzz.mk links it with
 * everything but main(). docs/testing.md tells how they are run. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define REQUIRE(condition)                                                                                                 \
  do {                                                                                                                     \
    if (!(condition)) {                                                                                                    \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                                       \
      abort();                                                                                                             \
    }                                                                                                                      \
  } while (0)

/* A message about bytes of a file goes to a terminal: printable, not empty. */
static inline void require_message(const char *text)
{
  REQUIRE(*text);
  for (; *text; text++) REQUIRE((unsigned char)*text >= ' ' && *text != 0x7f);
}

/* The input as a string: of exactly its length, so that ASan sees one byte too far. Freed by the caller. */
static inline char *text_of(const uint8_t *data, size_t size)
{
  char *text = malloc(size + 1);
  if (!text) abort();
  if (size) memcpy(text, data, size);
  text[size] = 0;
  return text;
}

#endif
