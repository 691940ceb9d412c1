/* Text of a file on its way to a terminal. */
#ifndef BENCH_PRINTABLE_H
#define BENCH_PRINTABLE_H

/* Replaces control characters, which could move the cursor or worse, by '?'. Returns text. */
static inline char *printable(char *text)
{
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
  return text;
}

#endif
