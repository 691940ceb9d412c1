#include "digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned __int128 of_halves(uint64_t high, uint64_t low) { return (unsigned __int128)high << 64 | low; }

struct digest digest_begin(void) { return (struct digest){of_halves(0x6c62272e07bb0142u, 0x62b821756295c58du)}; }

void digest_add(struct digest *d, const void *data, size_t bytes)
{
  const unsigned __int128 prime = of_halves(0x1000000, 0x13b);
  const unsigned char *byte = data;
  for (size_t i = 0; i < bytes; i++) d->state = (d->state ^ byte[i]) * prime;
}

void digest_add_text(struct digest *d, const char *text) { digest_add(d, text, strlen(text) + 1); }

char *digest_text(const struct digest *d, char text[DIGEST_TEXT_BYTES])
{
  snprintf(text, DIGEST_TEXT_BYTES, "%016llx%016llx", (unsigned long long)(d->state >> 64), (unsigned long long)d->state);
  return text;
}
