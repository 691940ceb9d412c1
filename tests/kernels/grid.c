/* Which cases are run: every edge that the kernel's tiles have, every rule of the contract, then random ones. */
#include "case.h"
#include "draw.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct visitor {
  const struct attn_kernel *kernel;
  enum grid grid;
  uint64_t seed;
  bool (*visit)(const struct check_case *, void *);
  void *context;
  bool stopped;
  unsigned turn; /* rotates what a group does not vary itself */
};

static struct check_case plain(const char *group)
{
  struct check_case c = {.group = group, .lse = 'c', .mask_step = 1};
  c.desc = (attn_desc){.B = 1, .Hq = 1, .Hkv = 1, .Sq = 5, .Skv = 37, .Dqk = 17, .Dv = 11};
  memcpy(c.arrangement, "cccc", 4);
  return c;
}

static void emit(struct visitor *g, struct check_case c)
{
  if (g->stopped) return;
  const unsigned turn = g->turn++;
  c.desc.dtype = g->kernel->dtype == ATTN_I8 ? ATTN_F32 : g->kernel->dtype; /* int8: of Q and O */
  if (turn % 3 == 1) c.side = GUARD_BEGIN;
  if (turn % 5 == 4) c.skew = 1 + (int)(turn / 5 % 15);
  if (turn % 7 == 3) c.lse = 'p';
  if (turn % 11 == 5) c.lse = 0;
  case_name(&c);
  g->stopped = !g->visit(&c, g->context);
}

static void set_mask(struct check_case *c, attn_mask_kind kind, enum pattern pattern, const char *dims, int step)
{
  c->desc.mask.kind = kind;
  c->pattern = pattern;
  c->mask_b = strchr(dims, 'b');
  c->mask_h = strchr(dims, 'h');
  c->mask_s = strchr(dims, 's');
  c->mask_step = step;
}

static void tile_edges(struct visitor *g)
{
  static const int64_t heads[][2] = {{8, 8}, {17, 33}, {32, 16}, {3, 40}, {64, 24}, {16, 17}, {1, 1}, {9, 31}};
  static const int16_t all_keys[] = {1,  2,  3,  7,  8,  9,  15, 16,  17,  23,  24,  25,  31,  32,  33,  47,  48,
                                     49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 191, 193, 255, 256, 257, 511, 513},
                       quick_keys[] = {1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 64, 65, 255, 257},
                       few_keys[] = {1, 7, 15, 16, 17, 31, 32, 33, 65};
  const int64_t mr = g->kernel->row_tile, unit = g->kernel->unit_rows < 1000 ? g->kernel->unit_rows : 193;
  const int64_t rows[] = {1, mr - 1, mr, mr + 1, 2 * mr, 3 * mr - 1, 3 * mr + 2, 95, 97, unit - 1, unit + 1};
  const size_t n_rows = g->grid == GRID_FULL ? COUNT(rows) : g->grid == GRID_QUICK ? 7 : 6;
  const int16_t *keys = g->grid == GRID_FULL ? all_keys : g->grid == GRID_QUICK ? quick_keys : few_keys;
  const size_t n_keys = g->grid == GRID_FULL    ? COUNT(all_keys)
                        : g->grid == GRID_QUICK ? COUNT(quick_keys)
                                                : COUNT(few_keys);
  for (size_t r = 0; r < n_rows; r++)
    for (size_t k = 0; k < n_keys; k++) {
      struct check_case c = plain("tiles");
      if (rows[r] < 1 || (rows[r] > 200 && keys[k] > 70)) continue;
      c.desc.Sq = rows[r];
      c.desc.Skv = keys[k];
      c.desc.Dqk = heads[(r + k) % COUNT(heads)][0];
      c.desc.Dv = heads[(r + k) % COUNT(heads)][1];
      emit(g, c);
    }
  /* Where blocks of keys end: 256, and 65536 / (Dqk + Dv) for large heads. */
  static const int64_t blocks[][3] = {{256, 8, 8}, {512, 8, 8}, {224, 128, 128}, {128, 256, 256}, {64, 512, 512}};
  for (size_t i = 0; i < (g->grid == GRID_EMULATED ? 1 : COUNT(blocks)); i++)
    for (int64_t around = -1; around <= 1; around++)
      for (int causal = 0; causal < 2; causal++) {
        struct check_case c = plain("blocks");
        c.desc.Sq = mr + 1;
        c.desc.Skv = blocks[i][0] + around;
        c.desc.Dqk = blocks[i][1];
        c.desc.Dv = blocks[i][2];
        c.desc.flags = causal ? ATTN_CAUSAL : 0;
        emit(g, c);
      }
  /* Stripes of row tiles, which meet panels of K that all their rows see, in blocks that L1 does not hold. */
  const int64_t stripes[] = {4 * mr + 1, 2 * mr, 3 * mr + 1, 7 * mr + mr / 2, 9 * mr - 1}, of_keys[] = {280, 528, 257};
  static const unsigned limits[] = {0, ATTN_CAUSAL, ATTN_CAUSAL | ATTN_WINDOW_LEFT};
  for (size_t r = 0; mr > 1 && r < (g->grid == GRID_EMULATED ? 1 : COUNT(stripes)); r++)
    for (size_t k = 0; k < COUNT(of_keys); k++)
      for (size_t i = 0; i < COUNT(limits); i++) {
        struct check_case c = plain("stripes");
        c.desc.Sq = stripes[r];
        c.desc.Skv = of_keys[k];
        c.desc.Dqk = 40;
        c.desc.Dv = 8;
        c.desc.flags = limits[i];
        c.desc.window_left = limits[i] & ATTN_WINDOW_LEFT ? 200 : 0;
        emit(g, c);
      }
  /* Where a group of row tiles ends: what its last one leaves to the tile after it, which is whole, or not. */
  for (int64_t behind = 1; behind <= mr; behind += mr - 1) {
    struct check_case c = plain("groups-of-tiles");
    c.desc.Sq = 96 / mr * mr + behind;
    c.desc.Skv = 64;
    c.desc.Dqk = c.desc.Dv = 8;
    emit(g, c);
    if (mr == 1) break;
  }
}

