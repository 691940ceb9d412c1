#include "sequences.h"

#include "refuse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t most_length = (int64_t)1 << 31;

/* A plain decimal number from 1 to most; *text moves behind it. */
static bool take_number(int64_t *value, const char **text, int64_t most)
{
  const char *p = *text;
  *value = 0;
  if (*p == '0') return false;
  for (; isdigit((unsigned char)*p); p++)
    if ((*value = 10 * *value + *p - '0') > most) return false;
  if (p == *text) return false;
  *text = p;
  return true;
}

static bool take(const char **text, char c)
{
  if (**text != c) return false;
  ++*text;
  return true;
}

/* A number, or a range that rises. */
static bool take_lengths(int64_t *first, int64_t *last, const char **text)
{
  if (!take_number(first, text, most_length)) return false;
  *last = *first;
  return !take(text, '-') || (take_number(last, text, most_length) && *last > *first);
}

static bool take_run(struct bench_run *run, const char **text)
{
  const char *p = *text;
  *run = (struct bench_run){.n = 1};
  if (take_number(&run->n, &p, BENCH_MOST_SEQUENCES) && take(&p, '*')) {
    if (run->n == 1) return false; /* there is one way to write it */
    *text = p;
  } else {
    run->n = 1;
  }
  return take_lengths(&run->queries, &run->queries_last, text) && take(text, 'x') &&
         take_lengths(&run->keys, &run->keys_last, text) &&
         (run->n > 1 || (run->queries == run->queries_last && run->keys == run->keys_last));
}

bool bench_sequences_parse(struct bench_sequences *s, const char *text, char *error, size_t bytes)
{
  *s = (struct bench_sequences){0};
  if (strlen(text) >= BENCH_SEQUENCES_BYTES)
    return fail(error, bytes, "seqs: longer than %d characters", BENCH_SEQUENCES_BYTES - 1);
  for (const char *at = text;;) {
    const char *begin = at;
    if (s->runs == BENCH_MOST_RUNS) return fail(error, bytes, "seqs: more than %d runs", BENCH_MOST_RUNS);
    struct bench_run *run = &s->run[s->runs++];
    if (!take_run(run, &at) || (*at && *at != ','))
      return fail(error, bytes,
                  "seqs: '%s' does not begin with [<n>*]<queries>x<keys>, numbers or (of n > 1) rising ranges, such as "
                  "2*512x512 or 14*1x512-8192",
                  begin);
    if (run->queries > run->keys || run->queries_last > run->keys_last)
      return fail(error, bytes, "seqs: '%s' has a sequence with more queries than keys", begin);
    if (!take(&at, ',')) break;
  }
  const int64_t n = bench_sequences_count(s);
  return n <= BENCH_MOST_SEQUENCES ||
         fail(error, bytes, "seqs: %lld sequences are more than %d", (long long)n, BENCH_MOST_SEQUENCES);
}

char *bench_sequences_print(const struct bench_sequences *s, char text[BENCH_SEQUENCES_BYTES])
{
  size_t used = 0;
  text[0] = 0;
  for (int64_t i = 0; i < s->runs; i++) {
    const struct bench_run *r = &s->run[i];
    char n[24] = "", queries[24] = "", keys[24] = ""; /* the ends of ranges, if they are any */
    if (r->n > 1) snprintf(n, sizeof n, "%lld*", (long long)r->n);
    if (r->queries_last > r->queries) snprintf(queries, sizeof queries, "-%lld", (long long)r->queries_last);
    if (r->keys_last > r->keys) snprintf(keys, sizeof keys, "-%lld", (long long)r->keys_last);
    used += (size_t)snprintf(text + used, BENCH_SEQUENCES_BYTES - used, "%s%s%lld%sx%lld%s", i ? "," : "", n,
                             (long long)r->queries, queries, (long long)r->keys, keys);
    if (used >= BENCH_SEQUENCES_BYTES) break; /* not of one that was parsed */
  }
  return text;
}

bool bench_sequences_equal(const struct bench_sequences *a, const struct bench_sequences *b)
{
  return a->runs == b->runs && !memcmp(a->run, b->run, (size_t)a->runs * sizeof *a->run);
}

static int64_t between(int64_t first, int64_t last, int64_t i, int64_t n)
{
  return n > 1 ? first + (last - first) * i / (n - 1) : first;
}

struct bench_sequence bench_sequence_at(const struct bench_sequences *s, int64_t index)
{
  int64_t at = 0;
  while (index >= s->run[at].n) index -= s->run[at++].n;
  const struct bench_run *r = &s->run[at];
  return (struct bench_sequence){between(r->queries, r->queries_last, index, r->n),
                                 between(r->keys, r->keys_last, index, r->n)};
}

int64_t bench_sequences_count(const struct bench_sequences *s)
{
  int64_t n = 0;
  for (int64_t i = 0; i < s->runs; i++) n += s->run[i].n;
  return n;
}

struct bench_sequence bench_sequences_most(const struct bench_sequences *s)
{
  struct bench_sequence most = {0, 0};
  for (int64_t i = 0; i < s->runs; i++) {
    if (s->run[i].queries_last > most.queries) most.queries = s->run[i].queries_last;
    if (s->run[i].keys_last > most.keys) most.keys = s->run[i].keys_last;
  }
  return most;
}

struct bench_sequence bench_sequences_total(const struct bench_sequences *s)
{
  struct bench_sequence total = {0, 0};
  for (int64_t b = 0; b < bench_sequences_count(s); b++) {
    const struct bench_sequence at = bench_sequence_at(s, b);
    total.queries += at.queries;
    total.keys += at.keys;
  }
  return total;
}

bool bench_sequences_even(const struct bench_sequences *s)
{
  for (int64_t i = 0; i < s->runs; i++)
    if (s->run[i].queries != s->run[0].queries || s->run[i].queries_last != s->run[0].queries) return false;
  return true;
}
