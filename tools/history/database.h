/* A thin layer over SQLite and PostgreSQL: connect, transactions, statements. What differs between the two stays behind it;
 * statements are written in what they share, with parameters $1, $2 ...
 *
 * db_sqlite.c and db_pg.c implement it. A build without libpq has db_pg_absent.c, which says so. */
#ifndef ATTNBENCH_DATABASE_H
#define ATTNBENCH_DATABASE_H

#include "../complaint.h"

#include <stdint.h>

enum database_type { DATABASE_NULL, DATABASE_INTEGER, DATABASE_REAL, DATABASE_TEXT };

struct database_value {
  enum database_type type;
  int64_t integer;
  double real;
  const char *text;
};
#define DB_INTEGER(value) ((struct database_value){.type = DATABASE_INTEGER, .integer = (value)})
#define DB_TEXT(value)    ((struct database_value){.type = DATABASE_TEXT, .text = (value)})
struct database_value database_real(double value); /* NaN and infinities: NULL */

struct database;

/* A row of an answer, valid during the call that gets it. A column that is NULL: "", 0, NaN. */
struct database_row {
  const struct database *database;
  void *answer;
  int index;
};
const char *database_text(const struct database_row *row, int column);
char *database_copy(const struct database_row *row, int column); /* for a terminal: printable. To free(); NULL: no memory */
int64_t database_integer(const struct database_row *row, int column);
double database_number(const struct database_row *row, int column);

/* Gets each row; false ends the statement as failed, with the complaint set. */
typedef bool database_row_function(const struct database_row *row, void *context, struct complaint *why);

enum database_access {
  DATABASE_READ,  /* it must exist; nothing is changed */
  DATABASE_WRITE, /* it must exist */
  DATABASE_CREATE /* made, with the folders on the way, if there is none */
};

/* where: "postgresql://..." or "postgres://...", otherwise the path of an SQLite file. NULL: the complaint says why. */
struct database *database_open(const char *where, enum database_access access, struct complaint *why);
void database_close(struct database *database); /* NULL is allowed; an open transaction is rolled back */

const char *database_where(const struct database *database); /* for messages: without a password */
bool database_is_postgresql(const struct database *database);

/* One statement. each may be NULL. False: it failed, and the complaint says why. */
bool database_run(struct database *database, const char *sql, const struct database_value *values, int n,
                  database_row_function *each, void *context, struct complaint *why);

/* A transaction that is going to write: it waits for other writers here, not in its middle. After commit, what was written
 * survives a kill and a crash of the system; before it, nothing of it is seen by anybody. */
bool database_begin(struct database *database, struct complaint *why);
bool database_commit(struct database *database, struct complaint *why);
void database_rollback(struct database *database);

/* What the two implementations provide. */
struct database_verbs {
  void (*close)(struct database *);
  bool (*run)(struct database *, const char *sql, const struct database_value *values, int n, database_row_function *each,
              void *context, struct complaint *why);
  bool (*begin)(struct database *, struct complaint *why);
  const char *(*text)(const struct database_row *, int column); /* NULL for NULL */
  double (*number)(const struct database_row *, int column);    /* NaN for NULL */
};
struct database { /* first member of an implementation's own */
  const struct database_verbs *verbs;
  char where[512];
};
struct database *db_sqlite_open(const char *path, enum database_access access, struct complaint *why);
struct database *db_pg_open(const char *url, enum database_access access, struct complaint *why);

#endif
