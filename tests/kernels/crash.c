#include "crash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct crash crash;
static char context[640];
static pid_t main_thread;

void crash_set_context(const char *text) { snprintf(context, sizeof context, "%s", text); }

const char *crash_signal_name(int signal)
{
  switch (signal) {
  case SIGSEGV: return "SIGSEGV";
  case SIGBUS: return "SIGBUS";
  case SIGILL: return "SIGILL";
  case SIGFPE: return "SIGFPE";
  case SIGABRT: return "SIGABRT";
  }
  return "a signal";
}

static void say(const char *text) { (void)!write(STDOUT_FILENO, text, strlen(text)); }

static void on_signal(int signal, siginfo_t *info, void *unused)
{
  (void)unused;
  if (crash.armed && (pid_t)syscall(SYS_gettid) == main_thread) {
    crash.armed = 0;
    crash.signal = signal;
    crash.address = info->si_addr;
    siglongjmp(crash.back, 1);
  }
  say("FAIL: ");
  say(crash_signal_name(signal));
  say(" outside the main thread, in or after: ");
  say(context);
  say("\n0 passed, 1 failed\n");
  _exit(1);
}

void crash_install(void)
{
  main_thread = (pid_t)syscall(SYS_gettid);
  static char room[1 << 16];
  stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
  if (sigaltstack(&stack, NULL)) {
    perror("check_kernels: sigaltstack");
    exit(4);
  }
  struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER, .sa_sigaction = on_signal};
  const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}
