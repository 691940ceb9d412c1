#include "selection.h"

#include "reference.h"

#include "../dispatch/internal.h"
#include "../dispatch/problem.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREAD_COUNTS = 64, MAX_THREADS = 4096 };

struct expansion {
  const struct bench_selection *selection;
  struct attn_restrictions restrictions;
  int thread_count[MAX_THREAD_COUNTS], thread_counts;
  bool threads_given;
  regex_t filter;
  struct bench_case_list *list;
  char *error;
  size_t error_bytes;
};

static bool fail(struct expansion *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct expansion *x, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(x->error, x->error_bytes, format, args);
  va_end(args);
  return false;
}

/* Copies the next element of a comma-separated list; false at its end. */
static bool next_element(const char **list, char *element, size_t bytes)
{
  if (!**list) return false;
  const size_t length = strcspn(*list, ",");
  snprintf(element, bytes, "%.*s", (int)length, *list);
  *list += length + ((*list)[length] == ',');
  return true;
}

static bool is_listed(const char *list, const char *name)
{
  char element[128];
  while (next_element(&list, element, sizeof element))
    if (!strcasecmp(element, name)) return true;
  return false;
}

static bool check_kernels(struct expansion *x, const char *list)
{
  char name[128], names[1024] = "";
  if (!*list) return fail(x, "--kernel: the list is empty");
  while (next_element(&list, name, sizeof name)) {
    if (attn_kernel_find(name)) continue;
    for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
      const size_t used = strlen(names);
      snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", (*k)->name);
    }
    return fail(x, "--kernel: there is no kernel '%s'; this build has: %s", name, names);
  }
  return true;
}

static bool check_isas(struct expansion *x, const char *list)
{
  char name[128], names[256] = "";
  if (!*list) return fail(x, "--isa: the list is empty");
  while (next_element(&list, name, sizeof name)) {
    bool found = false;
    names[0] = 0;
    for (int i = 0; i < ATTN_ISA_COUNT; i++) {
      if (!attn_isa_exists((enum attn_isa)i)) continue;
      const size_t used = strlen(names);
      found |= !strcasecmp(name, attn_isa_name((enum attn_isa)i));
      snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", attn_isa_name((enum attn_isa)i));
    }
    if (!found) return fail(x, "--isa: there is no ISA '%s' here; valid: %s", name, names);
  }
  return true;
}

static bool read_threads(struct expansion *x, const char *list)
{
  char text[32];
  const int all = attn_topology_get()->default_threads;
  if (!list) {
    x->thread_count[x->thread_counts++] = 1;
    if (all > 1) x->thread_count[x->thread_counts++] = all;
    return true;
  }
  x->threads_given = true;
  if (!*list) return fail(x, "--threads: the list is empty");
  while (next_element(&list, text, sizeof text)) {
    char *end;
    errno = 0;
    const long n = strtol(text, &end, 10);
    const bool is_all = !strcmp(text, "all");
    if (!is_all && (!isdigit((unsigned char)*text) || *end || errno || n < 1 || n > MAX_THREADS))
      return fail(x, "--threads: '%s' is neither a number within 1..%d nor 'all'", text, MAX_THREADS);
    if (x->thread_counts == MAX_THREAD_COUNTS) return fail(x, "--threads: more than %d numbers", MAX_THREAD_COUNTS);
    x->thread_count[x->thread_counts++] = is_all ? all : (int)n;
  }
  return true;
}

static bool add_case(struct expansion *x, const struct bench_case *c)
{
  char name[BENCH_CASE_NAME_BYTES];
  bench_case_print(c, name);
  if (x->selection->filter && regexec(&x->filter, name, 0, NULL, 0)) return true;
  for (int i = 0; i < x->list->count; i++)
    if (bench_case_equal(&x->list->c[i], c)) return true;
  struct bench_case *larger = realloc(x->list->c, (size_t)(x->list->count + 1) * sizeof *larger);
  if (!larger) return fail(x, "no memory for %d cases", x->list->count + 1);
  x->list->c = larger;
  x->list->c[x->list->count++] = *c;
  return true;
}

/* Comparison kernels only run when named, which a benchmark does. */
static const char *obstacle(const struct expansion *x, const struct attn_kernel *kernel, const struct attn_problem *problem,
                            char *buffer, size_t bytes)
{
  struct attn_restrictions named = x->restrictions;
  if (!named.kernel) named.kernel = kernel;
  return attn_kernel_obstacle(kernel, problem, &named, buffer, bytes);
}

/* Whether K and V of the shape are of a type that the kernel reads. */
static bool reads(const struct attn_kernel *kernel, const struct bench_shape *shape)
{
  return kernel->dtype == bench_shape_kernel_dtype(shape) ||
         (shape->kv && shape->kv != BENCH_KV_I8 && kernel->flags & ATTN_KERNEL_FLOAT_CACHES);
}

static bool resolve(struct attn_problem *problem, const struct bench_shape *shape)
{
  attn_desc desc = bench_shape_desc(shape);
  if (attn_problem_resolve(problem, &desc)) return false;
  problem->cached = shape->kv != BENCH_KV_TENSORS;
  if (shape->kv) problem->kv_dtype = bench_kv_dtype(shape->kv);
  return true;
}