static void head_sizes(struct visitor *g)
{
  static const int16_t size[] = {1,  2,  3,  4,  7,  8,  9,  15, 16, 17,  24,  31,  32,  33,
                                 40, 48, 63, 64, 65, 72, 80, 96, 97, 128, 129, 160, 192, 256};
  for (size_t i = 0; i < COUNT(size); i++)
    for (size_t j = 0; j < COUNT(size); j++) {
      struct check_case c = plain("heads");
      const bool diagonal = (i + 5) % COUNT(size) == j || i == j;
      if (g->grid == GRID_QUICK && !diagonal) continue;
      if (g->grid == GRID_EMULATED && ((i + 5) % COUNT(size) != j || size[i] > 130 || size[j] > 130)) continue;
      c.desc.Sq = g->grid == GRID_EMULATED ? 5 : g->kernel->row_tile + 1;
      c.desc.Skv = g->grid == GRID_EMULATED ? 19 : 35;
      c.desc.Dqk = size[i];
      c.desc.Dv = size[j];
      emit(g, c);
    }
}

static void layouts(struct visitor *g)
{
  static const char *const arrangements[] = {"cccc", "ssss", "pppp", "tttt", "xxxx", "cbbc", "bccc", "coos",
                                             "sctp", "tpcs", "ptsc", "cxtp", "stbx", "bobt", "xbop"};
  for (size_t i = 0; i < COUNT(arrangements); i++)
    for (int variant = 0; variant < (g->grid == GRID_EMULATED ? 1 : 4); variant++) {
      struct check_case c = plain("layouts");
      c.desc.B = 2;
      c.desc.Hq = 4;
      c.desc.Hkv = 2;
      c.desc.Sq = 7;
      c.desc.Dqk = variant % 2 ? 16 : 17;
      c.desc.Dv = variant % 2 ? 40 : 19;
      c.desc.flags = variant / 2 ? ATTN_CAUSAL : 0;
      memcpy(c.arrangement, arrangements[i], 4);
      emit(g, c);
    }
  struct check_case c = plain("layouts-wide"); /* K apart in depth, and enough of it for whole blocks of rows */
  c.desc.Sq = 5;
  c.desc.Skv = c.desc.Dqk = c.desc.Dv = 72;
  memcpy(c.arrangement, "xxxx", 4);
  emit(g, c);
}

