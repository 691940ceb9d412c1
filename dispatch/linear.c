#include "linear.h"

#include "error.h"
#include "memory.h"
#include "parallel.h"

#include "../kernels/reference/half.h"

#include <stdlib.h>

/* Panels of a unit: many pack its rows less often, few are work for more threads. */
enum { UNIT_ROWS = 96, LEAST_UNIT_PANELS = 8, MOST_UNIT_PANELS = 24, UNITS_A_THREAD = 4 };

extern const struct attn_linear linear_f32_scalar;
#if defined(__x86_64__)
extern const struct attn_linear linear_f32_amx, linear_f32_avx512, linear_f32_avx2;
static const struct attn_linear *const kernels[] = {&linear_f32_amx, &linear_f32_avx512, &linear_f32_avx2,
                                                    &linear_f32_scalar};
#elif defined(__aarch64__)
extern const struct attn_linear linear_f32_neon;
static const struct attn_linear *const kernels[] = {&linear_f32_neon, &linear_f32_scalar};
#else
static const struct attn_linear *const kernels[] = {&linear_f32_scalar};
#endif

/* The scalar one needs nothing, so there always is one. */
static const struct attn_linear *choose(const struct attn_restrictions *r, int64_t rows)
{
  size_t i = 0;
  while (i + 1 < sizeof kernels / sizeof *kernels &&
         (kernels[i]->needs & ~r->features || kernels[i]->isa > r->isa || rows < kernels[i]->rows_from))
    i++;
  return kernels[i];
}

/* Floats of a packed row of x, or of an output's weights. */
static int64_t packed_floats(const struct attn_linear *kernel, int64_t depth)
{
  return kernel->packed ? kernel->packed(depth) : depth;
}

/* Outputs [n0, n0 + columns) as the kernel wants them; rows: room for as many of `depth`. */
static void pack_panel(const struct attn_weights *w, float *to, float *rows, attn_dtype dtype, const void *weights,
                       int64_t n0)
{
  const int64_t columns = w->kernel->columns, depth = w->depth;
  for (int64_t n = 0; n < columns; n++)
    for (int64_t d = 0; d < depth; d++)
      rows[n * depth + d] = n0 + n < w->outputs ? attn_element_get(dtype, weights, (n0 + n) * depth + d) : 0;
  if (w->kernel->pack_panel) {
    w->kernel->pack_panel(to, rows, depth);
    return;
  }
  for (int64_t d = 0; d < depth; d++)
    for (int64_t n = 0; n < columns; n++) *to++ = rows[n * depth + d];
}

attn_status attn_weights_pack(struct attn_weights *w, const struct attn_restrictions *restrictions, const char *name,
                              attn_dtype dtype, const void *weights, const void *bias, int64_t outputs, int64_t depth,
                              int64_t rows)
{
  *w = (struct attn_weights){.kernel = choose(restrictions, rows), .depth = depth, .outputs = outputs};
  const int64_t columns = w->kernel->columns;
  size_t floats, bytes, bias_bytes;
  if (depth > INT64_MAX / 4 || /* packed() itself could overflow */
      __builtin_mul_overflow((size_t)outputs + (size_t)columns, (size_t)packed_floats(w->kernel, depth), &floats) ||
      __builtin_mul_overflow(floats, sizeof(float), &bytes) || bytes > PTRDIFF_MAX)
    return attn_fail(ATTN_ERR_OVERFLOW, "weights %s: %lld x %lld exceeds the address space", name, (long long)outputs,
                     (long long)depth);
  w->panels = (outputs + columns - 1) / columns;
  bias_bytes = ((size_t)(w->panels * columns) * sizeof(float) + 63) & ~(size_t)63;
  w->packed = attn_reserve(bytes, bytes);
  w->bias = aligned_alloc(64, bias_bytes);
  float *panel = malloc(((size_t)columns * (size_t)depth + 1) * sizeof *panel);
  if (!w->packed || !w->bias || !panel) {
    free(panel);
    return attn_fail(ATTN_ERR_NO_MEMORY, "weights %s: no memory for %lld x %lld floats", name, (long long)outputs,
                     (long long)depth);
  }
  for (int64_t n0 = 0; n0 < w->panels * columns; n0 += columns)
    pack_panel(w, w->packed + n0 * packed_floats(w->kernel, depth), panel, dtype, weights, n0);
  free(panel);
  for (int64_t n = 0; n < w->panels * columns; n++) w->bias[n] = bias && n < outputs ? attn_element_get(dtype, bias, n) : 0;
  return ATTN_OK;
}

void attn_weights_free(struct attn_weights *w)
{
  free(w->packed);
  free(w->bias);
  *w = (struct attn_weights){0};
}

size_t attn_weights_scratch(const struct attn_weights *w)
{
  size_t floats;
  if (!w->kernel) return 0;
  if (__builtin_mul_overflow((size_t)packed_floats(w->kernel, w->depth), (size_t)UNIT_ROWS, &floats) ||
      floats > PTRDIFF_MAX / sizeof(float))
    return SIZE_MAX;
  return (floats + 15) & ~(size_t)15;
}

struct job {
  const struct attn_weights *w;
  const float *x;
  float *y, *scratch;
  int64_t rows, row_blocks, unit_panels;
  size_t scratch_floats;
};

static void run_unit(void *context, int64_t i, int thread)
{
  const struct job *j = context;
  const struct attn_weights *w = j->w;
  const int64_t row = i % j->row_blocks * UNIT_ROWS, panel = i / j->row_blocks * j->unit_panels;
  const struct attn_linear_unit unit = {.x = j->x + row * w->depth,
                                        .y = j->y + row * w->outputs,
                                        .x_stride = w->depth,
                                        .y_stride = w->outputs,
                                        .rows = j->rows - row < UNIT_ROWS ? j->rows - row : UNIT_ROWS,
                                        .depth = w->depth,
                                        .outputs = w->outputs,
                                        .panel0 = panel,
                                        .panel1 = panel + j->unit_panels < w->panels ? panel + j->unit_panels : w->panels,
                                        .weights = w->packed,
                                        .bias = w->bias,
                                        .scratch = j->scratch + (size_t)thread * j->scratch_floats};
  w->kernel->run(&unit);
}

void attn_weights_apply(const struct attn_weights *w, const float *x, float *y, int64_t rows, int threads,
                        attn_placement placement, float *scratch, size_t scratch_floats)
{
  struct job job = {.w = w,
                    .x = x,
                    .y = y,
                    .scratch = scratch,
                    .rows = rows,
                    .row_blocks = (rows + UNIT_ROWS - 1) / UNIT_ROWS,
                    .scratch_floats = scratch_floats};
  const int64_t even = w->panels / UNITS_A_THREAD * job.row_blocks / threads;
  job.unit_panels = even < LEAST_UNIT_PANELS ? LEAST_UNIT_PANELS : even > MOST_UNIT_PANELS ? MOST_UNIT_PANELS : even;
  const int64_t units = job.row_blocks * ((w->panels + job.unit_panels - 1) / job.unit_panels);
  attn_parallel_for(units < threads ? (int)units : threads, placement, units, run_unit, &job);
}
