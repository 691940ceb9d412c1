#include "select.h"

#include "cpu.h"
#include "error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KERNEL(name) extern const struct attn_kernel name;
#include "kernels.h"
#undef KERNEL

#define KERNEL(name) &name,
const struct attn_kernel *const attn_kernels[] = {
#include "kernels.h"
    NULL};
#undef KERNEL

static const char *const isa_names[ATTN_ISA_COUNT] = {"scalar", "avx2", "avx512", "avx512bf16", "amx", "neon", "neonbf16"};

const char *attn_isa_name(enum attn_isa isa) { return isa < ATTN_ISA_COUNT ? isa_names[isa] : "any"; }

bool attn_isa_exists(enum attn_isa isa)
{
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if ((*k)->isa == isa) return true;
  return false;
}

const struct attn_kernel *attn_kernel_find(const char *name)
{
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if (!strcmp((*k)->name, name)) return *k;
  return NULL;
}

static void append(char *list, size_t bytes, const char *name)
{
  const size_t used = strlen(list);
  snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", name);
}

static attn_status parse_isa(enum attn_isa *isa, const char *where, const char *value)
{
  for (int i = 0; i < ATTN_ISA_COUNT; i++)
    if (attn_isa_exists(i) && !strcasecmp(value, isa_names[i])) {
      if (*isa == ATTN_ISA_COUNT || (enum attn_isa)i < *isa) *isa = i;
      return ATTN_OK;
    }
  char names[128] = "";
  for (int i = 0; i < ATTN_ISA_COUNT; i++)
    if (attn_isa_exists(i)) append(names, sizeof names, isa_names[i]);
  return attn_fail(ATTN_ERR_ENVIRONMENT, "%s=%s: no such ISA; valid here: %s", where, value, names);
}

static attn_status parse_kernel(const struct attn_kernel **kernel, const char *where, const char *value)
{
  const struct attn_kernel *found = attn_kernel_find(value);
  if (!found) {
    char names[960] = "";
    for (const struct attn_kernel *const *k = attn_kernels; *k; k++) append(names, sizeof names, (*k)->name);
    return attn_fail(ATTN_ERR_ENVIRONMENT, "%s=%s: no such kernel; valid: %s", where, value, names);
  }
  if (*kernel && *kernel != found)
    return attn_fail(ATTN_ERR_UNSUPPORTED, "%s=%s: another kernel, %s, is demanded at the same time; leave one out", where,
                     value, (*kernel)->name);
  *kernel = found;
  return ATTN_OK;
}

/* "none", or names of quirks separated by commas. */
static attn_status parse_quirks(uint32_t *quirks, const char *value)
{
  *quirks = 0;
  if (!strcmp(value, "none")) return ATTN_OK;
  for (const char *at = value;; at++) {
    const size_t length = strcspn(at, ",");
    uint32_t found = 0;
    for (uint32_t bit = 1; attn_quirk_name(bit); bit <<= 1)
      if (strlen(attn_quirk_name(bit)) == length && !strncmp(at, attn_quirk_name(bit), length)) found = bit;
    if (!found) {
      char names[128];
      return attn_fail(ATTN_ERR_ENVIRONMENT, "ATTN_QUIRKS=%s: '%.*s' is no quirk; valid: none, or, separated by commas: %s",
                       value, (int)length, at, attn_quirk_list(UINT32_MAX, names, sizeof names));
    }
    *quirks |= found;
    at += length;
    if (!*at) return ATTN_OK;
  }
}

attn_status attn_restrictions_get(struct attn_restrictions *r, const attn_options *options)
{
  *r = (struct attn_restrictions){.features = attn_cpu_features(), .quirks = attn_cpu_quirks(), .isa = ATTN_ISA_COUNT};
  const char *isa = getenv("ATTN_ISA"), *kernel = getenv("ATTN_KERNEL"), *quirks = getenv("ATTN_QUIRKS");
  attn_status status = ATTN_OK;
  if (isa && *isa) status = parse_isa(&r->isa, "ATTN_ISA", isa);
  if (!status && options && options->isa) status = parse_isa(&r->isa, "options.isa", options->isa);
  if (!status && kernel && *kernel) status = parse_kernel(&r->kernel, "ATTN_KERNEL", kernel);
  if (!status && options && options->kernel) status = parse_kernel(&r->kernel, "options.kernel", options->kernel);
  if (!status && quirks && *quirks) status = parse_quirks(&r->quirks, quirks);
  return status;
}

