/* A case drawn at random: any shape, arrangement, variant, mask and data that the contract allows, of a size that takes
 * milliseconds. Small sizes are drawn most often, because edges of tiles are there; every eighth case is larger. */
#include "case.h"
#include "draw.h"

#include <string.h>

/* 1 .. most; one time in four all sizes up to it alike, otherwise a small one. */
static int64_t size(struct draw *d, int64_t most)
{
  const int64_t small = most < 20 ? most : 20;
  return 1 + draw_below(d, draw_below(d, 4) ? small : most);
}

static void shape(struct check_case *c, const struct attn_kernel *kernel, struct draw *d, int64_t most)
{
  attn_desc *p = &c->desc;
  p->B = size(d, 3);
  p->Hkv = size(d, 3);
  int64_t group = size(d, 5);
  p->Sq = size(d, most / 2);
  if (kernel->supports) { /* decoding: few rows of a head */
    if (p->Sq > 16) p->Sq = 1 + p->Sq % 16;
    if (group * p->Sq > 16) group = 16 / p->Sq;
  }
  p->Hq = p->Hkv * group;
  p->Skv = size(d, draw_below(d, 4) ? most : 4 * most);
  p->Dqk = size(d, most);
  p->Dv = size(d, most);
}

static void positions(struct check_case *c, struct draw *d)
{
  static const int64_t far[] = {INT64_MIN, INT64_MAX, (int64_t)1 << 40, -((int64_t)1 << 40)};
  attn_desc *p = &c->desc;
  if (draw_below(d, 3) == 0) p->flags |= ATTN_CAUSAL;
  if (draw_below(d, 4) == 0) {
    p->flags |= ATTN_WINDOW_LEFT;
    p->window_left = draw_below(d, 16) ? draw_below(d, p->Skv + 2) : INT64_MAX;
  }
  if (draw_below(d, 5) == 0) {
    p->flags |= ATTN_WINDOW_RIGHT;
    p->window_right = draw_below(d, 16) ? draw_below(d, p->Skv + 2) : INT64_MAX;
  }
  if (draw_below(d, 4) == 0) p->causal_offset = draw_below(d, 2 * p->Skv + 2 * p->Sq) - p->Skv - p->Sq;
  if (draw_below(d, 8) == 0) p->flags |= ATTN_ALIBI;
  if (draw_below(d, 32) == 0 && !(p->flags & ATTN_ALIBI)) p->causal_offset = far[draw_below(d, 4)];
  if (draw_below(d, 6) == 0) p->flags |= ATTN_SINKS;
  if (draw_below(d, 5) == 0) p->flags |= ATTN_KV_LENGTHS;
}

static void scores(struct check_case *c, struct draw *d)
{
  static const float caps[] = {0.7f, 20, 50, 1e4f}, scales[] = {0, 1, -1, 0.01f, 3, -0.125f, 1e-20f};
  if (draw_below(d, 6) == 0) c->desc.softcap = caps[draw_below(d, 4)];
  if (draw_below(d, 8) == 0) {
    c->desc.scale = scales[draw_below(d, 7)];
    c->desc.flags |= ATTN_SCALE_EXPLICIT;
  }
}

static void mask(struct check_case *c, struct draw *d)
{
  if (draw_below(d, 2)) return;
  c->desc.mask.kind = draw_below(d, 2) ? ATTN_MASK_BOOL : ATTN_MASK_ADDITIVE;
  c->pattern = (enum pattern)draw_below(d, c->desc.mask.kind == ATTN_MASK_BOOL ? PATTERN_LOWEST : PATTERN_COUNT);
  c->mask_b = draw_below(d, 2);
  c->mask_h = draw_below(d, 2);
  c->mask_s = draw_below(d, 4);
  c->mask_step = (int)draw_below(d, 4);
  if (draw_below(d, 3)) c->mask_step = 1;
  if (c->mask_step == 0) c->mask_s = true; /* all four 0 would mean contiguous */
  if (draw_below(d, 4) == 0) c->desc.mask.length = 1 + draw_below(d, c->desc.Skv);
}

void case_random(struct check_case *c, const struct attn_kernel *kernel, const char *group, int64_t most, struct draw *d)
{
  *c = (struct check_case){.group = group, .mask_step = 1};
  c->desc.dtype = kernel->dtype == ATTN_I8 ? ATTN_F32 : kernel->dtype; /* int8: of Q and O */
  shape(c, kernel, d, draw_below(d, 8) ? most / 2 : most);
  positions(c, d);
  scores(c, d);
  const bool rows_whole = kernel->supports; /* decoding takes contiguous rows of K and V only */
  c->arrangement[0] = draw_letter(d, "ccsptxbo");
  c->arrangement[1] = draw_letter(d, rows_whole ? "ccspbo" : "ccsptxbo");
  c->arrangement[2] = draw_letter(d, rows_whole ? "ccspbo" : "ccsptxbo");
  c->arrangement[3] = draw_letter(d, "ccsptx");
  mask(c, d);
  if (draw_below(d, 3) == 0) c->data = (enum data)draw_below(d, DATA_COUNT);
  if (draw_below(d, 5) == 0 && c->data == DATA_NORMAL) c->plant = (enum plant)draw_below(d, PLANT_COUNT);
  /* An infinite value times a weight that underflows: the oracle says NaN, a kernel whose smallest weight is 2^-126 Inf. */
  if (c->pattern == PATTERN_LOWEST && c->plant == PLANT_INF_V) c->plant = PLANT_NONE;
  c->side = draw_below(d, 2) ? GUARD_END : GUARD_BEGIN;
  c->skew = draw_below(d, 3) ? 0 : (int)draw_below(d, 16);
  c->lse = "cpn"[draw_below(d, 3)];
  if (c->lse == 'n') c->lse = 0;
  c->threads = draw_below(d, 16) == 0;
  case_name(c);
}
