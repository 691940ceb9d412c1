/* attn.h - scaled-dot-product attention on CPUs: O = softmax(scale * Q K^T + mask) V.
 *
 * The one public header of libattn. C11, usable from C++. Describe a problem (attn_desc), make a plan once
 * (attn_plan_create: every check, every allocation, the choice of kernel), run it many times (attn_run: neither
 * allocates nor asks the CPU). attn_forward() does all three for a single call.
 *
 * Shape letters, everywhere: B batch, Hq query heads, Hkv key/value heads (Hq a multiple of Hkv), Sq queries,
 * Skv keys, Dqk head size of queries and keys, Dv head size of values.
 *
 * q, k, v and o have the plan's dtype; whatever it is, sums are kept in f32 and outputs are rounded to nearest even.
 *
 * Tensors (element counts; strides are in elements, a stride of 0 broadcasts an input):
 *   q [B][Hq ][Sq ][Dqk]    k [B][Hkv][Skv][Dqk]    v [B][Hkv][Skv][Dv]    o [B][Hq][Sq][Dv]
 *   mask [B][Hq][Sq][mask.length]                    lse [B][Hq][Sq] (optional output, f32)
 *
 * Semantics: score = scale * q.k, then softcap, then + ALiBi and mask; weights = softmax(scores and sink); o = weights . v.
 * A key that no rule hides is visible. Query i stands at key position c = i + (Skv - Sq) + causal_offset (with kv_lengths:
 * the batch's length instead of Skv). Hidden are: keys j > c if ATTN_CAUSAL is set; keys j < c - window_left or
 * j > c + window_right if that window is set; keys at or beyond the batch's kv_lengths; keys whose boolean mask is 0 or
 * whose additive mask is -inf; keys at or beyond mask.length; keys of blocks whose bit in the block mask is 0. A hidden key
 * has no influence, even if it or its value is NaN. A query that sees no key gives a row of zeros and LSE = -inf. NaN or
 * Inf in a visible input propagates. Results do not depend on the number of threads, bit for bit.
 *
 * Aliasing: o and lse must not overlap q, k, v, mask or each other; inputs may overlap freely. attn_run() checks the
 * address ranges. Alignment: that of the element type is enough.
 *
 * Errors: every function that can fail returns an attn_status; attn_error_message() then names the field, its value
 * and the remedy. Nothing is written to o or lse when a call fails.
 *
 * Threads: all functions may be called from any thread. One plan may be run by several threads at once if each
 * passes its own workspace; without one, a second concurrent run of the plan gets ATTN_ERR_BUSY.
 *
 * The process: on CPUs with AMX the first call asks Linux, for all threads, to permit its tile registers (arch_prctl),
 * which enlarges the frames of signal handlers; if Linux refuses, AMX is not used.
 */
#ifndef ATTN_H
#define ATTN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ATTN_VERSION_MAJOR 0
#define ATTN_VERSION_MINOR 1
#define ATTN_VERSION_PATCH 0

#if defined(__GNUC__)
#define ATTN_API __attribute__((visibility("default")))
#else
#define ATTN_API
#endif

typedef enum attn_status {
  ATTN_OK = 0,
  ATTN_ERR_INVALID = 1,     /* a field has a value that is not allowed */
  ATTN_ERR_OVERFLOW = 2,    /* sizes and strides do not fit the address space */
  ATTN_ERR_ALIAS = 3,       /* an output overlaps another tensor */
  ATTN_ERR_UNSUPPORTED = 4, /* no kernel of this build and CPU, under the given restrictions, can do it */
  ATTN_ERR_ENVIRONMENT = 5, /* an ATTN_* variable or option names something that does not exist */
  ATTN_ERR_NO_MEMORY = 6,
  ATTN_ERR_BUSY = 7 /* the plan's own workspace is in use by another thread */
} attn_status;

typedef enum attn_dtype {
  ATTN_F32 = 0,  /* IEEE binary32 */
  ATTN_F16 = 1,  /* IEEE binary16 */
  ATTN_BF16 = 2, /* the upper half of binary32 */
  ATTN_I8 = 3    /* in a KV cache only: int8 times an f32 scale of each token and head */
} attn_dtype;

