#include "team.h"

#include "../dispatch/internal.h"

#include <pthread.h>
#include <stdlib.h>

struct team {
  bench_team_function function;
  void *context;
  int threads;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int arrived;
  bool go, cancelled;
};

struct member {
  struct team *team;
  int index;
  pthread_t thread;
};

static void work(struct team *team, int index)
{
  struct attn_binding before;
  attn_bind(index, &before);
  pthread_mutex_lock(&team->lock);
  if (++team->arrived == team->threads) team->go = true;
  pthread_cond_broadcast(&team->changed);
  while (!team->go && !team->cancelled) pthread_cond_wait(&team->changed, &team->lock);
  const bool run = team->go;
  pthread_mutex_unlock(&team->lock);
  if (run) team->function(team->context, index, team->threads);
  attn_unbind(&before);
}

static void *start(void *argument)
{
  struct member *member = argument;
  work(member->team, member->index);
  return NULL;
}

bool bench_team_run(int threads, bench_team_function function, void *context)
{
  struct team team = {.function = function, .context = context, .threads = threads};
  struct member *members = calloc((size_t)threads, sizeof *members);
  int started = 1;
  if (!members) return false;
  pthread_mutex_init(&team.lock, NULL);
  pthread_cond_init(&team.changed, NULL);
  for (; started < threads; started++) {
    members[started] = (struct member){.team = &team, .index = started};
    if (pthread_create(&members[started].thread, NULL, start, &members[started])) break;
  }
  const bool complete = started == threads;
  if (complete) {
    work(&team, 0);
  } else {
    pthread_mutex_lock(&team.lock);
    team.cancelled = true;
    pthread_cond_broadcast(&team.changed);
    pthread_mutex_unlock(&team.lock);
  }
  for (int i = 1; i < started; i++) pthread_join(members[i].thread, NULL);
  pthread_cond_destroy(&team.changed);
  pthread_mutex_destroy(&team.lock);
  free(members);
  return complete;
}