/* Kernels that split keys: where parts end, and parts that some or all rows do not see. */
static void splits(struct visitor *g)
{
  const int64_t span = g->kernel->key_span;
  if (!span) return;
  const int64_t keys[] = {span - 1, span, span + 1, 2 * span, 2 * span + 77, 4 * span + 5};
  static const int64_t heads[][2] = {{1, 1}, {4, 1}, {3, 1}, {10, 2}};
  for (size_t k = 0; k < COUNT(keys); k++)
    for (int variant = 0; variant < (g->grid == GRID_EMULATED ? 1 : 5); variant++) {
      struct check_case c = plain("splits");
      const size_t h = (k + (size_t)variant) % COUNT(heads);
      if (g->grid == GRID_EMULATED && k != 2 && k != 3) continue;
      c.desc.Hq = heads[h][0];
      c.desc.Hkv = heads[h][1];
      c.desc.Sq = 1 + variant % 3;
      c.desc.Skv = keys[k];
      c.threads = variant == 0;
      if (variant == 1) c.desc.flags = ATTN_CAUSAL;
      if (variant == 2) { /* the last parts are hidden from some rows, or from all */
        c.desc.flags = ATTN_CAUSAL;
        c.desc.causal_offset = k % 2 ? -keys[k] / 2 : -keys[k] + span;
      }
      if (variant == 3) set_mask(&c, ATTN_MASK_BOOL, k % 2 ? PATTERN_EDGES : PATTERN_SPARSE, "s", 1);
      if (variant == 4) {
        c.data = k % 2 ? DATA_RISING : DATA_ONE_HUGE;
        c.plant = k % 3 ? PLANT_NONE : PLANT_NAN_V;
      }
      emit(g, c);
    }
}

static void groups(struct visitor *g)
{
  static const int64_t heads[][2] = {{2, 1}, {3, 1}, {6, 3}, {8, 2}, {5, 1}, {12, 1}, {16, 2}, {3, 3}};
  const int64_t queries[] = {1, 2, g->kernel->row_tile};
  for (size_t i = 0; i < COUNT(heads); i++)
    for (size_t q = 0; q < COUNT(queries); q++)
      for (int causal = 0; causal < 2; causal++) {
        struct check_case c = plain("groups");
        if (g->grid == GRID_EMULATED && (i + q + (size_t)causal) % 3) continue;
        c.desc.B = 1 + (int64_t)i % 2;
        c.desc.Hq = heads[i][0];
        c.desc.Hkv = heads[i][1];
        c.desc.Sq = queries[q];
        c.desc.flags = causal ? ATTN_CAUSAL : 0;
        emit(g, c);
      }
}

static void causality(struct visitor *g)
{
  static const int64_t shape[][2] = {{7, 7}, {33, 65}, {40, 7}, {7, 40}, {1, 20}, {20, 1}, {65, 33}, {25, 300}};
  for (size_t i = 0; i < COUNT(shape); i++) {
    const int64_t Sq = shape[i][0], Skv = shape[i][1];
    const int64_t offset[] = {0, 1, -1, 5, -5, 17, -16, Sq - Skv, -Skv, -Skv - 3, Skv + 3, INT64_MIN, INT64_MAX};
    for (size_t o = 0; o < COUNT(offset); o++)
      for (int group = 1; group < 4; group += 2) {
        struct check_case c = plain("causal");
        if (g->grid == GRID_EMULATED && (i > 3 || (i + o) % 2 || (group > 1 && o % 4))) continue;
        c.desc.Hq = group;
        c.desc.Sq = Sq;
        c.desc.Skv = Skv;
        c.desc.flags = ATTN_CAUSAL;
        c.desc.causal_offset = offset[o];
        emit(g, c);
      }
  }
}

