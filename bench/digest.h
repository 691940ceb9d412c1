/* Short names for contents: FNV-1a over 128 bits (Fowler, Noll, Vo; RFC 9923). Two contents share one by accident with a
 * probability of about 1e-38; it is no defence against somebody who wants them to. */
#ifndef BENCH_DIGEST_H
#define BENCH_DIGEST_H

#include <stddef.h>

enum { DIGEST_TEXT_BYTES = 33 };

struct digest {
  unsigned __int128 state;
};

struct digest digest_begin(void);
void digest_add(struct digest *digest, const void *data, size_t bytes);
void digest_add_text(struct digest *digest, const char *text); /* with its end: "ab", "c" is not "a", "bc" */

/* 32 hexadecimal digits. Returns text. */
char *digest_text(const struct digest *digest, char text[DIGEST_TEXT_BYTES]);

#endif
