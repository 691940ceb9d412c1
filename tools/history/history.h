/* A history: runs of attnbench (or any Google Benchmark program) in a database, one transaction each, for as many writers
 * as there are. A run has a machine, a commit, a digest of its binary and a date; each of its cases has the raw
 * repetitions, their median with a 95 % interval, and the counters.
 *
 * A machine is what results_machine_differs() looks at: host name (or the name it was given), CPU, its features and number.
 */
#ifndef ATTNBENCH_HISTORY_H
#define ATTNBENCH_HISTORY_H

#include "database.h"

#include "../../bench/digest.h"
#include "../../bench/results.h"

#include <regex.h>

struct history {
  struct database *database;
};

/* The file that is meant where none is named: $ATTNBENCH_DB, otherwise attnbench/history.db of $XDG_DATA_HOME or
 * ~/.local/share. False: there is no such folder to be found. */
bool history_default(char *where, size_t bytes, struct complaint *why);

/* where NULL: the default. An older schema is brought up to date; a newer one, or a foreign database, is refused. */
bool history_open(struct history *history, const char *where, enum database_access access, struct complaint *why);
void history_close(struct history *history); /* {0} is allowed */

/* What is said about a run by whoever adds it; NULL: what the file says. */
struct history_labels {
  const char *machine, *commit, *date;
};

/* One transaction: the whole run or nothing of it. The same results again are the same run. */
bool history_add(struct history *history, const struct results *results, const struct history_labels *labels, int64_t *run,
                 bool *was_there, struct complaint *why);

/* The digest of a machine: what its runs are found by. */
void history_machine(const char *name, const char *cpu, const char *features, int64_t cpus, char digest[DIGEST_TEXT_BYTES]);

struct history_run {
  int64_t id, time_s, cpus, cases;
  char *digest, *machine; /* machine: digest of what makes it that machine */
  char *name, *cpu;       /* of the machine, for a person */
  char *commit, *binary, *method, *version, *compiler, *date;
};
struct history_runs {
  struct history_run *run; /* by date, then number */
  int count;
};

/* Which runs are meant. {0}: all. */
struct history_filter {
  const regex_t *machine; /* "name, CPU" matches */
  const char *commit;     /* begins so */
  int64_t since_s, id;    /* 0: any */
  int latest;             /* of those that fit, so many; 0: all */
};

bool history_runs_read(struct history *history, const struct history_filter *filter, struct history_runs *runs,
                       struct complaint *why);
void history_runs_free(struct history_runs *runs);

/* A run as a document of results (Google Benchmark's JSON, schema 1, on one line), to free(). NULL: the complaint says why.
 */
char *history_document(struct history *history, int64_t run, struct complaint *why);

/* For history.c and its neighbours: the schema of a database that was just opened. */
bool history_schema_prepare(struct database *database, enum database_access access, struct complaint *why);

#endif
