/* Names of cases for a person, and their fields. Names of other programs' benchmarks are taken as they are. */
#ifndef ATTNBENCH_CASE_TEXT_H
#define ATTNBENCH_CASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* "fwd_f32_avx2 f32 B1 H12 S512 D64 T1" of a case's name, otherwise the name. Returns text. */
char *case_short(const char *name, char *text, size_t bytes);

/* The field of a name: kernel, isa, dtype, mask of a case of attnbench; the x of a part "key:x" of any name; a number n for
 * its n-th part. False: it has no such field. */
bool case_field(const char *name, const char *field, char *value, size_t bytes);

/* "12.3 us". Returns text. */
char *duration_text(double ns, char *text, size_t bytes);

#endif
