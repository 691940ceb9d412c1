/* Command lines: arguments, a line each, given to attnbench's own main() in a child that may write no file, start no
 * program and use a second of CPU time. It must end with one of the documented exit codes, and not silently if that is an
 * error.
 *
 * The child's coverage counters come back through shared memory, so that libFuzzer learns from them. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int attnbench_main(int argc, char **argv); /* main() of tools/main.c, renamed by mk/fuzz.mk */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
  return "exitcode=77:detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=512";
}

enum { MOST_ARGUMENTS = 24 };

/* Of -fsanitize=fuzzer-no-link: a byte for each edge. */
extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];
static uint8_t *counters;
static int said = -1;

/* Ends the child before libFuzzer's own handler complains that its target has exited. */
static void give_counters(int status, void *unused)
{
  (void)unused;
  memcpy(counters, __start___sancov_cntrs, (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs));
  _exit(status);
}

static void prepare(void)
{
  const size_t bytes = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
  counters = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  said = memfd_create("stderr", MFD_CLOEXEC);
  REQUIRE(counters != MAP_FAILED && said >= 0);
}

#define DENY(number)                                                                                                       \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES)

static void confine(void)
{
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      DENY(SYS_execve),
      DENY(SYS_execveat),
      DENY(SYS_unlinkat),
      DENY(SYS_renameat2),
      DENY(SYS_renameat),
      DENY(SYS_mkdirat),
      DENY(SYS_kill),
      DENY(SYS_fchmod),
#ifdef SYS_unlink /* not on AArch64 */
      DENY(SYS_unlink),
      DENY(SYS_rename),
      DENY(SYS_mkdir),
      DENY(SYS_open),
      DENY(SYS_creat),
#endif
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(0);
  setrlimit(RLIMIT_CPU, &(struct rlimit){1, 1});
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  alarm(2);
}

static void child(int argc, char **argv)
{
  static const char *const variables[] = {"ATTN_ISA",    "ATTN_KERNEL", "ATTN_NUM_THREADS",
                                          "ATTN_TUNING", "ATTN_QUIRKS", "ATTN_DEBUG"};
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDOUT_FILENO);
  dup2(said, STDERR_FILENO);
  memset(__start___sancov_cntrs, 0, (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs));
  on_exit(give_counters, NULL);
  confine();
  exit(attnbench_main(argc, argv));
}

/* clang's OpenMP runtime wants a file in /dev/shm before its first parallel region, and gives up without: as far as a
 * command can be followed here. */
static bool no_openmp(void)
{
  char text[256];
  const ssize_t n = pread(said, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = 0;
  return strstr(text, "OMP: Error #179");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!counters) prepare();
  char *text = text_of(data, size), *rest = text, name[] = "attnbench", *argv[MOST_ARGUMENTS + 2] = {name};
  int argc = 1, status;
  while (rest && argc <= MOST_ARGUMENTS) argv[argc++] = strsep(&rest, "\n");
  argv[argc] = NULL;
  memset(counters, 0, (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs));
  REQUIRE(!ftruncate(said, 0) && lseek(said, 0, SEEK_SET) == 0);
  const pid_t pid = fork();
  if (pid == 0) child(argc, argv);
  REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
  memcpy(__start___sancov_cntrs, counters, (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs));
  const off_t told = lseek(said, 0, SEEK_END);
  const bool stopped =
      WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM || WTERMSIG(status) == SIGKILL);
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (!(stopped || no_openmp() || (code >= 0 && code <= 5)) || (code == 2 && told == 0)) {
    char buffer[4096];
    const ssize_t n = pread(said, buffer, sizeof buffer - 1, 0);
    buffer[n > 0 ? n : 0] = 0;
    fprintf(stderr, "status %#x after:", (unsigned)status);
    for (int i = 0; i < argc; i++) fprintf(stderr, " '%s'", argv[i]);
    fprintf(stderr, "\n%s\n", buffer);
    abort();
  }
  free(text);
  return 0;
}
