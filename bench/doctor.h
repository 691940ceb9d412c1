/* What about this machine makes times untrustworthy, and how to mend it: before a run and over it. */
#ifndef BENCH_DOCTOR_H
#define BENCH_DOCTOR_H

#include "roofs.h"

enum doctor_level {
  DOCTOR_OK,
  DOCTOR_NOTE,    /* worth knowing; times are comparable on this machine */
  DOCTOR_WARNING, /* times are not to be trusted; --strict refuses */
  DOCTOR_UNKNOWN  /* the system does not tell */
};

enum { DOCTOR_MAX_FINDINGS = 24 };
struct doctor_finding {
  const char *check; /* "governor" */
  enum doctor_level level;
  char text[256];
  const char *remedy; /* "" if there is nothing to mend */
};

struct doctor_counts { /* so far, by the system's count */
  double at_s, own_s;  /* wall clock; CPU time of this process */
  double busy_s, steal_s;
  long long throttled;
  bool known;
};

struct doctor {
  char root[128]; /* where proc and sys stand: "" or a folder with copies */
  struct doctor_finding finding[DOCTOR_MAX_FINDINGS];
  int count;
  struct doctor_counts began;
};

/* Everything that can be told at once. */
void doctor_begin(struct doctor *doctor, const char *root);

/* What happened since: other work, stolen time, throttling, and the range of the FMA roof's samples (roofs may be NULL). */
void doctor_end(struct doctor *doctor, const struct bench_roofs *roofs);

int doctor_warnings(const struct doctor *doctor);
const char *doctor_level_name(enum doctor_level level);

#endif
