/* The embedding. Six features say what a word is, two say where it stands, as an angle:
 *
 *   determiner noun verb preposition living place | cos sin of 30 degrees times the position
 *
 * Head 0, "what goes with it": a verb asks for something living (who did it?), a living noun for its verb, a preposition
 * for a place, a place for its preposition, a determiner for a noun. Head 1, "the word before": the query's angle is
 * turned back by one position.
 *
 * A feature that is asked for adds 8 to q.k, which the scale 1/sqrt(8) makes 2.83: a weight e^2.83 = 17 times that of a
 * word without it. */
#include "sentence.h"

#include <math.h>
#include <string.h>
#include <strings.h>

enum { DETERMINER, NOUN, VERB, PREPOSITION, LIVING, PLACE, COS, SIN };

const char sentence_default[] = "The cat sat on the mat";
const char *const sentence_heads[SENTENCE_HEADS] = {"what goes with it", "the word before"};

#define IS(feature) (1u << (feature))
static const struct {
  const char *word;
  unsigned features;
} vocabulary[] = {
    {"the", IS(DETERMINER)},
    {"a", IS(DETERMINER)},
    {"this", IS(DETERMINER)},
    {"cat", IS(NOUN) | IS(LIVING)},
    {"dog", IS(NOUN) | IS(LIVING)},
    {"bird", IS(NOUN) | IS(LIVING)},
    {"child", IS(NOUN) | IS(LIVING)},
    {"mat", IS(NOUN) | IS(PLACE)},
    {"table", IS(NOUN) | IS(PLACE)},
    {"house", IS(NOUN) | IS(PLACE)},
    {"tree", IS(NOUN) | IS(PLACE)},
    {"sat", IS(VERB)},
    {"slept", IS(VERB)},
    {"jumped", IS(VERB)},
    {"ran", IS(VERB)},
    {"on", IS(PREPOSITION)},
    {"under", IS(PREPOSITION)},
    {"in", IS(PREPOSITION)},
    {"near", IS(PREPOSITION)},
};
enum { WORDS = sizeof vocabulary / sizeof *vocabulary };

/* What a word with the feature of the row asks for (head 0). */
static const float asks[6][6] = {
    [DETERMINER] = {[NOUN] = 8}, [VERB] = {[LIVING] = 8},       [PREPOSITION] = {[PLACE] = 8},
    [LIVING] = {[VERB] = 8},     [PLACE] = {[PREPOSITION] = 8},
};
static const double step = 3.14159265358979323846 / 6; /* of the angle, a position */
static const double position_strength = 60;            /* neighbours differ by 60 (1 - cos 30 deg) = 8 */

static int find(const char *word)
{
  for (int i = 0; i < WORDS; i++)
    if (!strcasecmp(word, vocabulary[i].word)) return i;
  return -1;
}

bool sentence_knows(const char *word) { return find(word) >= 0; }

char *sentence_vocabulary(char *text, size_t bytes)
{
  size_t used = 0;
  if (bytes) text[0] = 0;
  for (int i = 0; i < WORDS; i++) {
    const size_t n = strlen(vocabulary[i].word);
    if (used + n + 2 > bytes) break;
    if (used) text[used++] = ' ';
    memcpy(text + used, vocabulary[i].word, n + 1);
    used += n;
  }
  return text;
}

static void embed(const char *word, int position, float *e)
{
  const int at = find(word);
  for (int f = 0; f < COS; f++) e[f] = at >= 0 && vocabulary[at].features & IS(f) ? 1 : 0;
  e[COS] = (float)cos(step * position);
  e[SIN] = (float)sin(step * position);
}

void sentence_tensors(const char *const *words, int n, float *q, float *k, float *v)
{
  memset(q, 0, (size_t)n * SENTENCE_HEADS * SENTENCE_SIZE * sizeof *q);
  for (int i = 0; i < n; i++) {
    float *e = v + i * SENTENCE_SIZE, *q0 = q + i * SENTENCE_SIZE, *q1 = q + (n + i) * SENTENCE_SIZE;
    embed(words[i], i, e);
    for (int has = 0; has < COS; has++)
      for (int wants = 0; wants < COS; wants++) q0[wants] += e[has] * asks[has][wants];
    q1[COS] = (float)(position_strength * cos(step * (i - 1)));
    q1[SIN] = (float)(position_strength * sin(step * (i - 1)));
    for (int h = 0; h < SENTENCE_HEADS; h++) memcpy(k + (h * n + i) * SENTENCE_SIZE, e, SENTENCE_SIZE * sizeof *e);
  }
}
