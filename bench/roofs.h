/* What this machine can do at most, measured in the same run as the cases: multiply-adds a second of each ISA, and bytes
 * a second read again and again: of so many as a case reads, from memory or, where they fit, from the caches.
 *
 * Machines drift by 10 % and more within a run, so a fraction needs a roof of the same moment. The runner takes a short
 * sample before every repetition and after the last one; a case's roof is the largest of the samples beside it. The
 * largest, because whatever disturbs a sample lowers it, and a roof that is too low would flatter the kernel: the fractions
 * err on the low side. Samples use as many threads as the case, on the same cores. */
#ifndef BENCH_ROOFS_H
#define BENCH_ROOFS_H

#include "../dispatch/internal.h"

struct bench_roofs;

/* Measures every ISA and the bandwidth on one core and on threads cores. NULL and a message on stderr: no memory. */
struct bench_roofs *bench_roofs_create(int threads);
void bench_roofs_destroy(struct bench_roofs *roofs);

/* One sample, 22 ms or more, most of them to bring cores to their full clock. Flops a second of all threads together; 0 if
 * this CPU cannot run the ISA. */
double bench_roofs_fma(struct bench_roofs *roofs, enum attn_isa isa, int threads);

/* One sample: bytes a second of all threads together, each of which reads its part of `bytes` again and again. More than
 * bench_roofs_cached() says: from beyond the caches; so does INFINITY. */
double bench_roofs_read(struct bench_roofs *roofs, double bytes, int threads);

/* Whether the last-level caches of as many cores hold so many bytes. */
bool bench_roofs_cached(double bytes, int threads);

/* Every roof that was sampled in this run. */
struct bench_roof {
  bool read;         /* bandwidth from beyond the caches; otherwise multiply-adds of isa */
  enum attn_isa isa; /* of the FMA roof */
  int threads, samples;
  double best, worst; /* per second */
};
int bench_roofs_count(const struct bench_roofs *roofs); /* NULL: 0 */
const struct bench_roof *bench_roofs_get(const struct bench_roofs *roofs, int index);
const struct bench_roof *bench_roofs_find(const struct bench_roofs *roofs, bool read, enum attn_isa isa, int threads);

#endif