/* How a tensor whose four strides are all 0 lies in memory: contiguous in this order of dimensions. */
typedef enum attn_layout {
  ATTN_BHSD = 0, /* [batch][head][sequence][element] */
  ATTN_BSHD = 1  /* [batch][sequence][head][element], i.e. the 3-D tensors [B][S][H*D] of most frameworks */
} attn_layout;

typedef enum attn_mask_kind {
  ATTN_MASK_NONE = 0,
  ATTN_MASK_BOOL = 1,        /* one byte an entry; non-zero: the query may see the key */
  ATTN_MASK_ADDITIVE = 2,    /* f32, added to the scaled score; -inf hides the key */
  ATTN_MASK_ADDITIVE_F16 = 3 /* the same in IEEE binary16 */
} attn_mask_kind;

/* Distances, in elements, between neighbours along batch, head, sequence and element. Never negative. */
typedef struct attn_strides {
  int64_t b, h, s, d;
} attn_strides;

/* mask element (b, h, i, j) stands at b*stride.b + h*stride.h + i*stride.s + j*stride.d (h: query head, i: query, j: key).
 */
typedef struct attn_mask {
  attn_mask_kind kind;
  int64_t length;      /* keys that the mask covers, 1..Skv; keys beyond are hidden. 0: Skv */
  attn_strides stride; /* all 0: contiguous [Sq][length], the same for every batch and head. Otherwise as given;
                          b, h or s of 0 broadcasts. (One element for everything: give d = 1 and length = 1.) */
} attn_mask;

/* A block-sparse mask: a bitmap over blocks of queries x keys, beside any other mask. Bit x % 8 (the lowest is 0) of byte
 * y * row + x / 8 says whether queries [y * queries, ...) may see keys [x * keys, ...); row: the bytes that a bit for each
 * block of keys takes. Hidden blocks cost next to nothing; best are 32 or more queries and multiples of 64 keys. */
typedef struct attn_block_mask {
  int64_t queries, keys; /* of a block; both 0: no such mask */
  int64_t b, h;          /* bytes from the bitmap of a batch or query head to the next; 0: the same bitmap */
} attn_block_mask;

/* Rotary position embedding (Su et al. 2021), made by attn_rope_create(); below. */
typedef struct attn_rope attn_rope;

enum {
  ATTN_CAUSAL = 1u << 0,         /* hide the future; see causal_offset */
  ATTN_SCALE_EXPLICIT = 1u << 1, /* use .scale even if it is 0 */
  ATTN_WINDOW_LEFT = 1u << 2,    /* hide keys further back than window_left */
  ATTN_WINDOW_RIGHT = 1u << 3,   /* hide keys further ahead than window_right */
  ATTN_ALIBI = 1u << 4,          /* score -= alibi_slopes[head] * |c - j|; Press et al. 2022 */
  ATTN_SINKS = 1u << 5,          /* exp(sinks[head]) joins the sum of the softmax; LSE includes it */
  ATTN_KV_LENGTHS = 1u << 6,     /* batch b has kv_lengths[b] keys, 0..Skv */
  ATTN_Q_STARTS = 1u << 7,       /* sequence b has queries [q_starts[b], q_starts[b + 1]); see below */
  ATTN_KV_STARTS = 1u << 8       /* sequence b has keys [kv_starts[b], kv_starts[b + 1]) */
};

/* Sequences of different lengths in one call ("cu_seqlens"). With ATTN_Q_STARTS the queries of all B sequences stand one
 * after another in q, o and lse, which then have no batch dimension (stride b is ignored; contiguous is [Sq][H][D] in
 * ATTN_BSHD): Sq is the room there, q_starts[B] <= Sq what a run uses, and rows that no sequence has are not written.
 * With ATTN_KV_STARTS the same holds of k, v and Skv; without, they are as ever: a batch for each sequence, with
 * kv_lengths if they differ, or a cache. Lengths may be 0, and each run of a plan may have others. So a step of a server is
 * one call: prompts, chunks of prompts and single new tokens.
 *
 * Each sequence has the bits that it has alone, by the kernel that it has alone: those of few queries a decode kernel.
 * Query i of a sequence stands at position i + its keys - its queries + causal_offset. Work is handed out by cost, not by
 * row. Masks need sequences of one size (flash-attn's varlen functions take none at all); causality, windows, ALiBi, sinks,
 * softcap and rope do not. */

