#include "history_import.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Where the JSON that begins here ends. What is no JSON goes on to the end: whoever reads it says what is wrong. */
static size_t document_bytes(const char *text, size_t bytes)
{
  json_error_t error;
  json_t *root = json_loadb(text, bytes, JSON_DISABLE_EOF_CHECK, &error);
  const size_t end = root ? (size_t)error.position : bytes;
  json_decref(root);
  return end;
}

static bool import_one(struct history *h, const char *path, const char *text, size_t bytes,
                       const struct history_labels *labels, FILE *said, struct complaint *why)
{
  struct results results;
  int64_t run;
  bool was_there;
  if (!results_parse(&results, path, text, bytes, why->text, sizeof why->text)) return false;
  const bool ok = history_add(h, &results, labels, &run, &was_there, why);
  if (ok) {
    fprintf(said, "run %lld %s: %d case%s, %s\n", (long long)run, was_there ? "was there already" : "added", results.count,
            results.count == 1 ? "" : "s", path);
    fflush(said);
  }
  results_free(&results);
  return ok;
}

bool history_import(struct history *h, const char *path, const struct history_labels *labels, FILE *said,
                    struct complaint *why)
{
  size_t bytes, at = 0;
  int number = 0;
  char *text = results_read_text(path, &bytes, why->text, sizeof why->text);
  bool ok = text != NULL;
  while (ok && bytes && isspace((unsigned char)text[bytes - 1])) bytes--;
  while (ok) {
    while (at < bytes && isspace((unsigned char)text[at])) at++;
    if (at == bytes && number) break;
    char name[4200];
    const size_t length = document_bytes(text + at, bytes - at);
    const char *shown = strcmp(path, "-") ? path : "standard input";
    if (number || at + length < bytes)
      snprintf(name, sizeof name, "%s, document %d", shown, number + 1);
    else
      snprintf(name, sizeof name, "%s", shown);
    ok = import_one(h, name, text + at, length, labels, said, why);
    at += length;
    number++;
  }
  free(text);
  return ok;
}
