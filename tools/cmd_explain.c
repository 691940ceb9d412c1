/* attnbench explain: which token attends to which. */
#include "command.h"

#include "atomic_file.h"
#include "attend/attend_shape.h"
#include "attend/explanation.h"
#include "attend/npy.h"

#include "../dispatch/internal.h"
#include "../examples/sentence.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char doc[] =
    "Show which query attends to which key: a heat map, the strongest keys and the entropy of each query, the attention "
    "that "
    "each key receives, the entropy of each head. Without tensors it explains a sentence (" /* sentence_default */
    "\"The cat sat on the mat\") by the toy embedding of examples/sentence.c."
    "\vq, k, v and mask are NumPy files as `attnbench attend` takes them. The weights are softmax(scale * Q K^T + mask), "
    "computed by attn_scores() a few queries at a time, so that no Sq x Skv buffer is needed; with v, weights times v are "
    "compared with the output of the kernel that would run.\n"
    "\n"
    "Token files hold a name a line, in UTF-8, as many as there are queries or keys; without them they are numbered. If "
    "there are more than fit, a cell of the heat map stands for several.\n"
    "\n"
    "Examples:\n"
    "  attnbench explain\n"
    "  attnbench explain 'A dog slept under the tree' --head 1 --html dog.html\n"
    "  attnbench explain -q q.npy -k k.npy --tokens tokens.txt --causal --head 3\n"
    "\n"
    "Exit code: 0; 2 for bad usage, unusable input or output; 3 if the kernel disagrees with the weights.";

enum {
  KEY_SCALE = 256,
  KEY_LAYOUT,
  KEY_OFFSET,
  KEY_LEFT,
  KEY_RIGHT,
  KEY_CAP,
  KEY_TOKENS,
  KEY_QUERY_TOKENS,
  KEY_KEY_TOKENS
};
enum { KEY_BATCH = 512, KEY_HEAD, KEY_TOP, KEY_ASCII, KEY_HTML, KEY_SVG };

static const struct argp_option options[] = {
    {0, 0, NULL, 0, "Files", 1},
    {"q", 'q', "FILE", 0, "Queries", 1},
    {"k", 'k', "FILE", 0, "Keys", 1},
    {"v", 'v', "FILE", 0, "Values, to check the weights against the kernel", 1},
    {"mask", 'm', "FILE", 0, "Mask, bool or float32", 1},
    {"tokens", KEY_TOKENS, "FILE", 0, "Names of queries and keys (of the last queries' positions, if there are fewer)", 1},
    {"query-tokens", KEY_QUERY_TOKENS, "FILE", 0, "Names of the queries", 1},
    {"key-tokens", KEY_KEY_TOKENS, "FILE", 0, "Names of the keys", 1},
    {"html", KEY_HTML, "FILE", 0, "Also write a page: one file, no network", 1},
    {"svg", KEY_SVG, "FILE", 0, "Also write the heat map as a picture", 1},
    {0, 0, NULL, 0, "What is computed", 2},
    {"layout", KEY_LAYOUT, "NAME", 0, "bhsd (default) or bshd", 2},
    {"scale", KEY_SCALE, "X", 0, "Factor of Q K^T; default 1/sqrt(Dqk)", 2},
    {"causal", 'c', NULL, 0, "Hide the future; the last query sees the last key", 2},
    {"causal-offset", KEY_OFFSET, "N", 0, "Implies --causal, and lets each query see N keys more", 2},
    {"window-left", KEY_LEFT, "N", 0, "Hide keys more than N before the query's position", 2},
    {"window-right", KEY_RIGHT, "N", 0, "Hide keys more than N after it", 2},
    {"softcap", KEY_CAP, "X", 0, "Score = X * tanh(score / X)", 2},
    {0, 0, NULL, 0, "What is shown", 3},
    {"batch", KEY_BATCH, "N", 0, "Default 0", 3},
    {"head", KEY_HEAD, "N", 0, "Default 0", 3},
    {"top", KEY_TOP, "N", 0, "Strongest keys to list for each query; default 3", 3},
    {"ascii", KEY_ASCII, NULL, 0, "Shades in ASCII", 3},
    {0}};

enum input { Q, K, V, MASK, INPUTS };
enum output { HTML, SVG, OUTPUTS };

struct explain {
  const char *in_path[INPUTS], *out_path[OUTPUTS], *token_path[3]; /* both, queries, keys */
  char *text;
  attn_desc desc;
  attn_layout layout;
  int64_t batch, head;
  int top;
  bool ascii;

