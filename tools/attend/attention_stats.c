#include "attention_stats.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 4 << 20 };

int64_t attention_heat_begin(int64_t of, int64_t cells, int64_t index)
{
  return of / cells * index + of % cells * index / cells; /* of * index / cells without overflow */
}

bool attention_heat_create(struct attention_heat *heat, int64_t queries, int64_t keys, int64_t most_rows,
                           int64_t most_columns, struct complaint *why)
{
  *heat = (struct attention_heat){.rows = queries < most_rows ? queries : most_rows,
                                  .columns = keys < most_columns ? keys : most_columns,
                                  .queries = queries,
                                  .keys = keys};
  heat->cell = calloc((size_t)(heat->rows * heat->columns) + 1, sizeof *heat->cell);
  return heat->cell || complain(why, "no memory for %lld x %lld cells", (long long)heat->rows, (long long)heat->columns);
}

void attention_heat_destroy(struct attention_heat *heat)
{
  free(heat->cell);
  heat->cell = NULL;
}

static void add_to_heat(struct attention_heat *heat, int64_t query, const float *w)
{
  int64_t r = 0;
  while (r + 1 < heat->rows && attention_heat_begin(heat->queries, heat->rows, r + 1) <= query) r++;
  const double share = 1 / (double)(attention_heat_begin(heat->queries, heat->rows, r + 1) -
                                    attention_heat_begin(heat->queries, heat->rows, r));
  for (int64_t c = 0; c < heat->columns; c++) {
    double sum = 0;
    const int64_t end = attention_heat_begin(heat->keys, heat->columns, c + 1);
    for (int64_t j = attention_heat_begin(heat->keys, heat->columns, c); j < end; j++) sum += (double)w[j];
    heat->cell[r * heat->columns + c] += share * sum;
  }
}

/* Keeps the list sorted; of equal weights the earlier key comes first. */
static void keep_strongest(const struct attention_stats *s, int64_t query, int64_t key, double w)
{
  int64_t *keys = s->strongest + query * s->top;
  double *weights = s->weight + query * s->top;
  int at = s->top;
  while (at > 0 && (keys[at - 1] < 0 || weights[at - 1] < w)) at--;
  if (at == s->top) return;
  for (int i = s->top - 1; i > at; i--) {
    keys[i] = keys[i - 1];
    weights[i] = weights[i - 1];
  }
  keys[at] = key;
  weights[at] = w;
}

static void add_row(struct attention_stats *s, int64_t query, const float *w)
{
  double entropy = 0, sum = 0;
  for (int n = 0; n < s->top; n++) {
    s->strongest[query * s->top + n] = -1;
    s->weight[query * s->top + n] = 0;
  }
  for (int64_t j = 0; j < s->keys; j++) {
    const double x = (double)w[j];
    if (x == 0) continue;
    entropy -= x * log2(x);
    sum += x;
    s->received[j] += x;
    if (s->top && !(x <= s->weight[query * s->top + s->top - 1])) keep_strongest(s, query, j, x);
  }
  s->entropy[query] = entropy > 0 || isnan(entropy) ? entropy : 0; /* -0, or a weight that rounded above 1 */
  s->blind += sum == 0;
  if (sum != 0) s->mean_entropy += s->entropy[query];
}

bool attention_stats_compute(struct attention_stats *s, int top, const attn_desc *desc, const attn_options *options,
                             const attn_args *args, int64_t batch, int64_t head, struct attention_heat *heats, int n_heats,
                             struct complaint *why)
{
  const size_t queries = (size_t)desc->Sq, keys = (size_t)desc->Skv;
  const int64_t affordable = BLOCK_BYTES / (int64_t)sizeof(float) / (desc->Skv ? desc->Skv : 1);
  const int64_t step = affordable < 1 ? 1 : affordable < desc->Sq ? affordable : desc->Sq;
  *s = (struct attention_stats){.queries = desc->Sq, .keys = desc->Skv, .top = top};
  s->entropy = calloc(queries + 1, sizeof *s->entropy);
  s->strongest = calloc(queries * (size_t)top + 1, sizeof *s->strongest);
  s->weight = calloc(queries * (size_t)top + 1, sizeof *s->weight);
  s->received = calloc(keys + 1, sizeof *s->received);
  float *block = malloc(((size_t)step * keys + 1) * sizeof *block);
  bool ok = s->entropy && s->strongest && s->weight && s->received && block;
  if (!ok) complaint_set(why, "no memory for the statistics of %zu queries and %zu keys", queries, keys);
  for (int64_t i = 0; i < desc->Sq && ok; i += step) {
    const int64_t rows = desc->Sq - i < step ? desc->Sq - i : step;
    const attn_score_block wanted = {
        .stage = ATTN_SCORE_WEIGHT, .batch = batch, .batches = 1, .head = head, .heads = 1, .query = i, .queries = rows};
    ok = !attn_scores(desc, options, args, &wanted, block) || complain(why, "%s", attn_error_message());
    for (int64_t r = 0; r < rows && ok; r++) {
      add_row(s, i + r, block + r * desc->Skv);
      for (int n = 0; n < n_heats; n++) add_to_heat(&heats[n], i + r, block + r * desc->Skv);
    }
  }
  free(block);
  s->mean_entropy /= (double)(s->queries - s->blind); /* 0/0: NaN */
  if (!ok) attention_stats_destroy(s);
  return ok;
}

void attention_stats_destroy(struct attention_stats *s)
{
  free(s->entropy);
  free(s->strongest);
  free(s->weight);
  free(s->received);
  *s = (struct attention_stats){0};
}
