/* attnbench conformance: cases of the ONNX Attention operator, computed with the kernels of this machine. */
#include "command.h"

#include "attend/onnx_case.h"

#include "../dispatch/internal.h"

#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char doc[] =
    "Run the conformance cases of the ONNX Attention operator (opset 23 to 25) found in DIR: folders with case.json, "
    "in_<name>.npy and out_<name>.npy. DIR may also be a single case."
    "\vA line per case: pass, fail with the largest error, skip with the feature that is missing, or error if the case "
    "cannot be read (it counts as failed).\n"
    "\n"
    "Errors are relative to the largest element of the expected tensor. Allowed: 2e-6 for float32 (and "
    "float64: sums are in f32), 2e-3 for float16, 1.6e-2 for bfloat16; the expected values were computed in the same "
    "precision. Infinities and NaN must stand where they are expected. present_key and present_value must agree exactly.\n"
    "\n"
    "Examples:\n"
    "  attnbench conformance path/to/onnx\n"
    "  attnbench conformance path/to/onnx --filter gqa --verbose\n"
    "  ATTN_ISA=scalar attnbench conformance path/to/onnx\n"
    "\n"
    "Exit code: 0; 2 if there is no case, none matches, or one cannot be read; 3 if a result is wrong.";

static const struct argp_option options[] = {
    {"filter", 'f', "RE", 0, "Only cases whose name matches this extended regular expression", 0},
    {"verbose", 'v', NULL, 0, "Also the error of each output", 0},
    {0}};

