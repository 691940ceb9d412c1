#include "database.h"

#include "../../bench/printable.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_url(const char *where) { return !strncmp(where, "postgresql:", 11) || !strncmp(where, "postgres:", 9); }

struct database *database_open(const char *where, enum database_access access, struct complaint *why)
{
  if (is_url(where)) return db_pg_open(where, access, why);
  if (!*where) {
    complaint_set(why, "--db: '' is neither a file nor a postgresql:// address");
    return NULL;
  }
  if (strstr(where, "://") || *where == ':') {
    complaint_set(why, "--db: '%.100s': addresses are postgresql://user@host/database; anything else is a file", where);
    return NULL;
  }
  return db_sqlite_open(where, access, why);
}

void database_close(struct database *db)
{
  if (db) db->verbs->close(db);
}

const char *database_where(const struct database *db) { return db->where; }

bool database_is_postgresql(const struct database *db) { return !strncmp(db->where, "postgresql:", 11); }

struct database_value database_real(double value)
{
  return isfinite(value) ? (struct database_value){.type = DATABASE_REAL, .real = value}
                         : (struct database_value){.type = DATABASE_NULL};
}

const char *database_text(const struct database_row *row, int column)
{
  const char *text = row->database->verbs->text(row, column);
  return text ? text : "";
}

char *database_copy(const struct database_row *row, int column)
{
  char *copy = strdup(database_text(row, column));
  return copy ? printable(copy) : NULL;
}

int64_t database_integer(const struct database_row *row, int column)
{
  return strtoll(database_text(row, column), NULL, 10);
}

double database_number(const struct database_row *row, int column) { return row->database->verbs->number(row, column); }

bool database_run(struct database *db, const char *sql, const struct database_value *values, int n,
                  database_row_function *each, void *context, struct complaint *why)
{
  return db->verbs->run(db, sql, values, n, each, context, why);
}

bool database_begin(struct database *db, struct complaint *why) { return db->verbs->begin(db, why); }

bool database_commit(struct database *db, struct complaint *why)
{
  return database_run(db, "COMMIT", NULL, 0, NULL, NULL, why);
}

void database_rollback(struct database *db)
{
  struct complaint ignored; /* the failure that led here is the one to tell */
  database_run(db, "ROLLBACK", NULL, 0, NULL, NULL, &ignored);
}