  struct npy_array in[INPUTS];
  float *toy; /* q, k, v of the sentence */
  attn_args args;
  struct tokens query, key;
  struct atomic_file out[OUTPUTS];
  struct attention_stats stats;
  struct attention_heat heat[2]; /* of the terminal, of the files */
  double *head_entropy;
};

static int64_t parse_integer(struct argp_state *state, const char *option, const char *text, int64_t least, int64_t most)
{
  char *end;
  errno = 0;
  const long long n = strtoll(text, &end, 10);
  if (end == text || *end || errno || n < least || n > most)
    argp_error(state, "--%s=%s is not a whole number within %lld..%lld", option, text, (long long)least, (long long)most);
  return n;
}

static float parse_number(struct argp_state *state, const char *option, const char *text, bool positive)
{
  char *end;
  const float x = strtof(text, &end);
  if (end == text || *end || !isfinite(x) || (positive && x <= 0))
    argp_error(state, "--%s=%s is not a %s number", option, text, positive ? "positive" : "finite");
  return x;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
  struct explain *x = state->input;
  attn_desc *d = &x->desc;
  switch (key) {
  case 'q': x->in_path[Q] = arg; return 0;
  case 'k': x->in_path[K] = arg; return 0;
  case 'v': x->in_path[V] = arg; return 0;
  case 'm': x->in_path[MASK] = arg; return 0;
  case KEY_TOKENS: x->token_path[0] = arg; return 0;
  case KEY_QUERY_TOKENS: x->token_path[1] = arg; return 0;
  case KEY_KEY_TOKENS: x->token_path[2] = arg; return 0;
  case KEY_HTML: x->out_path[HTML] = arg; return 0;
  case KEY_SVG: x->out_path[SVG] = arg; return 0;
  case KEY_LAYOUT:
    if (strcmp(arg, "bhsd") && strcmp(arg, "bshd")) argp_error(state, "--layout=%s is neither bhsd nor bshd", arg);
    x->layout = strcmp(arg, "bhsd") ? ATTN_BSHD : ATTN_BHSD;
    return 0;
  case KEY_SCALE:
    d->scale = parse_number(state, "scale", arg, false);
    d->flags |= ATTN_SCALE_EXPLICIT;
    return 0;
  case KEY_CAP: d->softcap = parse_number(state, "softcap", arg, true); return 0;
  case KEY_OFFSET: d->causal_offset = parse_integer(state, "causal-offset", arg, INT64_MIN, INT64_MAX); /* fall through */
  case 'c': d->flags |= ATTN_CAUSAL; return 0;
  case KEY_LEFT:
    d->window_left = parse_integer(state, "window-left", arg, 0, INT64_MAX);
    d->flags |= ATTN_WINDOW_LEFT;
    return 0;
  case KEY_RIGHT:
    d->window_right = parse_integer(state, "window-right", arg, 0, INT64_MAX);
    d->flags |= ATTN_WINDOW_RIGHT;
    return 0;
  case KEY_BATCH: x->batch = parse_integer(state, "batch", arg, 0, INT64_MAX); return 0;
  case KEY_HEAD: x->head = parse_integer(state, "head", arg, 0, INT64_MAX); return 0;
  case KEY_TOP: x->top = (int)parse_integer(state, "top", arg, 0, 100); return 0;
  case KEY_ASCII: x->ascii = true; return 0;
  case ARGP_KEY_ARG:
    if (x->text) argp_error(state, "'%s' is a second text; put quotes around a sentence", arg);
    x->text = arg;
    return 0;
  case ARGP_KEY_END:
    if (x->text && (x->in_path[Q] || x->in_path[K])) argp_error(state, "give a text or --q and --k, not both");
    if (!x->in_path[Q] != !x->in_path[K]) argp_error(state, "--%s FILE is missing", x->in_path[Q] ? "k" : "q");
    if (!x->in_path[Q])
      for (int i = 0; i < 3; i++)
        if (x->token_path[i] || x->in_path[V] || x->in_path[MASK])
          argp_error(state, "tokens, --v and --mask belong to --q and --k; a text brings its own");
    if (x->token_path[0] && (x->token_path[1] || x->token_path[2]))
      argp_error(state, "--tokens names queries and keys already");
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static bool take_sentence(struct explain *x, struct complaint *why)
{
  char vocabulary[512];
  if (!tokens_split(&x->query, x->text ? x->text : sentence_default, why) ||
      !tokens_split(&x->key, x->text ? x->text : sentence_default, why))
    return false;
  const int n = (int)x->query.count;
  if (n < 1 || x->query.count > SENTENCE_MOST_WORDS)
    return complain(why, "the text has %lld words; the example takes 1 to %d", (long long)x->query.count,
                    SENTENCE_MOST_WORDS);
  for (int i = 0; i < n; i++)
    if (!sentence_knows(x->query.text[i]))
      return complain(why, "the toy embedding does not know '%.60s'; it knows: %s. Your own tensors go in by --q and --k",
                      x->query.text[i], sentence_vocabulary(vocabulary, sizeof vocabulary));
  const size_t floats = (size_t)n * SENTENCE_SIZE;
  x->toy = malloc((2 * SENTENCE_HEADS + 1) * floats * sizeof *x->toy);
  if (!x->toy) return complain(why, "no memory");
  float *k = x->toy + SENTENCE_HEADS * floats, *v = k + SENTENCE_HEADS * floats;
  sentence_tensors((const char *const *)x->query.text, n, x->toy, k, v);
  attn_desc *d = &x->desc;
  d->B = 1, d->Hq = d->Hkv = SENTENCE_HEADS, d->Sq = d->Skv = n, d->Dqk = d->Dv = SENTENCE_SIZE;
  d->v = (attn_strides){0, 0, SENTENCE_SIZE, 1}; /* both heads take their values from the embedding itself */
  x->args = (attn_args){.q = x->toy, .k = k, .v = v};
  return true;
}

static bool take_files(struct explain *x, struct complaint *why)
{
  for (int i = 0; i < INPUTS; i++)
    if (x->in_path[i] && !npy_read(&x->in[i], x->in_path[i], why)) return false;
  const int v = x->in_path[V] ? V : K; /* without values the keys stand in: they are not used */
  const struct attend_tensors tensors = {
      &x->in[Q].header, &x->in[K].header, &x->in[v].header, x->in_path[MASK] ? &x->in[MASK].header : NULL,
      x->in_path[Q],    x->in_path[K],    x->in_path[v],    x->in_path[MASK]};
  if (!attend_describe(&x->desc, x->layout, &tensors, why)) return false;
  x->args = (attn_args){.q = x->in[Q].data, .k = x->in[K].data, .v = x->in[V].data, .mask = x->in[MASK].data};
  return true;
}

/* The names: all tokens are keys; fewer queries are the last ones. */
static bool take_tokens(struct explain *x, struct complaint *why)
{
  struct tokens *const to[2] = {&x->query, &x->key};
  const int64_t needed[2] = {x->desc.Sq, x->desc.Skv};
  for (int i = 0; i < 2; i++) {
    const char *path = x->token_path[0] ? x->token_path[0] : x->token_path[1 + i];
    if (!path) {
      if (!tokens_number(to[i], needed[i], why)) return false;
      continue;
    }
    if (!tokens_read(to[i], path, why)) return false;
    const int64_t surplus = to[i]->count - needed[i];
    if (i == 0 && x->token_path[0] && surplus > 0 && to[0]->count == x->desc.Skv) {
      for (int64_t n = 0; n < surplus; n++) free(to[0]->text[n]);
      memmove(to[0]->text, to[0]->text + surplus, (size_t)needed[0] * sizeof *to[0]->text);
      to[0]->count = needed[0];
    } else if (surplus) {
      return complain(why, "%.400s: %lld tokens; there are %lld %s", path, (long long)to[i]->count, (long long)needed[i],
                      i ? "keys" : "queries");
    }
  }
  return true;
}

static void describe(const struct explain *x, char *text, size_t bytes)
{
  const attn_desc *d = &x->desc;
  int used = snprintf(text, bytes, "%lld queries, %lld keys, Dqk %lld, %s", (long long)d->Sq, (long long)d->Skv,
                      (long long)d->Dqk, d->dtype == ATTN_F16 ? "f16" : "f32");
  if (d->flags & ATTN_CAUSAL) used += snprintf(text + used, bytes - (size_t)used, ", causal");
  if (d->flags & ATTN_WINDOW_LEFT)
    used += snprintf(text + used, bytes - (size_t)used, ", window left %lld", (long long)d->window_left);
  if (d->flags & ATTN_WINDOW_RIGHT)
    used += snprintf(text + used, bytes - (size_t)used, ", window right %lld", (long long)d->window_right);
  if (d->softcap != 0) used += snprintf(text + used, bytes - (size_t)used, ", softcap %g", (double)d->softcap);
  if (d->mask.kind != ATTN_MASK_NONE) snprintf(text + used, bytes - (size_t)used, ", mask");
}

/* o of the head that is shown, against weights times V. Returns the largest difference relative to the largest element;
 * NaN where only one of them is. Negative: attn_scores() failed. */
static double compare_values(const struct explain *x, const attn_desc *d, const void *o, float *w, int64_t step)
{
  double largest = 0, error = 0;
  for (int64_t begin = 0; begin < d->Sq; begin += step) {
    const attn_score_block block = {.stage = ATTN_SCORE_WEIGHT,
                                    .batch = x->batch,
                                    .batches = 1,
                                    .head = x->head,
                                    .heads = 1,
                                    .query = begin,
                                    .queries = d->Sq - begin < step ? d->Sq - begin : step};
    if (attn_scores(d, NULL, &x->args, &block, w)) return -1;
    for (int64_t n = 0; n < block.queries * d->Dv; n++) {
      const int64_t i = n / d->Dv, e = n % d->Dv;
      const int64_t v = x->batch * d->v.b + x->head / (d->Hq / d->Hkv) * d->v.h + e * d->v.d;
      double sum = 0;
      for (int64_t j = 0; j < d->Skv; j++)
        if (w[i * d->Skv + j] != 0)
          sum += (double)w[i * d->Skv + j] * (double)attn_element_get(d->dtype, x->args.v, v + j * d->v.s);
      const double got =
          (double)attn_element_get(d->dtype, o, x->batch * d->o.b + x->head * d->o.h + (begin + i) * d->o.s + e);
      if (isnan(sum) && isnan(got)) continue;
      if (isnan(sum) || isnan(got)) return NAN;
      error = fmax(error, fabs(got - sum));
      largest = fmax(largest, fabs(sum));
    }
  }
  return largest > 0 ? error / largest : error;
}

/* False: the kernel disagrees, or the comparison could not be made; the text says so. */
static bool check_values(const struct explain *x, char *text, size_t bytes)
{
  enum { ROWS = 32 };    /* of weights at a time */
  attn_desc d = x->desc; /* the output contiguous BHSD, whatever the inputs are */
  d.o = (attn_strides){d.Hq * d.Sq * d.Dv, d.Sq * d.Dv, d.Dv, 1};
  float *w = malloc(((size_t)d.Skv * ROWS + 1) * sizeof *w);
  void *o = malloc((size_t)(d.B * d.Hq * d.Sq * d.Dv) * attn_element_bytes(d.dtype) + 1);
  attn_args args = x->args;
  attn_plan *plan = NULL;
  bool ok = false;
  args.o = o;
  if (!w || !o) {
    snprintf(text, bytes, "no memory to compare with the kernel");
  } else if (attn_plan_create(&plan, &d, NULL) || attn_run(plan, &args)) {
    snprintf(text, bytes, "%s", attn_error_message());
  } else {
    const double error = compare_values(x, &d, o, w, ROWS);
    ok = error >= 0 && error <= (d.dtype == ATTN_F32 ? 1e-5 : 2e-3);
    snprintf(text, bytes, "%s: weights x V and the output of %s are %.1e apart", ok ? "Checked" : "WRONG",
             attn_plan_kernel(plan), error);
    if (error < 0) snprintf(text, bytes, "%s", attn_error_message());
  }
  attn_plan_destroy(plan);
  free(o);
  free(w);
  return ok;
}

static bool gather(struct explain *x, struct explanation *e, struct complaint *why)
{
  enum { PAGE_CELLS = 96, TERMINAL_ROWS = EXPLANATION_MOST_LISTED };
  const attn_desc *d = &x->desc;
  x->head_entropy = calloc((size_t)d->Hq + 1, sizeof *x->head_entropy);
  if (!x->head_entropy) return complain(why, "no memory");
  if (!attention_heat_create(&x->heat[0], d->Sq, d->Skv, TERMINAL_ROWS, explanation_most_columns(e), why) ||
      !attention_heat_create(&x->heat[1], d->Sq, d->Skv, PAGE_CELLS, PAGE_CELLS, why))
    return false;
  for (int64_t h = 0; h < d->Hq; h++) {
    struct attention_stats other;
    const bool shown = h == x->head;
    if (!attention_stats_compute(shown ? &x->stats : &other, shown ? x->top : 0, d, NULL, &x->args, x->batch, h, x->heat,
                                 shown ? 2 : 0, why))
      return false;
    x->head_entropy[h] = shown ? x->stats.mean_entropy : other.mean_entropy;
    if (!shown) attention_stats_destroy(&other);
  }
  e->head_entropy = x->head_entropy;
  e->stats = &x->stats;
  return true;
}

static bool write_files(struct explain *x, const struct explanation *e, struct complaint *why)
{
  if (x->out_path[HTML]) explanation_write_html(x->out[HTML].stream, e, &x->heat[1]);
  if (x->out_path[SVG]) explanation_write_svg(x->out[SVG].stream, e, &x->heat[1]);
  for (int o = 0; o < OUTPUTS; o++)
    if (x->out_path[o] && !atomic_file_finish(&x->out[o], why)) return false;
  for (int o = 0; o < OUTPUTS; o++)
    if (x->out_path[o] && !atomic_file_publish(&x->out[o], why)) return false;
  return true;
}

static int explain(struct explain *x, struct complaint *why)
{
  char title[300];
  struct explanation e = {.title = title, .query = &x->query, .key = &x->key, .batch = x->batch, .head = x->head};
  if (x->out_path[HTML] && x->out_path[SVG] && !strcmp(x->out_path[HTML], x->out_path[SVG])) {
    complaint_set(why, "%s: both --html and --svg; give them different names", x->out_path[SVG]);
    return EXIT_USAGE;
  }
  if (x->in_path[Q]) {
    snprintf(title, sizeof title, "%.140s, %.140s", x->in_path[Q], x->in_path[K]);
    if (!take_files(x, why) || !take_tokens(x, why)) return EXIT_USAGE;
  } else {
    if (!take_sentence(x, why)) return EXIT_USAGE;
    size_t used = (size_t)snprintf(title, sizeof title, "\"");
    for (int64_t i = 0; i < x->query.count; i++)
      used += (size_t)snprintf(title + used, sizeof title - used, "%s%s", i ? " " : "", x->query.text[i]);
    snprintf(title + used, sizeof title - used, "\"");
    e.head_names = sentence_heads;
  }
  e.heads = x->desc.Hq;
  if (x->batch >= x->desc.B || x->head >= x->desc.Hq || !x->desc.Sq || !x->desc.Skv) {
    complaint_set(why, "batch %lld, head %lld: there are %lld batches of %lld heads with %lld queries and %lld keys",
                  (long long)x->batch, (long long)x->head, (long long)x->desc.B, (long long)x->desc.Hq,
                  (long long)x->desc.Sq, (long long)x->desc.Skv);
    return EXIT_USAGE;
  }
  describe(x, e.about, sizeof e.about);
  for (int o = 0; o < OUTPUTS; o++)
    if (x->out_path[o] && !atomic_file_open(&x->out[o], x->out_path[o], why)) return EXIT_USAGE;
  if (!gather(x, &e, why)) return EXIT_USAGE;
  if (x->args.v && !check_values(x, e.check, sizeof e.check)) {
    complaint_set(why, "%s", e.check);
    return EXIT_WRONG;
  }
  if (!write_files(x, &e, why)) return EXIT_USAGE;
  const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
  const struct explanation_style style = {
      .ascii = x->ascii, .colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && term && strcmp(term, "dumb")};
  explanation_print(stdout, &e, &x->heat[0], &style);
  return 0;
}

int cmd_explain(int argc, char **argv)
{
  const struct argp argp = {options, parse, "[TEXT]", doc, NULL, NULL, NULL};
  struct explain x = {.top = 3};
  struct complaint why;
  if (argp_parse(&argp, argc, argv, 0, NULL, &x)) return EXIT_USAGE;
  const int code = explain(&x, &why);
  if (code) fprintf(stderr, "%s: %s\n", argv[0], why.text);
  for (int o = 0; o < OUTPUTS; o++) atomic_file_discard(&x.out[o]);
  for (int i = 0; i < INPUTS; i++) npy_free(&x.in[i]);
  for (int i = 0; i < 2; i++) attention_heat_destroy(&x.heat[i]);
  attention_stats_destroy(&x.stats);
  tokens_free(&x.query);
  tokens_free(&x.key);
  free(x.head_entropy);
  free(x.toy);
  return code;
}