/* The problem. Zero is the default of every field but the sizes: start from {0} and set what you need.
 * Sizes may be 0: no query or no output element means nothing to write; no key gives zero rows; Dqk = 0 gives scores 0. */
typedef struct attn_desc {
  attn_dtype dtype;
  attn_layout layout;
  int64_t B, Hq, Hkv, Sq, Skv, Dqk, Dv;
  attn_strides q, k, v, o; /* all four 0: contiguous in .layout */
  float scale;             /* factor of Q K^T; 0 without ATTN_SCALE_EXPLICIT: 1/sqrt(Dqk) */
  unsigned flags;          /* of the enum above */
  int64_t causal_offset;   /* added to the bottom-right alignment: 0 lets the last query see the last key;
                              Sq - Skv aligns the top left, so that query 0 sees key 0 only */
  attn_mask mask;
  attn_strides lse;                  /* b, h, s (d is ignored); all 0: contiguous [B][Hq][Sq] */
  int64_t window_left, window_right; /* >= 0; used if the flag of that side is set */
  float softcap;                     /* 0 to 1e30: score = softcap * tanh(score / softcap). 0: none */
  attn_block_mask blocks;
  const attn_rope *rope; /* turns the queries, by their key positions, as they are read; NULL: not. It must outlive the
                            plan. Keys are turned when they join a cache (attn_tokens) or by attn_rope_apply() */
} attn_desc;

typedef enum attn_placement {
  ATTN_PLACE_CORES = 0, /* each thread on a physical core of its own for the length of the run; the caller's own
                           affinity is restored. Left alone if OMP_PROC_BIND is set: then the host decides */
  ATTN_PLACE_NONE = 1
} attn_placement;

/* Restrictions and choices of one plan. Zero is the default of every field. Options and environment both restrict:
 * what either forbids is not used. */
typedef struct attn_options {
  int threads;        /* 0: ATTN_NUM_THREADS, else the allowed physical cores, at most the cgroup quota */
  const char *isa;    /* highest ISA allowed: "scalar", "avx2", "avx512", "avx512bf16", "amx", "neon", "neonbf16". NULL:
                         ATTN_ISA,    else no limit */
  const char *kernel; /* exactly this kernel, e.g. "fwd_f32_avx2". NULL: ATTN_KERNEL, else the first that fits */
  attn_placement placement;
} attn_options;

typedef struct attn_args {
  const void *q, *k, *v;
  void *o;
  const void *mask; /* required if mask.kind is not NONE */
  float *lse;       /* NULL: not wanted. Natural logarithm of the sum of exp(score), per query */
  void *workspace;  /* NULL: the plan's own, in large pages. Any alignment; at least attn_plan_workspace_bytes() */
  size_t workspace_bytes;
  const float *alibi_slopes; /* [Hq], required by ATTN_ALIBI */
  const float *sinks;        /* [Hq], required by ATTN_SINKS; -inf: none for that head */
  const int64_t *kv_lengths; /* [B], required by ATTN_KV_LENGTHS */
  const uint8_t *blocks;     /* required if desc.blocks has a size */
  const int64_t *q_starts;   /* [B + 1], required by ATTN_Q_STARTS: 0 <= q_starts[b] <= q_starts[b + 1] <= Sq */
  const int64_t *kv_starts;  /* [B + 1], required by ATTN_KV_STARTS */
} attn_args;

typedef struct attn_plan attn_plan;

/* Checks *desc, chooses the kernel, sizes and allocates the workspace, fixes the partition of the work.
 * options may be NULL. On success *plan must be freed with attn_plan_destroy(); on failure it is NULL.
 * Neither *desc nor *options is referred to afterwards. */
ATTN_API attn_status attn_plan_create(attn_plan **plan, const attn_desc *desc, const attn_options *options);

/* Computes. Uses the plan's threads, or as many of them as the system lets it start; returns when the output is complete.
 */
ATTN_API attn_status attn_run(attn_plan *plan, const attn_args *args);

ATTN_API void attn_plan_destroy(attn_plan *plan); /* NULL is allowed */

