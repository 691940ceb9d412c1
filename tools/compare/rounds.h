/* Two or more sides timed in turn, each visit a process of its own: what a process fixes for its lifetime (layout of
 * memory, threads, luck) is drawn anew every time, and what the machine does meanwhile hits all sides alike.
 *
 * A round visits every side of a case once, in random order; the next round in the mirrored order (ABBA or BAAB), so that a
 * steady drift cancels. A visit is `attnbench run --times-only` of the side's build: the kernel is compared with the
 * oracle, then timed in several short repetitions; the fastest stands for the process, since whatever disturbs a repetition
 * makes it longer. Programs are opened once and run from their descriptor: replacing a file meanwhile changes nothing, and
 * both sides see the same argv and environment but for what the sides are to differ in. */
#ifndef ATTNBENCH_ROUNDS_H
#define ATTNBENCH_ROUNDS_H

#include "../complaint.h"

#include <stddef.h>
#include <stdint.h>

enum { ROUNDS_MAX_SIDES = 3, ROUNDS_MAX_CASES = 512, ROUNDS_MAX = 1000 };

struct rounds_side {
  const char *label;
  int program;             /* descriptor of the executable; from rounds_open() */
  char *const *env;        /* NULL: this process's */
  const char *const *name; /* [cases] */
  bool whole;              /* the build knows no --times-only */
};

enum rounds_clock {
  ROUNDS_CLOCK_AUTO, /* CPU time of cases on one thread, where it is the time without the neighbours' turns; else real */
  ROUNDS_CLOCK_REAL,
  ROUNDS_CLOCK_CPU
};
enum rounds_figure { ROUNDS_FASTEST, ROUNDS_MEDIAN }; /* of the repetitions of a process */

struct rounds {
  int sides, cases;
  const struct rounds_side *side;
  double min_time_s;
  int repetitions;
  enum rounds_clock clock;
  enum rounds_figure figure;
  uint64_t random; /* state of the order; any seed */
  bool *skip;      /* [cases]: decided, needs no more rounds */
  int *done;       /* [cases]: rounds finished */
  double *ln;      /* [cases][ROUNDS_MAX][sides]: ln of nanoseconds */
  double spent_s;  /* in all rounds so far */
  int visits;      /* processes so far */
  char *context;   /* the JSON of the first visit of the last side, for its context */
  const volatile int *stop;
  int failure; /* exit code after a failed visit */
};

/* A build by its binary or a folder that holds it (attnbench, build/attnbench). -1: the complaint says why. */
int rounds_open(const char *path, struct complaint *why);

/* Names that the program lists for these arguments of `run' (NULL at the end), one to a line, to free(). NULL: it refused,
 * and the complaint is what it said. */
char *rounds_list(int program, char *const *env, const char *const *arguments, struct complaint *why);

bool rounds_knows_times_only(int program);

bool rounds_prepare(struct rounds *rounds); /* false: no memory */
void rounds_free(struct rounds *rounds);

/* One more round of every case that is not to be skipped. shown (may be NULL) is called before every visit. False: stopped
 * (failure 130), or a visit failed and the complaint says why. */
bool rounds_one_more(struct rounds *rounds, void (*shown)(const struct rounds *, int c, void *), void *context,
                     struct complaint *why);

/* Whether the clock of this case is CPU time. */
bool rounds_on_cpu_time(enum rounds_clock clock, const char *name);

double rounds_value(const struct rounds *rounds, int c, int round, int side);

#endif
