/* attnbench info: what this machine offers, what may be used of it, and which kernel that leads to. */
#include "command.h"
#include "results/evidence.h"

#include "../dispatch/internal.h"
#include "../dispatch/problem.h"

#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char doc[] =
    "Show the CPU, its features, caches and cores, the limits that the environment sets, and every kernel: chosen, usable, "
    "or passed over and why."
    "\vThe kernel called `chosen' is the one that a plain f32 problem of ordinary size gets (8 heads, 2048 x 2048, D = "
    "128).\n"
    "\n"
    "Examples:\n"
    "  attnbench info\n"
    "  attnbench info --json | jq -r '.kernels[] | select(.status == \"chosen\").name'\n"
    "  ATTN_ISA=avx2 attnbench info       what a CPU without AVX-512 would get\n"
    "\n"
    "Exit code: 0; 2 if ATTN_ISA, ATTN_KERNEL or ATTN_NUM_THREADS names nothing that can be used.";

static const struct argp_option options[] = {{"json", 'j', NULL, 0, "Print one JSON object", 0}, {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  (void)arg;
  switch (key) {
  case 'j': *(bool *)state->input = true; return 0;
  case ARGP_KEY_ARG: argp_error(state, "there is nothing to give but options: '%s'", arg); return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

struct facts {
  const struct attn_topology *topology;
  struct attn_restrictions restrictions;
  enum attn_isa cpu_isa, isa; /* highest of any kernel that the CPU runs; the same under the limits */
  int threads;                /* of a large problem; 0: no kernel may run one */
};

/* The plan itself tells how many threads it takes: many heads, so that their number does not limit it. */
static attn_status threads_of_large_problem(int *threads, attn_dtype dtype)
{
  const attn_desc desc = {.dtype = dtype, .B = 64, .Hq = 64, .Hkv = 64, .Sq = 64, .Skv = 64, .Dqk = 64, .Dv = 64};
  attn_plan *plan;
  const attn_status status = attn_plan_create(&plan, &desc, NULL);
  if (!status) *threads = attn_plan_threads(plan);
  attn_plan_destroy(plan);
  return status;
}

static attn_status gather(struct facts *f)
{
  f->topology = attn_topology_get();
  const attn_status status = attn_restrictions_get(&f->restrictions, NULL);
  if (status) return status;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    if ((*k)->needs & ~f->restrictions.features) continue;
    if ((*k)->isa > f->cpu_isa) f->cpu_isa = (*k)->isa;
    if ((*k)->isa > f->isa && (*k)->isa <= f->restrictions.isa) f->isa = (*k)->isa;
  }
  return ATTN_OK;
}

static const char *environment(const char *name)
{
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

/* The kernel's word, and in *reason why it is not the chosen one (NULL if it is). */
static const char *status_of(const struct facts *f, const struct attn_kernel *kernel, const char **reason, char *buffer,
                             size_t bytes)
{
  /* int8 exists in caches only; the queries beside it are f32 here */
  const attn_desc ordinary = {.dtype = kernel->dtype == ATTN_I8 ? ATTN_F32 : kernel->dtype,
                              .B = 1,
                              .Hq = 8,
                              .Hkv = 8,
                              .Sq = 2048,
                              .Skv = 2048,
                              .Dqk = 128,
                              .Dv = 128};
  struct attn_restrictions named = f->restrictions;
  struct attn_problem problem;
  named.kernel = kernel;
  if (attn_problem_resolve(&problem, &ordinary)) {
    *reason = attn_error_message();
    return "unavailable";
  }
  problem.kv_dtype = kernel->dtype;
  *reason = attn_kernel_obstacle(kernel, NULL, &named, buffer, bytes);
  if (*reason) return "unavailable";
  *reason = attn_kernel_obstacle(kernel, &problem, &f->restrictions, buffer, bytes);
  if (*reason) return "usable";
  for (const struct attn_kernel *const *k = attn_kernels; *k != kernel; k++) {
    char ignored[200];
    if (attn_kernel_obstacle(*k, &problem, &f->restrictions, ignored, sizeof ignored)) continue;
    snprintf(buffer, bytes, "%s comes before it", (*k)->name);
    *reason = buffer;
    return "usable";
  }
  return "chosen";
}

static json_t *optional_string(const char *text) { return text ? json_string(text) : json_null(); }
static json_t *optional_size(size_t bytes) { return bytes ? json_integer((json_int_t)bytes) : json_null(); }

static json_t *names_of(uint32_t set, const char *(*name)(uint32_t))
{
  json_t *list = json_array();
  for (uint32_t bit = 1; bit; bit <<= 1)
    if ((set & bit) && name(bit)) json_array_append_new(list, json_string(name(bit)));
  return list;
}

static json_t *topology_as_json(const struct attn_topology *t)
{
  json_t *cores = json_array();
  for (int i = 0; i < t->cores; i++)
    json_array_append_new(
        cores, json_pack("{s:i, s:i, s:i}", "cpu", t->core[i].cpu, "numa", t->core[i].numa, "kind", t->core[i].kind));
  return json_pack("{s:b, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:i}", "known", t->known, "cores", t->cores,
                   "hardware_threads", t->hardware_threads, "packages", t->packages, "numa_nodes", t->numa_nodes, "kinds",
                   t->kinds, "core", cores, "cgroup_quota_cpus", t->quota > 0 ? json_real(t->quota) : json_null(),
                   "default_threads", t->default_threads);
}

/* A kernel that is too new for the list has none. */
static const struct evidence *evidence_of(const struct attn_kernel *kernel)
{
  static const struct evidence none = {"", "never", "never", "nowhere"};
  const struct evidence *evidence = evidence_find(kernel->name);
  return evidence ? evidence : &none;
}

static int print_json(const struct facts *f)
{
  const struct attn_topology *t = f->topology;
  json_t *kernels = json_array();
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    char buffer[200];
    const char *reason, *status = status_of(f, *k, &reason, buffer, sizeof buffer);
    const struct evidence *evidence = evidence_of(*k);
    json_array_append_new(kernels,
                          json_pack("{s:s, s:s, s:s, s:o, s:b, s:o, s:s, s:s, s:s, s:s}", "name", (*k)->name, "isa",
                                    attn_isa_name((*k)->isa), "status", status, "reason", optional_string(reason),
                                    "comparison_only", ((*k)->flags & ATTN_KERNEL_COMPARISON) != 0, "needs",
                                    names_of((*k)->needs, attn_feature_name), "summary", (*k)->summary, "executed",
                                    evidence->executed, "costed", evidence->costed, "evidence_from", evidence->where));
  }
  json_t *root = json_pack(
      "{s:s, s:{s:s, s:o, s:s, s:o}, s:{s:s, s:o, s:o, s:o}, s:{s:o, s:o, s:o, s:i, s:i}, s:o, s:i, s:o}", "version",
      attn_version(), "cpu", "model", attn_cpu_model(), "features", names_of(f->restrictions.features, attn_feature_name),
      "isa", attn_isa_name(f->cpu_isa), "quirks", names_of(f->restrictions.quirks, attn_quirk_name), "limits",
      "isa_in_force", attn_isa_name(f->isa), "ATTN_ISA", optional_string(environment("ATTN_ISA")), "ATTN_KERNEL",
      optional_string(environment("ATTN_KERNEL")), "ATTN_NUM_THREADS", optional_string(environment("ATTN_NUM_THREADS")),
      "caches", "l1d_bytes", optional_size(t->l1d_bytes), "l2_bytes", optional_size(t->l2_bytes), "l3_bytes",
      optional_size(t->l3_bytes), "l2_cores", t->l2_cores, "l3_cores", t->l3_cores, "topology", topology_as_json(t),
      "threads", f->threads, "kernels", kernels);
  if (!root) {
    fputs("attnbench info: no memory for the JSON object\n", stderr);
    return EXIT_USAGE;
  }
  json_dumpf(root, stdout, JSON_INDENT(2));
  putchar('\n');
  json_decref(root);
  return 0;
}

static void print_cache(const char *name, size_t bytes, int cores)
{
  if (!bytes) return;
  if (bytes >= 1024 * 1024 && bytes % (1024 * 1024) == 0)
    printf("%s %zu MiB", name, bytes / (1024 * 1024));
  else
    printf("%s %zu KiB", name, bytes / 1024);
  if (cores > 1) printf(" shared by %d cores", cores);
}

static void print_text(const struct facts *f)
{
  const struct attn_topology *t = f->topology;
  char list[256];
  printf("CPU        %s\n", attn_cpu_model());
  printf("Features   %s\n", f->restrictions.features ? attn_feature_list(f->restrictions.features, list, sizeof list)
                                                     : "none that a kernel uses");
  printf("Quirks     %s%s\n",
         f->restrictions.quirks ? attn_quirk_list(f->restrictions.quirks, list, sizeof list) : "none known",
         environment("ATTN_QUIRKS") ? " (by ATTN_QUIRKS)" : "");
  printf("ISA        %s in force", attn_isa_name(f->isa));
  if (environment("ATTN_ISA"))
    printf(" (ATTN_ISA=%s; without it %s)\n", environment("ATTN_ISA"), attn_isa_name(f->cpu_isa));
  else
    printf(" (the best that this CPU and this build have; no ATTN_ISA)\n");
  if (environment("ATTN_KERNEL")) printf("Kernel     ATTN_KERNEL=%s: no other is used\n", environment("ATTN_KERNEL"));
  printf("Caches     ");
  print_cache("L1d", t->l1d_bytes, 1);
  print_cache(", L2", t->l2_bytes, t->l2_cores);
  print_cache(", L3", t->l3_bytes, t->l3_cores);
  puts(t->l1d_bytes || t->l2_bytes || t->l3_bytes ? "" : "unknown");
  printf("Cores      %d allowed, %d hardware thread%s, %d package%s, %d NUMA node%s, %s\n", t->cores, t->hardware_threads,
         t->hardware_threads == 1 ? "" : "s", t->packages, t->packages == 1 ? "" : "s", t->numa_nodes,
         t->numa_nodes == 1 ? "" : "s", t->kinds > 1 ? "several kinds:" : "all of one kind");
  for (int kind = t->kinds - 1; t->kinds > 1 && kind >= 0; kind--) {
    int n = 0;
    for (int i = 0; i < t->cores; i++) n += t->core[i].kind == kind;
    printf("           %d of kind %d%s\n", n, kind, kind == t->kinds - 1 ? " (fastest)" : "");
  }
  if (!t->known) puts("           the system does not tell its topology: one core is assumed");
  if (t->quota > 0)
    printf("Quota      %.2f CPUs by cgroup\n", t->quota);
  else
    puts("Quota      none");
  if (f->threads)
    printf("Threads    %d%s%s\n", f->threads, environment("ATTN_NUM_THREADS") ? " (ATTN_NUM_THREADS)" : " by default",
           environment("ATTN_NUM_THREADS") ? "" : " (ATTN_NUM_THREADS or --threads changes it)");

  puts("\nKernels, in order of preference");
  int widest = 0;
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++)
    if ((int)strlen((*k)->name) > widest) widest = (int)strlen((*k)->name);
  for (const struct attn_kernel *const *k = attn_kernels; *k; k++) {
    char buffer[200];
    const char *reason, *status = status_of(f, *k, &reason, buffer, sizeof buffer);
    const struct evidence *evidence = evidence_of(*k);
    printf("  %-*s  %s%s%s\n  %-*s  %s\n  %-*s  executed: %s, speed: %s (%s)\n", widest, (*k)->name, status,
           reason ? ": " : "", reason ? reason : "", widest, "", (*k)->summary, widest, "", evidence->executed,
           evidence->costed, evidence->where);
  }
}

int cmd_info(int argc, char **argv)
{
  const struct argp argp = {options, parse, NULL, doc, NULL, NULL, NULL};
  bool json = false;
  if (argp_parse(&argp, argc, argv, 0, NULL, &json)) return EXIT_USAGE;
  struct facts facts = {0};
  attn_status status = gather(&facts);
  if (status) {
    fprintf(stderr, "%s: %s\n", argv[0], attn_error_message());
    return EXIT_USAGE;
  }
  /* A kernel that exists and yet cannot run here is no reason to withhold the facts. */
  status =
      threads_of_large_problem(&facts.threads, facts.restrictions.kernel ? facts.restrictions.kernel->dtype : ATTN_F32);
  char message[512] = "";
  if (status) snprintf(message, sizeof message, "%s", attn_error_message()); /* what follows may fail for itself */
  int code = 0;
  if (json)
    code = print_json(&facts);
  else
    print_text(&facts);
  if (status) {
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", argv[0], message);
    return EXIT_USAGE;
  }
  return code;
}
