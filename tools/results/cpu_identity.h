/* Which CPU this is, for those who read results later. */
#ifndef ATTNBENCH_CPU_IDENTITY_H
#define ATTNBENCH_CPU_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

/* The CPU by name, family and model (or part), so that two CPUs that virtual machines call the same stay apart. */
void cpu_identity(char *name, size_t bytes);

/* Whether the system is a virtual machine as far as the CPU tells. */
bool cpu_is_virtual(void);

#endif
