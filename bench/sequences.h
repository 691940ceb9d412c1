/* Sequences of different lengths, as a server has them: a field of a case's name,
 *
 *   seqs:<run>[,<run>...]     run: [<n>*]<queries>x<keys>
 *
 * n sequences (1, if it is left out) with so many queries over so many keys: 2*512x512 are two prompts, 14*1x4096 fourteen
 * new tokens, 256x4096 a chunk of a prompt. Either number may be a range, 14*1x512-8192: evenly spaced, the first sequence
 * has the one end and the last the other. B is the number of sequences, Sq and Skv are the most queries and keys of any.
 * K and V lie one sequence behind the other (ATTN_KV_STARTS) or, with kv:, in a cache; Q and O likewise (ATTN_Q_STARTS). */
#ifndef BENCH_SEQUENCES_H
#define BENCH_SEQUENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_MOST_RUNS = 12, BENCH_MOST_SEQUENCES = 1 << 16, BENCH_SEQUENCES_BYTES = 256 };
struct bench_run {
  int64_t n, queries, queries_last, keys, keys_last; /* of the first sequence and of the last */
};
struct bench_sequences {
  int64_t runs; /* 0: all have Sq queries and Skv keys */
  struct bench_run run[BENCH_MOST_RUNS];
};

/* False: error says what is wrong. Takes only what bench_sequences_print() writes. */
bool bench_sequences_parse(struct bench_sequences *s, const char *text, char *error, size_t error_bytes);
char *bench_sequences_print(const struct bench_sequences *s, char text[BENCH_SEQUENCES_BYTES]);
bool bench_sequences_equal(const struct bench_sequences *a, const struct bench_sequences *b);

struct bench_sequence {
  int64_t queries, keys;
};
struct bench_sequence bench_sequence_at(const struct bench_sequences *s, int64_t index);
int64_t bench_sequences_count(const struct bench_sequences *s);
struct bench_sequence bench_sequences_most(const struct bench_sequences *s);
struct bench_sequence bench_sequences_total(const struct bench_sequences *s);
/* Whether all have as many queries as the others: then a plan over a cache needs no starts. */
bool bench_sequences_even(const struct bench_sequences *s);

#endif
