/* The sequences of a run whose lengths differ: which units of work each of them makes, in the order of their cost. */
#ifndef ATTN_SEQUENCES_H
#define ATTN_SEQUENCES_H

#include "plan.h"

/* Its units are either blocks of its rows or, if they are few, parts of its keys, of each KV head. */
struct attn_sequence {
  const struct attn_kernel *kernel;
  int64_t b, query0, queries, key0; /* where it begins in q, k and v, if those have no batches */
  int64_t unit_rows, blocks;
  int64_t span, parts; /* keys of a part; parts > 1: its rows are merged of them */
  int64_t first_unit;  /* of all units of the run */
  int64_t first_float; /* of its parts in the workspace */
  double cost;         /* of a unit */
};

/* The sequences of a run: described by *args, which was checked, in plan->sequences entries at `to`, heaviest first;
 * lengths[b] becomes the keys of sequence b. Returns the number of units. */
int64_t attn_sequences_fill(struct attn_sequence *to, int64_t *lengths, const struct attn_plan *plan,
                            const attn_args *args);

/* The one that unit `index` belongs to. */
const struct attn_sequence *attn_sequence_of(const struct attn_sequence *all, int64_t count, int64_t index);

/* Where sequence b stands and how many queries it has; returns the number of its keys. */
int64_t attn_sequence_place(struct attn_sequence *s, const struct attn_problem *p, const attn_args *args, int64_t b);

/* args with q, k, v, o and lse of the sequence. */
attn_args attn_sequence_args(const struct attn_sequence *s, const struct attn_problem *p, const attn_args *args);

/* The problem as if there were this sequence alone: its queries, and where they stand. Keys end at its length. */
static inline struct attn_problem attn_sequence_problem(const struct attn_problem *p, int64_t queries)
{
  struct attn_problem own = *p;
  own.Sq = queries;
  own.diagonal += p->Sq - queries;
  own.kv_lengths = true;
  return own;
}

#endif