static bool wanted(const struct expansion *x, const struct attn_kernel *kernel, const struct bench_preset_shape *shape)
{
  const struct bench_selection *s = x->selection;
  char buffer[200];
  struct attn_problem problem;
  /* One that was named, but cannot do the shape, is run all the same: its row tells the reason. */
  const bool resolved = !s->kernels && resolve(&problem, &shape->shape);
  if (!reads(kernel, &shape->shape) || obstacle(x, kernel, resolved ? &problem : NULL, buffer, sizeof buffer)) return false;
  if (s->isas && !is_listed(s->isas, attn_isa_name(kernel->isa))) return false;
  if (s->kernels) return is_listed(s->kernels, kernel->name);
  if (shape->breadth == BENCH_DECODE) return kernel->key_span && kernel->isa != ATTN_ISA_SCALAR;
  if (shape->breadth == BENCH_STREAMING)
    return kernel->isa != ATTN_ISA_SCALAR && resolved &&
           !attn_kernel_obstacle(kernel, &problem, &x->restrictions, buffer, sizeof buffer);
  if (s->isas) return true;
  return shape->breadth == BENCH_ALL_KERNELS || (kernel->isa != ATTN_ISA_SCALAR && !bench_kernel_is_autovec(kernel));
}

static bool expand_preset(struct expansion *x, const struct bench_preset *preset)
{
  for (int i = 0; i < preset->count; i++)
    for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
      const struct bench_preset_shape *shape = &preset->shapes[i];
      if (!wanted(x, *k, shape)) continue;
      for (int t = 0; t < x->thread_counts; t++) {
        struct bench_case c = {.shape = shape->shape, .threads = x->thread_count[t]};
        if (shape->all_cores_only && !x->threads_given && t + 1 < x->thread_counts) continue;
        snprintf(c.kernel, sizeof c.kernel, "%s", (*k)->name);
        if (!add_case(x, &c)) return false;
      }
    }
  return true;
}

static bool add_named(struct expansion *x, const char *name)
{
  struct bench_case c;
  char why[512], buffer[200];
  if (!bench_case_parse(&c, name, why, sizeof why)) return fail(x, "--case '%s': %s", name, why);
  if (!check_kernels(x, c.kernel)) {
    memcpy(why, x->error, sizeof why);
    why[sizeof why - 1] = 0;
    return fail(x, "--case '%s': %s", name, why + strlen("--kernel: "));
  }
  const struct attn_kernel *kernel = attn_kernel_find(c.kernel);
  if (!reads(kernel, &c.shape))
    return fail(x, "--case '%s': kernel %s computes %s, not %s", name, c.kernel, bench_dtype_name(kernel->dtype),
                bench_dtype_name(bench_shape_kernel_dtype(&c.shape)));
  const char *why_not = obstacle(x, kernel, NULL, buffer, sizeof buffer);
  if (why_not) return fail(x, "--case '%s': kernel %s cannot run here: %s", name, c.kernel, why_not);
  return add_case(x, &c);
}

static bool expand(struct expansion *x)
{
  const struct bench_selection *s = x->selection;
  for (int i = 0; i < s->cases; i++)
    if (!add_named(x, s->case_names[i])) return false;
  if (s->preset && !expand_preset(x, s->preset)) return false;
  if (x->list->count) return true;
  if (s->kernels) { /* the likely reason, if it is one */
    char name[128], buffer[200];
    const char *list = s->kernels;
    while (next_element(&list, name, sizeof name)) {
      const char *why_not = obstacle(x, attn_kernel_find(name), NULL, buffer, sizeof buffer);
      if (why_not) return fail(x, "nothing to run: kernel %s cannot run here: %s", name, why_not);
    }
  }
  return fail(x, "nothing to run: no case matches all of --preset, --filter, --kernel, --isa and --threads (--list without "
                 "them shows the names)");
}

bool bench_select_cases(struct bench_case_list *list, const struct bench_selection *s, char *error, size_t error_bytes)
{
  struct expansion x = {.selection = s, .list = list, .error = error, .error_bytes = error_bytes};
  *list = (struct bench_case_list){0};
  if (attn_restrictions_get(&x.restrictions, NULL)) return fail(&x, "%s", attn_error_message());
  if (s->kernels && !check_kernels(&x, s->kernels)) return false;
  if (s->isas && !check_isas(&x, s->isas)) return false;
  if (!read_threads(&x, s->threads)) return false;
  if (s->filter) {
    const int code = regcomp(&x.filter, s->filter, REG_EXTENDED | REG_NOSUB);
    if (code) {
      char why[200];
      regerror(code, &x.filter, why, sizeof why);
      return fail(&x, "--filter '%s': %s", s->filter, why);
    }
  }
  const bool ok = expand(&x);
  if (s->filter) regfree(&x.filter);
  if (!ok) {
    free(list->c);
    *list = (struct bench_case_list){0};
  }
  return ok;
}