static void masks(struct visitor *g)
{
  static const char *const dims[] = {"s", "", "bhs", "h", "bs"};
  static const int64_t lengths[] = {0, 1, 21, 64};
  for (int kind = ATTN_MASK_BOOL; kind <= ATTN_MASK_ADDITIVE_F16; kind++)
    for (int pattern = 0; pattern < PATTERN_LONE; pattern++)
      for (size_t d = 0; d < COUNT(dims); d++)
        for (int step = 1; step < 4; step++)
          for (size_t l = 0; l < COUNT(lengths); l++) {
            struct check_case c = plain("masks");
            const size_t pick = (size_t)pattern + d + (size_t)step + 2 * l + (size_t)kind;
            if (pattern == PATTERN_LOWEST && kind == ATTN_MASK_BOOL) continue;
            if (kind == ATTN_MASK_ADDITIVE_F16 && pick % 3) continue;
            if (g->grid == GRID_QUICK && pick % 4) continue;
            if (g->grid == GRID_EMULATED && (pick % 12 || pattern == PATTERN_ALL)) continue;
            c.desc.B = 2;
            c.desc.Hq = 2 + 2 * (int64_t)(d % 2);
            c.desc.Hkv = 2;
            c.desc.Sq = 9;
            c.desc.Skv = pattern == PATTERN_TILES ? 135 : 70;
            c.desc.Dqk = c.desc.Dv = 12;
            c.desc.mask.length = lengths[l];
            c.desc.flags = pick % 3 == 0 ? ATTN_CAUSAL : 0;
            set_mask(&c, (attn_mask_kind)kind, (enum pattern)pattern, dims[d], step == 3 ? 0 : step);
            if (c.mask_step == 0 && !c.mask_s) c.mask_s = true; /* all four 0 would mean contiguous */
            emit(g, c);
          }
  for (int kind = ATTN_MASK_BOOL; kind <= ATTN_MASK_ADDITIVE_F16; kind++) {
    struct check_case c = plain("masks-lone");
    c.desc.Sq = g->kernel->row_tile + 2;
    c.desc.Skv = 160;
    c.desc.Dqk = c.desc.Dv = 8;
    set_mask(&c, (attn_mask_kind)kind, PATTERN_LONE, "s", 1);
    emit(g, c);
  }
  for (int kind = ATTN_MASK_BOOL; kind <= ATTN_MASK_ADDITIVE_F16; kind++) /* long enough to hide whole blocks of keys */
    for (int pattern = 0; pattern < PATTERN_LOWEST; pattern++) {
      struct check_case c = plain("masks-long");
      if (g->grid == GRID_EMULATED && pattern % 3 == 2) continue;
      c.desc.Hq = 2;
      c.desc.Sq = 2 * g->kernel->row_tile + 3;
      c.desc.Skv = 613;
      c.desc.Dqk = c.desc.Dv = 8;
      c.desc.mask.length = pattern % 2 ? 600 : 0;
      set_mask(&c, (attn_mask_kind)kind, (enum pattern)pattern, pattern % 2 ? "hs" : "s", 1);
      emit(g, c);
    }
}

/* A block mask alone and beside others; blocks smaller and larger than the tiles, and not multiples of them. */
static void set_blocks(struct check_case *c, int64_t queries, int64_t keys, const char *dims)
{
  const int64_t row = ((c->desc.Skv - 1) / keys + 8) / 8, bytes = ((c->desc.Sq - 1) / queries + 1) * row;
  c->desc.blocks = (attn_block_mask){.queries = queries, .keys = keys};
  if (strchr(dims, 'h')) c->desc.blocks.h = bytes + 1;
  if (strchr(dims, 'b')) c->desc.blocks.b = c->desc.Hq * (bytes + 1) + 2;
}

static void blocks(struct visitor *g)
{
  static const int64_t size[][2] = {{1, 1}, {16, 64}, {5, 16}, {64, 64}, {7, 100}, {1000, 32}, {6, 256}, {12, 8}};
  static const char *const dims[] = {"", "h", "bh", "b"};
  for (size_t i = 0; i < COUNT(size); i++)
    for (int variant = 0; variant < 8; variant++) {
      struct check_case c = plain("block-mask");
      if (g->grid == GRID_EMULATED && (i + (size_t)variant) % 4) continue;
      c.desc.B = 2;
      c.desc.Hq = 4;
      c.desc.Hkv = variant % 2 ? 4 : 2;
      c.desc.Sq = variant % 3 == 2 ? 1 : (g->grid == GRID_EMULATED ? 1 : 2) * g->kernel->row_tile + 3;
      c.desc.Skv = i % 2 && g->grid != GRID_EMULATED ? 613 : 290;
      c.desc.Dqk = 8;
      c.desc.Dv = 20;
      set_blocks(&c, size[i][0], size[i][1], dims[(i + (size_t)variant) % 4]);
      if (variant & 1) c.plant = variant & 2 ? PLANT_NAN_V : PLANT_HIDDEN;
      if (variant & 2) c.desc.flags |= ATTN_CAUSAL | ATTN_KV_LENGTHS;
      if (variant & 4) set_mask(&c, (attn_mask_kind)(1 + i % 3), PATTERN_TILES, "s", 1);
      emit(g, c);
    }
}

