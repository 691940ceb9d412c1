/* Threads, in each case compared bit for bit with one thread's result. Tests that need a process whose first call is
 * theirs, or that has lost its threads, run in a child: it tells its verdict by its exit status. */
#include "problem.h"

#include "../../dispatch/topology.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static attn_desc big_desc(void)
{
  return (attn_desc){.B = 2, .Hq = 4, .Hkv = 2, .Sq = 130, .Skv = 170, .Dqk = 48, .Dv = 40, .flags = ATTN_CAUSAL};
}

static float *expected; /* of big_desc and its buffers */
static struct buffers big;

/* Children are made before the first parallel region of this process: fork() with running threads is what
 * fork_after_use() is about. */
static void run_child(int (*body)(void))
{
  fflush(NULL);
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    alarm(60); /* a hang is a failure */
    _exit(body());
  }
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (WIFSIGNALED(status)) fail_msg("the child was ended by signal %d", WTERMSIG(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static bool equals_expected(const float *o) { return !memcmp(o, expected, big.o_floats * sizeof(float)); }

/* One run of the big problem with that many threads into o. */
static bool run_into(float *o, int threads)
{
  const attn_desc d = big_desc();
  attn_args a = big.args;
  a.o = o;
  a.lse = NULL;
  return attn_forward(&d, &(attn_options){.threads = threads}, &a) == ATTN_OK;
}

static pthread_barrier_t barrier;

static void *first_use(void *argument)
{
  bool *ok = argument;
  float *o = malloc(big.o_floats * sizeof *o);
  pthread_barrier_wait(&barrier);
  *ok = o && run_into(o, 0) && equals_expected(o);
  free(o);
  return NULL;
}

/* CPU detection, topology and thread pool all begin in 16 threads at once. */
static int sixteen_at_once(void)
{
  pthread_t thread[16];
  bool ok[16] = {0};
  pthread_barrier_init(&barrier, NULL, 16);
  for (int i = 0; i < 16; i++)
    if (pthread_create(&thread[i], NULL, first_use, &ok[i])) return 2;
  for (int i = 0; i < 16; i++) pthread_join(thread[i], NULL);
  for (int i = 0; i < 16; i++)
    if (!ok[i]) return 1;
  return 0;
}

static void first_use_from_sixteen_threads(void **state)
{
  (void)state;
  run_child(sixteen_at_once);
}

static int alone_on_one_cpu(void)
{
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed)) return 2;
  int cpu = 0;
  while (!CPU_ISSET(cpu, &allowed)) cpu++;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one)) return 2;
  if (attn_topology_get()->default_threads != 1 || attn_topology_get()->cores != 1) return 3;
  if (attn_topology_get()->core[0].cpu != cpu) return 4;
  float *o = malloc(big.o_floats * sizeof *o);
  const bool ok = o && run_into(o, 0) && equals_expected(o) && run_into(o, 3) && equals_expected(o);
  if (sched_getaffinity(0, sizeof allowed, &allowed) || !CPU_EQUAL(&allowed, &one)) return 5;
  free(o);
  return ok ? 0 : 1;
}

static void affinity_mask_of_one_cpu(void **state)
{
  (void)state;
  run_child(alone_on_one_cpu);
}

static int use_then_fork(void)
{
  float *o = malloc(big.o_floats * sizeof *o);
  if (!o || !run_into(o, 2) || !equals_expected(o)) return 2;
  const pid_t pid = fork();
  if (pid < 0) return 2;
  if (pid == 0) {
    alarm(30);
    memset(o, 0, big.o_floats * sizeof *o);
    _exit(run_into(o, 2) && equals_expected(o) ? 0 : 1);
  }
  int status;
  if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status)) return 3;
  memset(o, 0, big.o_floats * sizeof *o); /* and the parent is as it was */
  return run_into(o, 2) && equals_expected(o) ? 0 : 1;
}

static void fork_after_use(void **state)
{
  (void)state;
  run_child(use_then_fork);
}

static void same_bits_on_any_number_of_threads(void **state)
{
  (void)state;
  static const int counts[] = {1, 2, 3, 7};
  const attn_desc d = big_desc();
  for (int i = 0; i < 4; i++)
    for (int placement = 0; placement < 2; placement++) {
      attn_plan *plan = NULL;
      const attn_options options = {.threads = counts[i], .placement = (attn_placement)placement};
      assert_int_equal(attn_plan_create(&plan, &d, &options), ATTN_OK);
      assert_int_equal(attn_plan_threads(plan), counts[i]); /* enough work for all, or the test says nothing */
      memset(big.o, 0, big.o_floats * sizeof(float));
      memset(big.lse, 0, big.lse_floats * sizeof(float));
      assert_int_equal(attn_run(plan, &big.args), ATTN_OK);
      attn_plan_destroy(plan);
      assert_true(equals_expected(big.o));
      assert_memory_equal(expected + big.o_floats, big.lse, big.lse_floats * sizeof(float));
    }
}

struct sharer {
  attn_plan *plan;
  bool ok;
};

static void *run_with_own_workspace(void *argument)
{
  struct sharer *s = argument;
  const size_t bytes = attn_plan_workspace_bytes(s->plan);
  float *o = malloc(big.o_floats * sizeof *o);
  attn_args a = big.args;
  a.o = o;
  a.lse = NULL;
  a.workspace = malloc(bytes);
  a.workspace_bytes = bytes;
  s->ok = o && a.workspace;
  pthread_barrier_wait(&barrier);
  for (int round = 0; round < 5 && s->ok; round++) {
    memset(o, 0, big.o_floats * sizeof *o);
    s->ok = attn_run(s->plan, &a) == ATTN_OK && equals_expected(o);
  }
  free(a.workspace);
  free(o);
  return NULL;
}

