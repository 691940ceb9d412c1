#include "baseline_history.h"

#include "../history/history.h"

#include "../../bench/edivisive.h"
#include "../../bench/stats.h"
#include "../../bench/gbench_shim.h"
#include "../../dispatch/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool {
  struct results run[BASELINE_HISTORY_RUNS]; /* by date */
  int runs;
};

static bool no_memory(struct complaint *why) { return complain(why, "no memory for the history"); }

/* The digest that the history has for the machine this is. */
static void identify_machine(const struct baseline_history *o, char machine[DIGEST_TEXT_BYTES], char *name, size_t bytes)
{
  struct gbench_machine here;
  char features[256];
  gbench_machine_get(&here);
  snprintf(name, bytes, "%s", o->machine ? o->machine : here.host_name);
  history_machine(name, attn_cpu_model(), attn_feature_list(attn_cpu_features(), features, sizeof features), here.num_cpus,
                  machine);
}

static bool load_run(struct history *h, int64_t id, struct pool *pool, struct complaint *why)
{
  char *document = history_document(h, id, why);
  const bool ok = document && results_parse(&pool->run[pool->runs], database_where(h->database), document, strlen(document),
                                            why->text, sizeof why->text);
  pool->runs += ok;
  free(document);
  return ok;
}

/* The latest runs of the machine, oldest first. */
static bool load(struct history *h, const struct baseline_history *o, struct pool *pool, struct complaint *why)
{
  char machine[DIGEST_TEXT_BYTES], name[256];
  const struct history_filter all = {.latest = 0};
  struct history_runs runs;
  identify_machine(o, machine, name, sizeof name);
  if (!history_runs_read(h, &all, &runs, why)) return false;
  const struct history_run *last = NULL;
  for (int i = 0; i < runs.count; i++)
    if (o->any_machine || !strcmp(runs.run[i].machine, machine)) last = &runs.run[i];
  bool ok = last || complain(why,
                             "%s: no run of this machine ('%s', %s); `attnbench run --json r.json && attnbench history add "
                             "r.json' adds one, --machine says what it is called there",
                             database_where(h->database), name, attn_cpu_model());
  int fitting = 0, skipped = 0;
  for (int i = 0; ok && i < runs.count; i++)
    fitting += !strcmp(runs.run[i].machine, last->machine) && !strcmp(runs.run[i].method, last->method);
  for (int i = 0; ok && i < runs.count; i++) {
    const struct history_run *r = &runs.run[i];
    if (strcmp(r->machine, last->machine) || strcmp(r->method, last->method)) continue;
    if (skipped++ >= fitting - BASELINE_HISTORY_RUNS) ok = load_run(h, r->id, pool, why);
  }
  history_runs_free(&runs);
  return ok;
}

/* The points of a case over the runs; NULL where a run does not have it. cpu is NaN unless every repetition has it. */
struct points {
  double real[BASELINE_HISTORY_RUNS], cpu[BASELINE_HISTORY_RUNS];
  int n;
  const struct results_case *latest;
};

static bool gather(const struct pool *pool, const char *name, struct points *p)
{
  *p = (struct points){.n = 0};
  for (int r = 0; r < pool->runs; r++) {
    const struct results_case *c = results_find(&pool->run[r], name);
    if (!c) continue;
    bool timed = true;
    for (int t = 0; t < c->times; t++) timed &= c->cpu_ns[t] > 0;
    p->real[p->n] = stats_median(c->time_ns, c->times);
    p->cpu[p->n] = timed ? stats_median(c->cpu_ns, c->times) : NAN;
    if (isnan(p->real[p->n])) return false;
    p->latest = c;
    p->n++;
  }
  return p->latest != NULL;
}

/* Index of the first point after the last change. -1: no memory. */
static int since_last_change(const struct points *p)
{
  double ln[BASELINE_HISTORY_RUNS];
  struct edivisive_change change[BASELINE_HISTORY_RUNS];
  for (int i = 0; i < p->n; i++) ln[i] = log(p->real[i]);
  const double noise = edivisive_noise(ln, p->n);
  const int changes = isnan(noise) ? -1 : edivisive(ln, p->n, noise, change);
  return changes < 0 ? -1 : changes ? change[changes - 1].at : 0;
}

