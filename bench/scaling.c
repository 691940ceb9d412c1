#include "scaling.h"

#include <math.h>
#include <string.h>

char *bench_scaling_threads(int cores, char list[BENCH_SCALING_LIST_BYTES])
{
  size_t used = 0;
  for (int n = 1; n < cores; n += n < 8 ? 1 : n / 4)
    used += (size_t)snprintf(list + used, BENCH_SCALING_LIST_BYTES - used, "%d,", n);
  snprintf(list + used, BENCH_SCALING_LIST_BYTES - used, "%d,%d", cores, 2 * cores);
  return list;
}

static bool same_but_threads(const struct bench_row *a, const struct bench_row *b)
{
  return !strcmp(a->c.kernel, b->c.kernel) && bench_shape_equal(&a->c.shape, &b->c.shape);
}

static void print_line(FILE *out, bool markdown, const char *label, const char *kernel, const char *threads,
                       const char *rate, const char *speedup, const char *efficiency)
{
  if (markdown)
    fprintf(out, "| %s | %s | %s | %s | %s | %s |\n", label, kernel, threads, rate, speedup, efficiency);
  else
    fprintf(out, "%-24s %-23s %4s %9s %8s %11s\n", label, kernel, threads, rate, speedup, efficiency);
}

void bench_scaling_print(FILE *out, bool markdown, const struct bench_row *rows, int count, double cpus)
{
  fprintf(out,
          "\nScaling: efficiency = throughput / (min(T, %.4g CPUs that this process may use) x throughput on one "
          "thread)\n",
          cpus);
  if (markdown) fputs("\n", out);
  print_line(out, markdown, "case", "kernel", "T", "GFLOP/s", "speed-up", "efficiency");
  if (markdown) fputs("|:--|:--|--:|--:|--:|--:|\n", out);
  for (int i = 0; i < count; i++) {
    const struct bench_row *one = NULL;
    if (rows[i].state != BENCH_TIMED) continue;
    for (int j = 0; j < count; j++)
      if (rows[j].state == BENCH_TIMED && rows[j].threads == 1 && same_but_threads(&rows[i], &rows[j])) one = &rows[j];
    char threads[16], rate[32], speedup[32] = "-", efficiency[32] = "-";
    const double mine = bench_row_rate(&rows[i], rows[i].median_s);
    snprintf(threads, sizeof threads, "%d", rows[i].threads);
    snprintf(rate, sizeof rate, "%.1f", mine / 1e9);
    if (one) {
      const double ratio = mine / bench_row_rate(one, one->median_s);
      snprintf(speedup, sizeof speedup, "%.2f", ratio);
      snprintf(efficiency, sizeof efficiency, "%.2f", ratio / fmin(rows[i].threads, cpus));
    }
    print_line(out, markdown, rows[i].label, rows[i].c.kernel, threads, rate, speedup, efficiency);
  }
}
