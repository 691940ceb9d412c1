/* Files of results into a history: one document, or several one after the other, as `attnbench history export' writes them.
 */
#ifndef ATTNBENCH_HISTORY_IMPORT_H
#define ATTNBENCH_HISTORY_IMPORT_H

#include "history.h"

#include <stdio.h>

/* Every document a transaction, told on `said` when it is committed. False: the first that could not be added ends it;
 * those before it stay. */
bool history_import(struct history *history, const char *path, const struct history_labels *labels, FILE *said,
                    struct complaint *why);

#endif
