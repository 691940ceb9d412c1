/* libattn inside somebody else's process: signals, small stacks, little memory, a host with OpenMP, pinned threads and
 * shared caches, unloading. */
#include "problem.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

static const attn_desc shape = {
    .B = 2, .Hq = 4, .Hkv = 2, .Sq = 200, .Skv = 200, .Dqk = 32, .Dv = 32, .flags = ATTN_CAUSAL};
static const attn_options two = {.threads = 2};

/* What one thread computes; freed by the caller. */
static float *reference(struct buffers *b)
{
  float *one = malloc(b->o_floats * sizeof *one);
  assert_non_null(one);
  assert_int_equal(attn_forward(&shape, &(attn_options){.threads = 1}, &b->args), ATTN_OK);
  memcpy(one, b->o, b->o_floats * sizeof *one);
  return one;
}

static bool right(const struct buffers *b, const float *one) { return !memcmp(b->o, one, b->o_floats * sizeof *one); }

static atomic_int alarms; /* any thread may have the signal */
static void on_alarm(int number)
{
  (void)number;
  alarms++;
}

static void signals_during_a_run(void **state)
{
  (void)state;
  struct buffers b = make_buffers(&shape);
  float *one = reference(&b);
  struct sigaction old, mine = {.sa_handler = on_alarm}; /* without SA_RESTART */
  assert_int_equal(sigaction(SIGALRM, &mine, &old), 0);
  const struct itimerval often = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
  assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
  while (alarms < 50) {
    memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
    assert_int_equal(attn_forward(&shape, &two, &b.args), ATTN_OK);
    assert_true(right(&b, one));
  }
  setitimer(ITIMER_REAL, &off, NULL);
  sigaction(SIGALRM, &old, NULL);
  free(one);
  free_buffers(&b);
}

struct call {
  struct buffers *b;
  const attn_options *options;
  attn_status status;
};

static void *call_it(void *argument)
{
  struct call *c = argument;
  c->status = attn_forward(&shape, c->options, &c->b->args);
  return NULL;
}

