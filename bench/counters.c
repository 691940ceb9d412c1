#include "counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
  const char *name;
  uint32_t type;
  uint64_t config;
} known[] = {
    {"cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
    {"ref-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES},
    {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
    {"branches", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
    {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
    {"stalled-cycles-frontend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_FRONTEND},
    {"stalled-cycles-backend", PERF_TYPE_HARDWARE, PERF_COUNT_HW_STALLED_CYCLES_BACKEND},
    {"L1-dcache-load-misses", PERF_TYPE_HW_CACHE,
     PERF_COUNT_HW_CACHE_L1D | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16},
    {"LLC-load-misses", PERF_TYPE_HW_CACHE,
     PERF_COUNT_HW_CACHE_LL | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16},
    {"dTLB-load-misses", PERF_TYPE_HW_CACHE,
     PERF_COUNT_HW_CACHE_DTLB | PERF_COUNT_HW_CACHE_OP_READ << 8 | PERF_COUNT_HW_CACHE_RESULT_MISS << 16},
    {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
    {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
    {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
    {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
};
enum { KNOWN = sizeof known / sizeof *known };

static int open_event(uint32_t type, uint64_t config)
{
  struct perf_event_attr attr = {.type = type,
                                 .size = sizeof attr,
                                 .config = config,
                                 .disabled = 1,
                                 .inherit = 1, /* threads that are started later */
                                 .exclude_kernel = type != PERF_TYPE_SOFTWARE,
                                 .exclude_hv = 1,
                                 .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING};
  return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

static const char *reason(int error, char *text, size_t bytes)
{
  switch (error) {
  case ENOENT:
  case EOPNOTSUPP:
  case ENODEV: snprintf(text, bytes, "this CPU or hypervisor does not offer it"); break;
  case EACCES:
  case EPERM: snprintf(text, bytes, "not allowed (kernel.perf_event_paranoid, or the container's seccomp profile)"); break;
  case ENOSYS: snprintf(text, bytes, "this system has no perf_event_open"); break;
  default: snprintf(text, bytes, "%s", strerror(error)); break;
  }
  return text;
}

bool counters_open(struct counters *c, const char *list, char *error, size_t error_bytes)
{
  *c = (struct counters){0};
  while (*list) {
    const int length = (int)strcspn(list, ",");
    int k = 0;
    while (k < KNOWN && (strlen(known[k].name) != (size_t)length || strncmp(known[k].name, list, (size_t)length))) k++;
    if (k == KNOWN || c->count == COUNTERS_MAX) {
      char names[512] = "";
      for (int i = 0; i < KNOWN; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", known[i].name);
      if (k == KNOWN)
        snprintf(error, error_bytes, "there is no counter '%.*s'; known: %s", length, list, names);
      else
        snprintf(error, error_bytes, "more than %d counters", COUNTERS_MAX);
      counters_close(c);
      return false;
    }
    struct counter_event *counter = &c->counter[c->count++];
    *counter = (struct counter_event){.share = 1, .fd = open_event(known[k].type, known[k].config)};
    snprintf(counter->name, sizeof counter->name, "%s", known[k].name);
    if (counter->fd < 0) reason(errno, counter->why, sizeof counter->why);
    list += length + (list[length] == ',');
  }
  return true;
}

void counters_close(struct counters *c)
{
  for (int i = 0; i < c->count; i++)
    if (c->counter[i].fd >= 0) close(c->counter[i].fd);
  c->count = 0;
}

/* False: it never ran so far. */
static bool read_event(const struct counter_event *c, struct counter_reading *now)
{
  uint64_t words[3];
  if (c->fd < 0 || read(c->fd, words, sizeof words) != (ssize_t)sizeof words) return false;
  *now = (struct counter_reading){(double)words[0], (double)words[1], (double)words[2]};
  return true;
}

void counters_start(struct counters *c)
{
  for (int i = 0; i < c->count; i++) {
    if (!read_event(&c->counter[i], &c->counter[i].before)) c->counter[i].before = (struct counter_reading){0, 0, 0};
    if (c->counter[i].fd >= 0) ioctl(c->counter[i].fd, PERF_EVENT_IOC_ENABLE, 0);
  }
}

void counters_stop(struct counters *c)
{
  for (int i = 0; i < c->count; i++)
    if (c->counter[i].fd >= 0) ioctl(c->counter[i].fd, PERF_EVENT_IOC_DISABLE, 0);
  for (int i = 0; i < c->count; i++) {
    struct counter_event *counter = &c->counter[i];
    struct counter_reading now;
    if (!read_event(counter, &now)) continue;
    const double enabled = now.enabled - counter->before.enabled, running = now.running - counter->before.running;
    if (enabled <= 0) continue;
    counter->share = fmin(counter->share, running / enabled);
    counter->total += running > 0 ? (now.value - counter->before.value) * (enabled / running) : 0;
  }
}

void counters_reset(struct counters *c)
{
  for (int i = 0; i < c->count; i++) {
    c->counter[i].total = 0;
    c->counter[i].share = 1;
  }
}

bool counters_available(char *why, size_t why_bytes, const char **remedy)
{
  const int fd = open_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES), error = errno;
  *remedy = "";
  if (fd >= 0) {
    close(fd);
    return true;
  }
  reason(error, why, why_bytes);
  if (error == EACCES || error == EPERM)
    *remedy = "as root: sysctl kernel.perf_event_paranoid=1; in a container, allow perf_event_open in its seccomp profile";
  return false;
}
