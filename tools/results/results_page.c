#include "results_page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char page_head[] =
    "# Results\n"
    "\n"
    "One section for each CPU model that `attnbench results` (or `make results`) ran on; running it "
    "again replaces the\n"
    "section. Everything here was measured, and every kernel compared with the float64 oracle "
    "before.\n";

/* The line of old that is "## <heading>"; NULL if there is none. */
static const char *find_section(const char *old, const char *heading)
{
  const size_t n = strlen(heading);
  for (const char *line = old; line && *line; line = strchr(line, '\n'), line += line != NULL)
    if (!strncmp(line, "## ", 3) && !strncmp(line + 3, heading, n) && strchr("\r\n", line[3 + n])) return line;
  return NULL;
}

/* Without the empty lines at its end. */
static size_t trimmed(const char *text, size_t n)
{
  while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r')) n--;
  return n;
}

void results_page_merge(FILE *out, const char *old, const char *heading, const char *section)
{
  if (!old) old = page_head;
  const char *at = find_section(old, heading), *rest = "";
  const size_t before = trimmed(old, at ? (size_t)(at - old) : strlen(old));
  if (at) {
    rest = strstr(at, "\n## ");
    rest = rest ? rest + 1 : "";
  }
  fwrite(old, 1, before, out);
  fprintf(out, "%s## %s\n\n", before ? "\n\n" : "", heading);
  fwrite(section, 1, trimmed(section, strlen(section)), out);
  fprintf(out, "\n%s", *rest ? "\n" : "");
  fwrite(rest, 1, trimmed(rest, strlen(rest)), out);
  if (*rest) putc('\n', out);
}

bool results_page_read(char **text, const char *path, struct complaint *why)
{
  enum { LARGEST_BYTES = 16 << 20 };
  *text = NULL;
  FILE *file = fopen(path, "r");
  if (!file) return errno == ENOENT ? true : complain(why, "%s: %s", path, strerror(errno));
  char *buffer = malloc(LARGEST_BYTES + 1);
  const size_t n = buffer ? fread(buffer, 1, LARGEST_BYTES + 1, file) : 0;
  const bool failed = ferror(file), large = n > LARGEST_BYTES;
  const int error = errno;
  fclose(file);
  if (buffer && !failed && !large) {
    buffer[n] = 0;
    *text = buffer;
    return true;
  }
  free(buffer);
  if (!buffer) return complain(why, "%s: no memory to read it", path);
  if (large) return complain(why, "%s: larger than 16 MiB; is it a page of results?", path);
  return complain(why, "%s: %s", path, strerror(error));
}
