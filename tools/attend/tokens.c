#include "tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One character of UTF-8: its code and how many bytes it has; what is none is '?' of one byte. */
static uint32_t decode(const char *text, int *bytes)
{
  const unsigned char *s = (const unsigned char *)text;
  const int more = s[0] < 0x80                   ? 0
                   : s[0] >= 0xc2 && s[0] < 0xe0 ? 1
                   : s[0] >= 0xe0 && s[0] < 0xf0 ? 2
                   : s[0] >= 0xf0 && s[0] < 0xf5 ? 3
                                                 : -1;
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  uint32_t code = more <= 0 ? s[0] : s[0] & (0x3fu >> more);
  *bytes = 1;
  if (more < 0) return '?';
  for (int i = 1; i <= more; i++) {
    if ((s[i] & 0xc0) != 0x80) return '?';
    code = code << 6 | (s[i] & 0x3f);
  }
  if (more > 0 && (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))) return '?';
  *bytes = more + 1;
  return code;
}

/* Control characters, also those of ISO 8859 and of the direction of text, would rule the terminal or the page. */
static bool is_printable(uint32_t c)
{
  return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
         !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff && (c & 0xfffe) != 0xfffe;
}

static int columns_of(uint32_t c)
{
  if (c >= 0x300 && c < 0x370) return 0; /* accents that join the letter before */
  return (c >= 0x1100 && c < 0x1160) || (c >= 0x2e80 && c < 0xa4d0) || (c >= 0xac00 && c < 0xd7a4) ||
                 (c >= 0xf900 && c < 0xfb00) || (c >= 0xfe30 && c < 0xfe70) || (c >= 0xff00 && c < 0xff61) ||
                 (c >= 0x1f300 && c < 0x1fb00) || (c >= 0x20000 && c < 0x30000)
             ? 2
             : 1;
}

static void make_printable(char *text)
{
  char *to = text;
  for (const char *at = text; *at;) {
    int bytes;
    const uint32_t c = decode(at, &bytes);
    if (is_printable(c) && (bytes > 1 || c == (unsigned char)*at)) {
      memmove(to, at, (size_t)bytes);
      to += bytes;
    } else {
      *to++ = '?';
    }
    at += bytes;
  }
  *to = 0;
}

static bool add(struct tokens *t, const char *text, size_t n, struct complaint *why)
{
  if ((t->count & (t->count + 1)) == 0) { /* full at 2^k - 1 */
    char **more = realloc(t->text, 2 * ((size_t)t->count + 1) * sizeof *more);
    if (!more) return complain(why, "no memory for %lld tokens", (long long)t->count + 1);
    t->text = more;
  }
  char *copy = strndup(text, n);
  if (!copy) return complain(why, "no memory for a token");
  make_printable(copy);
  t->text[t->count++] = copy;
  return true;
}

bool tokens_read(struct tokens *t, const char *path, struct complaint *why)
{
  FILE *in = fopen(path, "r");
  char *line = NULL;
  size_t room = 0;
  ssize_t n;
  bool ok = true;
  *t = (struct tokens){0};
  if (!in) return complain(why, "%.400s: cannot be opened: %s", path, strerror(errno));
  while (ok && (n = getline(&line, &room, in)) >= 0) {
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) n--;
    for (ssize_t i = 0; i < n; i++)
      if (!line[i]) line[i] = 1; /* shown as '?', not the end of the text */
    ok = add(t, line, (size_t)n, why);
  }
  if (ok && ferror(in)) ok = complain(why, "%.400s: cannot be read: %s", path, strerror(errno));
  free(line);
  fclose(in);
  return ok;
}

bool tokens_split(struct tokens *t, const char *text, struct complaint *why)
{
  *t = (struct tokens){0};
  for (;;) {
    text += strspn(text, " \t\n\r");
    const size_t n = strcspn(text, " \t\n\r");
    if (!n) return true;
    if (!add(t, text, n, why)) return false;
    text += n;
  }
}

bool tokens_number(struct tokens *t, int64_t count, struct complaint *why)
{
  *t = (struct tokens){0};
  for (int64_t i = 0; i < count; i++) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)i);
    if (!add(t, text, strlen(text), why)) return false;
  }
  return true;
}

void tokens_free(struct tokens *t)
{
  for (int64_t i = 0; i < t->count; i++) free(t->text[i]);
  free(t->text);
  *t = (struct tokens){0};
}

int tokens_width(const char *text)
{
  int width = 0, bytes;
  for (; *text; text += bytes) width += columns_of(decode(text, &bytes));
  return width;
}

char *tokens_fit(const char *text, int columns, char *buffer, size_t bytes)
{
  const bool whole = tokens_width(text) <= columns;
  const int room = whole ? columns : columns - 1;
  size_t used = 0;
  int width = 0;
  while (*text) {
    int n;
    const int w = columns_of(decode(text, &n));
    if (width + w > room || used + (size_t)n + (size_t)columns + 2 > bytes) break;
    memcpy(buffer + used, text, (size_t)n);
    used += (size_t)n;
    width += w;
    text += n;
  }
  if (!whole && columns > 0) {
    buffer[used++] = '~';
    width++;
  }
  for (; width < columns; width++) buffer[used++] = ' ';
  buffer[used] = 0;
  return buffer;
}
