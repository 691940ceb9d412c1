#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of the temporaries that exist. A signal handler may come at any time: a slot is filled before the file is
 * made and emptied after it is gone, so that at worst a name is unlinked that does not exist. */
enum { SLOTS = 16, NO_SLOT = -1 };
static char temporary[SLOTS][4096];
static volatile sig_atomic_t taken[SLOTS];

static void remove_temporaries(void)
{
  for (int i = 0; i < SLOTS; i++)
    if (taken[i]) unlink(temporary[i]);
}

static void on_signal(int number)
{
  remove_temporaries();
  signal(number, SIG_DFL);
  raise(number);
}

static void install_cleanup(void)
{
  static bool installed;
  static const int deadly[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGXCPU};
  if (installed) return;
  installed = true;
  atexit(remove_temporaries);
  for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
    struct sigaction now, mine = {.sa_handler = on_signal};
    sigemptyset(&mine.sa_mask);
    if (!sigaction(deadly[i], NULL, &now) && now.sa_handler == SIG_DFL) sigaction(deadly[i], &mine, NULL);
  }
  signal(SIGXFSZ, SIG_IGN); /* a file size limit becomes an error of write(), which is told and cleaned up like others */
}

static void release(struct atomic_file *file)
{
  free(file->path);
  free(file->target);
  *file = (struct atomic_file){.slot = NO_SLOT};
}

static bool open_directly(struct atomic_file *file, struct complaint *why)
{
  file->stream = fopen(file->path, "we");
  if (file->stream) return true;
  complaint_set(why, "%s: cannot be opened for writing: %s", file->path, strerror(errno));
  release(file);
  return false;
}

/* A slot whose name is unused, next to the target. Random enough by the process and a counter; O_EXCL decides. */
static int create_temporary(struct atomic_file *file, mode_t mode)
{
  static unsigned counter;
  const char *slash = strrchr(file->target, '/');
  const int folder = slash ? (int)(slash - file->target) + 1 : 0;
  for (int slot = 0; slot < SLOTS; slot++) {
    if (taken[slot]) continue;
    for (int attempt = 0; attempt < 100; attempt++) {
      const int n = snprintf(temporary[slot], sizeof temporary[slot], "%.*s.attnbench-%ld-%u", folder, file->target,
                             (long)getpid(), counter++);
      if (n >= (int)sizeof temporary[slot]) {
        errno = ENAMETOOLONG;
        return -1;
      }
      if (!access(temporary[slot], F_OK)) continue; /* another's: must not be in the list for even a moment */
      taken[slot] = 1;
      const int fd = open(temporary[slot], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
      if (fd >= 0) {
        file->slot = slot;
        return fd;
      }
      taken[slot] = 0;
      if (errno != EEXIST) return -1;
    }
  }
  errno = EMFILE;
  return -1;
}

bool atomic_file_open(struct atomic_file *file, const char *path, struct complaint *why)
{
  struct stat st;
  *file = (struct atomic_file){.slot = NO_SLOT, .path = strdup(path)};
  if (!file->path) return complain(why, "%s: no memory for the name", path);
  if (!*path) {
    release(file);
    return complain(why, "the name of the output file is empty");
  }
  const bool exists = !stat(path, &st);
  if (exists && S_ISDIR(st.st_mode)) {
    release(file);
    return complain(why, "%s: is a folder; give the name of a file in it", path);
  }
  if (exists && !S_ISREG(st.st_mode)) return open_directly(file, why);
  struct stat link;
  if (!exists && !lstat(path, &link)) {
    release(file);
    return complain(why, "%s: is a symbolic link that leads nowhere", path);
  }
  /* Rename needs no right to write to the old file: a write-protected one stays all the same. */
  if (exists && access(path, W_OK)) {
    release(file);
    return complain(why, "%s: is write-protected: %s", path, strerror(errno));
  }
  file->target = exists ? realpath(path, NULL) : strdup(path);
  install_cleanup();
  const int fd = file->target ? create_temporary(file, exists ? st.st_mode & 0777 : 0666) : -1;
  if (fd >= 0 && exists) (void)fchmod(fd, st.st_mode & 0777); /* whatever the umask is now */
  file->stream = fd >= 0 ? fdopen(fd, "w") : NULL;
  if (file->stream) return true;
  complaint_set(why, "%s: cannot be written there: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  atomic_file_discard(file);
  return false;
}

bool atomic_file_finish(struct atomic_file *file, struct complaint *why)
{
  bool ok = !ferror(file->stream);
  if (!ok) { /* the reason is long gone: one more byte, of a file that will be thrown away, fails for the same one */
    clearerr(file->stream);
    fputc(0, file->stream);
  }
  errno = 0;
  if (fflush(file->stream)) ok = false;
  if (ok && file->target && fsync(fileno(file->stream)) && errno != EINVAL && errno != EROFS) ok = false;
  int error = errno;
  if (fclose(file->stream)) {
    if (ok) error = errno;
    ok = false;
  }
  file->stream = NULL;
  if (ok) return true;
  complaint_set(why, "%s: could not be written completely: %s", file->path,
                error ? strerror(error) : "an earlier write failed");
  atomic_file_discard(file);
  return false;
}

bool atomic_file_publish(struct atomic_file *file, struct complaint *why)
{
  if (file->target && rename(temporary[file->slot], file->target)) {
    complaint_set(why, "%s: the complete file could not be given its name: %s", file->path, strerror(errno));
    atomic_file_discard(file);
    return false;
  }
  if (file->slot != NO_SLOT) taken[file->slot] = 0;
  release(file);
  return true;
}

bool atomic_file_commit(struct atomic_file *file, struct complaint *why)
{
  return atomic_file_finish(file, why) && atomic_file_publish(file, why);
}

void atomic_file_discard(struct atomic_file *file)
{
  if (!file->path) return;
  if (file->stream) fclose(file->stream);
  if (file->slot != NO_SLOT) {
    unlink(temporary[file->slot]);
    taken[file->slot] = 0;
  }
  release(file);
}
