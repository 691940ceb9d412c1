/* Which build this is: where it came from, and what it consists of. */
#ifndef BENCH_BUILD_IDENTITY_H
#define BENCH_BUILD_IDENTITY_H

#include "digest.h"

const char *build_commit(void); /* of the sources; "-modified" if they were changed; "unknown" */

/* A digest of all that is loaded of this program but the commit's name and the linker's build id: two builds have the same
 * if they run the same code on the same data, whatever commits they were made from. Shared libraries are not part of it.
 * "": the program's file cannot be read. */
const char *build_digest(char text[DIGEST_TEXT_BYTES]);

#endif
