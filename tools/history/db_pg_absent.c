/* A build without libpq. */
#include "database.h"

#include <stddef.h>

struct database *db_pg_open(const char *url, enum database_access access, struct complaint *why)
{
  (void)url, (void)access;
  complaint_set(why, "--db postgresql://: this attnbench was built without libpq; install libpq-dev and pkg-config (make "
                     "deps-postgres), then build again, or give a file");
  return NULL;
}