/* Plan, run, destroy. For one call; a loop over the same shape is faster with a plan. */
ATTN_API attn_status attn_forward(const attn_desc *desc, const attn_options *options, const attn_args *args);

/* The scores themselves, at the stage that is asked for. */
typedef enum attn_score_stage {
  ATTN_SCORE_RAW = 0,    /* scale * q.k, of hidden keys too */
  ATTN_SCORE_CAPPED = 1, /* after softcap, of hidden keys too */
  ATTN_SCORE_BIASED = 2, /* after ALiBi and mask; -inf: hidden */
  ATTN_SCORE_WEIGHT = 3  /* probabilities: of hidden keys 0. A row's sum is 1, less with a sink, 0 if it sees no key */
} attn_score_stage;

/* A block of the scores [B][Hq][Sq][Skv]: `batches` batches from `batch` on, and so forth; a count of 0 means all the
 * rest. A long sequence needs no Sq x Skv buffer: ask for a few queries at a time. */
typedef struct attn_score_block {
  attn_score_stage stage;
  int64_t batch, batches, head, heads, query, queries;
  attn_strides stride; /* of the output [batches][heads][queries][Skv]; all 0: contiguous */
} attn_score_block;

/* Writes a block of the scores of the problem, in f32; rows do not depend on the block they were asked for in, nor on the
 * number of threads. Computed in f32 by portable code, from q, k, mask, alibi_slopes, sinks and kv_lengths of args; v, o,
 * lse and workspace are not looked at, and .isa and .kernel of options do not count. options may be NULL. */
ATTN_API attn_status attn_scores(const attn_desc *desc, const attn_options *options, const attn_args *args,
                                 const attn_score_block *block, float *scores);

/* --- KV cache ------------------------------------------------------------------------------------------------------
 *
 * Keys and values of B sequences that grow token by token, kept in the order that the decode kernels read: nothing is
 * packed or converted at a run. Of any dtype; ATTN_I8 keeps int8 and an f32 scale (the row's largest magnitude / 127) for
 * each token and head, for K and V. Rounded to nearest even when appended; in int8, a row with a NaN or Inf becomes NaN
 * and magnitudes below 2^-101 become 0.
 *
 * Contiguous: every sequence has room for `capacity` tokens. Paged: a pool of pages of page_size tokens; the caller says
 * which pages a sequence has, in order. Sequences may share pages, for a common prefix; a page that stands in the tables
 * more than once cannot be appended to.
 *
 * Functions that change a cache must not run beside another call on the same cache; any number of attn_run() may read it
 * at once. A failed call leaves the cache as it was. */
typedef struct attn_cache attn_cache;

typedef struct attn_cache_desc {
  attn_dtype dtype;
  int64_t B, Hkv, Dqk, Dv;
  int64_t capacity;  /* tokens of a sequence, at most */
  int64_t page_size; /* tokens of a page, a power of two of at least 16; 0: contiguous */
  int64_t pages;     /* of the pool; only if paged */
} attn_cache_desc;

/* Tokens to append: k [Hkv][n][Dqk], v [Hkv][n][Dv] of dtype ATTN_F32, _F16 or _BF16. Strides as in attn_desc, b is
 * ignored; all 0: contiguous [n][Hkv][D], as projections produce them. */
typedef struct attn_tokens {
  attn_dtype dtype;
  int64_t n;
  const void *k, *v;
  attn_strides k_stride, v_stride;
  const attn_rope *rope; /* turns the keys, by their positions in the sequence, before they are rounded; NULL: not */
} attn_tokens;

/* The cache's own memory, to read. Keys stand in blocks of ATTN_CACHE_BLOCK, each of them transposed, with n = interleave
 * elements of a key beside each other (4 in ATTN_I8, 2 in ATTN_BF16, otherwise 1): element d of key j of head h of sequence
 * b is k[b*k_stride.b + h*k_stride.h + j / 16 * 16 * k_stride.s + d / n * n * k_stride.d + j % 16 * n + d % n]. V has its
 * rows one after another, those of n keys interleaved: v[b*v_stride.b + h*v_stride.h + j / n * n * v_stride.s + d*n + j %
 * n]. Paged, with page = pages[j / page_size]: page*k_page takes the place of b*k_stride.b and j % page_size that of j, and
 * likewise in V. Scales (ATTN_I8, else NULL): the same with scale_b, scale_h, scale_page and a stride of 1 from token to
 * token. */
