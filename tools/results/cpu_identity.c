#include "cpu_identity.h"

#include "../../dispatch/internal.h"

#include <stdio.h>
#include <string.h>

/* The value of the first line of /proc/cpuinfo that begins with this key; "" if there is none. */
static void cpuinfo(const char *key, char *value, size_t bytes)
{
  char line[4096];
  value[0] = 0;
  FILE *file = fopen("/proc/cpuinfo", "r");
  if (!file) return;
  while (!value[0] && fgets(line, sizeof line, file)) {
    const size_t n = strlen(key);
    const char *colon = strchr(line, ':');
    if (strncmp(line, key, n) || !colon || strspn(line + n, " \t") != (size_t)(colon - line) - n) continue;
    snprintf(value, bytes, "%s", colon + 1 + strspn(colon + 1, " \t"));
    value[strcspn(value, "\n")] = 0;
  }
  fclose(file);
}

void cpu_identity(char *name, size_t bytes)
{
  char family[32], model[32];
  cpuinfo("cpu family", family, sizeof family);
  cpuinfo("model", model, sizeof model);
  if (family[0] && model[0])
    snprintf(name, bytes, "%s (family %s, model %s)", attn_cpu_model(), family, model);
  else
    snprintf(name, bytes, "%s", attn_cpu_model());
}

bool cpu_is_virtual(void)
{
  char flags[4096];
  cpuinfo("flags", flags, sizeof flags);
  return strstr(flags, " hypervisor") != NULL;
}