static void a_thread_with_a_small_stack(void **state)
{
  (void)state;
  enum { STACK = 64 << 10 }; /* musl's and Go's threads have about that */
  struct buffers b = make_buffers(&shape);
  float *one = reference(&b);
  pthread_attr_t small;
  pthread_attr_init(&small);
#if !SANITIZED
  assert_int_equal(pthread_attr_setstacksize(&small, STACK), 0);
#endif
  for (int threads = 1; threads <= 2; threads++) {
    const attn_options options = {.threads = threads};
    struct call c = {.b = &b, .options = &options, .status = ATTN_ERR_BUSY};
    pthread_t thread;
    memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
    assert_int_equal(pthread_create(&thread, &small, call_it, &c), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(c.status, ATTN_OK);
    assert_true(right(&b, one));
  }
  pthread_attr_destroy(&small);
  free(one);
  free_buffers(&b);
}

/* A child's exit code, or 128 + signal. */
static int in_child(int (*body)(void))
{
  fflush(NULL);
  const pid_t child = fork();
  int status;
  if (child == 0) _exit(body());
  assert_true(child > 0 && waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static size_t address_space(void)
{
  size_t pages = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  if (!f || fscanf(f, "%zu", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Room for a small plan and no thread's stack, which takes 8 MiB: computed by the one thread there is. A large plan is
 * refused. */
static int little_memory(void)
{
  struct buffers b = make_buffers(&shape);
  if (attn_forward(&shape, &(attn_options){.threads = 1}, &b.args)) return 1;
  float *one = malloc(b.o_floats * sizeof *one);
  memcpy(one, b.o, b.o_floats * sizeof *one);
  const size_t room = address_space() + (4 << 20);
  if (setrlimit(RLIMIT_AS, &(struct rlimit){room, room})) return 2;
  memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
  if (attn_forward(&shape, &(attn_options){.threads = 8}, &b.args) || !right(&b, one)) return 3;
  attn_desc large = {.B = 1, .Hq = 1, .Hkv = 1, .Sq = 1, .Skv = 1 << 20, .Dqk = 1 << 12, .Dv = 1 << 12};
  attn_cache_desc c = {.B = 1, .Hkv = 1, .Dqk = 1 << 12, .Dv = 1 << 12, .capacity = 1 << 12};
  attn_cache *cache;
  attn_plan *plan;
  if (attn_cache_create(&cache, &c) != ATTN_ERR_NO_MEMORY || cache || !strstr(attn_error_message(), "no memory")) return 4;
  large.Sq = large.Dv = 1 << 14;
  const attn_status status = attn_plan_create(&plan, &large, &(attn_options){.threads = 64});
  if (status != ATTN_ERR_NO_MEMORY || plan || !strstr(attn_error_message(), "no memory")) return 5;
  memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
  if (attn_forward(&shape, &two, &b.args) || !right(&b, one)) return 6;
  return 0;
}

static void an_address_space_limit(void **state)
{
  (void)state;
#if SANITIZED
  skip(); /* they reserve terabytes */
#else
  assert_int_equal(in_child(little_memory), 0);
#endif
}

static void a_host_with_openmp(void **state)
{
  (void)state;
  enum { HOSTS = 4 };
  struct buffers b[HOSTS];
  int wrong = 0;
  for (int i = 0; i < HOSTS; i++) b[i] = make_buffers(&shape);
  float *one = reference(&b[0]);
  for (int nested = 0; nested < 2; nested++) {
    omp_set_max_active_levels(nested ? 2 : 1);
    for (int round = 0; round < 10; round++) {
#pragma omp parallel for num_threads(HOSTS) reduction(+ : wrong)
      for (int i = 0; i < HOSTS; i++) {
        memset(b[i].o, 0x7f, b[i].o_floats * sizeof *b[i].o);
        wrong += attn_forward(&shape, &two, &b[i].args) != ATTN_OK || !right(&b[i], one);
      }
    }
  }
  assert_int_equal(wrong, 0);
  free(one);
  for (int i = 0; i < HOSTS; i++) free_buffers(&b[i]);
}

static void *pinned(void *argument)
{
  struct call *c = argument;
  cpu_set_t all, mine, after;
  sched_getaffinity(0, sizeof all, &all);
  CPU_ZERO(&mine);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &mine);
      break;
    }
  sched_setaffinity(0, sizeof mine, &mine);
  call_it(argument);
  sched_getaffinity(0, sizeof after, &after);
  if (!CPU_EQUAL(&mine, &after)) c->status = ATTN_ERR_ENVIRONMENT;
  return NULL;
}

static void a_host_that_pins_its_threads(void **state)
{
  (void)state;
  struct buffers b = make_buffers(&shape);
  float *one = reference(&b);
  struct call c = {.b = &b, .options = &two, .status = ATTN_ERR_BUSY};
  pthread_t thread;
  memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
  assert_int_equal(pthread_create(&thread, NULL, pinned, &c), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(c.status, ATTN_OK);
  assert_true(right(&b, one));
  free(one);
  free_buffers(&b);
}

/* One cache, a plan each: attn.h allows any number of readers at once. */
struct reader {
  const attn_cache *cache;
  const float *q;
  float o[2 * 4 * 3 * 32];
  attn_status status;
};

static void *read_cache(void *argument)
{
  struct reader *r = argument;
  const attn_desc d = {.B = 2, .Hq = 4, .Sq = 3};
  const attn_args args = {.q = r->q, .o = r->o};
  attn_plan *plan;
  r->status = attn_plan_create_cached(&plan, &d, r->cache, &two);
  for (int i = 0; i < 20 && !r->status; i++) r->status = attn_run(plan, &args);
  attn_plan_destroy(plan);
  return NULL;
}

static void one_cache_in_eight_threads(void **state)
{
  (void)state;
  enum { READERS = 8, TOKENS = 90 };
  static struct reader r[READERS];
  struct buffers b = make_buffers(&shape);
  const attn_cache_desc c = {.B = 2, .Hkv = 2, .Dqk = 32, .Dv = 32, .capacity = 100};
  const attn_tokens tokens = {.n = TOKENS, .k = b.k, .v = b.v};
  attn_cache *cache;
  pthread_t thread[READERS];
  assert_int_equal(attn_cache_create(&cache, &c), ATTN_OK);
  for (int64_t s = 0; s < 2; s++) assert_int_equal(attn_cache_append(cache, s, &tokens), ATTN_OK);
  for (int i = 0; i < READERS; i++) {
    r[i] = (struct reader){.cache = cache, .q = b.q, .status = ATTN_ERR_BUSY};
    assert_int_equal(pthread_create(&thread[i], NULL, read_cache, &r[i]), 0);
  }
  for (int i = 0; i < READERS; i++) {
    assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(r[i].status, ATTN_OK);
    assert_memory_equal(r[i].o, r[0].o, sizeof r[0].o);
  }
  attn_cache_destroy(cache);
  free_buffers(&b);
}

/* libattn.so beside this program's folder, loaded, used by two threads and unloaded. */
static void loaded_and_unloaded_a_thousand_times(void **state)
{
  (void)state;
  char path[PATH_MAX + 32];
  const ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
  assert_true(n > 0);
  path[n] = 0;
  *strrchr(path, '/') = 0;
  strcpy(strrchr(path, '/'), "/libattn.so");
  if (access(path, R_OK)) skip();
  struct buffers b = make_buffers(&shape);
  float *one = reference(&b);
  size_t before = 0;
  for (int i = 0; i < 1000; i++) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail_msg("%s", dlerror());
    attn_status (*forward)(const attn_desc *, const attn_options *, const attn_args *);
    *(void **)&forward = dlsym(library, "attn_forward");
    assert_non_null(forward);
    if (i % 50 == 0) {
      memset(b.o, 0x7f, b.o_floats * sizeof *b.o);
      assert_int_equal(forward(&shape, &two, &b.args), ATTN_OK);
      assert_true(right(&b, one));
    }
    assert_int_equal(dlclose(library), 0);
    if (i == 100) before = address_space();
  }
  assert_true(address_space() <= before + (1 << 20));
  free(one);
  free_buffers(&b);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_address_space_limit),
      cmocka_unit_test(signals_during_a_run),
      cmocka_unit_test(a_thread_with_a_small_stack),
      cmocka_unit_test(a_host_with_openmp),
      cmocka_unit_test(a_host_that_pins_its_threads),
      cmocka_unit_test(one_cache_in_eight_threads),
      cmocka_unit_test(loaded_and_unloaded_a_thousand_times),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