static void one_plan_in_four_threads(void **state)
{
  (void)state;
  const attn_desc d = big_desc();
  for (int threads = 1; threads <= 2; threads++) {
    attn_plan *plan = NULL;
    assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = threads}), ATTN_OK);
    struct sharer sharer[4];
    pthread_t thread[4];
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 4; i++) {
      sharer[i] = (struct sharer){plan, false};
      assert_int_equal(pthread_create(&thread[i], NULL, run_with_own_workspace, &sharer[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&barrier);
    for (int i = 0; i < 4; i++) assert_true(sharer[i].ok);
    attn_plan_destroy(plan);
  }
}

struct rival {
  attn_plan *plan;
  const attn_args *args;
  attn_status status;
  volatile bool done;
};

static void *run_long(void *argument)
{
  struct rival *r = argument;
  r->status = attn_run(r->plan, r->args);
  __atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
  return NULL;
}

/* While one thread runs a plan on its own workspace, another is told BUSY, and nothing is written for it. */
static void second_run_of_a_plan_is_busy(void **state)
{
  (void)state;
  attn_desc d = {.B = 1, .Hq = 4, .Hkv = 4, .Sq = 600, .Skv = 600, .Dqk = 64, .Dv = 64};
  struct buffers b = make_buffers(&d), mine = make_buffers(&d);
  attn_plan *plan = NULL;
  assert_int_equal(attn_plan_create(&plan, &d, &(attn_options){.threads = 1, .kernel = "fwd_f32_scalar"}), ATTN_OK);
  float *before = malloc(mine.o_floats * sizeof(float));
  assert_non_null(before);
  memcpy(before, mine.o, mine.o_floats * sizeof(float));
  bool refused = false;
  while (!refused) {
    struct rival rival = {.plan = plan, .args = &b.args};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_long, &rival), 0);
    while (!__atomic_load_n(&rival.done, __ATOMIC_ACQUIRE) && !refused) {
      usleep(1000); /* lets the rival begin */
      const attn_status status = attn_run(plan, &mine.args);
      refused = status == ATTN_ERR_BUSY;
      if (refused) {
        assert_mentions("workspace");
        assert_memory_equal(before, mine.o, mine.o_floats * sizeof(float));
      } else {
        assert_int_equal(status, ATTN_OK);
        memcpy(mine.o, before, mine.o_floats * sizeof(float));
      }
    }
    pthread_join(thread, NULL);
    assert_true(rival.status == ATTN_OK || rival.status == ATTN_ERR_BUSY);
  }
  assert_int_equal(attn_run(plan, &mine.args), ATTN_OK); /* free again */
  attn_plan_destroy(plan);
  free(before);
  free_buffers(&b);
  free_buffers(&mine);
}

static void affinity_is_restored(void **state)
{
  (void)state;
  cpu_set_t before, after;
  assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
  float *o = malloc(big.o_floats * sizeof *o);
  assert_non_null(o);
  for (int threads = 1; threads <= 3; threads++) {
    assert_true(run_into(o, threads));
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after));
  }
  free(o);
}

static void topology_is_sound(void **state)
{
  (void)state;
  const struct attn_topology *t = attn_topology_get();
  cpu_set_t allowed;
  assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  assert_true(t->cores >= 1 && t->cores <= t->hardware_threads);
  assert_true(t->default_threads >= 1 && t->default_threads <= t->cores);
  if (t->quota > 0) assert_true(t->default_threads <= (t->quota < 1 ? 1 : (int)t->quota));
  for (int i = 0; t->known && i < t->cores; i++) assert_true(CPU_ISSET(t->core[i].cpu, &allowed));
}

static int compute_expected(void)
{
  const attn_desc d = big_desc();
  if (attn_forward(&d, &(attn_options){.threads = 1}, &big.args)) return 1;
  memcpy(expected, big.o, big.o_floats * sizeof *expected);
  memcpy(expected + big.o_floats, big.lse, big.lse_floats * sizeof *expected);
  return 0;
}

static size_t expected_bytes(void) { return (big.o_floats + big.lse_floats) * sizeof *expected; }

/* In a child as well, so that this process has not used the library when the tests begin. */
static int prepare(void **state)
{
  (void)state;
  const attn_desc d = big_desc();
  big = make_buffers(&d);
  expected = mmap(NULL, expected_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (expected == MAP_FAILED) return -1;
  run_child(compute_expected);
  return 0;
}

static int clean_up(void **state)
{
  (void)state;
  munmap(expected, expected_bytes());
  free_buffers(&big);
  return 0;
}

int main(void)
{
  unsetenv("ATTN_NUM_THREADS");
  unsetenv("ATTN_ISA");
  unsetenv("ATTN_KERNEL");
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_use_from_sixteen_threads),
      cmocka_unit_test(affinity_mask_of_one_cpu),
      cmocka_unit_test(fork_after_use),
      cmocka_unit_test(same_bits_on_any_number_of_threads),
      cmocka_unit_test(one_plan_in_four_threads),
      cmocka_unit_test(second_run_of_a_plan_is_busy),
      cmocka_unit_test(affinity_is_restored),
      cmocka_unit_test(topology_is_sound),
  };
  return cmocka_run_group_tests(tests, prepare, clean_up);
}
