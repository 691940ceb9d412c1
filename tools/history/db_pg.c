/* Histories on a PostgreSQL server that many machines share. */
#include "database.h"

#include <libpq-fe.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 32 };

struct db_pg {
  struct database database;
  PGconn *connection;
};

static struct db_pg *of(struct database *db) { return (struct db_pg *)db; }

/* libpq's messages end with a line feed and may have several lines. */
static bool failed(struct db_pg *p, const char *message, struct complaint *why)
{
  complaint_set(why, "%s: %s", p->database.where, message);
  for (char *c = why->text; *c; c++)
    if (*c == '\n' || *c == '\t') *c = c[1] ? ' ' : 0;
  return false;
}

static void close_it(struct database *db)
{
  PQfinish(of(db)->connection);
  free(db);
}

static const char *text(const struct database_row *row, int column)
{
  return PQgetisnull(row->answer, row->index, column) ? NULL : PQgetvalue(row->answer, row->index, column);
}

/* Since PostgreSQL 12 the shortest text that gives the same double. */
static double number(const struct database_row *row, int column)
{
  const char *value = text(row, column);
  return value ? strtod(value, NULL) : NAN;
}

static bool run(struct database *db, const char *sql, const struct database_value *values, int n,
                database_row_function *each, void *context, struct complaint *why)
{
  struct db_pg *p = of(db);
  char number[MOST_VALUES][32];
  const char *value[MOST_VALUES];
  if (n > MOST_VALUES) return failed(p, "too many values for a statement", why);
  for (int i = 0; i < n; i++) {
    value[i] = values[i].type == DATABASE_NULL ? NULL : values[i].type == DATABASE_TEXT ? values[i].text : number[i];
    if (values[i].type == DATABASE_INTEGER) snprintf(number[i], sizeof *number, "%lld", (long long)values[i].integer);
    if (values[i].type == DATABASE_REAL) snprintf(number[i], sizeof *number, "%.17g", values[i].real);
  }
  PGresult *answer = PQexecParams(p->connection, sql, n, NULL, value, NULL, NULL, 0);
  const ExecStatusType status = PQresultStatus(answer);
  bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  if (!ok) failed(p, PQerrorMessage(p->connection), why);
  /* COMMIT of a transaction in which something failed answers ROLLBACK, and no error. */
  if (ok && !strcmp(sql, "COMMIT") && strcmp(PQcmdStatus(answer), "COMMIT"))
    ok = failed(p, "the transaction was rolled back", why);
  for (int i = 0; ok && each && i < PQntuples(answer); i++) {
    const struct database_row row = {.database = db, .answer = answer, .index = i};
    ok = each(&row, context, why);
  }
  PQclear(answer);
  return ok;
}

static bool begin(struct database *db, struct complaint *why) { return run(db, "BEGIN", NULL, 0, NULL, NULL, why); }

static const struct database_verbs verbs = {.close = close_it, .run = run, .begin = begin, .text = text, .number = number};

static void say_nothing(void *context, const char *message) { (void)context, (void)message; }

/* Server and database, never the password. */
static void name_it(struct db_pg *p)
{
  const char *host = PQhost(p->connection), *port = PQport(p->connection), *name = PQdb(p->connection);
  snprintf(p->database.where, sizeof p->database.where, "postgresql://%s%s%s/%s", host ? host : "",
           port && *port ? ":" : "", port ? port : "", name ? name : "");
}

struct database *db_pg_open(const char *url, enum database_access access, struct complaint *why)
{
  (void)access; /* the server's grants decide, and a database is made by its administrator */
  const char *const keys[] = {"connect_timeout", "fallback_application_name", "dbname", "client_encoding", NULL};
  const char *const values[] = {"10", "attnbench", url, "UTF8", NULL};
  struct db_pg *p = calloc(1, sizeof *p);
  if (!p) {
    complaint_set(why, "no memory");
    return NULL;
  }
  p->database.verbs = &verbs;
  p->connection = PQconnectdbParams(keys, values, 1);
  snprintf(p->database.where, sizeof p->database.where, "postgresql://");
  const bool ok = PQstatus(p->connection) == CONNECTION_OK;
  if (p->connection && ok) name_it(p);
  if (!ok) {
    failed(p, p->connection ? PQerrorMessage(p->connection) : "no memory", why);
    close_it(&p->database);
    return NULL;
  }
  PQsetNoticeProcessor(p->connection, say_nothing, NULL);
  return &p->database;
}
