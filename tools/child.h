/* Programs that are run and read. */
#ifndef ATTNBENCH_CHILD_H
#define ATTNBENCH_CHILD_H

#include <stddef.h>

struct child {
  const char *path;  /* without a slash: searched in PATH */
  char *const *argv; /* argv[0] is what the program sees, whatever path is */
  char *const *env;  /* NULL: this process's */
  int from;          /* the descriptor whose output is read; standard output and error go to nowhere otherwise */
  double limit_s;    /* killed after this; 0: never */
};

struct child_output {
  char *text; /* what came through the descriptor, terminated; never NULL after success */
  size_t bytes;
  char said[1024]; /* the beginning of standard error, if that is not what was read */
  int status;      /* exit code, or 128 + signal */
};

/* Returns 0, or an errno: the program could not be started. Free the output in any case. */
int child_run(const struct child *child, struct child_output *output);
void child_output_free(struct child_output *output);

#endif