static double *copy(const double *values, int n)
{
  double *to = malloc((size_t)n * sizeof *to);
  if (to) memcpy(to, values, (size_t)n * sizeof *to);
  return to;
}

static bool make_case(struct results_case *to, const struct pool *pool, const char *name)
{
  struct points p;
  if (!gather(pool, name, &p)) return false;
  int first = since_last_change(&p);
  if (first < 0) return false;
  const bool pooled = p.n - first >= BASELINE_HISTORY_LEAST;
  if (p.n - first > BASELINE_HISTORY_MOST) first = p.n - BASELINE_HISTORY_MOST;
  *to = (struct results_case){.name = strdup(name),
                              .label = strdup(p.latest->label ? p.latest->label : ""),
                              .times = pooled ? p.n - first : p.latest->times,
                              .only_aggregate = !pooled && p.latest->only_aggregate};
  to->time_ns = copy(pooled ? p.real + first : p.latest->time_ns, to->times);
  to->cpu_ns = copy(pooled ? p.cpu + first : p.latest->cpu_ns, to->times);
  return to->name && to->label && to->time_ns && to->cpu_ns;
}

static const struct results *sorted;
static int by_name(const void *a, const void *b)
{
  return strcmp(sorted->c[*(const int *)a].name, sorted->c[*(const int *)b].name);
}

/* Whether a later run has the case: it is there already. */
static bool is_known(const struct pool *pool, int run, const char *name)
{
  for (int r = pool->runs - 1; r > run; r--)
    if (results_find(&pool->run[r], name)) return true;
  return false;
}

/* Every case of every run, those of the latest run first. */
static bool make_results(struct results *to, const struct pool *pool, struct complaint *why)
{
  const struct results *last = &pool->run[pool->runs - 1];
  const struct {
    char **to;
    const char *from;
  } texts[] = {{&to->path, last->path},       {&to->date, last->date},         {&to->host, last->host},
               {&to->cpu, last->cpu},         {&to->features, last->features}, {&to->method, last->method},
               {&to->version, last->version}, {&to->commit, last->commit},     {&to->compiler, last->compiler},
               {&to->binary, last->binary}};
  int room = 0;
  bool ok = true;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ok &= (*texts[i].to = strdup(texts[i].from)) != NULL;
  to->cpus = last->cpus;
  for (int r = 0; r < pool->runs; r++) room += pool->run[r].count;
  to->c = calloc((size_t)room + 1, sizeof *to->c);
  to->by_name = calloc((size_t)room + 1, sizeof *to->by_name);
  ok = ok && to->c && to->by_name;
  for (int r = pool->runs - 1; r >= 0; r--)
    for (int i = 0; ok && i < pool->run[r].count; i++) {
      const char *name = pool->run[r].c[i].name;
      if (is_known(pool, r, name)) continue;
      to->by_name[to->count] = to->count;
      ok = make_case(&to->c[to->count++], pool, name);
    }
  sorted = to;
  if (ok) qsort(to->by_name, (size_t)to->count, sizeof *to->by_name, by_name);
  return ok || no_memory(why);
}

bool baseline_open_history(struct baseline *b, const struct baseline_history *o, struct complaint *why)
{
  struct history h;
  struct pool *pool = calloc(1, sizeof *pool);
  *b = (struct baseline){.program = -1};
  if (!pool) return no_memory(why);
  bool ok = history_open(&h, o->db, DATABASE_READ, why) && load(&h, o, pool, why) && make_results(&b->results, pool, why);
  if (ok)
    snprintf(b->label, sizeof b->label, "%d run%s of %.100s, the latest of %.40s, commit %.40s", pool->runs,
             pool->runs == 1 ? "" : "s", database_where(h.database), b->results.date,
             *b->results.commit ? b->results.commit : "unknown");
  history_close(&h);
  for (int r = 0; r < pool->runs; r++) results_free(&pool->run[r]);
  free(pool);
  return ok;
}
