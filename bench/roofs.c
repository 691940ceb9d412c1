#include "roofs.h"

#include "clock.h"
#include "memory.h"
#include "roof_loops.h"
#include "team.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct roof_loops *const all_loops[] = {
    &roof_loops_scalar,
#if defined(__x86_64__)
    &roof_loops_avx2,   &roof_loops_avx512, &roof_loops_avx512bf16, &roof_loops_amx,
#elif defined(__aarch64__)
    &roof_loops_neon,
    &roof_loops_neonbf16,
#endif
};
enum { LOOPS = sizeof all_loops / sizeof *all_loops, MAX_ROOFS = 256, MAX_READERS = 512 };

static const double least_sample_s = 2e-3;
static const double warm_up_s = 20e-3; /* cores that waited for memory or slept may take half of it to their full clock */
static const size_t chunk_bytes = (size_t)32 << 20, least_buffer_bytes = (size_t)256 << 20;

/* A team that reads so many bytes again and again, and what it settled on. */
struct reader {
  int threads, variant;
  size_t part_bytes; /* of each thread */
  bool kept;         /* a cache holds them: they are brought there before each sample */
  size_t position;   /* the next sample goes on where the last one ended; bytes that no cache holds left them long ago */
};

struct bench_roofs {
  char *buffer;
  size_t buffer_bytes;
  struct bench_roof roof[MAX_ROOFS];
  struct reader reader[MAX_READERS];
  long rounds[ATTN_ISA_COUNT]; /* of multiply-adds that last least_sample_s or more */
  int roofs, readers;
};

struct sample {
  const struct roof_loops *loops;
  long rounds; /* > 0: multiply-adds; otherwise read */
  int variant, passes;
  const char *start;
  size_t stride, position, bytes; /* each thread's own: passes over [position, position + bytes) of stride bytes */
  double *began, *ended;          /* [threads] */
};

static volatile uint64_t result_sink;

static void run_sample(void *context, int thread, int threads)
{
  const struct sample *s = context;
  (void)threads;
  s->began[thread] = bench_clock();
  if (s->rounds > 0) result_sink = (uint64_t)s->loops->fma(s->rounds);
  for (int pass = 0; pass < s->passes; pass++)
    result_sink = s->loops->read(s->start + (size_t)thread * s->stride + s->position, s->bytes, s->variant);
  s->ended[thread] = bench_clock();
}

/* Seconds from the first start to the last end; 0 if the threads could not be had. */
static double team_seconds(struct sample *s, int threads)
{
  double *times = calloc(2 * (size_t)threads, sizeof *times), seconds = 0;
  if (!times) return 0;
  s->began = times;
  s->ended = times + threads;
  if (bench_team_run(threads, run_sample, s)) {
    double first = s->began[0], last = s->ended[0];
    for (int i = 1; i < threads; i++) {
      if (s->began[i] < first) first = s->began[i];
      if (s->ended[i] > last) last = s->ended[i];
    }
    seconds = last - first;
  }
  free(times);
  return seconds;
}

static const struct roof_loops *loops_of(enum attn_isa isa)
{
  for (int i = 0; i < LOOPS; i++)
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): clang-tidy 14 does not know all_loops[i] */
    if (all_loops[i]->isa == isa && !(all_loops[i]->needs & ~attn_cpu_features())) return all_loops[i];
  return NULL;
}

static const struct roof_loops *widest_loops(void)
{
  const struct roof_loops *widest = all_loops[0];
  for (int i = 0; i < LOOPS; i++) /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): likewise */
    if (loops_of(all_loops[i]->isa)) widest = all_loops[i];
  return widest;
}

static void record(struct bench_roofs *r, bool read, enum attn_isa isa, int threads, double value)
{
  if (value <= 0) return;
  struct bench_roof *roof = (struct bench_roof *)bench_roofs_find(r, read, isa, threads);
  if (!roof) {
    if (r->roofs == MAX_ROOFS) return;
    roof = &r->roof[r->roofs++];
    *roof = (struct bench_roof){.read = read, .isa = isa, .threads = threads, .best = value, .worst = value};
  }
  roof->samples++;
  if (value > roof->best) roof->best = value;
  if (value < roof->worst) roof->worst = value;
}

