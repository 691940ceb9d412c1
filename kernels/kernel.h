/* THE CONTRACT between the dispatcher and a kernel.
 *
 * Legend of shape letters: B batch, Hq query heads, Hkv key/value heads, G = Hq/Hkv query heads per KV head,
 * Sq queries, Skv keys, Dqk, Dv head sizes. MR rows x NR columns: a register tile. Strides are in elements.
 *
 * Rows. The G query heads that share a KV head are stacked, so that K and V are streamed once for all of them:
 * row r of KV head (b, hkv) is query i = r / G of head h = hkv*G + r % G. There are G*Sq rows.
 *
 * Unit of work. A kernel is called for rows [row0, row1) of one (b, hkv) and produces those rows of O completely.
 * row0 is a multiple of kernel->row_tile. Units are independent, write disjoint memory, and a row's bits depend on
 * nothing but the problem: not on the unit it came in, nor on the thread.
 *
 * Split keys. A kernel with a key_span takes all rows of a head (ATTN_KERNEL_WHOLE_HEAD) but only keys [key0, key1), so
 * that few rows over many keys still make many units ("flash-decoding"). key0 is a multiple of attn_key_span(). If
 * unit.partial is set, the unit leaves its un-normalised rows there instead of in O, and merge() makes O of the parts of a
 * head in the order of their keys: the split follows from the number of keys alone, so bits do not depend on threads.
 *
 * What a kernel may assume: the plan validated everything; all sizes >= 1 (the plan answers empty problems itself);
 * q, k, v have any stride >= 0 and only element alignment; nothing written overlaps anything read; scratch is
 * 64-byte aligned and holds kernel->scratch_bytes(problem, row1 - row0) bytes of any content.
 * What a kernel must do: read no element outside the tensors, not even masked off by software; write exactly its rows
 * of O, row_max and row_sum; leave the floating-point environment as it was.
 * What a kernel must not do: allocate, lock, call libm or libc (memcpy and memset excepted), know about threads.
 *
 * Scores are kept in log2 units: t = log2(e) * (scale * q.k + bias); softmax is 2^(t - max) / sum. For each row the
 * kernel reports row_max (the reference the exponentials were taken against, not necessarily the true maximum) and
 * row_sum = sum of 2^(t - row_max); the driver makes LSE of them. A row without a visible key: O = 0, row_sum = 0.
 */
#ifndef ATTN_KERNEL_H
#define ATTN_KERNEL_H

#include "attn.h"
#include "rope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CPU features a kernel can need. dispatch/cpu.c finds out which of them this CPU and this OS have. */
enum attn_feature {
  ATTN_FEATURE_AVX2 = 1u << 0,
  ATTN_FEATURE_FMA = 1u << 1,
  ATTN_FEATURE_F16C = 1u << 2,
  ATTN_FEATURE_AVX512F = 1u << 3,
  ATTN_FEATURE_AVX512BW = 1u << 4,
  ATTN_FEATURE_AVX512DQ = 1u << 5,
  ATTN_FEATURE_AVX512VL = 1u << 6,
  ATTN_FEATURE_AVX512VNNI = 1u << 7,
  ATTN_FEATURE_AVX512BF16 = 1u << 8,
  ATTN_FEATURE_AMXBF16 = 1u << 9,
  ATTN_FEATURE_AVXVNNI = 1u << 10,
  ATTN_FEATURE_AMXINT8 = 1u << 11,
  ATTN_FEATURE_NEON = 1u << 16,
  ATTN_FEATURE_FP16 = 1u << 17,
  ATTN_FEATURE_DOTPROD = 1u << 18,
  ATTN_FEATURE_BF16 = 1u << 19,
  ATTN_FEATURE_I8MM = 1u << 20
};

/* In order of preference; ATTN_ISA names the highest that may be used. */
enum attn_isa {
  ATTN_ISA_SCALAR = 0,
  ATTN_ISA_AVX2,
  ATTN_ISA_AVX512,
  ATTN_ISA_AVX512BF16,
  ATTN_ISA_AMX,
  ATTN_ISA_NEON,
  ATTN_ISA_NEONBF16,
  ATTN_ISA_COUNT
};

