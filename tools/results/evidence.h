/* What stands behind a kernel: whether it ran on hardware, and whether its speed was measured or modelled. The facts come
 * from docs/evidence.list, which the build embeds. */
#ifndef ATTNBENCH_EVIDENCE_H
#define ATTNBENCH_EVIDENCE_H

struct evidence {
  const char *kernel;
  const char *executed; /* native, emulated, never */
  const char *costed;   /* measured, modelled, never */
  const char *where;    /* hardware or emulator */
};

/* NULL if the list does not have the kernel. */
const struct evidence *evidence_find(const char *kernel);

#endif