static int team_threads(int threads)
{
  const int cores = attn_topology_get()->cores;
  return threads < 1 ? 1 : threads > cores ? cores : threads; /* more threads than cores do not raise a roof */
}

double bench_roofs_fma(struct bench_roofs *r, enum attn_isa isa, int threads)
{
  const struct roof_loops *loops = loops_of(isa);
  if (!loops) return 0;
  threads = team_threads(threads);
  struct sample sample = {.loops = loops, .rounds = r->rounds[isa] > 0 ? r->rounds[isa] : 1};
  double seconds;
  const double begins = bench_clock() + warm_up_s;
  while (bench_clock() < begins && team_seconds(&sample, threads) > 0) continue;
  /* Asked of every sample: where the first one was disturbed, few rounds took long, and later samples would be of the
   * start of a team rather than of multiply-adds. */
  while ((seconds = team_seconds(&sample, threads)) > 0 && seconds < least_sample_s) sample.rounds *= 2;
  r->rounds[isa] = sample.rounds;
  const double flops = loops->flops_per_round * (double)sample.rounds * threads;
  const double value = seconds > 0 ? flops / seconds : 0;
  record(r, false, isa, threads, value);
  return value;
}

/* Bytes of the last-level caches that as many cores need at least. */
static size_t caches_of(int threads)
{
  const struct attn_topology *t = attn_topology_get();
  const size_t bytes = t->l3_bytes ? t->l3_bytes : t->l2_bytes;
  const int sharers = t->l3_bytes ? t->l3_cores : t->l2_cores;
  return sharers > 0 ? (size_t)((threads + sharers - 1) / sharers) * bytes : bytes;
}

bool bench_roofs_cached(double bytes, int threads) { return bytes <= (double)caches_of(team_threads(threads)); }

/* Reads until that grows no faster: a cache may take some passes to keep what it is asked for, most of all one that
 * other machines' guests share. */
static void bring_to_caches(struct sample *s, int threads)
{
  enum { MOST_PASSES = 10 };
  double last, seconds = INFINITY;
  int pass = 0;
  do {
    last = seconds;
    seconds = team_seconds(s, threads);
  } while (seconds < 0.95 * last && ++pass < MOST_PASSES);
}

static double read_once(struct bench_roofs *r, struct reader *reader, int variant)
{
  const size_t part = reader->part_bytes, bytes = part < chunk_bytes ? part : chunk_bytes;
  if (reader->position + bytes > part) reader->position = 0;
  struct sample sample = {.loops = widest_loops(),
                          .variant = variant,
                          .passes = 1,
                          .start = r->buffer,
                          .stride =
                              r->buffer_bytes / (size_t)reader->threads / ROOF_READ_GRAIN_BYTES * ROOF_READ_GRAIN_BYTES,
                          .bytes = part};
  if (reader->kept) {
    bring_to_caches(&sample, reader->threads);
    sample.passes = (int)(chunk_bytes / bytes);
  }
  sample.bytes = bytes;
  sample.position = reader->position;
  const double seconds = team_seconds(&sample, reader->threads);
  reader->position += bytes;
  return seconds > 0 ? (double)bytes * sample.passes * reader->threads / seconds : 0;
}

/* Bytes in steps of an eighth or less, so that cases of like sizes share what was settled. */
static size_t few_sizes(double bytes)
{
  int exponent;
  const double mantissa = frexp(bytes, &exponent);
  return (size_t)ldexp(ceil(mantissa * 16) / 16, exponent);
}

