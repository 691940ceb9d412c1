/* What a head pays attention to, gathered while attn_scores() streams its weights a few queries at a time: memory does not
 * grow with Sq x Skv. */
#ifndef ATTNBENCH_ATTENTION_STATS_H
#define ATTNBENCH_ATTENTION_STATS_H

#include "../complaint.h"

#include "attn.h"

/* Weights on a grid that may be coarser than Sq x Skv. Row r stands for queries [r*Sq/rows, (r+1)*Sq/rows), column c for
 * keys likewise; a cell is the attention that its keys get from its queries: summed over the keys, averaged over the
 * queries. With a cell for each pair it is the weight itself. */
struct attention_heat {
  int64_t rows, columns, queries, keys;
  double *cell; /* [rows][columns] */
};

struct attention_stats {
  int64_t queries, keys;
  int top;
  double *entropy;     /* [queries] bits; NaN if the weights are */
  int64_t *strongest;  /* [queries][top] keys by falling weight; -1: no more */
  double *weight;      /* [queries][top] their weights */
  double *received;    /* [keys] attention from all queries; sums to the queries that see a key */
  double mean_entropy; /* of the queries that see a key; NaN: none does */
  int64_t blind;       /* queries that see no key */
};

/* At most most_rows x most_columns. */
bool attention_heat_create(struct attention_heat *heat, int64_t queries, int64_t keys, int64_t most_rows,
                           int64_t most_columns, struct complaint *why);
void attention_heat_destroy(struct attention_heat *heat);

/* First query (of Sq) of row r, or first key of column c. */
int64_t attention_heat_begin(int64_t of, int64_t cells, int64_t index);

/* Of one head of one batch. Adds the weights to each of the heats (made for the same sizes, still empty). */
bool attention_stats_compute(struct attention_stats *stats, int top, const attn_desc *desc, const attn_options *options,
                             const attn_args *args, int64_t batch, int64_t head, struct attention_heat *heats, int n_heats,
                             struct complaint *why);
void attention_stats_destroy(struct attention_stats *stats);

#endif