/* Neighbouring row tiles that see other panels, each of them whole. */
static void block_tiles(struct visitor *g)
{
  for (int variant = 0; variant < 2; variant++) {
    struct check_case c = plain("block-tiles");
    c.desc.Sq = 5 * g->kernel->row_tile;
    c.desc.Skv = variant ? 288 : 96;
    c.desc.Dqk = c.desc.Dv = 8;
    set_blocks(&c, g->kernel->row_tile, 32, "");
    emit(g, c);
  }
}

static void values(struct visitor *g)
{
  static const int64_t keys[] = {5, 33, 130, 300};
  for (int data = 0; data < DATA_COUNT; data++)
    for (size_t k = 0; k < COUNT(keys); k++)
      for (int variant = 0; variant < 4; variant++) {
        struct check_case c = plain("values");
        if (g->grid == GRID_EMULATED && (k + (size_t)variant) % 4) continue;
        c.desc.Sq = g->kernel->row_tile + 2;
        c.desc.Skv = keys[k];
        c.desc.Dqk = variant % 2 ? 32 : 5;
        c.desc.Dv = variant % 2 ? 32 : 9;
        c.data = (enum data)data;
        if (variant == 2) c.desc.flags = ATTN_CAUSAL;
        if (variant == 3) set_mask(&c, ATTN_MASK_BOOL, PATTERN_RANDOM, "s", 1);
        emit(g, c);
      }
  /* Whole tiles only, so that no key is hidden for being beyond the last; and runs of them with hidden ones between. */
  static const enum data moving[] = {DATA_LARGE, DATA_RISING, DATA_FALLING, DATA_STEPS, DATA_DROP, DATA_LEAP, DATA_LOW};
  for (size_t i = 0; i < COUNT(moving); i++)
    for (int masked = 0; masked < 2; masked++) {
      struct check_case c = plain("values-tiles");
      c.desc.Sq = g->kernel->row_tile + 2;
      c.desc.Skv = 320;
      c.desc.Dqk = 16;
      c.desc.Dv = 32;
      c.data = moving[i];
      if (masked) set_mask(&c, ATTN_MASK_BOOL, PATTERN_TILES, "", 1);
      emit(g, c);
    }
  /* The same runs of a block mask, which lets a tile wait with the weights of whole ones; the last one is not whole. Then
   * runs that are not whole, with NaN in hidden values: a weight that is rescaled must stay hidden. */
  for (size_t i = 0; i < 3 * COUNT(moving); i++) {
    struct check_case c = plain("values-blocks");
    c.desc.Sq = g->kernel->row_tile + 2;
    c.desc.Skv = 138 + 32 * (int64_t)(i % 4);
    c.desc.Dqk = 16;
    c.desc.Dv = 32;
    c.data = moving[i % COUNT(moving)];
    set_blocks(&c, 64, i < 2 * COUNT(moving) ? 32 : 16, "");
    if (i >= 2 * COUNT(moving)) c.plant = PLANT_HIDDEN;
    emit(g, c);
  }
  /* A last panel of V that is narrower than the others, in more than one block of keys. */
  for (int i = 0; i < 2; i++) {
    struct check_case c = plain("values-wide");
    c.desc.Sq = g->kernel->row_tile + 2;
    c.desc.Skv = 300;
    c.desc.Dqk = 8;
    c.desc.Dv = 44;
    c.data = i ? DATA_LARGE : DATA_STEPS;
    emit(g, c);
  }
  static const float scales[] = {0, 1, -1, 0.01f, 3, 1e-20f, -0.125f, 64};
  for (size_t i = 0; i < COUNT(scales); i++) {
    struct check_case c = plain("scale");
    c.desc.scale = scales[i];
    c.desc.flags = ATTN_SCALE_EXPLICIT;
    emit(g, c);
  }
}