/* The features this object file was compiled for, from the compiler's own macros: flags and run-time check agree. */
enum {
  ATTN_COMPILED_FEATURES = 0
#ifdef __AVX2__
                           | ATTN_FEATURE_AVX2
#endif
#ifdef __FMA__
                           | ATTN_FEATURE_FMA
#endif
#ifdef __F16C__
                           | ATTN_FEATURE_F16C
#endif
#ifdef __AVX512F__
                           | ATTN_FEATURE_AVX512F
#endif
#ifdef __AVX512BW__
                           | ATTN_FEATURE_AVX512BW
#endif
#ifdef __AVX512DQ__
                           | ATTN_FEATURE_AVX512DQ
#endif
#ifdef __AVX512VL__
                           | ATTN_FEATURE_AVX512VL
#endif
#ifdef __AVX512VNNI__
                           | ATTN_FEATURE_AVX512VNNI
#endif
#ifdef __AVX512BF16__
                           | ATTN_FEATURE_AVX512BF16
#endif
#if defined(__AMX_BF16__) || defined(__AMXBF16__) /* the latter: clang 14 */
                           | ATTN_FEATURE_AMXBF16
#endif
#if defined(__AMX_INT8__) || defined(__AMXINT8__)
                           | ATTN_FEATURE_AMXINT8
#endif
#ifdef __AVXVNNI__
                           | ATTN_FEATURE_AVXVNNI
#endif
#ifdef __ARM_NEON
                           | ATTN_FEATURE_NEON
#endif
#ifdef __ARM_FEATURE_FP16_VECTOR_ARITHMETIC
                           | ATTN_FEATURE_FP16
#endif
#ifdef __ARM_FEATURE_DOTPROD
                           | ATTN_FEATURE_DOTPROD
#endif
#ifdef __ARM_FEATURE_BF16_VECTOR_ARITHMETIC
                           | ATTN_FEATURE_BF16
#endif
#ifdef __ARM_FEATURE_MATMUL_INT8
                           | ATTN_FEATURE_I8MM
#endif
};

/* How a tiled kernel cuts its work for the caches. A field of 0: the kernel's own choice. The first changes the order of
 * sums, so results differ in their last bits; the others change no bit. */
struct attn_blocking {
  int64_t block_keys; /* keys of K and V that are packed at a time */
  int64_t group_rows; /* rows whose weights are alive at a time */
  int64_t unit_rows;  /* of a unit, if there are that many: for the plan, not for the kernel */
};

/* The problem as the plan froze it: every default filled in. */
struct attn_problem {
  attn_dtype dtype;                     /* of q and o */
  attn_dtype kv_dtype;                  /* of k and v: the same, unless they are in a cache */
  bool cached;                          /* k and v are one sequence of an attn_cache: see struct attn_unit */
  bool slow_requests;                   /* of software for memory: ATTN_QUIRK_SLOW_REQUESTS */
  bool shared_ports;                    /* of multiply-adds and what exponentials are made of: ATTN_QUIRK_SHARED_PORTS */
  int64_t near_bytes;                   /* that may be asked for into L1; 0: what is asked for goes to L2 */
  int page_shift;                       /* paged caches: log2 of the keys of a page */
  int64_t k_page, v_page;               /* elements from one page to the next */
  int64_t scale_b, scale_h, scale_page; /* int8: the same for the scales of keys; those of neighbours are neighbours */
  int64_t B, Hq, Hkv, G, Sq, Skv, Dqk, Dv;
  attn_strides q, k, v, o, lse; /* of a cache: see attn_k_element() */
  double scale;                 /* of Q K^T */
  float q_factor;   /* multiply Q by it: scale * log2(e) gives scores in log2 units; with softcap scale / softcap */
  float softcap;    /* 0: none */
  int64_t diagonal; /* query i stands at key position i + diagonal (+ kv_lengths[b] - Skv) */
  bool causal;      /* hides keys beyond that position */
  int64_t window_left, window_right; /* negative: unlimited */
  bool alibi, sinks, kv_lengths;
  bool q_starts, kv_starts; /* sequences lie one after another: for the driver, which gives a kernel one of them */
  attn_mask_kind mask_kind;
  int64_t mask_length; /* <= Skv; keys at or beyond it are hidden (Skv without a mask) */
  attn_strides mask;
  int64_t block_queries, block_keys, block_row; /* block mask; 0: none. block_row: bytes of a row of the bitmap */
  int64_t block_b, block_h;
  const attn_rope *rope;         /* NULL: none */
  struct attn_blocking blocking; /* within what the kernel allows */
};

struct attn_unit {
  const struct attn_problem *problem;
  const void *q, *k, *v, *mask;   /* as in attn_args: element (0,0,0,0) */
  const int32_t *pages;           /* NULL: keys lie k.s and v.s apart. Otherwise the page of keys [n << page_shift, ...) */
  const float *k_scale, *v_scale; /* int8: a factor of each key of each head */
  void *o;
  int64_t b, hkv;
  int64_t row0, row1;
  int64_t key0, key1;                /* for kernels with a key_span; the others take all keys */
  float *row_max, *row_sum;          /* [row1 - row0] */
  const float *alibi_slopes, *sinks; /* [Hq] */
  const int64_t *kv_lengths;         /* [B] */
  const uint8_t *blocks;             /* bitmap of batch 0 and head 0 */
  float *partial;                    /* NULL: write O. Otherwise [row1 - row0][Dv] sums of 2^(t - row_max) * v */
  const struct attn_unit *soon;      /* what this thread will compute next, as far as can be foreseen, or NULL */
  void *scratch;
};

