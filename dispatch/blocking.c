#include "blocking.h"

#include "topology.h"
#include "tuning.h"

#include <stdlib.h>

static const struct {
  const char *name;
  size_t offset;
} fields[ATTN_BLOCKING_FIELDS] = {{"block_keys", offsetof(struct attn_blocking, block_keys)},
                                  {"group_rows", offsetof(struct attn_blocking, group_rows)},
                                  {"unit_rows", offsetof(struct attn_blocking, unit_rows)}};

const char *attn_blocking_name(int field) { return fields[field].name; }

int64_t *attn_blocking_field(struct attn_blocking *blocking, int field)
{
  return (int64_t *)((char *)blocking + fields[field].offset);
}

bool attn_blocking_allows(const struct attn_kernel *kernel, int field, int64_t value, int64_t *step, int64_t *most)
{
  *step = *most = 0;
  if (!kernel->blocking_step) return value == 0;
  struct attn_blocking steps = *kernel->blocking_step, mosts = *kernel->blocking_most;
  *step = *attn_blocking_field(&steps, field);
  *most = *attn_blocking_field(&mosts, field);
  return value >= 0 && value <= *most && value % *step == 0;
}

/* Fewer keys do not pay for a pass over Q, P and O: rather let a group have fewer rows. */
enum { LEAST_KEYS = 64, MOST_ROWS = 96 };

struct attn_blocking attn_blocking_for_cache(const struct attn_kernel *kernel, const struct attn_problem *p,
                                             size_t l2_bytes)
{
  struct attn_blocking blocking = {0};
  if (!kernel->blocking_step || l2_bytes == 0) return blocking;
  const struct attn_blocking *step = kernel->blocking_step, *usual = kernel->blocking_usual;
  const double half = (double)l2_bytes / 2, of_head = ((double)p->Dqk + (double)p->Dv) * sizeof(float);
  const int64_t most_rows = usual ? usual->group_rows : MOST_ROWS;
  const int64_t most_keys = usual ? usual->block_keys : kernel->blocking_most->block_keys;
  int64_t rows = most_rows / step->group_rows * step->group_rows;
  double keys;
  for (;;) { /* keys * of_head: K and V; rows * of_head: Q and O; rows * keys: P */
    keys = (half - (double)rows * of_head) / (of_head + (double)rows * sizeof(float));
    if (keys >= LEAST_KEYS || rows / 2 < step->group_rows) break;
    rows = rows / 2 / step->group_rows * step->group_rows;
  }
  if (keys < LEAST_KEYS) keys = LEAST_KEYS;
  if (keys > (double)most_keys) keys = (double)most_keys;
  blocking.block_keys = (int64_t)keys / step->block_keys * step->block_keys;
  if (blocking.block_keys < step->block_keys) blocking.block_keys = step->block_keys;
  blocking.group_rows = rows;
  return blocking;
}

struct attn_blocking attn_blocking_default(const struct attn_kernel *kernel, const struct attn_problem *problem)
{
  const struct attn_topology *t = attn_topology_get();
  return attn_blocking_for_cache(kernel, problem, t->l2_bytes / (size_t)(t->l2_cores > 1 ? t->l2_cores : 1));
}

attn_status attn_blocking_choose(struct attn_blocking *blocking, const struct attn_kernel *kernel,
                                 const struct attn_problem *problem)
{
  const char *path = getenv("ATTN_TUNING");
  struct attn_blocking tuned = {0};
  if (path && *path) {
    const attn_status status = attn_tuning_read(&tuned, path, kernel, problem->Dqk, problem->Dv);
    if (status) return status;
  }
  *blocking = attn_blocking_default(kernel, problem);
  for (int i = 0; i < ATTN_BLOCKING_FIELDS; i++) {
    const int64_t value = *attn_blocking_field(&tuned, i);
    if (value) *attn_blocking_field(blocking, i) = value;
  }
  return ATTN_OK;
}
