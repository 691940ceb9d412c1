/* Masks made for the caller: block-sparse patterns, and the tree of speculative tokens. */
#include "error.h"
#include "problem.h"

#include <string.h>

/* The fields that a bitmap depends on. */
static attn_status resolve(struct attn_problem *p, const attn_desc *desc)
{
  if (!desc) return attn_fail(ATTN_ERR_INVALID, "desc is NULL");
  *p = (struct attn_problem){.B = 1, .Hq = 1, .Sq = desc->Sq, .Skv = desc->Skv};
  if (p->Sq < 0 || p->Skv < 0)
    return attn_fail(ATTN_ERR_INVALID, "Sq = %lld, Skv = %lld: neither may be negative", (long long)p->Sq,
                     (long long)p->Skv);
  const attn_status status = attn_blocks_resolve(p, &desc->blocks);
  if (status) return status;
  return p->block_keys ? ATTN_OK : attn_fail(ATTN_ERR_INVALID, "desc.blocks has no size; set .queries and .keys");
}

static int64_t blocks_of(int64_t n, int64_t size) { return n ? (n - 1) / size + 1 : 0; }

static attn_status check_room(const struct attn_problem *p, const uint8_t *bitmap, size_t bytes)
{
  const size_t need = (size_t)(blocks_of(p->Sq, p->block_queries) * p->block_row);
  if (!bitmap && need) return attn_fail(ATTN_ERR_INVALID, "bitmap is NULL; %zu bytes are needed there", need);
  if (bytes < need)
    return attn_fail(ATTN_ERR_INVALID, "bytes = %zu is less than the %zu of a bitmap (attn_block_mask_bytes)", bytes, need);
  return ATTN_OK;
}

size_t attn_block_mask_bytes(const attn_desc *desc)
{
  struct attn_problem p;
  return resolve(&p, desc) ? 0 : (size_t)(blocks_of(p.Sq, p.block_queries) * p.block_row);
}

static void put(uint8_t *row, int64_t x, bool visible)
{
  const uint8_t bit = (uint8_t)(1u << x % 8);
  row[x / 8] = (uint8_t)(visible ? row[x / 8] | bit : row[x / 8] & ~bit);
}

attn_status attn_block_mask_set(uint8_t *bitmap, size_t bytes, const attn_desc *desc, int64_t y, int64_t x, int visible)
{
  struct attn_problem p;
  attn_status status = resolve(&p, desc);
  if (!status) status = check_room(&p, bitmap, bytes);
  if (status) return status;
  const int64_t down = blocks_of(p.Sq, p.block_queries), across = blocks_of(p.Skv, p.block_keys);
  if (y < 0 || y >= down || x < 0 || x >= across)
    return attn_fail(ATTN_ERR_INVALID, "block (%lld, %lld) is not one of the %lld x %lld", (long long)y, (long long)x,
                     (long long)down, (long long)across);
  put(bitmap + y * p.block_row, x, visible != 0);
  return ATTN_OK;
}

/* Which block of keys a position lies in; below 0 for positions before the first key. */
static int64_t block_at(const struct attn_problem *p, int64_t position)
{
  return position >= 0 ? position / p->block_keys : -((-position - 1) / p->block_keys) - 1;
}

attn_status attn_block_mask_build(uint8_t *bitmap, size_t bytes, const attn_desc *desc, const attn_block_pattern *pattern)
{
  struct attn_problem p;
  attn_status status = resolve(&p, desc);
  if (!status) status = check_room(&p, bitmap, bytes);
  if (status) return status;
  if (!pattern) return attn_fail(ATTN_ERR_INVALID, "pattern is NULL");
  const attn_block_pattern *w = pattern;
  if (w->local < 0 || w->stride < 0 || w->global_keys < 0 || w->global_queries < 0)
    return attn_fail(
        ATTN_ERR_INVALID,
        "pattern: local = %lld, stride = %lld, global_keys = %lld, global_queries = %lld: none may be negative",
        (long long)w->local, (long long)w->stride, (long long)w->global_keys, (long long)w->global_queries);
  const int64_t down = blocks_of(p.Sq, p.block_queries), across = blocks_of(p.Skv, p.block_keys), far = (int64_t)1 << 60;
  int64_t offset = desc->causal_offset < -far ? -far : desc->causal_offset > far ? far : desc->causal_offset;
  offset += p.Skv - p.Sq;
  const int64_t local = w->local < across ? w->local : across;
  memset(bitmap, 0, (size_t)(down * p.block_row));
  for (int64_t y = 0; y < down; y++) {
    const int64_t end = (y + 1) * p.block_queries < p.Sq ? (y + 1) * p.block_queries : p.Sq;
    const int64_t first = block_at(&p, y * p.block_queries + offset), last = block_at(&p, end - 1 + offset);
    for (int64_t x = 0; x < across; x++) {
      const bool near = local && x > first - local && x < last + local;
      const bool strided = w->stride && x % w->stride == w->stride - 1;
      if (near || strided || x < w->global_keys || y < w->global_queries) put(bitmap + y * p.block_row, x, true);
    }
  }
  return ATTN_OK;
}

attn_status attn_tree_mask(uint8_t *mask, int64_t row_stride, const int32_t *parent, int64_t n, int64_t prefix)
{
  if (n < 0 || prefix < 0 || row_stride < 0 || prefix > INT64_MAX - n || row_stride < prefix + n)
    return attn_fail(ATTN_ERR_INVALID, "n = %lld, prefix = %lld, row_stride = %lld: a row holds prefix + n entries",
                     (long long)n, (long long)prefix, (long long)row_stride);
  if (n && (!mask || !parent)) return attn_fail(ATTN_ERR_INVALID, "%s is NULL", mask ? "parent" : "mask");
  for (int64_t i = 0; i < n; i++)
    if (parent[i] < -1 || parent[i] >= i)
      return attn_fail(ATTN_ERR_INVALID, "parent[%lld] = %d is not within -1..%lld; parents come before their children",
                       (long long)i, (int)parent[i], (long long)i - 1);
  for (int64_t i = 0; i < n; i++) {
    uint8_t *row = mask + i * row_stride;
    if (parent[i] < 0) {
      memset(row, 1, (size_t)prefix);
      memset(row + prefix, 0, (size_t)n);
    } else {
      memcpy(row, mask + parent[i] * row_stride, (size_t)(prefix + n));
    }
    row[prefix + i] = 1;
  }
  return ATTN_OK;
}