struct conformance {
  const char *folder;
  bool verbose, filtered;
  regex_t filter;
  int passed, wrong, unreadable, skipped;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct conformance *c = state->input;
  switch (key) {
  case 'v': c->verbose = true; return 0;
  case 'f': {
    char text[200];
    if (c->filtered) regfree(&c->filter);
    const int error = regcomp(&c->filter, arg, REG_EXTENDED | REG_NOSUB);
    c->filtered = !error;
    if (!error) return 0;
    regerror(error, &c->filter, text, sizeof text);
    argp_error(state, "--filter=%s is not a regular expression: %s", arg, text);
    return 0;
  }
  case ARGP_KEY_ARG:
    if (state->arg_num > 0) argp_error(state, "one folder, please; '%s' is a second one", arg);
    c->folder = arg;
    return 0;
  case ARGP_KEY_NO_ARGS: argp_error(state, "DIR is missing: the folder that holds the cases"); return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static double element(const struct npy_array *a, const int64_t *index)
{
  int64_t at = 0;
  for (int i = 0; i < a->header.rank; i++) at += index[i] * a->header.stride[i];
  switch (a->header.dtype) {
  case NPY_F64: return ((const double *)a->data)[at];
  case NPY_F16: return (double)attn_element_get(ATTN_F16, a->data, at);
  case NPY_BF16: return (double)attn_element_get(ATTN_BF16, a->data, at);
  default: return (double)((const float *)a->data)[at];
  }
}

/* To the next index of the shape in C order; false after the last. */
static bool advance(int64_t *index, const struct npy_header *h)
{
  for (int i = h->rank - 1; i >= 0; i--) {
    if (++index[i] < h->shape[i]) return true;
    index[i] = 0;
  }
  return false;
}

/* Largest difference relative to the largest expected element; infinite if NaN or Inf stand where they should not. */
static double relative_error(const struct npy_array *got, const struct npy_array *wanted)
{
  int64_t index[NPY_MAX_RANK] = {0};
  double largest = 0, error = 0;
  if (wanted->header.count == 0) return 0;
  do {
    const double g = element(got, index), w = element(wanted, index);
    if (g == w || (isnan(g) && isnan(w))) {
      if (isfinite(w) && fabs(w) > largest) largest = fabs(w);
      continue;
    }
    if (!isfinite(g) || !isfinite(w)) return INFINITY;
    if (fabs(g - w) > error) error = fabs(g - w);
    if (fabs(w) > largest) largest = fabs(w);
  } while (advance(index, &wanted->header));
  return error == 0 ? 0 : error / largest; /* infinite if all should be 0 */
}

static bool same_form(const struct npy_header *a, const struct npy_header *b)
{
  return a->dtype == b->dtype && a->rank == b->rank && !memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape);
}

static double tolerance(enum npy_dtype dtype) { return dtype == NPY_F16 ? 2e-3 : dtype == NPY_BF16 ? 1.6e-2 : 2e-6; }

/* Compares every output that was computed. On failure *why says which is wrong. */
static bool compare(const struct onnx_case *c, const struct onnx_result *r, double *worst, char *details, size_t bytes,
                    struct complaint *why)
{
  bool ok = true;
  *worst = 0;
  details[0] = 0;
  for (int i = 0; i < ONNX_OUTPUTS; i++) {
    const struct npy_array *wanted = &c->expected[i], *got = &r->output[i];
    if (!wanted->data) continue;
    if (!got->data || !same_form(&got->header, &wanted->header)) {
      char shape[256];
      return complain(why, "%s should be %s %s", onnx_output_names[i], npy_dtype_name(wanted->header.dtype),
                      npy_shape_text(&wanted->header, shape, sizeof shape));
    }
    const bool copied = i == ONNX_PRESENT_KEY || i == ONNX_PRESENT_VALUE;
    const double error = relative_error(got, wanted), allowed = copied ? 0 : tolerance(got->header.dtype);
    const size_t used = strlen(details);
    snprintf(details + used, bytes - used, "      %s: error %.3g\n", onnx_output_names[i], error);
    if (error > *worst) *worst = error;
    if (error > allowed && ok) ok = complain(why, "%s: error %.3g, allowed %.3g", onnx_output_names[i], error, allowed);
  }
  return ok;
}

static void skip(struct conformance *run, const char *name, const char *feature)
{
  run->skipped++;
  printf("skip  %s: %s\n", name, feature);
}

static void run_loaded(struct conformance *run, const char *name, const struct onnx_case *c)
{
  char missing[256], details[512];
  struct complaint why;
  struct onnx_result result;
  double error;
  if (*c->unknown) {
    skip(run, name, c->unknown);
    return;
  }
  if (*onnx_attention_missing(&c->op, missing, sizeof missing)) {
    skip(run, name, missing);
    return;
  }
  const enum onnx_status status = onnx_attention_run(&result, &c->op, &why);
  if (status == ONNX_UNSUPPORTED) {
    skip(run, name, why.text);
  } else if (status == ONNX_INVALID) {
    run->unreadable++;
    printf("error %s: %s\n", name, why.text);
  } else if (!compare(c, &result, &error, details, sizeof details, &why)) {
    run->wrong++;
    printf("fail  %s (%s): %s\n", name, result.kernel, why.text);
  } else {
    run->passed++;
    printf("pass  %s (%s): error %.3g\n", name, result.kernel, error);
  }
  if (status == ONNX_DONE && run->verbose) fputs(details, stdout);
  onnx_result_free(&result);
}

static void run_case(struct conformance *run, const char *name, const char *folder)
{
  struct onnx_case c;
  struct complaint why;
  if (run->filtered && regexec(&run->filter, name, 0, NULL, 0)) return;
  if (onnx_case_load(&c, folder, &why)) {
    run_loaded(run, name, &c);
  } else {
    run->unreadable++;
    printf("error %s: %s\n", name, why.text);
  }
  onnx_case_free(&c);
}

static bool has_case(const char *folder)
{
  char path[PATH_MAX];
  return snprintf(path, sizeof path, "%s/case.json", folder) < (int)sizeof path && !access(path, F_OK);
}

/* False: the folder cannot be read. */
static bool run_folder(struct conformance *run)
{
  struct dirent **entries;
  if (has_case(run->folder)) {
    char *full = realpath(run->folder, NULL), *slash = full ? strrchr(full, '/') : NULL;
    run_case(run, slash ? slash + 1 : run->folder, run->folder);
    free(full);
    return true;
  }
  const int n = scandir(run->folder, &entries, NULL, alphasort);
  if (n < 0) return false;
  for (int i = 0; i < n; i++) {
    char path[PATH_MAX];
    const char *name = entries[i]->d_name;
    if (name[0] != '.' && snprintf(path, sizeof path, "%s/%s", run->folder, name) < (int)sizeof path && has_case(path))
      run_case(run, name, path);
    free(entries[i]);
  }
  free(entries);
  return true;
}

int cmd_conformance(int argc, char **argv)
{
  const struct argp argp = {options, parse, "DIR", doc, NULL, NULL, NULL};
  struct conformance run = {0};
  struct attn_restrictions restrictions;
  if (argp_parse(&argp, argc, argv, 0, NULL, &run)) return EXIT_USAGE;
  if (attn_restrictions_get(&restrictions, NULL)) { /* a typo in ATTN_ISA is not a failure of every case */
    fprintf(stderr, "%s: %s\n", argv[0], attn_error_message());
    return EXIT_USAGE;
  }
  const bool readable = run_folder(&run);
  const int error = errno, seen = run.passed + run.wrong + run.unreadable + run.skipped;
  if (run.filtered) regfree(&run.filter);
  if (!readable || !seen) {
    fprintf(stderr, "%s: %s: %s\n", argv[0], run.folder,
            !readable      ? strerror(error)
            : run.filtered ? "no case matches --filter"
                           : "no folder in it holds a case.json");
    return EXIT_USAGE;
  }
  printf("%d passed, %d failed, %d skipped\n", run.passed, run.wrong + run.unreadable, run.skipped);
  return run.wrong ? EXIT_WRONG : run.unreadable ? EXIT_USAGE : 0;
}