enum { ATTN_CACHE_BLOCK = 16 };
typedef struct attn_cache_view {
  const void *k, *v;
  const float *k_scale, *v_scale;
  attn_strides k_stride, v_stride;
  int64_t k_page, v_page, scale_b, scale_h, scale_page;
  const int32_t *pages; /* of the sequence asked for; NULL: contiguous */
  int64_t interleave;
  int64_t length; /* its tokens */
} attn_cache_view;

ATTN_API attn_status attn_cache_create(attn_cache **cache, const attn_cache_desc *desc);
ATTN_API void attn_cache_destroy(attn_cache *cache); /* NULL is allowed; plans over it must not run any more */

/* Gives sequence b the pages pages[0..n) in place of those it has: they must hold its tokens. Contents are not moved. */
ATTN_API attn_status attn_cache_set_pages(attn_cache *cache, int64_t b, const int32_t *pages, int64_t n);

ATTN_API attn_status attn_cache_append(attn_cache *cache, int64_t b, const attn_tokens *tokens);

/* Forgets the tokens of sequence b at and beyond length; or, with `length` beyond its tokens, adopts what stands in its
 * pages: the prefix that another sequence wrote there (paged caches only). */
ATTN_API attn_status attn_cache_set_length(attn_cache *cache, int64_t b, int64_t length);

ATTN_API int64_t attn_cache_length(const attn_cache *cache, int64_t b); /* -1: there is no such sequence */
ATTN_API attn_status attn_cache_look(const attn_cache *cache, int64_t b, attn_cache_view *view);

/* A plan whose K and V are those of a cache, read at each run at the lengths of that moment: query i of sequence b stands
 * at position i + length - Sq (+ causal_offset). desc: dtype is that of q and o, whatever the cache's; Hkv, Skv (the
 * capacity), Dqk, Dv may be 0, otherwise they must agree with the cache; k, v and ATTN_KV_LENGTHS are not used. args.k, v
 * and kv_lengths must be NULL. Output bits do not depend on pages, on capacity, or on the other sequences. With
 * ATTN_Q_STARTS each sequence has the queries that its starts say: a single new token, or a chunk of a prompt. */
ATTN_API attn_status attn_plan_create_cached(attn_plan **plan, const attn_desc *desc, const attn_cache *cache,
                                             const attn_options *options);

/* --- Partial results merged -----------------------------------------------------------------------------------------
 *
 * Attention over some of the keys, merged with attention over the others, is attention over all of them (Milakov and
 * Gimelshein 2018): with w = exp(lse of the part - LSE) and LSE = log(sum of exp(lse of the parts)), O = sum of w * o. For
 * a prefix that many sequences share, for keys that lie on several nodes, for keys that arrive in chunks. Each key must be
 * in one part, and so must the sinks (ATTN_SINKS). */
typedef struct attn_part {
  attn_dtype dtype; /* of o: ATTN_F32, _F16 or _BF16, whatever the others have */
  const void *o;    /* [B][Hq][Sq][Dv] */
  const float *lse; /* [B][Hq][Sq]; -inf: the row saw no key of this part, and what stands in o does not matter */
  attn_strides o_stride, lse_stride; /* as in attn_desc; all 0: contiguous, o in the layout of the merge. 0 broadcasts */
} attn_part;

typedef struct attn_merge_desc {
  attn_dtype dtype; /* of the merged o */
  attn_layout layout;
  int64_t B, Hq, Sq, Dv;
  attn_strides o, lse; /* of the merged o and lse */
} attn_merge_desc;

/* Merges parts[0..n) into o and lse (NULL: not wanted). A row that no part saw, or of no part, is zeros with LSE = -inf; an
 * LSE of NaN or +inf makes the row NaN, as NaN or Inf in a part that was seen do. Summed in f64 in the order of the parts:
 * bits depend neither on threads nor on other rows, and one part alone comes back as it was. o and lse may be those of a
 * part, with the same strides and size of element, and must not overlap anything else. Only threads and placement of
 * options count; they may be NULL. Nothing is allocated. */
