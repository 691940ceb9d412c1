#include "quota.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* CPUs allowed by one cgroup directory: v2 cpu.max "quota period" or v1 cpu.cfs_quota_us / cpu.cfs_period_us. 0: no limit.
 */
static double quota_of(const char *directory)
{
  char path[4200];
  double quota = 0, period = 0;
  snprintf(path, sizeof path, "%s/cpu.max", directory);
  FILE *f = fopen(path, "re");
  if (f) {
    if (fscanf(f, "%lf %lf", &quota, &period) != 2) quota = 0; /* "max" */
    fclose(f);
    return quota > 0 && period > 0 ? quota / period : 0;
  }
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
  if ((f = fopen(path, "re"))) {
    if (fscanf(f, "%lf", &quota) != 1) quota = 0;
    fclose(f);
  }
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
  if ((f = fopen(path, "re"))) {
    if (fscanf(f, "%lf", &period) != 1) period = 0;
    fclose(f);
  }
  return quota > 0 && period > 0 ? quota / period : 0;
}

double attn_cgroup_quota(const char *own, const char *mount)
{
  char line[4096];
  double tightest = 0;
  FILE *f = fopen(own, "re");
  if (!f) return 0;
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':'), *path = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!path) continue;
    *path++ = 0;
    const bool v2 = !controllers[1];
    if (!v2 && !strstr(controllers, "cpu")) continue;
    for (;;) {
      char directory[4160];
      snprintf(directory, sizeof directory, "%.1000s%s%.3000s", mount, v2 ? "" : "/cpu", path);
      const double quota = quota_of(directory);
      if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
      char *slash = strrchr(path, '/');
      if (!slash || (slash == path && !path[1])) break;
      slash[slash == path] = 0;
    }
  }
  fclose(f);
  return tightest;
}