/* Whether a KV head has at most so many rows, G * Sq. */
static bool rows_within(const struct attn_problem *p, int64_t most) { return p->Sq <= most / (p->G ? p->G : 1); }

/* Over a cache; of int8 any number is few. */
static bool few_rows(const struct attn_problem *p) { return p->kv_dtype == ATTN_I8 || rows_within(p, ATTN_CACHE_FEW_ROWS); }

/* Whether the kernel packs K and V of the problem's cache. */
static bool packs_cache(const struct attn_kernel *kernel, const struct attn_problem *p)
{
  if (!p || !p->cached || p->kv_dtype == ATTN_I8) return false;
  return kernel->flags & ATTN_KERNEL_FLOAT_CACHES ||
         (kernel->flags & ATTN_KERNEL_OWN_CACHES && kernel->dtype == p->kv_dtype);
}

const char *attn_kernel_obstacle(const struct attn_kernel *kernel, const struct attn_problem *problem,
                                 const struct attn_restrictions *r, char *buffer, size_t bytes)
{
  const uint32_t missing = kernel->needs & ~r->features;
  if (missing) {
    char list[160];
    snprintf(buffer, bytes, "this CPU has no %s", attn_feature_list(missing, list, sizeof list));
    return buffer;
  }
  if (kernel->isa > r->isa) {
    snprintf(buffer, bytes, "above the ISA limit %s", attn_isa_name(r->isa));
    return buffer;
  }
  if (r->kernel && kernel != r->kernel) return "another kernel is demanded";
  if (!r->kernel && (kernel->flags & ATTN_KERNEL_COMPARISON)) return "for comparison only; used when named";
  if (!r->kernel && r->quirks & ATTN_QUIRK_SLOW_PAIRS && kernel->flags & ATTN_KERNEL_PAIRS)
    return "dot products of pairs are slow on this CPU; used when named";
  const bool packs = packs_cache(kernel, problem);
  if (problem && kernel->dtype != problem->kv_dtype && !packs) return "other data type";
  if (problem && problem->cached && !kernel->key_span && !packs) return "does not read caches";
  if (problem && !problem->cached && kernel->flags & ATTN_KERNEL_ONLY_CACHES) return "reads caches only";
  const bool any_rows = kernel->isa == ATTN_ISA_SCALAR || kernel->flags & ATTN_KERNEL_ONLY_CACHES;
  if (problem && !r->kernel && problem->cached && !any_rows && packs == few_rows(problem))
    return packs ? "few rows are not worth packing K and V" : "so many rows are worth packing K and V";
  if (problem && !r->kernel && kernel->rows_from && rows_within(problem, kernel->rows_from - 1))
    return "so few rows are better off with another";
  if (problem && kernel->supports && !kernel->supports(problem)) return "does not support this shape";
  return NULL;
}

bool attn_kernel_is_for_few(const struct attn_kernel *few, const struct attn_kernel *many,
                            const struct attn_problem *problem)
{
  if (many->rows_from) return rows_within(problem, many->rows_from - 1);
  return problem->cached ? few_rows(problem) : few->supports(problem);
}

attn_status attn_select(const struct attn_kernel **chosen, const struct attn_problem *problem,
                        const struct attn_restrictions *r)
{
  const char *debug_text = getenv("ATTN_DEBUG");
  const bool debug = debug_text && *debug_text && strcmp(debug_text, "0");
  char buffer[200], reasons[800] = "";
  *chosen = NULL;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    const char *obstacle = attn_kernel_obstacle(*k, problem, r, buffer, sizeof buffer);
    if (!obstacle && !*chosen) {
      *chosen = *k;
      if (debug) fprintf(stderr, "attn: %s: chosen (%s)\n", (*k)->name, (*k)->summary);
    } else if (debug) {
      fprintf(stderr, "attn: %s: passed over: %s\n", (*k)->name, obstacle ? obstacle : "an earlier one fits");
    }
    if (obstacle && (!r->kernel || r->kernel == *k)) {
      const size_t used = strlen(reasons);
      snprintf(reasons + used, sizeof reasons - used, "%s%s: %s", used ? "; " : "", (*k)->name, obstacle);
    }
  }
  return *chosen ? ATTN_OK : attn_fail(ATTN_ERR_UNSUPPORTED, "no kernel can run this: %s", reasons);
}