ATTN_API attn_status attn_merge(const attn_merge_desc *desc, const attn_part *parts, int64_t n, void *o, float *lse,
                                const attn_options *options);

/* --- Masks made ----------------------------------------------------------------------------------------------------- */

/* Bytes of one bitmap of desc.blocks; 0 if it has no blocks or sizes are out of range. */
ATTN_API size_t attn_block_mask_bytes(const attn_desc *desc);

/* Which blocks may be seen: the union of the patterns of sparse transformers (Child et al. 2019, Zaheer et al. 2020). */
typedef struct attn_block_pattern {
  int64_t local;          /* blocks of keys that hold the positions of the block's queries, and `local` - 1 on both sides */
  int64_t stride;         /* every stride-th block of keys, from block stride - 1 on */
  int64_t global_keys;    /* the first blocks of keys, for all queries */
  int64_t global_queries; /* the first blocks of queries, which see all keys */
} attn_block_pattern;

/* Writes the bitmap of a pattern for desc's Sq, Skv, causal_offset and blocks. bytes: of bitmap. */
ATTN_API attn_status attn_block_mask_build(uint8_t *bitmap, size_t bytes, const attn_desc *desc,
                                           const attn_block_pattern *pattern);
/* Sets or clears one block: of queries y, of keys x. */
ATTN_API attn_status attn_block_mask_set(uint8_t *bitmap, size_t bytes, const attn_desc *desc, int64_t y, int64_t x,
                                         int visible);

/* The boolean mask of a tree of n speculative tokens behind `prefix` keys: mask[i * row_stride + j] = 1 for all keys of the
 * prefix, for token i itself (key prefix + i) and for its ancestors, else 0. parent[i]: its parent's index, below i; -1: it
 * follows the prefix. Use without ATTN_CAUSAL, with mask.length = prefix + n and mask.stride = {0, 0, row_stride, 1}. */
ATTN_API attn_status attn_tree_mask(uint8_t *mask, int64_t row_stride, const int32_t *parent, int64_t n, int64_t prefix);

/* --- Rotary embedding ------------------------------------------------------------------------------------------------ */

typedef enum attn_rope_pairing {
  ATTN_ROPE_HALVES = 0,     /* element d turns with d + dims / 2 (GPT-NeoX, Llama as most frameworks store it) */
  ATTN_ROPE_INTERLEAVED = 1 /* element 2d with 2d + 1 (the paper, GPT-J) */
} attn_rope_pairing;

typedef enum attn_rope_scaling {
  ATTN_ROPE_PLAIN = 0,
  ATTN_ROPE_LINEAR = 1,  /* positions divided by factor (Chen et al. 2023) */
  ATTN_ROPE_DYNAMIC = 2, /* "NTK": the base grows once `length` exceeds `context` */
  ATTN_ROPE_YARN = 3,    /* Peng et al. 2023 */
  ATTN_ROPE_LLAMA3 = 4   /* as of Llama 3.1 */
} attn_rope_scaling;

/* Zero is the default of every field but dims. */
typedef struct attn_rope_desc {
  attn_rope_pairing pairing;
  attn_rope_scaling scaling;
  int64_t dims;                             /* even; the first dims elements of a head turn, the others stay */
  double base;                              /* 0: 10000 */
  double factor;                            /* of all scalings but PLAIN; > 0 */
  int64_t context;                          /* positions the model was trained for: DYNAMIC, YARN, LLAMA3 */
  int64_t length;                           /* DYNAMIC: of the sequence */
  double beta_fast, beta_slow;              /* YARN; 0: 32 and 1 */
  double low_freq_factor, high_freq_factor; /* LLAMA3; 0: 1 and 4 */
  double magnitude;                         /* factor of what is turned; 0: 0.1 ln(factor) + 1 for YARN, else 1 */
} attn_rope_desc;

enum { ATTN_ROPE_POSITIONS = 1 << 20 }; /* positions lie between -that and that */

ATTN_API attn_status attn_rope_create(attn_rope **rope, const attn_rope_desc *desc);
ATTN_API void attn_rope_destroy(attn_rope *rope); /* NULL is allowed; plans with it must not run any more */