static struct reader *find_reader(struct bench_roofs *r, double bytes, int threads)
{
  const size_t stride = r->buffer_bytes / (size_t)threads;
  const bool kept = bench_roofs_cached(bytes, threads) && bytes / threads < (double)stride;
  const size_t grains = (kept ? few_sizes(bytes) / (size_t)threads : stride) / ROOF_READ_GRAIN_BYTES;
  const size_t part = (grains ? grains : 1) * ROOF_READ_GRAIN_BYTES;
  for (int i = 0; i < r->readers; i++)
    if (r->reader[i].threads == threads && r->reader[i].part_bytes == part) return &r->reader[i];
  if (r->readers == MAX_READERS) return NULL;
  struct reader *reader = &r->reader[r->readers++];
  *reader = (struct reader){.threads = threads, .part_bytes = part, .kept = kept};
  return reader;
}

double bench_roofs_read(struct bench_roofs *r, double bytes, int threads)
{
  threads = team_threads(threads);
  const int known = r->readers;
  struct reader *reader = find_reader(r, bytes, threads);
  if (!reader) return 0;
  const bool settled = r->readers == known;
  double best = 0;
  for (int round = 0; round < (settled ? 1 : 3); round++)
    for (int v = settled ? reader->variant : 0; v < (settled ? reader->variant + 1 : ROOF_READ_VARIANTS); v++) {
      const double value = read_once(r, reader, v);
      if (!reader->kept) record(r, true, ATTN_ISA_SCALAR, threads, value);
      if (value > best) {
        best = value;
        reader->variant = v;
      }
    }
  return best;
}

/* Touched by the threads that will read it, so that on NUMA machines each reads its own node. */
static void touch(void *context, int thread, int threads)
{
  struct bench_roofs *r = context;
  const size_t part = r->buffer_bytes / (size_t)threads;
  for (size_t at = 0; at < part; at += 4096) r->buffer[(size_t)thread * part + at] = 1;
}

static size_t buffer_size(void)
{
  const struct attn_topology *t = attn_topology_get();
  size_t bytes = 4 * caches_of(t->cores);
  const size_t most = bench_memory_available() / 4, wanted = (size_t)t->cores * chunk_bytes * 2;
  if (bytes < least_buffer_bytes) bytes = least_buffer_bytes;
  if (bytes < wanted) bytes = wanted;
  return (bytes < most ? bytes : most) / ROOF_READ_GRAIN_BYTES * ROOF_READ_GRAIN_BYTES;
}

struct bench_roofs *bench_roofs_create(int threads)
{
  struct bench_roofs *r = calloc(1, sizeof *r);
  if (r) {
    r->buffer_bytes = buffer_size();
    r->buffer = bench_memory_map(r->buffer_bytes);
  }
  if (!r || !r->buffer || !bench_team_run(team_threads(threads), touch, r)) {
    fprintf(stderr, "attnbench: no memory or threads for the bandwidth buffer of %zu MiB\n", r ? r->buffer_bytes >> 20 : 0);
    bench_roofs_destroy(r);
    return NULL;
  }
  const int counts[2] = {1, team_threads(threads)};
  for (int c = 0; c < (counts[1] > 1 ? 2 : 1); c++) {
    for (int i = 0; i < LOOPS; i++)
      for (int n = 0; n < 2; n++) bench_roofs_fma(r, all_loops[i]->isa, counts[c]);
    bench_roofs_read(r, INFINITY, counts[c]);
  }
  return r;
}

void bench_roofs_destroy(struct bench_roofs *r)
{
  if (!r) return;
  bench_memory_free(r->buffer, r->buffer_bytes);
  free(r);
}

int bench_roofs_count(const struct bench_roofs *r) { return r ? r->roofs : 0; }
const struct bench_roof *bench_roofs_get(const struct bench_roofs *r, int index) { return &r->roof[index]; }

const struct bench_roof *bench_roofs_find(const struct bench_roofs *r, bool read, enum attn_isa isa, int threads)
{
  for (int i = 0; i < r->roofs; i++)
    if (r->roof[i].read == read && r->roof[i].threads == threads && (read || r->roof[i].isa == isa)) return &r->roof[i];
  return NULL;
}
