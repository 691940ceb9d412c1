/* How much memory a measurement may take without driving the machine into swap or the process into the OOM killer. */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <stddef.h>

/* Bytes available now: what the kernel reports, within the limit of this process's cgroup. SIZE_MAX: unknown. */
size_t bench_memory_available(void);

/* Page-aligned, zero-filled, lazily backed. From 1 MiB on whole large pages where the system gives them, as the plans'
 * workspaces have: small ones slow each kernel down by something else each time, most of all on virtual machines. NULL:
 * none left. Freed by bench_memory_free() with the same size. */
void *bench_memory_map(size_t bytes);
void bench_memory_free(void *start, size_t bytes);

#endif
