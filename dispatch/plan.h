/* A plan: one problem, its kernel, its partition, its workspace. Made by plan.c, run by driver.c. */
#ifndef ATTN_PLAN_H
#define ATTN_PLAN_H

#include "cache.h"
#include "problem.h"
#include "select.h"

#include <stdatomic.h>

struct attn_plan {
  struct attn_problem problem;
  struct attn_extents extents;
  const struct attn_cache *cache; /* NULL: K and V are tensors */
  const struct attn_kernel *kernel;
  const struct attn_kernel *few; /* with q_starts: of sequences whose rows it supports; NULL: kernel */
  attn_placement placement;
  int threads;
  /* Partition: the G*Sq rows of each of the B*Hkv heads in blocks of unit_rows; a unit is one block of one head. */
  int64_t unit_rows, blocks, units;
  int64_t most_rows; /* of a unit of any of the kernels */
  bool heavy_first;  /* hand out the last blocks of all heads first: causal blocks grow with the query */
  /* Where sequences differ in length or keys are split, each run has its own partition: sequences.h. Its units have
   * unit_rows at most. In the workspace behind the scratch: parts, sequences, their lengths. */
  bool by_sequence;
  size_t part_bytes, sequence_bytes;
  size_t scratch_bytes; /* of a thread: the kernel's, then row_max and row_sum; a multiple of a page */
  size_t workspace_bytes;
  void *workspace; /* the plan's own; first touched by the threads that use it */
  atomic_flag busy;
};

/* Where thread t's scratch begins in a workspace of any alignment. */
enum { ATTN_SCRATCH_ALIGN = 4096 };

#endif
