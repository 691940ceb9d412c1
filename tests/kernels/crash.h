/* Catches the signals of a crashing kernel, so that the harness can name kernel and case and go on. */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>

struct crash {
  volatile sig_atomic_t armed;
  volatile sig_atomic_t signal;
  void *volatile address;
  sigjmp_buf back;
};
extern struct crash crash;

void crash_install(void);

/* Printed if a thread other than the main one crashes: there is no way back from there, the process ends with status 1. */
void crash_set_context(const char *text);

const char *crash_signal_name(int signal);

/* if (CRASH_CATCH()) { it crashed } else { call; crash_disarm(); } */
#define CRASH_CATCH() (crash.signal = 0, sigsetjmp(crash.back, 1) ? 1 : (crash.armed = 1, 0))
static inline void crash_disarm(void) { crash.armed = 0; }

#endif
