/* The tables, version by version. A database tells its version (SQLite: user_version; PostgreSQL: a table of one row) and
 * gets the steps that it lacks in one transaction, so that two programs that find it old do not both mend it. */
#include "history.h"

#include <stdio.h>
#include <stdlib.h>

/* Identifies the file among all of SQLite's ("atnb"). */
#define APPLICATION_ID "1635020386"
#define ADVISORY_LOCK  "SELECT pg_advisory_xact_lock(1635020386)"

/* %s: how a number that counts itself up is declared. */
static const char *const steps[] = {
    /* 1 */
    "CREATE TABLE attnbench_run ("
    "id %s, digest TEXT NOT NULL UNIQUE, machine TEXT NOT NULL, machine_name TEXT NOT NULL, cpu TEXT NOT NULL, "
    "features TEXT NOT NULL, cpus BIGINT NOT NULL, commit_name TEXT NOT NULL, binary_hash TEXT NOT NULL, "
    "method TEXT NOT NULL, version TEXT NOT NULL, compiler TEXT NOT NULL, date TEXT NOT NULL, time_s BIGINT NOT NULL, "
    "rest TEXT NOT NULL)",
    "CREATE TABLE attnbench_row ("
    "run BIGINT NOT NULL REFERENCES attnbench_run(id) ON DELETE CASCADE, position BIGINT NOT NULL, name TEXT NOT NULL, "
    "label TEXT NOT NULL, n BIGINT NOT NULL, only_aggregate BIGINT NOT NULL, median_ns DOUBLE PRECISION NOT NULL, "
    "low_ns DOUBLE PRECISION, high_ns DOUBLE PRECISION, times_ns TEXT NOT NULL, cpu_ns TEXT NOT NULL, "
    "counters TEXT NOT NULL, PRIMARY KEY (run, position))",
    /* 2: trends of a case and lists of a machine without reading everything */
    "CREATE INDEX attnbench_row_name ON attnbench_row (name, run)",
    "CREATE INDEX attnbench_run_time ON attnbench_run (machine, time_s)",
};
static const struct {
  int first, count;
} version_steps[] = {{0, 2}, {2, 2}};
enum { LATEST = sizeof version_steps / sizeof *version_steps };

static bool take_number(const struct database_row *row, void *number, struct complaint *why)
{
  (void)why;
  *(int64_t *)number = database_integer(row, 0);
  return true;
}

static bool ask(struct database *db, const char *sql, int64_t *number, struct complaint *why)
{
  *number = 0;
  return database_run(db, sql, NULL, 0, take_number, number, why);
}

static bool say(struct database *db, const char *sql, struct complaint *why)
{
  return database_run(db, sql, NULL, 0, NULL, NULL, why);
}

/* A view in a table's place, or a trigger, is a program of whoever made the file, and may run for ever. */
static bool holds_data_only(struct database *db, struct complaint *why)
{
  int64_t found;
  if (!ask(db, "SELECT count(*) FROM sqlite_master WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%'",
           &found, why))
    return false;
  return !found ||
         complain(why, "%s: has views or triggers, which no history has; --db names another file", database_where(db));
}

static bool read_version(struct database *db, int64_t *version, struct complaint *why)
{
  int64_t found;
  if (database_is_postgresql(db)) {
    /* Not to_regclass(): it may answer from a cache that does not know yet what another program has just committed. */
    if (!ask(db, "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'attnbench_schema'",
             &found, why))
      return false;
    *version = 0;
    return !found || ask(db, "SELECT version FROM attnbench_schema", version, why);
  }
  if (!ask(db, "PRAGMA user_version", version, why)) return false;
  if (!ask(db, "PRAGMA application_id", &found, why)) return false;
  if (found == strtoll(APPLICATION_ID, NULL, 10)) return holds_data_only(db, why);
  if (!ask(db, "SELECT count(*) FROM sqlite_master", &found, why)) return false;
  return (!found && !*version) ||
         complain(why, "%s: is an SQLite database, but no history of attnbench; --db names another file",
                  database_where(db));
}

static bool write_version(struct database *db, int64_t before, struct complaint *why)
{
  char sql[128];
  if (database_is_postgresql(db)) {
    if (!before && !say(db, "CREATE TABLE attnbench_schema (version BIGINT NOT NULL)", why)) return false;
    snprintf(sql, sizeof sql,
             before ? "UPDATE attnbench_schema SET version = %d" : "INSERT INTO attnbench_schema VALUES (%d)", (int)LATEST);
    return say(db, sql, why);
  }
  snprintf(sql, sizeof sql, "PRAGMA user_version = %d", (int)LATEST);
  return say(db, "PRAGMA application_id = " APPLICATION_ID, why) && say(db, sql, why);
}

static bool bring_up_to_date(struct database *db, struct complaint *why)
{
  static const char *const counting[] = {"INTEGER PRIMARY KEY AUTOINCREMENT",
                                         "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"};
  const bool pg = database_is_postgresql(db);
  int64_t version;
  if (pg && !say(db, ADVISORY_LOCK, why)) return false;
  if (!read_version(db, &version, why)) return false;
  for (int64_t v = version; v < LATEST; v++)
    for (int i = 0; i < version_steps[v].count; i++) {
      char sql[2048];
      snprintf(sql, sizeof sql, steps[version_steps[v].first + i], counting[pg]); // NOLINT: all of them stand above
      if (!say(db, sql, why)) return false;
    }
  return version >= LATEST || write_version(db, version, why);
}

bool history_schema_prepare(struct database *db, enum database_access access, struct complaint *why)
{
  int64_t version;
  if (!read_version(db, &version, why)) return false;
  if (version < 0)
    return complain(why, "%s: its schema has version %lld: it is damaged", database_where(db), (long long)version);
  if (!version && access != DATABASE_CREATE)
    return complain(why, "%s: holds no history yet; `attnbench history add' makes one", database_where(db));
  if (version < LATEST) {
    if (!database_begin(db, why)) return false;
    if (!bring_up_to_date(db, why) || !database_commit(db, why)) {
      database_rollback(db);
      return false;
    }
  }
  return version <= LATEST ||
         complain(why, "%s: its schema has version %lld, this attnbench knows up to %d: use a newer attnbench",
                  database_where(db), (long long)version, (int)LATEST);
}
