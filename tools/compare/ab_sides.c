#include "ab_sides.h"

#include "../../bench/case.h"
#include "../../dispatch/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const prefixes[] = {NULL, "kernel:", "isa:", "threads:", "env:"};
enum { SORTS = sizeof prefixes / sizeof *prefixes, NAME_BYTES = BENCH_CASE_NAME_BYTES + 64, MAX_ENV = 4096 };

static enum ab_sort sort_of(const char *text, const char **value)
{
  for (int s = SORT_KERNEL; s < SORTS; s++)
    if (!strncmp(text, prefixes[s], strlen(prefixes[s]))) {
      *value = text + strlen(prefixes[s]);
      return (enum ab_sort)s;
    }
  *value = text;
  return attn_kernel_find(text) && access(text, F_OK) ? SORT_KERNEL : SORT_BUILD;
}

extern char **environ;

/* This process's environment with the variables of "NAME=VALUE,...", whose text stands behind the pointers. */
static char **make_env(const char *list, struct complaint *why)
{
  const size_t bytes = strlen(list) + 1;
  size_t n = 0;
  while (environ[n]) n++;
  const size_t most = n + bytes + 1;
  char **env = calloc(1, most * sizeof *env + bytes);
  if (!env) {
    complaint_set(why, "no memory");
    return NULL;
  }
  memcpy(env, environ, n * sizeof *env);
  char *copy = memcpy(env + most, list, bytes);
  for (char *save, *entry = strtok_r(copy, ",", &save); entry; entry = strtok_r(NULL, ",", &save)) {
    const size_t length = strcspn(entry, "=");
    if (!entry[length] || !length) {
      complaint_set(why, "env: '%s' is not NAME=VALUE", entry);
      free(env);
      return NULL;
    }
    size_t at = 0;
    while (at < n && strncmp(env[at], entry, length + 1)) at++;
    env[at] = entry;
    n += at == n;
  }
  return env;
}

/* The case as the side calls it. False: it has no such case. */
static bool name_for(enum ab_sort sort, const char *value, const char *from_value, const char *name, char *out)
{
  struct bench_case c;
  char why[256];
  snprintf(out, NAME_BYTES, "%s", name);
  if (sort == SORT_BUILD || sort == SORT_ENV) return true;
  if (!bench_case_parse(&c, name, why, sizeof why)) return false;
  if (sort == SORT_KERNEL)
    snprintf(c.kernel, sizeof c.kernel, "%s", value);
  else if (sort == SORT_THREADS)
    c.threads = atoi(value);
  else {
    char kernel[BENCH_KERNEL_NAME_BYTES];
    const char *found = strstr(c.kernel, from_value);
    if (!found) return false;
    snprintf(kernel, sizeof kernel, "%.*s%.32s%s", (int)(found - c.kernel), c.kernel, value, found + strlen(from_value));
    memcpy(c.kernel, kernel, sizeof kernel);
  }
  bench_case_print(&c, out);
  return true;
}

static bool open_sides(struct ab_sides *s, const char *const text[2], struct complaint *why)
{
  enum ab_sort sort[2];
  for (int i = 0; i < 2; i++) sort[i] = sort_of(text[i], &s->value[i]);
  if (sort[0] != sort[1]) return complain(why, "A ('%s') and B ('%s') are not of one sort", text[0], text[1]);
  s->sort = sort[0];
  for (int i = 0; i < 2; i++) {
    s->side[i].label = text[i];
    s->side[i].program = rounds_open(s->sort == SORT_BUILD ? text[i] : "/proc/self/exe", why);
    if (s->side[i].program < 0) return false;
    if (s->sort == SORT_ENV && !(s->side[i].env = make_env(s->value[i], why))) return false;
    if (s->sort == SORT_THREADS && (atoi(s->value[i]) < 1 || strspn(s->value[i], "0123456789") != strlen(s->value[i])))
      return complain(why, "%s: '%s' is not a number of threads", text[i], s->value[i]);
    s->side[i].whole = s->sort == SORT_BUILD && !rounds_knows_times_only(s->side[i].program);
  }
  return true;
}

/* Cases that both sides have; those that one lacks are told. */
static bool name_cases(struct ab_sides *s, struct rounds_options *o, struct complaint *why)
{
  static const char *const options[] = {[SORT_KERNEL] = "--kernel", [SORT_ISA] = "--isa", [SORT_THREADS] = "--threads"};
  char *text = NULL;
  const char *listed[ROUNDS_MAX_CASES];
  if (s->sort == SORT_KERNEL || s->sort == SORT_ISA || s->sort == SORT_THREADS) {
    if (!o->arguments) {
      o->argument[o->arguments++] = "--preset";
      o->argument[o->arguments++] = "quick";
    }
    o->argument[o->arguments++] = options[s->sort];
    o->argument[o->arguments++] = s->value[1];
  }
  const int n = rounds_options_names(o, s->side[1].program, &text, listed, why);
  for (int i = 0; i < 2 && n; i++) s->names[i] = malloc((size_t)n * NAME_BYTES);
  for (int c = 0; c < n && s->names[0] && s->names[1]; c++) {
    bool both = true;
    for (int i = 0; i < 2 && both; i++) {
      char *name = s->names[i] + (size_t)s->cases * NAME_BYTES;
      struct complaint reason = {"it has no such case"};
      char *known =
          name_for(s->sort, s->value[i], s->value[1], listed[c], name)
              ? rounds_list(s->side[i].program, s->side[i].env, (const char *const[]){"--case", name, NULL}, &reason)
              : NULL;
      both = known != NULL;
      if (!both) fprintf(stderr, "attnbench ab: left out: %s: %s\n", s->side[i].label, reason.text);
      free(known);
      s->name[i][s->cases] = name;
    }
    s->cases += both;
  }
  free(text);
  for (int i = 0; i < 2; i++) s->side[i].name = s->name[i];
  if (!n) return false;
  return s->cases || complain(why, "no case that both sides have");
}

bool ab_sides_make(struct ab_sides *s, const char *const side[2], struct rounds_options *options, struct complaint *why)
{
  *s = (struct ab_sides){.side = {{.program = -1}, {.program = -1}}};
  return open_sides(s, side, why) && name_cases(s, options, why);
}

void ab_sides_free(struct ab_sides *s)
{
  for (int i = 0; i < 2; i++) {
    if (s->side[i].program >= 0) close(s->side[i].program);
    free(s->names[i]);
  }
}
