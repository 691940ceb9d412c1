/* A small problem with buffers, for the unit tests. */
#ifndef TESTS_UNIT_PROBLEM_H
#define TESTS_UNIT_PROBLEM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attn.h"

#include "../../kernels/reference/half.h"

#include <stdlib.h>
#include <string.h>

static inline attn_desc small_desc(void)
{
  return (attn_desc){.B = 2, .Hq = 4, .Hkv = 2, .Sq = 5, .Skv = 9, .Dqk = 8, .Dv = 6};
}

/* Contiguous buffers of the sizes of *desc, inputs filled with a fixed pattern. */
struct buffers {
  float *q, *k, *v, *o, *lse;
  size_t o_floats, lse_floats;
  attn_args args;
};

static inline float *pattern(size_t n, unsigned seed)
{
  float *x = malloc((n ? n : 1) * sizeof *x); /* not one more: sanitizers see what is read beyond */
  assert_non_null(x);
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) / 8388608.0f - 1;
  }
  return x;
}

/* The next number below `below` of a fixed sequence. */
static inline int64_t draw(int64_t below)
{
  static uint32_t draw_state = 1;
  draw_state = draw_state * 1664525u + 1013904223u;
  return (int64_t)(draw_state >> 8) % below;
}

/* x in the type dtype, in its own memory. */
static inline void *shrink(attn_dtype dtype, float *x, size_t n)
{
  if (dtype != ATTN_F32)
    for (size_t i = 0; i < n; i++) attn_element_put(dtype, x, (int64_t)i, x[i]); /* from the front */
  return x;
}

/* pattern() in the type dtype. */
static inline void *converted(attn_dtype dtype, size_t n, unsigned seed) { return shrink(dtype, pattern(n, seed), n); }

static inline void *at(const void *base, attn_dtype dtype, int64_t element)
{
  return (char *)base + (size_t)element * attn_element_bytes(dtype);
}

static inline struct buffers make_buffers(const attn_desc *d)
{
  struct buffers b = {.o_floats = (size_t)(d->B * d->Hq * d->Sq * d->Dv), .lse_floats = (size_t)(d->B * d->Hq * d->Sq)};
  b.q = pattern((size_t)(d->B * d->Hq * d->Sq * d->Dqk), 1);
  b.k = pattern((size_t)(d->B * d->Hkv * d->Skv * d->Dqk), 2);
  b.v = pattern((size_t)(d->B * d->Hkv * d->Skv * d->Dv), 3);
  b.o = pattern(b.o_floats, 4);
  b.lse = pattern(b.lse_floats, 5);
  b.args = (attn_args){.q = b.q, .k = b.k, .v = b.v, .o = b.o, .lse = b.lse};
  return b;
}

static inline void free_buffers(struct buffers *b)
{
  free(b->q);
  free(b->k);
  free(b->v);
  free(b->o);
  free(b->lse);
}

static inline void assert_mentions(const char *text)
{
  if (text && !strstr(attn_error_message(), text)) fail_msg("message lacks '%s': %s", text, attn_error_message());
}

/* The call fails with that status and its message names both texts (field and value; NULL: no matter). */
static inline void assert_refused(const attn_desc *desc, const attn_options *options, attn_status status, const char *field,
                                  const char *value)
{
  attn_plan *plan = (attn_plan *)1;
  const attn_status got = attn_plan_create(&plan, desc, options);
  if (got != status)
    fail_msg("%s instead of %s (%s, %s): %s", attn_status_name(got), attn_status_name(status), field, value ? value : "",
             attn_error_message());
  assert_null(plan);
  assert_mentions(field);
  assert_mentions(value);
}

#endif
