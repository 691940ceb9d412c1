#include "doctor.h"

#include "clock.h"
#include "counters.h"

#include <glob.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const double most_load = 0.5, most_other_cpus = 0.1, most_steal = 0.01, most_drift = 0.05, least_span_s = 0.05;

static void found(struct doctor *d, const char *check, enum doctor_level level, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static void found(struct doctor *d, const char *check, enum doctor_level level, const char *remedy, const char *format, ...)
{
  if (d->count == DOCTOR_MAX_FINDINGS) return;
  struct doctor_finding *f = &d->finding[d->count++];
  va_list args;
  *f = (struct doctor_finding){.check = check, .level = level, .remedy = remedy};
  va_start(args, format);
  vsnprintf(f->text, sizeof f->text, format, args);
  va_end(args);
}

/* The file without its last line feed; false: there is none. */
static bool read_text(const struct doctor *d, const char *path, char *text, size_t bytes)
{
  char whole[512];
  snprintf(whole, sizeof whole, "%s%s", d->root, path);
  FILE *file = fopen(whole, "re");
  if (!file) return false;
  const size_t n = fread(text, 1, bytes - 1, file);
  fclose(file);
  text[n] = 0;
  while (*text && text[strlen(text) - 1] == '\n') text[strlen(text) - 1] = 0;
  return true;
}

static void check_governor(struct doctor *d)
{
  char pattern[300], text[64], other[64] = "";
  int cpus = 0, others = 0;
  glob_t paths;
  snprintf(pattern, sizeof pattern, "%s/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor", d->root);
  if (!glob(pattern, 0, NULL, &paths)) {
    for (size_t i = 0; i < paths.gl_pathc; i++) {
      if (!read_text(d, paths.gl_pathv[i] + strlen(d->root), text, sizeof text)) continue;
      cpus++;
      if (!strcmp(text, "performance")) continue;
      others++;
      memcpy(other, text, sizeof other);
    }
    globfree(&paths);
  }
  if (!cpus)
    found(d, "governor", DOCTOR_UNKNOWN, "", "the system does not tell how it chooses the frequency");
  else if (others)
    found(d, "governor", DOCTOR_WARNING, "as root: cpupower frequency-set -g performance", "'%s' on %d of %d CPUs", other,
          others, cpus);
  else
    found(d, "governor", DOCTOR_OK, "", "performance on all %d CPUs", cpus);
}

static void check_turbo(struct doctor *d)
{
  char text[16];
  static const char remedy[] = "as root: echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, or "
                               "echo 0 > /sys/devices/system/cpu/cpufreq/boost";
  const bool intel = read_text(d, "/sys/devices/system/cpu/intel_pstate/no_turbo", text, sizeof text);
  if (!intel && !read_text(d, "/sys/devices/system/cpu/cpufreq/boost", text, sizeof text)) {
    found(d, "turbo", DOCTOR_UNKNOWN, "", "the system does not tell");
    return;
  }
  if ((atoi(text) != 0) != intel)
    found(d, "turbo", DOCTOR_NOTE, remedy, "on: the frequency depends on temperature and on what other cores do");
  else
    found(d, "turbo", DOCTOR_OK, "", "off");
}

static void check_smt(struct doctor *d)
{
  char text[16];
  if (!read_text(d, "/sys/devices/system/cpu/smt/active", text, sizeof text))
    found(d, "smt", DOCTOR_UNKNOWN, "", "the system does not tell");
  else if (atoi(text))
    found(d, "smt", DOCTOR_NOTE, "as root: echo off > /sys/devices/system/cpu/smt/control",
          "on: work on a sibling takes half a core away; one thread a core is used here");
  else
    found(d, "smt", DOCTOR_OK, "", "off");
}

static void check_quota(struct doctor *d)
{
  const struct attn_topology *t = attn_topology_get();
  if (t->quota > 0 && t->quota < t->cores)
    found(d, "quota", DOCTOR_WARNING, "raise the cgroup's cpu.max (docker: --cpus), or use --threads within it",
          "the cgroup allows %.2f CPUs of %d cores: threads beyond are stopped now and then", t->quota, t->cores);
  else
    found(d, "quota", DOCTOR_OK, "", "none below the %d cores", t->cores);
}

static void check_isolation(struct doctor *d)
{
  char text[128];
  if (!read_text(d, "/sys/devices/system/cpu/isolated", text, sizeof text))
    found(d, "isolation", DOCTOR_UNKNOWN, "", "the system does not tell");
  else if (!*text)
    found(d, "isolation", DOCTOR_NOTE, "boot with isolcpus=LIST nohz_full=LIST and run under taskset",
          "no CPUs are kept free of other work");
  else
    found(d, "isolation", DOCTOR_OK, "", "CPUs %.100s are kept free of other work", text);
}

static void check_load(struct doctor *d)
{
  char text[128];
  if (!read_text(d, "/proc/loadavg", text, sizeof text))
    found(d, "load", DOCTOR_UNKNOWN, "", "the system does not tell");
  else if (strtod(text, NULL) > most_load)
    found(d, "load", DOCTOR_WARNING, "end other work and wait a minute", "%.2f processes ran or waited in the last minute",
          strtod(text, NULL));
  else
    found(d, "load", DOCTOR_OK, "", "%.2f in the last minute", strtod(text, NULL));
}

static void check_pages(struct doctor *d)
{
  char text[128];
  if (!read_text(d, "/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text))
    found(d, "pages", DOCTOR_UNKNOWN, "", "the system does not tell whether it gives large pages");
  else if (strstr(text, "[never]"))
    found(d, "pages", DOCTOR_NOTE, "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
          "no transparent large pages: large tensors miss the TLB more often");
  else
    found(d, "pages", DOCTOR_OK, "", "transparent large pages: %.80s", text);
}

static void check_virtual(struct doctor *d)
{
  char text[8192];
  if (!read_text(d, "/proc/cpuinfo", text, sizeof text))
    found(d, "virtual", DOCTOR_UNKNOWN, "", "the system does not tell");
  else if (strstr(text, " hypervisor"))
    found(d, "virtual", DOCTOR_NOTE, "measure on the bare machine, or compare only interleaved (attnbench ab, gate)",
          "a virtual machine: its neighbours and the frequency cannot be seen");
  else
    found(d, "virtual", DOCTOR_OK, "", "no sign of a virtual machine");
}

static void check_counters(struct doctor *d)
{
  char why[160];
  const char *remedy = "";
  if (counters_available(why, sizeof why, &remedy))
    found(d, "counters", DOCTOR_OK, "", "cycles and instructions can be counted");
  else
    found(d, "counters", DOCTOR_NOTE, remedy, "no hardware counters: %s", why);
}

static struct doctor_counts count_now(const struct doctor *d)
{
  char text[512], pattern[300];
  struct doctor_counts c = {.at_s = bench_clock()};
  struct rusage own;
  unsigned long long user, nice, system, idle, wait, irq, soft, steal;
  const double tick_s = 1.0 / (double)sysconf(_SC_CLK_TCK);
  getrusage(RUSAGE_SELF, &own);
  c.own_s =
      (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) + 1e-6 * (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec);
  if (read_text(d, "/proc/stat", text, sizeof text) && sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user,
                                                              &nice, &system, &idle, &wait, &irq, &soft, &steal) == 8) {
    c.known = true;
    c.busy_s = (double)(user + nice + system + irq + soft) * tick_s;
    c.steal_s = (double)steal * tick_s;
  }
  glob_t paths;
  snprintf(pattern, sizeof pattern, "%s/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count", d->root);
  if (glob(pattern, 0, NULL, &paths)) return c;
  for (size_t i = 0; i < paths.gl_pathc; i++)
    if (read_text(d, paths.gl_pathv[i] + strlen(d->root), text, sizeof text)) c.throttled += atoll(text);
  globfree(&paths);
  return c;
}

void doctor_begin(struct doctor *d, const char *root)
{
  *d = (struct doctor){.count = 0};
  snprintf(d->root, sizeof d->root, "%s", root);
  check_governor(d);
  check_turbo(d);
  check_smt(d);
  check_quota(d);
  check_isolation(d);
  check_load(d);
  check_pages(d);
  check_virtual(d);
  check_counters(d);
  d->began = count_now(d);
}

/* The widest range of an FMA roof on one core. */
static void check_drift(struct doctor *d, const struct bench_roofs *roofs)
{
  double drift = -1;
  int samples = 0;
  for (int i = 0; i < bench_roofs_count(roofs); i++) {
    const struct bench_roof *r = bench_roofs_get(roofs, i);
    if (r->read || r->threads != 1 || r->samples < 2 || 1 - r->worst / r->best <= drift) continue;
    drift = 1 - r->worst / r->best;
    samples = r->samples;
  }
  if (drift < 0) return;
  if (drift > most_drift)
    found(d, "drift", DOCTOR_WARNING, "fix the frequency (governor, turbo), end other work, see to the cooling",
          "the same multiply-adds took up to %.0f %% longer (%d samples)", 100 * drift / (1 - drift), samples);
  else
    found(d, "drift", DOCTOR_OK, "", "the same multiply-adds took the same time within %.1f %% (%d samples)", 100 * drift,
          samples);
}

void doctor_end(struct doctor *d, const struct bench_roofs *roofs)
{
  const struct doctor_counts now = count_now(d);
  const double span = now.at_s - d->began.at_s;
  if (now.known && d->began.known && span >= least_span_s) {
    const double others = (now.busy_s - d->began.busy_s - (now.own_s - d->began.own_s)) / span;
    const double steal = (now.steal_s - d->began.steal_s) / span;
    if (others > most_other_cpus)
      found(d, "others", DOCTOR_WARNING, "end other work", "other processes kept %.2f CPUs busy meanwhile", others);
    else
      found(d, "others", DOCTOR_OK, "", "other processes kept %.2f CPUs busy meanwhile", fmax(0, others));
    if (steal > most_steal)
      found(d, "steal", DOCTOR_WARNING, "ask for dedicated cores, or another host",
            "the hypervisor gave %.2f CPUs of time to others meanwhile", steal);
    else
      found(d, "steal", DOCTOR_OK, "", "no time was stolen by the hypervisor");
  }
  if (now.throttled > d->began.throttled)
    found(d, "throttling", DOCTOR_WARNING, "see to the cooling, lower the frequency limit",
          "cores were slowed down for heat %lld times meanwhile", now.throttled - d->began.throttled);
  check_drift(d, roofs);
}

int doctor_warnings(const struct doctor *d)
{
  int n = 0;
  for (int i = 0; i < d->count; i++) n += d->finding[i].level == DOCTOR_WARNING;
  return n;
}

const char *doctor_level_name(enum doctor_level level)
{
  static const char *const names[] = {"ok", "note", "warning", "unknown"};
  return names[level];
}
