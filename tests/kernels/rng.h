/* A small reproducible random generator (splitmix64: Steele, Lea, Flood 2014). */
#ifndef TESTS_RNG_H
#define TESTS_RNG_H

#include <stdint.h>

struct rng {
  uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
  uint64_t z = r->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* 0 .. n-1 */
static inline int64_t rng_below(struct rng *r, int64_t n)
{
  return (int64_t)(rng_next(r) % (uint64_t)n); // NOLINT(clang-analyzer-core.DivideZero): no caller asks for one of none
}

/* Uniform in [-1, 1). */
static inline float rng_unit(struct rng *r) { return (float)((double)(rng_next(r) >> 11) * 0x1p-52 - 1.0); }

/* Roughly N(0, 1): four uniforms, variance 4/3 scaled to 1. Bounded by 3.5, which the error bounds rely on nowhere. */
static inline float rng_normal(struct rng *r) { return (rng_unit(r) + rng_unit(r) + rng_unit(r) + rng_unit(r)) * 0.866f; }

/* A seed of its own for each case, whatever was run before it. */
static inline uint64_t rng_seed_of(uint64_t seed, const char *name)
{
  uint64_t h = 0xcbf29ce484222325u ^ seed; /* FNV-1a */
  for (; *name; name++) h = (h ^ (uint8_t)*name) * 0x100000001b3u;
  return h;
}

#endif
