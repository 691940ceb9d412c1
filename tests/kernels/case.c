#include "case.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const data_names[DATA_COUNT] = {"normal",   "large", "rising", "falling",  "steps",
                                                   "one-huge", "equal", "ties",   "denormal", "negative",
                                                   "zero",     "wide",  "drop",   "leap",     "low"};
static const char *const pattern_names[PATTERN_COUNT] = {"random", "sparse", "window", "tiles",  "rows",
                                                         "hidden", "all",    "edges",  "lowest", "lone"};
static const char *const plant_names[PLANT_COUNT] = {"",          "/nan-in-q", "/nan-in-k",        "/nan-in-v",
                                                     "/inf-in-v", "/inf-in-k", "/nan-in-hidden-kv"};

static const char *const mask_names[] = {"none", "bool", "additive", "additive16"};

void case_name(struct check_case *c)
{
  const attn_desc *d = &c->desc;
  char blocks[64] = "", mask[96] = "", causal[48] = "", scale[32] = "", left[32] = "", right[32] = "", softcap[32] = "";
  if (d->mask.kind != ATTN_MASK_NONE)
    snprintf(mask, sizeof mask, "/%s-%s-%s%s%s%sstep%d-len%" PRId64, mask_names[d->mask.kind], pattern_names[c->pattern],
             c->mask_b ? "b" : "", c->mask_h ? "h" : "", c->mask_s ? "s" : "",
             c->mask_b || c->mask_h || c->mask_s ? "-" : "", c->mask_step, d->mask.length);
  if (d->flags & ATTN_CAUSAL) snprintf(causal, sizeof causal, "/causal%+" PRId64, d->causal_offset);
  if (d->scale != 0 || (d->flags & ATTN_SCALE_EXPLICIT)) snprintf(scale, sizeof scale, "/scale:%g", (double)d->scale);
  if (d->flags & ATTN_WINDOW_LEFT) snprintf(left, sizeof left, "/left:%" PRId64, d->window_left);
  if (d->flags & ATTN_WINDOW_RIGHT) snprintf(right, sizeof right, "/right:%" PRId64, d->window_right);
  if (d->softcap != 0) snprintf(softcap, sizeof softcap, "/softcap:%g", (double)d->softcap);
  if (d->blocks.keys)
    snprintf(blocks, sizeof blocks, "/blocks:%" PRId64 "x%" PRId64 "%s%s", d->blocks.queries, d->blocks.keys,
             d->blocks.b ? "-b" : "", d->blocks.h ? "-h" : "");
  snprintf(c->name, sizeof c->name,
           "%s/B:%" PRId64 "/Hq:%" PRId64 "/Hkv:%" PRId64 "/Sq:%" PRId64 "/Skv:%" PRId64 "/Dqk:%" PRId64 "/Dv:%" PRId64
           "%s%s%s%s%s%s%s%s%s%s/%.4s-lse-%c/%s%s/%s%d",
           c->group, d->B, d->Hq, d->Hkv, d->Sq, d->Skv, d->Dqk, d->Dv, causal, left, right,
           d->flags & ATTN_ALIBI ? "/alibi" : "", d->flags & ATTN_SINKS ? "/sinks" : "",
           d->flags & ATTN_KV_LENGTHS ? "/lengths" : "", softcap, blocks, mask, scale, c->arrangement,
           c->lse ? c->lse : 'n', data_names[c->data], plant_names[c->plant], c->side == GUARD_END ? "end" : "begin",
           c->skew);
}