/* Turns a tensor [heads][n][D] in place (strides of h, s, d; all 0: contiguous): element s stands at position first + s. */
ATTN_API attn_status attn_rope_apply(const attn_rope *rope, attn_dtype dtype, void *x, int64_t heads, int64_t n, int64_t D,
                                     attn_strides stride, int64_t first);

/* --- Layer ----------------------------------------------------------------------------------------------------------
 *
 * Attention with its projections: q = query Wq^T + bq, k and v likewise, heads split, attention, heads joined, then
 * Wo^T + bo. Inputs and outputs are f32, contiguous:
 *   query [B][Sq][query_width]   key [B][Skv][key_width]   value [B][Skv][value_width]
 *   output [B][Sq][output_width], or [B][Sq][Hq * Dv] without an output projection
 * With an embedding, query and key are looked up from tokens [B][Sq] and [B][Skv]. The projections are kernels of this
 * library; no BLAS is needed. Bits do not depend on the number of threads. */
typedef struct attn_layer attn_layer;

typedef struct attn_layer_desc {
  attn_desc attention; /* B, heads, Sq, Skv, Dqk, Dv and whatever a plan takes; dtype, layout and the strides of q, k, v, o
                          stay 0. A rope turns the keys as well: key j stands at position j */
  attn_dtype weights;  /* of weights, biases and embedding: ATTN_F32, _F16 or _BF16; computed in f32 */
  int64_t query_width, key_width, value_width; /* of the inputs; 0: key's is query's, value's is key's */
  int64_t output_width;                        /* 0: no output projection */
  int64_t vocabulary;                          /* rows of the embedding; 0: none. Then all widths are query_width */
} attn_layer_desc;

/* Row-major [outputs][inputs], as most frameworks keep them. Biases may be NULL. Read by attn_layer_create() only. */
typedef struct attn_layer_weights {
  const void *q, *k, *v; /* [Hq * Dqk][query_width], [Hkv * Dqk][key_width], [Hkv * Dv][value_width] */
  const void *o;         /* [output_width][Hq * Dv]; required if output_width is set */
  const void *q_bias, *k_bias, *v_bias, *o_bias;
  const void *embedding; /* [vocabulary][query_width]; this one is not copied: it must outlive the layer */
} attn_layer_weights;

typedef struct attn_layer_args {
  const float *query, *key, *value;         /* key NULL: query (self-attention, Sq = Skv); value NULL: key */
  const int32_t *query_tokens, *key_tokens; /* with an embedding, instead of the three; key_tokens NULL: query_tokens */
  float *output;
  attn_args attention; /* mask, lse, alibi_slopes, sinks, kv_lengths, blocks; q, k, v, o and workspace stay NULL */
  void *workspace;     /* NULL: the layer's own. Any alignment; at least attn_layer_workspace_bytes() */
  size_t workspace_bytes;
} attn_layer_args;

/* As attn_plan_create(): every check of the description, every allocation; weights are packed. */
ATTN_API attn_status attn_layer_create(attn_layer **layer, const attn_layer_desc *desc, const attn_layer_weights *weights,
                                       const attn_options *options);
ATTN_API attn_status attn_layer_run(attn_layer *layer, const attn_layer_args *args);
ATTN_API void attn_layer_destroy(attn_layer *layer); /* NULL is allowed */
ATTN_API size_t attn_layer_workspace_bytes(const attn_layer *layer);
ATTN_API const char *attn_layer_kernels(const attn_layer *layer); /* "linear_f32_avx2, fwd_f32_avx2" */

ATTN_API const char *attn_plan_kernel(const attn_plan *plan);     /* e.g. "fwd_f32_avx512"; with ATTN_Q_STARTS that of long
                                                                     sequences */
ATTN_API const char *attn_plan_isa(const attn_plan *plan);        /* e.g. "avx512" */
ATTN_API int attn_plan_threads(const attn_plan *plan);            /* threads that attn_run() will use */
ATTN_API size_t attn_plan_workspace_bytes(const attn_plan *plan); /* what attn_args.workspace must hold */
ATTN_API const char *attn_status_name(attn_status status);        /* "ATTN_ERR_ALIAS"; never NULL */
ATTN_API const char *attn_error_message(void);                    /* of this thread's last failed call; never NULL */
ATTN_API const char *attn_version(void);                          /* "0.1.0" */

#ifdef __cplusplus
}
#endif
#endif
