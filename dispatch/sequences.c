#include "sequences.h"

#include "../kernels/reference/half.h"

static int64_t div_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* Rows that keep the FMAs as busy as reading a key keeps the memory: of a unit with fewer, the keys are the cost. */
enum { READING_ROWS = 12, UNITS_PER_THREAD = 6, LEAST_ROWS = 96, DECODE_TILE = 4 };

/* Keys that a row sees, on average: exact without windows. */
static double keys_of_row(const struct attn_problem *own, int64_t length)
{
  const struct attn_range first = attn_query_range(own, length, 0), last = attn_query_range(own, length, own->Sq - 1);
  return ((double)(first.limit - first.first) + (double)(last.limit - last.first)) / 2;
}

int64_t attn_sequence_place(struct attn_sequence *s, const struct attn_problem *p, const attn_args *args, int64_t b)
{
  *s = (struct attn_sequence){.b = b, .queries = p->Sq};
  if (p->q_starts) {
    s->query0 = args->q_starts[b];
    s->queries = args->q_starts[b + 1] - s->query0;
  }
  if (!p->kv_starts) return p->kv_lengths ? args->kv_lengths[b] : p->Skv;
  s->key0 = args->kv_starts[b];
  return args->kv_starts[b + 1] - s->key0;
}

attn_args attn_sequence_args(const struct attn_sequence *s, const struct attn_problem *p, const attn_args *args)
{
  const int64_t q_bytes = (int64_t)attn_element_bytes(p->dtype), kv_bytes = (int64_t)attn_element_bytes(p->kv_dtype);
  attn_args its = *args;
  if (s->query0) { /* what has no elements may be NULL, and have any strides */
    if (p->Dqk) its.q = (const char *)args->q + s->query0 * p->q.s * q_bytes;
    if (p->Dv) its.o = (char *)args->o + s->query0 * p->o.s * q_bytes;
    if (args->lse) its.lse = args->lse + s->query0 * p->lse.s;
  }
  if (s->key0) {
    if (p->Dqk) its.k = (const char *)args->k + s->key0 * p->k.s * kv_bytes;
    if (p->Dv) its.v = (const char *)args->v + s->key0 * p->v.s * kv_bytes;
  }
  return its;
}

/* Everything but units: returns what its rows cost in all, for one KV head. */
static double measure(struct attn_sequence *s, int64_t *length, const struct attn_plan *plan, const attn_args *args,
                      int64_t b)
{
  const struct attn_problem *p = &plan->problem;
  *length = attn_sequence_place(s, p, args, b);
  s->kernel = plan->kernel;
  if (!s->queries) return 0;
  const struct attn_problem own = attn_sequence_problem(p, s->queries);
  if (plan->few && attn_kernel_is_for_few(plan->few, plan->kernel, &own)) s->kernel = plan->few;
  const int64_t rows = p->G * s->queries;
  return (keys_of_row(&own, *length) + 1) * (double)(rows < READING_ROWS ? READING_ROWS : rows);
}

/* Large units amortise the packing of K and V; small ones keep all threads busy to the end. */
static void cut(struct attn_sequence *s, const struct attn_plan *plan, int64_t length, double cost, double wanted)
{
  const struct attn_problem *p = &plan->problem;
  /* Decode kernels multiply four rows at a time, and the sums of a single one may have another order: it must be the last.
   */
  const int64_t rows = p->G * s->queries, tile = s->kernel->key_span ? DECODE_TILE : s->kernel->row_tile;
  s->blocks = s->parts = 1;
  s->unit_rows = rows;
  if (!rows) return;
  if (s->kernel->key_span && rows <= s->kernel->unit_rows) {
    const int64_t keys = length < p->mask_length ? length : p->mask_length;
    s->span = keys ? attn_key_span(s->kernel, keys) : p->Skv;
    s->parts = keys ? div_up(keys, s->span) : 1;
  } else if (s->kernel->key_span || !(s->kernel->flags & ATTN_KERNEL_WHOLE_HEAD)) {
    const int64_t allowed = plan->unit_rows < s->kernel->unit_rows ? plan->unit_rows : s->kernel->unit_rows;
    const int64_t most = allowed / tile * tile, least = most < LEAST_ROWS ? most : div_up(LEAST_ROWS, tile) * tile;
    double unit = (double)rows * wanted / cost;
    unit = unit < (double)least ? (double)least : unit > (double)most ? (double)most : unit;
    s->unit_rows = div_up(div_up(rows, div_up(rows, (int64_t)unit / tile * tile)), tile) * tile; /* of equal size */
    s->blocks = div_up(rows, s->unit_rows);
  }
  s->cost = cost / (double)(s->blocks * s->parts);
}

static bool before(const struct attn_sequence *a, const struct attn_sequence *b)
{
  return a->cost != b->cost ? a->cost > b->cost : a->b < b->b;
}

/* Shell's sort with Knuth's gaps: in place, and quick where little is out of order. */
static void sort(struct attn_sequence *s, int64_t n)
{
  int64_t gap = 1;
  while (gap < n / 3) gap = 3 * gap + 1;
  for (; gap; gap /= 3)
    for (int64_t i = gap; i < n; i++) {
      const struct attn_sequence moved = s[i];
      int64_t j = i;
      for (; j >= gap && before(&moved, &s[j - gap]); j -= gap) s[j] = s[j - gap];
      s[j] = moved;
    }
}

int64_t attn_sequences_fill(struct attn_sequence *to, int64_t *lengths, const struct attn_plan *plan, const attn_args *args)
{
  const struct attn_problem *p = &plan->problem;
  double all = 0;
  for (int64_t b = 0; b < p->B; b++) all += to[b].cost = measure(&to[b], &lengths[b], plan, args, b);
  const double wanted = plan->threads == 1 ? all + 1 : all * (double)p->Hkv / (plan->threads * UNITS_PER_THREAD);
  for (int64_t b = 0; b < p->B; b++) cut(&to[b], plan, lengths[b], to[b].cost, wanted);
  sort(to, p->B);
  int64_t units = 0, floats = 0;
  for (int64_t i = 0; i < p->B; i++) {
    struct attn_sequence *s = &to[i];
    s->first_unit = units;
    s->first_float = floats;
    if (!s->queries) continue;
    units += p->Hkv * s->blocks * s->parts;
    if (s->parts > 1) floats += p->Hkv * s->parts * attn_part_floats(p->G * s->queries, p->Dv);
  }
  return units;
}

const struct attn_sequence *attn_sequence_of(const struct attn_sequence *all, int64_t count, int64_t index)
{
  int64_t low = 0, high = count;
  while (high - low > 1) { /* of those that begin at the same unit only the last has any */
    const int64_t middle = low + (high - low) / 2;
    if (all[middle].first_unit <= index)
      low = middle;
    else
      high = middle;
  }
  return &all[low];
}
