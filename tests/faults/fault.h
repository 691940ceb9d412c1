/* Calls that fail on demand. A program linked with the --wrap options of mk/faults.mk goes through fault.c for allocation,
 * files, threads, child processes and hwloc; jansson's allocations do too.
 *
 * A site is a call seen with its callers (four frames). Each site is counted once; site number `at` fails, the first time
 * it is reached. In a command the environment arms it: FAULT_AT=<n> (0: none), FAULT_LOG=<file> receives a line for the
 * site that failed and one with the number of sites that were seen. */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

void fault_arm(int at);
int fault_disarm(void); /* returns the sites seen since fault_arm() */

/* What failed: "malloc"; NULL: the site was not reached. */
const char *fault_hit(void);

#endif
