/* Names below TMPDIR for the test programs. */
#ifndef TESTS_TEMPORARY_H
#define TESTS_TEMPORARY_H

#include <stdio.h>
#include <stdlib.h>

enum { TEMPORARY_BYTES = 4096 };

/* "<TMPDIR>/<name>.XXXXXX", for mkstemp() and mkdtemp(). Returns path. */
static inline char *temporary_path(char path[TEMPORARY_BYTES], const char *name)
{
  const char *folder = getenv("TMPDIR");
  snprintf(path, TEMPORARY_BYTES, "%s/%s.XXXXXX", folder && *folder ? folder : "/tmp", name);
  return path;
}

#endif
