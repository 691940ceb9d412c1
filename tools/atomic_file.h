/* Output files that appear complete or not at all: written under a temporary name in the same folder, brought to disk,
 * then renamed. A failure, a signal or an exit() on the way removes the temporary and leaves an older file as it was.
 *
 * A path that names something other than a regular file (a pipe, /dev/stdout) is written to directly. */
#ifndef ATTNBENCH_ATOMIC_FILE_H
#define ATTNBENCH_ATOMIC_FILE_H

#include "complaint.h"

#include <stdio.h>

struct atomic_file {
  FILE *stream; /* write here; its errors are found by atomic_file_finish() */
  char *path;   /* as the user gave it, for messages */
  char *target; /* with symbolic links resolved; NULL: written directly */
  int slot;     /* of the temporary's name in the list that signals clean up */
};

/* Not thread-safe: one list of temporaries. At most 16 files at a time. {0} is a closed file. */
bool atomic_file_open(struct atomic_file *file, const char *path, struct complaint *why);

/* Everything written is on disk, still under the temporary name. Several outputs: finish all, then publish all. */
bool atomic_file_finish(struct atomic_file *file, struct complaint *why);

/* Gives the finished file its name. On failure it is discarded. */
bool atomic_file_publish(struct atomic_file *file, struct complaint *why);

/* finish and publish. */
bool atomic_file_commit(struct atomic_file *file, struct complaint *why);

/* Removes what was written so far. Harmless on a closed or published file. */
void atomic_file_discard(struct atomic_file *file);

#endif
