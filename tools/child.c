#include "child.h"

#include "../bench/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What the child wrote, until it closed its end. False: no memory. */
static bool read_all(struct child_output *o, int fd, double until, pid_t pid)
{
  size_t room = 4096;
  o->text = malloc(room);
  while (o->text) {
    if (o->bytes + 1 == room) {
      char *larger = realloc(o->text, room *= 2);
      if (!larger) {
        kill(pid, SIGKILL); /* it would wait for a reader, and its parent for its end */
        return false;
      }
      o->text = larger;
    }
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    const double left = until - bench_clock();
    if (until > 0 && (left <= 0 || !poll(&wait, 1, left > 1e6 ? -1 : (int)(left * 1e3) + 1))) {
      kill(pid, SIGKILL);
      until = 0;
      continue;
    }
    const ssize_t n = read(fd, o->text + o->bytes, room - o->bytes - 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    o->bytes += (size_t)n;
  }
  if (o->text)
    o->text[o->bytes] = 0;
  else
    kill(pid, SIGKILL);
  return o->text != NULL;
}

int child_run(const struct child *c, struct child_output *o)
{
  int ends[2];
  *o = (struct child_output){0};
  if (pipe2(ends, O_CLOEXEC)) return errno;
  const int said = memfd_create("stderr", MFD_CLOEXEC);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  if (said >= 0) posix_spawn_file_actions_adddup2(&actions, said, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], c->from);
  pid_t pid;
  int failed = posix_spawnp(&pid, c->path, &actions, NULL, c->argv, c->env ? c->env : environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (!failed) {
    if (!read_all(o, ends[0], c->limit_s > 0 ? bench_clock() + c->limit_s : 0, pid)) failed = ENOMEM;
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    o->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    const ssize_t n = said >= 0 ? pread(said, o->said, sizeof o->said - 1, 0) : 0;
    o->said[n > 0 ? n : 0] = 0;
  }
  close(ends[0]);
  if (said >= 0) close(said);
  return failed;
}

void child_output_free(struct child_output *o)
{
  free(o->text);
  *o = (struct child_output){0};
}
