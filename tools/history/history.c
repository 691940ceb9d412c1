#include "history.h"

#include <stdio.h>
#include <stdlib.h>

bool history_default(char *where, size_t bytes, struct complaint *why)
{
  const char *named = getenv("ATTNBENCH_DB"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
  int n;
  if (named && *named)
    n = snprintf(where, bytes, "%s", named);
  else if (data && *data == '/') /* the specification has relative ones ignored */
    n = snprintf(where, bytes, "%s/attnbench/history.db", data);
  else if (home && *home == '/')
    n = snprintf(where, bytes, "%s/.local/share/attnbench/history.db", home);
  else
    return complain(why, "neither ATTNBENCH_DB, XDG_DATA_HOME nor HOME says where the history is; --db FILE does");
  return (n >= 0 && (size_t)n < bytes) ||
         complain(why, "the name of the default history is too long; --db FILE is shorter");
}

bool history_open(struct history *h, const char *where, enum database_access access, struct complaint *why)
{
  char path[4096];
  *h = (struct history){0};
  if (!where && !history_default(path, sizeof path, why)) return false;
  h->database = database_open(where ? where : path, access, why);
  if (h->database && history_schema_prepare(h->database, access, why)) return true;
  history_close(h);
  return false;
}

void history_close(struct history *h)
{
  database_close(h->database);
  *h = (struct history){0};
}