/* What the units of one head left: part n's rows at o + n * part_stride floats, then their row_max and row_sum. */
struct attn_parts {
  int64_t count, part_stride;
  const float *base;
};
static inline const float *attn_part_o(const struct attn_parts *parts, int64_t n, int64_t row, int64_t Dv)
{
  return parts->base + n * parts->part_stride + row * Dv;
}
static inline const float *attn_part_max(const struct attn_parts *parts, int64_t n, int64_t rows, int64_t Dv)
{
  return parts->base + n * parts->part_stride + rows * Dv;
}
static inline int64_t attn_part_floats(int64_t rows, int64_t Dv) { return (rows * (Dv + 2) + 15) / 16 * 16; }

enum {
  ATTN_KERNEL_COMPARISON = 1u << 0,   /* for comparison only: used when named, never chosen */
  ATTN_KERNEL_WHOLE_HEAD = 1u << 1,   /* takes all rows of a (b, hkv) in one unit */
  ATTN_KERNEL_BF16_WEIGHTS = 1u << 2, /* rounds weights to bf16: an error of its own, docs/numerics.md */
  ATTN_KERNEL_16BIT_ROWS = 1u << 3,   /* over int8: rounds rows of Q and the weights of a block to 16 bits, likewise */
  ATTN_KERNEL_FLOAT_CACHES = 1u << 4, /* reads caches of f32, f16 and bf16, whatever its dtype, with q and o of any type */
  ATTN_KERNEL_PAIRS = 1u << 5,        /* multiplies by dot products of pairs, which ATTN_QUIRK_SLOW_PAIRS is about */
  ATTN_KERNEL_ONLY_CACHES = 1u << 6,  /* reads caches of its dtype, no tensors */
  ATTN_KERNEL_TWO_DIGITS = 1u << 7,   /* rounds weights, and rows of Q in f32 or turned, to two bf16: docs/numerics.md */
  ATTN_KERNEL_OWN_CACHES = 1u << 8,   /* reads caches of its dtype, too, with q and o of any type */
  ATTN_KERNEL_FLUSHES = 1u << 9       /* takes denormal elements or digits, and denormal sums of products, for 0 */
};

/* Over a cache of such a type, up to so many rows of a head have the kernels that read it as it lies; they can split keys
 * as well. More are worth packing K and V. */
enum { ATTN_CACHE_FEW_ROWS = 256 };

/* The split of a head's keys: at most ATTN_MOST_PARTS parts. */
enum { ATTN_MOST_PARTS = 64 };

struct attn_kernel {
  const char *name; /* <op>_<dtype>_<isa>[_<tag>], also of its file */
  const char *summary;
  attn_dtype dtype;
  enum attn_isa isa;
  uint32_t needs; /* ATTN_COMPILED_FEATURES of its object file */
  uint32_t flags;
  int row_tile;      /* MR: units start at multiples of it */
  int64_t unit_rows; /* rows that amortise packing a block of K and V; the plan may hand out fewer, never more */
  bool (*supports)(const struct attn_problem *problem); /* NULL: everything */
  size_t (*scratch_bytes)(const struct attn_problem *problem, int64_t rows);
  void (*run)(const struct attn_unit *unit);
  double products;   /* of digits, on average for each product that is counted; 0: 1 */
  int64_t rows_from; /* rows of a KV head that it is worth: fewer have the next kernel, unless it is named; 0: any */
  int64_t key_span;  /* keys of a unit, see attn_key_span(); 0: all */
  int64_t step_keys; /* ATTN_KERNEL_16BIT_ROWS: keys whose weights are rounded to steps of the same size */
  /* O, row_max and row_sum of the unit's rows from the parts; only with key_span */
  void (*merge)(const struct attn_unit *unit, const struct attn_parts *parts);
  /* What the blocking may be: multiples of step from step to most. NULL: there is none to choose. usual: as much of it as
   * is of use where no tuning file says otherwise; NULL: as the caches are. */
  const struct attn_blocking *blocking_step, *blocking_most, *blocking_usual;
};

static inline int64_t attn_key_span(const struct attn_kernel *kernel, int64_t keys)
{
  const int64_t spans = (keys + kernel->key_span - 1) / kernel->key_span;
  return (spans + ATTN_MOST_PARTS - 1) / ATTN_MOST_PARTS * kernel->key_span;
}

/* Row r of a KV head -> query i and query head h. A division takes longer than all else that is done for a row. */
static inline int64_t attn_row_query(const struct attn_problem *p, int64_t r) { return p->G == 1 ? r : r / p->G; }
static inline int64_t attn_row_head(const struct attn_problem *p, int64_t hkv, int64_t r)
{
  return p->G == 1 ? hkv : hkv * p->G + r % p->G;
}

