#include "half_check.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

extern const struct half_version half_scalar, half_avx2, half_avx512, half_neon;
const struct half_version *const half_versions[] = {
#if defined(__x86_64__)
    &half_avx512, &half_avx2,
#elif defined(__aarch64__)
    &half_neon,
#endif
    &half_scalar, NULL};

enum { BATCH = 16 };

/* A 16-bit binary floating-point format: sign, then exponent, then the fraction. */
struct format {
  const char *name;
  int fraction_bits, bias;
  bool loose_ties; /* to even or to odd */
};
static const struct format f16 = {"f16", 10, 15, false}, loose_f16 = {"f16", 10, 15, true}, bf16 = {"bf16", 7, 127, false};

static float float_of(uint32_t bits)
{
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint32_t bits_of(float x)
{
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static uint16_t infinity_of(const struct format *f) { return (uint16_t)(0x7fff >> f->fraction_bits << f->fraction_bits); }

/* The value of the bits; that of infinity is the power of two at which numbers stop, as rounding wants it. */
static double magnitude(const struct format *f, uint16_t bits)
{
  const int exponent = (bits & 0x7fff) >> f->fraction_bits, fraction = bits & ((1 << f->fraction_bits) - 1);
  if (exponent == 0) return ldexp(fraction, 1 - f->bias - f->fraction_bits);
  return ldexp((1 << f->fraction_bits) + fraction, exponent - f->bias - f->fraction_bits);
}

static bool loads_right(const struct format *f, uint16_t x, float y)
{
  const uint16_t positive = x & 0x7fff, infinity = infinity_of(f);
  if (positive > infinity) return isnan(y);
  const double exact = positive == infinity ? (double)INFINITY : magnitude(f, x);
  return !isnan(y) && fabs((double)y) == exact && !signbit(y) == !(x & 0x8000);
}

/* To nearest, ties to even, overflow to infinity. */
static bool stores_right(const struct format *f, float x, uint16_t y)
{
  const uint16_t positive = y & 0x7fff, infinity = infinity_of(f);
  if (isnan(x)) return positive > infinity;
  if (positive > infinity || !signbit(x) != !(y & 0x8000)) return false;
  if (isinf(x)) return positive == infinity;
  const double exact = fabs((double)x), here = magnitude(f, positive), off = fabs(exact - here);
  if (positive == infinity && exact >= here) return true;
  const double below = positive ? exact - magnitude(f, (uint16_t)(positive - 1)) : INFINITY;
  const double above = positive < infinity ? magnitude(f, (uint16_t)(positive + 1)) - exact : INFINITY;
  const double neighbour = fmin(fabs(below), fabs(above));
  return off < neighbour || (off == neighbour && (f->loose_ties || !(positive & 1)));
}

static void complain(struct half_result *r, const char *what, uint32_t from, uint32_t to)
{
  if (!r->wrong[0]) snprintf(r->wrong, sizeof r->wrong, "%s: %#" PRIx32 " became %#" PRIx32, what, from, to);
}

static void check_loads(const struct format *f, void (*load)(float *, const uint16_t *, int64_t), struct half_result *r)
{
  for (uint32_t first = 0; first < 65536; first += BATCH) {
    uint16_t x[BATCH];
    float y[BATCH];
    for (uint32_t i = 0; i < BATCH; i++) x[i] = (uint16_t)(first + i);
    load(y, x, BATCH);
    for (int i = 0; i < BATCH; i++)
      if (!loads_right(f, x[i], y[i])) complain(r, f->name, x[i], bits_of(y[i]));
    r->values += BATCH;
  }
}

static void check_batch(const struct format *f, void (*store)(uint16_t *, const float *, int64_t), const float *x,
                        struct half_result *r)
{
  uint16_t y[BATCH];
  store(y, x, BATCH);
  for (int i = 0; i < BATCH; i++)
    if (!stores_right(f, x[i], y[i])) complain(r, f->name, bits_of(x[i]), y[i]);
  r->values += BATCH;
}

static void check_stores(const struct format *f, void (*store)(uint16_t *, const float *, int64_t), struct half_result *r)
{
  static const float ends[] = {INFINITY, 0x1.fffffep+127f, 0x1p-149f, 0x1p-126f, 0x1p-25f, 0x1.000002p-25f, 65520, 1e30f};
  float x[BATCH];
  for (uint16_t h = 0; h < infinity_of(f); h++) {
    const double here = magnitude(f, h), next = magnitude(f, (uint16_t)(h + 1));
    const float value = (float)here, middle = (float)((here + next) / 2);
    const float near[] = {value,  nextafterf(value, INFINITY),  nextafterf(value, 0),
                          middle, nextafterf(middle, INFINITY), nextafterf(middle, 0)};
    for (int i = 0; i < BATCH; i++) x[i] = near[i / 2 % 6] * (i % 2 ? -1.0f : 1.0f);
    check_batch(f, store, x, r);
  }
  for (int i = 0; i < BATCH; i++) x[i] = ends[i / 2] * (i % 2 ? -1.0f : 1.0f);
  check_batch(f, store, x, r);
  for (int bit = 0; bit < 23; bit++) {
    for (uint32_t i = 0; i < BATCH; i++)
      x[i] = float_of((i % 2 ? 0xff800000u : 0x7f800000u) | (i < 8 ? 1u << bit : 0x7fffffu >> bit));
    check_batch(f, store, x, r);
  }
}

void half_check(const struct half_version *version, bool loose_f16_ties, struct half_result *r)
{
  *r = (struct half_result){0};
  check_loads(&f16, version->load_f16, r);
  check_loads(&bf16, version->load_bf16, r);
  check_stores(loose_f16_ties ? &loose_f16 : &f16, version->store_f16, r);
  check_stores(&bf16, version->store_bf16, r);
}
