/* The first process of the emulated guest: runs the programs of /commands one after the other and powers the machine off.
 *
 * /commands: the words of each command, every word ended by NUL, every command by one empty word more. Words with a '='
 * before the program's name are its environment. What the programs print (stdout and stderr) goes to port 0xe9, which Bochs
 * copies to its own stdout; after each program stands a line "\1 exit STATUS" (shell convention: 128 + n for signal n). The
 * first line is
 * "\1 begin", the last "\1 end": what is outside is not the guest's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONSOLE_PORT = 0xe9, POWER_PORT = 0x8900, MAX_WORDS = 256 };

static void console(const char *text, size_t bytes)
{
  for (size_t i = 0; i < bytes; i++) outb((unsigned char)text[i], CONSOLE_PORT);
}

static void console_line(const char *text)
{
  console(text, strlen(text));
  console("\n", 1);
}

static _Noreturn void power_off(void)
{
  for (const char *word = "Shutdown"; *word; word++) outb((unsigned char)*word, POWER_PORT);
  for (;;) pause();
}

static _Noreturn void give_up(const char *what)
{
  console_line(what); /* without "\1 end" the host knows that the run is worth nothing */
  power_off();
}

/* The whole file, NUL-terminated; *bytes receives its length. */
static char *read_file(const char *path, size_t *bytes)
{
  struct stat file;
  const int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &file)) give_up("init: no /commands");
  char *text = malloc((size_t)file.st_size + 1);
  if (!text || read(fd, text, (size_t)file.st_size) != file.st_size) give_up("init: cannot read /commands");
  close(fd);
  text[file.st_size] = 0;
  *bytes = (size_t)file.st_size;
  return text;
}

static _Noreturn void execute(char **words, int output)
{
  static char *environment[MAX_WORDS + 2] = {"PATH=/", "HOME=/tmp"};
  int n = 2;
  while (*words && strchr(*words, '=')) environment[n++] = *words++;
  dup2(output, 1);
  dup2(output, 2);
  if (iopl(0) || !*words) _exit(126);
  execve(*words, words, environment);
  perror(*words);
  _exit(127);
}

static int run(char **words)
{
  int ends[2], status = 0;
  if (pipe2(ends, O_CLOEXEC)) give_up("init: no pipe");
  const pid_t child = fork();
  if (child < 0) give_up("init: no process");
  if (!child) execute(words, ends[1]);
  close(ends[1]);
  char buffer[4096], last = '\n';
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0; last = buffer[n - 1]) console(buffer, (size_t)n);
  if (last != '\n') console("\n", 1);
  close(ends[0]);
  if (waitpid(child, &status, 0) != child) give_up("init: lost a process");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
  if (iopl(3)) return 1;
  if (mount("devtmpfs", "/dev", "devtmpfs", 0, 0) || mount("proc", "/proc", "proc", 0, 0) ||
      mount("sysfs", "/sys", "sysfs", 0, 0))
    give_up("init: cannot mount /dev, /proc or /sys");
  const int null = open("/dev/null", O_RDWR);
  if (null != 0) dup2(null, 0);
  if (chdir("/tmp")) give_up("init: no /tmp");

  size_t bytes;
  char *text = read_file("/commands", &bytes), *words[MAX_WORDS + 1];
  console_line("\n\1 begin");
  int n = 0;
  for (char *word = text; word < text + bytes; word += strlen(word) + 1) {
    if (*word) {
      if (n == MAX_WORDS) give_up("init: too many words");
      words[n++] = word;
      continue;
    }
    words[n] = NULL;
    char line[32];
    snprintf(line, sizeof line, "\1 exit %d", run(words));
    console_line(line);
    n = 0;
  }
  console_line("\1 end");
  power_off();
}
