/* Histories in a file. Write-ahead log: readers never wait, and a writer that is killed leaves the file as it was after the
 * last commit. synchronous=FULL, so that a commit also survives the system's crash. */
#include "database.h"

#include "../../bench/printable.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 60000, NAP_MS = 20 };

struct db_sqlite {
  struct database database;
  sqlite3 *handle;
  sqlite3_stmt *last; /* prepared once for the many rows of a run */
  char *last_sql;
};

static struct db_sqlite *of(struct database *db) { return (struct db_sqlite *)db; }

static bool failed(struct db_sqlite *s, struct complaint *why)
{
  const int code = sqlite3_errcode(s->handle);
  const char *remedy = code == SQLITE_BUSY       ? "; another program holds it for more than a minute"
                       : code == SQLITE_FULL     ? "; make room on that disk"
                       : code == SQLITE_READONLY ? "; it or its folder cannot be written to"
                       : code == SQLITE_CORRUPT  ? "; restore it from a copy (`attnbench history export' makes them)"
                       : code == SQLITE_NOTADB   ? "; --db wants a history of attnbench"
                                                 : "";
  complaint_set(why, "%s: %s%s", s->database.where, sqlite3_errmsg(s->handle), remedy);
  printable(why->text); /* SQLite quotes names of the file */
  return false;
}

static void forget_statement(struct db_sqlite *s)
{
  sqlite3_finalize(s->last);
  free(s->last_sql);
  s->last = NULL;
  s->last_sql = NULL;
}

static void close_it(struct database *db)
{
  struct db_sqlite *s = of(db);
  forget_statement(s);
  sqlite3_close(s->handle);
  free(s);
}

static const char *text(const struct database_row *row, int column)
{
  return (const char *)sqlite3_column_text(row->answer, column);
}

/* Not by way of text, which has 15 digits here. */
static double number(const struct database_row *row, int column)
{
  return sqlite3_column_type(row->answer, column) == SQLITE_NULL ? NAN : sqlite3_column_double(row->answer, column);
}

static int bind(sqlite3_stmt *statement, int number, const struct database_value *v)
{
  char name[16];
  snprintf(name, sizeof name, "$%d", number);
  const int place = sqlite3_bind_parameter_index(statement, name);
  if (!place) return SQLITE_OK; /* a statement need not use all that it is offered */
  switch (v->type) {
  case DATABASE_INTEGER: return sqlite3_bind_int64(statement, place, v->integer);
  case DATABASE_REAL: return sqlite3_bind_double(statement, place, v->real);
  case DATABASE_TEXT: return sqlite3_bind_text(statement, place, v->text, -1, SQLITE_STATIC);
  default: return sqlite3_bind_null(statement, place);
  }
}

static bool prepare(struct db_sqlite *s, const char *sql)
{
  if (s->last && !strcmp(s->last_sql, sql)) return true;
  forget_statement(s);
  s->last_sql = strdup(sql);
  return s->last_sql && sqlite3_prepare_v2(s->handle, sql, -1, &s->last, NULL) == SQLITE_OK;
}

static bool run(struct database *db, const char *sql, const struct database_value *values, int n,
                database_row_function *each, void *context, struct complaint *why)
{
  struct db_sqlite *s = of(db);
  if (!prepare(s, sql)) {
    forget_statement(s);
    return failed(s, why);
  }
  sqlite3_stmt *statement = s->last;
  int code = SQLITE_OK;
  for (int i = 0; i < n && code == SQLITE_OK; i++) code = bind(statement, i + 1, &values[i]);
  bool ok = code == SQLITE_OK;
  while (ok && (code = sqlite3_step(statement)) == SQLITE_ROW) {
    const struct database_row row = {.database = db, .answer = statement};
    if (each && !each(&row, context, why)) ok = false;
  }
  if (ok && code != SQLITE_DONE) ok = failed(s, why);
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return ok;
}

static bool begin(struct database *db, struct complaint *why)
{
  return run(db, "BEGIN IMMEDIATE", NULL, 0, NULL, NULL, why);
}

static const struct database_verbs verbs = {.close = close_it, .run = run, .begin = begin, .text = text, .number = number};

/* Folders on the way to the file. */
static bool make_folders(const char *path, struct complaint *why)
{
  char part[4096];
  if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) return complain(why, "%.200s...: too long a name", path);
  for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(part, 0777) && errno != EEXIST) return complain(why, "%s: cannot be made: %s", part, strerror(errno));
    *slash = '/';
  }
  return true;
}

/* The switch to the log needs the file for itself for a moment and does not wait for it by itself. */
static bool set_up(struct db_sqlite *s, enum database_access access, struct complaint *why)
{
  sqlite3_busy_timeout(s->handle, WAIT_MS);
  sqlite3_extended_result_codes(s->handle, 0);
  sqlite3_db_config(s->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  int code = sqlite3_exec(s->handle, "PRAGMA trusted_schema=OFF; PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL", NULL,
                          NULL, NULL);
  for (int waited = 0; code == SQLITE_OK && access != DATABASE_READ; waited += NAP_MS) {
    code = sqlite3_exec(s->handle, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    if (code == SQLITE_OK) break;
    if (code != SQLITE_BUSY || waited > WAIT_MS) return failed(s, why);
    nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    code = SQLITE_OK;
  }
  return code == SQLITE_OK || failed(s, why);
}

struct database *db_sqlite_open(const char *path, enum database_access access, struct complaint *why)
{
  struct stat st;
  if (access == DATABASE_CREATE && !make_folders(path, why)) return NULL;
  if (access != DATABASE_CREATE && stat(path, &st)) {
    complaint_set(why, "%s: %s; `attnbench history add' makes a history, --db names another", path, strerror(errno));
    return NULL;
  }
  if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
    complaint_set(why, "%s: is a folder; --db wants a file", path);
    return NULL;
  }
  struct db_sqlite *s = calloc(1, sizeof *s);
  if (!s) {
    complaint_set(why, "%s: no memory", path);
    return NULL;
  }
  s->database.verbs = &verbs;
  snprintf(s->database.where, sizeof s->database.where, "%s", path);
  const int how = SQLITE_OPEN_READWRITE | (access == DATABASE_CREATE ? SQLITE_OPEN_CREATE : 0);
  int code = sqlite3_open_v2(path, &s->handle, how, NULL);
  if (code == SQLITE_CANTOPEN && access == DATABASE_READ) { /* another's file: reading is all that is asked */
    sqlite3_close(s->handle);
    code = sqlite3_open_v2(path, &s->handle, SQLITE_OPEN_READONLY, NULL);
  }
  if (code != SQLITE_OK ? !failed(s, why) : !set_up(s, access, why)) {
    close_it(&s->database);
    return NULL;
  }
  return &s->database;
}