/* Where row r begins in q and o, and head (b, hkv) in k and v; in elements. */
static inline int64_t attn_q_at(const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  return u->b * p->q.b + attn_row_head(p, u->hkv, r) * p->q.h + attn_row_query(p, r) * p->q.s;
}

static inline int64_t attn_o_at(const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  return u->b * p->o.b + attn_row_head(p, u->hkv, r) * p->o.h + attn_row_query(p, r) * p->o.s;
}

static inline int64_t attn_k_at(const struct attn_unit *u) { return u->b * u->problem->k.b + u->hkv * u->problem->k.h; }
static inline int64_t attn_v_at(const struct attn_unit *u) { return u->b * u->problem->v.b + u->hkv * u->problem->v.h; }

/* Runs of this many keys, from a multiple of it on, stand together in any cache. K of a cache is such runs, each of them
 * transposed: element d of all its keys, beside each other, at d * k.d. The rows of V lie v.s apart. Of int8, for products
 * of four at a time, four elements of a key take the place of one, and a row of V has those of four keys beside each other;
 * of bf16, two. k.s and v.s are the head sizes up to whole quads or pairs and, of V, whole runs, filled with 0. */
enum { ATTN_KEY_STRETCH = 16, ATTN_QUAD = 4, ATTN_PAIR = 2 };
#define ATTN_INTERLEAVE(dtype) ((dtype) == ATTN_I8 ? ATTN_QUAD : (dtype) == ATTN_BF16 ? ATTN_PAIR : 1)

static inline int64_t attn_interleave(const struct attn_problem *p) { return p->cached ? ATTN_INTERLEAVE(p->kv_dtype) : 1; }

/* Element d of the key, and of the value, at place `at` of its page or of the tensor. */
static inline int64_t attn_k_element(const struct attn_problem *p, int64_t at, int64_t d)
{
  const int64_t n = attn_interleave(p), lane = p->cached ? at % ATTN_KEY_STRETCH : 0;
  return (at - lane) * p->k.s + d / n * n * p->k.d + lane * n + d % n;
}
static inline int64_t attn_v_element(const struct attn_problem *p, int64_t at, int64_t d)
{
  const int64_t n = attn_interleave(p);
  return at / n * n * p->v.s + d * n * p->v.d + at % n;
}

/* Where key j lies: in which page, at which place there, and its scales. */
static inline int64_t attn_key_page(const struct attn_unit *u, int64_t j)
{
  return u->pages ? u->pages[j >> u->problem->page_shift] : 0;
}
static inline int64_t attn_key_at(const struct attn_unit *u, int64_t j)
{
  return u->pages ? j & (((int64_t)1 << u->problem->page_shift) - 1) : j;
}
static inline int64_t attn_scale_at(const struct attn_unit *u, int64_t j)
{
  const struct attn_problem *p = u->problem;
  return attn_key_page(u, j) * p->scale_page + u->b * p->scale_b + u->hkv * p->scale_h + attn_key_at(u, j);
}

static inline bool attn_mask_adds(attn_mask_kind kind)
{
  return kind == ATTN_MASK_ADDITIVE || kind == ATTN_MASK_ADDITIVE_F16;
}

/* Bytes of an element of a mask. */
static inline size_t attn_mask_element(attn_mask_kind kind)
{
  return kind == ATTN_MASK_BOOL ? 1 : kind == ATTN_MASK_ADDITIVE_F16 ? 2 : sizeof(float);
}

/* Whether keys may be hidden by other things than their position. */
static inline bool attn_has_mask(const struct attn_problem *p) { return p->mask_kind != ATTN_MASK_NONE || p->block_keys; }

/* Where among the keys row r stands. */
static inline int64_t attn_row_position(const struct attn_unit *u, int64_t r)
{
  const struct attn_problem *p = u->problem;
  return attn_row_query(p, r) + p->diagonal + (p->kv_lengths ? u->kv_lengths[u->b] - p->Skv : 0);
}

/* Keys [first, limit) are visible to query i of a batch with `length` keys, as far as positions and lengths are concerned;
 * the mask may hide more. Neither end falls as i grows. */
struct attn_range {
  int64_t first, limit;
};
static inline struct attn_range attn_query_range(const struct attn_problem *p, int64_t length, int64_t i)
{
  const int64_t position = i + p->diagonal + length - p->Skv;
  struct attn_range range = {0, p->mask_length < length ? p->mask_length : length};
  const int64_t right = p->causal ? 0 : p->window_right;
  if (right >= 0 && position + right + 1 < range.limit) range.limit = position + right + 1;
  if (p->window_left >= 0 && position - p->window_left > 0) range.first = position - p->window_left;
  if (range.limit < 0) range.limit = 0;
  if (range.first > range.limit) range.first = range.limit;
  return range;
}

#endif
