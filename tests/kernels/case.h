/* One check of one kernel: a problem, how its tensors lie in memory, what they hold. */
#ifndef TESTS_CASE_H
#define TESTS_CASE_H

#include "guard.h"

#include "../../dispatch/internal.h"

/* How a tensor lies in memory, a letter each in the case's name. */
enum arrangement {
  CONTIGUOUS = 'c', /* [B][H][S][D] */
  SEQUENCE = 's',   /* [B][S][H][D] */
  PADDED = 'p',     /* gaps after every dimension but d */
  TRANSPOSED = 't', /* [B][H][D][S]: d stride is S */
  STEPPED = 'x',    /* every second element */
  BROADCAST = 'b',  /* one for all batches and heads (inputs only) */
  ONE_ROW = 'o',    /* one row for all positions (inputs only) */
};

enum data {
  DATA_NORMAL,   /* N(0, 1): the case of the 2e-6 bound */
  DATA_LARGE,    /* scores of hundreds */
  DATA_RISING,   /* every key beats all before it: the running maximum keeps rising */
  DATA_FALLING,  /* the first key wins */
  DATA_STEPS,    /* the maximum rises by about 8 log2 units from tile to tile: the edge of lazy rescaling */
  DATA_ONE_HUGE, /* one key has all the weight */
  DATA_EQUAL,    /* all keys alike: the mean of V */
  DATA_TIES,     /* elements -1, 0, 1: many exact ties */
  DATA_DENORMAL, /* products and values below the smallest normal number */
  DATA_NEGATIVE, /* all scores far below zero */
  DATA_ZERO,     /* Q = 0 */
  DATA_WIDE,     /* magnitudes from 1e-15 to 1e15 in V */
  DATA_DROP,     /* keys beyond 256 score 125 to 185 log2 units less: where 2^x leaves the range of its fast form */
  DATA_LEAP,     /* keys beyond 256 score 128 to 142 log2 units more: beyond the fast form's other end */
  DATA_LOW,      /* scores of -118 log2 units, beyond 256 keys -140 to -153: too low to be held against 0 */
  DATA_COUNT
};

enum pattern {
  PATTERN_RANDOM, /* 70 % visible */
  PATTERN_SPARSE, /* 5 % visible: many tiles without a key, some rows too */
  PATTERN_WINDOW, /* a band around the diagonal */
  PATTERN_TILES,  /* whole runs of 32 keys hidden from all rows, the rest visible */
  PATTERN_ROWS,   /* every third query sees nothing */
  PATTERN_HIDDEN, /* nothing is visible */
  PATTERN_ALL,    /* everything is visible */
  PATTERN_EDGES,  /* first and last key only */
  PATTERN_LOWEST, /* additive: -FLT_MAX, finite, where others write -inf */
  PATTERN_LONE,   /* a row sees one key, which is the second of a tile */
  PATTERN_COUNT
};

/* NaN or Inf planted into a few places; the oracle says which outputs must show it. */
enum plant { PLANT_NONE, PLANT_NAN_Q, PLANT_NAN_K, PLANT_NAN_V, PLANT_INF_V, PLANT_INF_K, PLANT_HIDDEN, PLANT_COUNT };

struct check_case {
  char name[448];
  const char *group;
  attn_desc desc; /* strides are filled in from the arrangements */
  char arrangement[4];
  char lse; /* 0: not wanted, 'c': contiguous, 'p': padded */
  enum pattern pattern;
  bool mask_b, mask_h, mask_s; /* has a stride in that dimension; otherwise broadcast */
  int mask_step;               /* its d stride */
  enum data data;
  enum plant plant;
  enum guard_side side;
  int skew;     /* elements between buffer and guard page */
  bool threads; /* big enough for several: also compare 1, 2 and 3 threads */
};

enum grid { GRID_FULL, GRID_QUICK, GRID_EMULATED, GRID_RANDOM };

/* Fills name from the other members; the data depends on name and seed only. */
void case_name(struct check_case *c);

/* Calls visit for every case of the grid that suits the kernel's tiles; stops if it returns false. GRID_RANDOM: count
 * cases, each of which depends on the kernel, seed and its number only. */
void grid_visit(const struct attn_kernel *kernel, enum grid grid, uint64_t seed, unsigned count,
                bool (*visit)(const struct check_case *, void *), void *context);

/* A case of sizes up to about `most` (of Skv: 4 * most), named group/...; group must outlive it. */
struct draw;
void case_random(struct check_case *c, const struct attn_kernel *kernel, const char *group, int64_t most, struct draw *d);

#endif
