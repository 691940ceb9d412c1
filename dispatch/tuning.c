#include "tuning.h"

#include "error.h"
#include "select.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES = 256, MOST_HEAD = INT32_MAX };

/* Where the reader stands, for messages. */
struct place {
  const char *name;
  int line;
};

static attn_status wrong(const struct place *place, const char *format, ...) __attribute__((format(printf, 2, 3)));
static attn_status wrong(const struct place *place, const char *format, ...)
{
  char why[512];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  return attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_TUNING=%.200s, line %d: %s", place->name, place->line, why);
}

/* A plain decimal number from least to most; false otherwise. */
static bool parse_number(int64_t *value, const char *text, int64_t most)
{
  int64_t n = 0;
  if (!*text || (text[0] == '0' && text[1])) return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return false;
    n = 10 * n + (*text - '0');
    if (n > most) return false;
  }
  *value = n;
  return true;
}

struct entry {
  const struct attn_kernel *kernel;
  int64_t Dqk, Dv;
  struct attn_blocking blocking;
};

static attn_status parse_field(struct entry *e, char *field, const struct place *place)
{
  int64_t value = -1, step, most;
  char *number = strchr(field, '=');
  if (!number) return wrong(place, "'%s' stands where <field>=<number> belongs", field);
  *number++ = 0;
  int64_t *head = !strcmp(field, "Dqk") ? &e->Dqk : !strcmp(field, "Dv") ? &e->Dv : NULL;
  if (head) {
    if (*head) return wrong(place, "%s is given twice", field);
    if (!parse_number(head, number, MOST_HEAD) || !*head)
      return wrong(place, "%s=%s is not a number within 1..%d", field, number, MOST_HEAD);
    return ATTN_OK;
  }
  for (int i = 0; i < ATTN_BLOCKING_FIELDS; i++) {
    if (strcmp(field, attn_blocking_name(i))) continue;
    if (*attn_blocking_field(&e->blocking, i)) return wrong(place, "%s is given twice", field);
    const bool plain = parse_number(&value, number, INT32_MAX);
    if (!attn_blocking_allows(e->kernel, i, plain ? value : -1, &step, &most) || value == 0)
      return wrong(place, "%s=%s: kernel %s takes multiples of %lld within %lld..%lld", field, number, e->kernel->name,
                   (long long)step, (long long)step, (long long)most);
    *attn_blocking_field(&e->blocking, i) = value;
    return ATTN_OK;
  }
  return wrong(place, "there is no field '%s'; valid: Dqk, Dv, block_keys, group_rows, unit_rows", field);
}

static attn_status parse_line(struct entry *e, char *line, const struct place *place)
{
  char *rest = line, *word = strsep(&rest, " ");
  *e = (struct entry){.kernel = attn_kernel_find(word)};
  if (!e->kernel) return wrong(place, "there is no kernel '%s'; `attnbench info` lists them", word);
  if (!e->kernel->blocking_step) return wrong(place, "kernel %s has no blocking to choose; remove the line", word);
  while (rest) {
    const attn_status status = parse_field(e, strsep(&rest, " "), place);
    if (status) return status;
  }
  if (!e->Dqk || !e->Dv) return wrong(place, "%s is missing", e->Dqk ? "Dv" : "Dqk");
  return ATTN_OK;
}

attn_status attn_tuning_parse(struct attn_blocking *blocking, const char *name, const char *text, size_t bytes,
                              const struct attn_kernel *kernel, int64_t Dqk, int64_t Dv)
{
  struct place place = {name, 0};
  bool found = false;
  *blocking = (struct attn_blocking){0};
  if (bytes > ATTN_TUNING_MOST_BYTES)
    return attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_TUNING=%.200s is longer than %d bytes: no tuning file", name,
                     ATTN_TUNING_MOST_BYTES);
  for (size_t at = 0; at < bytes || place.line == 0;) {
    char line[LINE_BYTES];
    const char *start = text + at, *end = bytes > at ? memchr(start, '\n', bytes - at) : NULL;
    const size_t length = end ? (size_t)(end - start) : bytes - at;
    place.line++;
    at += length + 1;
    if (length >= sizeof line) return wrong(&place, "longer than %zu bytes", sizeof line - 1);
    memcpy(line, start, length);
    line[length] = 0;
    for (size_t i = 0; i < length; i++)
      if (line[i] < ' ' || line[i] > '~')
        return wrong(&place, "byte %zu is 0x%02x; the file is plain text", i + 1, (unsigned char)line[i]);
    if (place.line == 1) {
      if (strcmp(line, ATTN_TUNING_HEADER)) return wrong(&place, "'%.40s' instead of '" ATTN_TUNING_HEADER "'", line);
      continue;
    }
    if (!*line || *line == '#') continue;
    struct entry entry;
    const attn_status status = parse_line(&entry, line, &place);
    if (status) return status;
    if (entry.kernel != kernel || entry.Dqk != Dqk || entry.Dv != Dv) continue;
    if (found) return wrong(&place, "a second line for %s Dqk=%lld Dv=%lld", kernel->name, (long long)Dqk, (long long)Dv);
    found = true;
    *blocking = entry.blocking;
  }
  return ATTN_OK;
}

attn_status attn_tuning_read(struct attn_blocking *blocking, const char *path, const struct attn_kernel *kernel,
                             int64_t Dqk, int64_t Dv)
{
  struct stat about;
  attn_status status;
  char *text = NULL;
  size_t bytes = 0;
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* does not wait for a writer if it is a pipe */
  if (file < 0 || fstat(file, &about))
    status =
        attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_TUNING=%.200s: %s; unset it or name a tuning file", path, strerror(errno));
  else if (!S_ISREG(about.st_mode))
    status = attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_TUNING=%.200s is not a regular file", path);
  else if (!(text = malloc(ATTN_TUNING_MOST_BYTES + 1)))
    status = attn_fail(ATTN_ERR_NO_MEMORY, "ATTN_TUNING=%.200s: no memory", path);
  else {
    ssize_t n;
    while (bytes <= ATTN_TUNING_MOST_BYTES && (n = read(file, text + bytes, ATTN_TUNING_MOST_BYTES + 1 - bytes)) > 0)
      bytes += (size_t)n;
    status = bytes <= ATTN_TUNING_MOST_BYTES && n < 0
                 ? attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_TUNING=%.200s: %s", path, strerror(errno))
                 : attn_tuning_parse(blocking, path, text, bytes, kernel, Dqk, Dv);
  }
  free(text);
  if (file >= 0) close(file);
  return status;
}