static void plants(struct visitor *g)
{
  for (int plant = PLANT_NONE + 1; plant < PLANT_COUNT; plant++)
    for (int variant = 0; variant < 13; variant++) {
      struct check_case c = plain("plants");
      const bool whole = variant == 12; /* tiles of which nothing is hidden */
      if (g->grid == GRID_EMULATED && variant > 6 && !whole) continue;
      c.desc.Hq = whole ? 2 : 4;
      c.desc.Hkv = whole ? 1 : 2;
      c.desc.Sq = variant < 7 ? 13 : whole ? 64 : 40;
      c.desc.Skv = variant < 7 ? 75 : whole ? 96 : 300;
      c.desc.Dqk = whole ? 40 : 12;
      c.desc.Dv = variant % 2 ? 21 : 40;
      c.plant = (enum plant)plant;
      switch (whole ? -1 : variant % 6) {
      case 0: c.desc.flags = ATTN_CAUSAL; break;
      case 1: set_mask(&c, ATTN_MASK_BOOL, PATTERN_RANDOM, "s", 1); break;
      case 2: set_mask(&c, ATTN_MASK_ADDITIVE, PATTERN_RANDOM, "bhs", 2); break;
      case 3: set_mask(&c, ATTN_MASK_BOOL, PATTERN_TILES, "", 1); break;
      case 4:
        set_mask(&c, ATTN_MASK_BOOL, PATTERN_WINDOW, "s", 1);
        c.desc.mask.length = 50;
        c.desc.flags = ATTN_CAUSAL;
        c.desc.causal_offset = -20;
        break;
      default: break;
      }
      emit(g, c);
    }
}

/* Windows, softcap, ALiBi, sinks and lengths: each alone, then drawn together. */
static void add_variant(struct check_case *c, int which, int64_t size)
{
  switch (which) {
  case 0:
    c->desc.flags |= ATTN_WINDOW_LEFT;
    c->desc.window_left = size;
    break;
  case 1:
    c->desc.flags |= ATTN_WINDOW_RIGHT;
    c->desc.window_right = size;
    break;
  case 2: c->desc.softcap = size % 2 ? 0.7f : 20; break;
  case 3: c->desc.flags |= ATTN_ALIBI; break;
  case 4: c->desc.flags |= ATTN_SINKS; break;
  default: c->desc.flags |= ATTN_KV_LENGTHS; break;
  }
}

static void variants(struct visitor *g)
{
  static const int64_t sizes[] = {0, 1, 7, 16, 40, 300, INT64_MAX};
  struct rng r = {g->seed};
  for (int i = 0; i < (g->grid == GRID_FULL ? 400 : 100); i++) {
    struct check_case c = plain("variants");
    if (g->grid == GRID_EMULATED && i >= 30) break;
    c.desc.B = 1 + i % 3;
    c.desc.Hkv = 1 + i % 2;
    c.desc.Hq = c.desc.Hkv * (1 + rng_below(&r, 4));
    c.desc.Sq = 1 + rng_below(&r, 30);
    c.desc.Skv = 1 + rng_below(&r, i % 5 ? 90 : 600);
    c.desc.Dqk = 1 + rng_below(&r, 24);
    c.desc.Dv = 1 + rng_below(&r, 40);
    if (rng_below(&r, 2)) c.desc.flags |= ATTN_CAUSAL;
    if (rng_below(&r, 4) == 0) c.desc.causal_offset = rng_below(&r, 2 * c.desc.Skv) - c.desc.Skv;
    add_variant(&c, i % 6, sizes[rng_below(&r, COUNT(sizes))]);
    for (int64_t more = i % 2 ? rng_below(&r, 4) : 0; more > 0; more--)
      add_variant(&c, (int)rng_below(&r, 6), sizes[rng_below(&r, COUNT(sizes))]);
    if (i % 7 == 3) set_mask(&c, i % 2 ? ATTN_MASK_BOOL : ATTN_MASK_ADDITIVE, PATTERN_RANDOM, "hs", 1);
    if (i % 11 == 5) c.plant = PLANT_HIDDEN;
    if (i % 13 == 7) c.data = DATA_LARGE;
    emit(g, c);
  }
}

