/* A toy embedding for the bundled example of `attnbench explain`: what each word is, as eight numbers, and two heads that
 * ask for it. Small enough to check by hand; nothing is learned, and nothing but q and k comes from here: the weights that
 * are shown are computed from them by the library. */
#ifndef EXAMPLES_SENTENCE_H
#define EXAMPLES_SENTENCE_H

#include <stdbool.h>
#include <stddef.h>

enum { SENTENCE_HEADS = 2, SENTENCE_SIZE = 8, SENTENCE_MOST_WORDS = 12 };

extern const char sentence_default[];                    /* "The cat sat on the mat" */
extern const char *const sentence_heads[SENTENCE_HEADS]; /* what each head looks for */

/* Whether the embedding knows the word, in any case. */
bool sentence_knows(const char *word);

/* Every word that it knows, separated by blanks. Returns text. */
char *sentence_vocabulary(char *text, size_t bytes);

/* Fills q, k [SENTENCE_HEADS][words][SENTENCE_SIZE] and v [words][SENTENCE_SIZE] (one head of values: the embedding). */
void sentence_tensors(const char *const *words, int n, float *q, float *k, float *v);

#endif