static void threads(struct visitor *g)
{
  const int scale = g->grid == GRID_EMULATED ? 1 : 3;
  for (int variant = 0; variant < (g->grid == GRID_EMULATED ? 2 : 6); variant++) {
    struct check_case c = plain("threads");
    c.threads = true;
    c.desc.B = 2;
    c.desc.Hq = variant % 2 ? 6 : 4;
    c.desc.Hkv = 2;
    c.desc.Sq = 67 * scale;
    c.desc.Skv = 131 * scale;
    c.desc.Dqk = c.desc.Dv = g->grid == GRID_EMULATED ? 16 : 40;
    if (variant % 3 == 1) c.desc.flags = ATTN_CAUSAL;
    if (variant % 3 == 2) set_mask(&c, ATTN_MASK_ADDITIVE, PATTERN_RANDOM, "hs", 1);
    emit(g, c);
  }
}

static char pick(struct rng *r, const char *letters) { return letters[rng_below(r, (int64_t)strlen(letters))]; }

static void randomly(struct visitor *g)
{
  const int n = g->grid == GRID_FULL ? 1200 : g->grid == GRID_QUICK ? 120 : 30;
  struct rng r = {g->seed};
  const int64_t most = g->grid == GRID_EMULATED ? 40 : 90;
  for (int i = 0; i < n; i++) {
    char group[32];
    snprintf(group, sizeof group, "random-%d", i);
    struct check_case c = plain(group);
    c.desc.B = 1 + rng_below(&r, 2);
    c.desc.Hkv = 1 + rng_below(&r, 3);
    c.desc.Hq = c.desc.Hkv * (1 + rng_below(&r, 4));
    c.desc.Sq = 1 + rng_below(&r, 1 + most / c.desc.Hq);
    c.desc.Skv = 1 + rng_below(&r, rng_below(&r, 4) ? most : 5 * most);
    c.desc.Dqk = 1 + rng_below(&r, rng_below(&r, 4) ? 40 : 140);
    c.desc.Dv = 1 + rng_below(&r, rng_below(&r, 4) ? 40 : 140);
    if (rng_below(&r, 3) == 0) {
      c.desc.flags = ATTN_CAUSAL;
      c.desc.causal_offset = rng_below(&r, 2) ? 0 : rng_below(&r, 2 * c.desc.Skv) - c.desc.Skv;
    }
    const char any[] = "ccsptxbo";
    for (int t = 0; t < 3; t++) c.arrangement[t] = pick(&r, any);
    c.arrangement[3] = pick(&r, "ccsptx");
    if (rng_below(&r, 2)) {
      const char *const dims[] = {"s", "", "bhs", "hs", "bs", "b"};
      set_mask(&c, rng_below(&r, 2) ? ATTN_MASK_BOOL : ATTN_MASK_ADDITIVE, (enum pattern)rng_below(&r, PATTERN_LOWEST),
               dims[rng_below(&r, 6)], 1 + (rng_below(&r, 4) == 0));
      if (rng_below(&r, 3) == 0) c.desc.mask.length = 1 + rng_below(&r, c.desc.Skv);
    }
    if (rng_below(&r, 3) == 0) c.data = (enum data)rng_below(&r, DATA_COUNT);
    if (rng_below(&r, 5) == 0 && c.data == DATA_NORMAL) c.plant = (enum plant)rng_below(&r, PLANT_COUNT);
    emit(g, c);
  }
}

static void all_random(struct visitor *g, unsigned count)
{
  for (unsigned i = 0; i < count && !g->stopped; i++) {
    char group[32];
    struct check_case c;
    snprintf(group, sizeof group, "random-%u", i);
    struct draw d = {.rng = {rng_seed_of(g->seed + i * 0x9e3779b97f4a7c15u, g->kernel->name)}};
    case_random(&c, g->kernel, group, 160, &d);
    g->stopped = !g->visit(&c, g->context);
  }
}

void grid_visit(const struct attn_kernel *kernel, enum grid grid, uint64_t seed, unsigned count,
                bool (*visit)(const struct check_case *, void *), void *context)
{
  struct visitor g = {.kernel = kernel, .grid = grid, .seed = seed, .visit = visit, .context = context};
  if (grid == GRID_RANDOM) {
    all_random(&g, count);
    return;
  }
  tile_edges(&g);
  head_sizes(&g);
  layouts(&g);
  groups(&g);
  splits(&g);
  causality(&g);
  masks(&g);
  blocks(&g);
  block_tiles(&g);
  values(&g);
  plants(&g);
  variants(&g);
  threads(&g);
  randomly(&g);
}
