/* A real encoder: the layers of all-MiniLM-L6-v2, each of them attention (attn_layer: Q, K, V and output projections), a
 * residual with its norm, and two products around a GELU, on a real sentence, compared with what the model itself made of
 * it. `make minilm` fetches the model and runs this; the file is that of minilm.py.
 *
 * cc -std=c11 minilm.c $(pkg-config --cflags --libs libattn) -lm */
#include <attn.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAGIC = 0x4D4C4D31, LARGEST = 1 << 20 };
#define TOLERANCE 1e-4

struct encoder {
  int32_t magic, layers, tokens, width, heads, inner, unused[2];
};

/* Order and names of the file; weights [outputs][inputs]. */
struct weights {
  const float *q, *q_bias, *k, *k_bias, *v, *v_bias, *o, *o_bias, *norm1, *shift1, *up, *up_bias, *down, *down_bias, *norm2,
      *shift2;
};

static const float *take(const float **at, int64_t count)
{
  const float *here = *at;
  *at += count;
  return here;
}

static struct weights next_weights(const float **at, const struct encoder *e)
{
  const int64_t w = e->width, square = w * w, inner = e->inner;
  struct weights x;
  x.q = take(at, square), x.q_bias = take(at, w);
  x.k = take(at, square), x.k_bias = take(at, w);
  x.v = take(at, square), x.v_bias = take(at, w);
  x.o = take(at, square), x.o_bias = take(at, w);
  x.norm1 = take(at, w), x.shift1 = take(at, w);
  x.up = take(at, inner * w), x.up_bias = take(at, inner);
  x.down = take(at, w * inner), x.down_bias = take(at, w);
  x.norm2 = take(at, w), x.shift2 = take(at, w);
  return x;
}

static void product(float *y, const float *x, const float *weight, const float *bias, int inputs, int outputs)
{
  for (int o = 0; o < outputs; o++) {
    double sum = (double)bias[o];
    for (int i = 0; i < inputs; i++) sum += (double)weight[(int64_t)o * inputs + i] * (double)x[i];
    y[o] = (float)sum;
  }
}

/* x = norm(x + y) */
static void add_and_norm(float *x, const float *y, const float *scale, const float *shift, int width)
{
  double mean = 0, square = 0;
  for (int i = 0; i < width; i++) mean += (double)(x[i] += y[i]);
  mean /= width;
  for (int i = 0; i < width; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
  const double norm = 1 / sqrt(square / width + 1e-12);
  for (int i = 0; i < width; i++) x[i] = (float)(((double)x[i] - mean) * norm) * scale[i] + shift[i];
}

/* x, [tokens][width], through one layer of the encoder. room: (inner + (tokens + 1) * width) floats. */
static attn_status encode(const struct encoder *e, const struct weights *w, float *x, float *room, const char **kernels)
{
  const int width = e->width, D = width / e->heads;
  const attn_layer_desc desc = {
      .attention = {.B = 1, .Hq = e->heads, .Hkv = e->heads, .Sq = e->tokens, .Skv = e->tokens, .Dqk = D, .Dv = D},
      .query_width = width,
      .output_width = width,
  };
  const attn_layer_weights weights = {.q = w->q,
                                      .k = w->k,
                                      .v = w->v,
                                      .o = w->o,
                                      .q_bias = w->q_bias,
                                      .k_bias = w->k_bias,
                                      .v_bias = w->v_bias,
                                      .o_bias = w->o_bias};
  float *inner = room, *y = inner + e->inner, *attended = y + width;
  const attn_layer_args args = {.query = x, .output = attended};
  static char names[128];
  attn_layer *layer;
  attn_status status = attn_layer_create(&layer, &desc, &weights, NULL);
  if (status) return status;
  snprintf(names, sizeof names, "%s", attn_layer_kernels(layer));
  *kernels = names;
  status = attn_layer_run(layer, &args);
  attn_layer_destroy(layer);
  for (int t = 0; t < e->tokens && !status; t++, x += width, attended += width) {
    add_and_norm(x, attended, w->norm1, w->shift1, width);
    product(inner, x, w->up, w->up_bias, width, e->inner);
    for (int i = 0; i < e->inner; i++) inner[i] = 0.5f * inner[i] * (1 + erff(inner[i] / sqrtf(2)));
    product(y, inner, w->down, w->down_bias, e->inner, width);
    add_and_norm(x, y, w->norm2, w->shift2, width);
  }
  return status;
}

static double farthest(const float *a, const float *b, int64_t n)
{
  double most = 0;
  for (int64_t i = 0; i < n; i++) {
    const double d = fabs((double)a[i] - (double)b[i]);
    if (!(d <= most)) most = d; /* NaN is the farthest */
  }
  return most;
}

/* The floats behind the header, or NULL with a message. */
static float *load(const char *path, struct encoder *e)
{
  FILE *in = fopen(path, "rb");
  float *data = NULL;
  if (!in) return perror(path), NULL;
  if (fread(e, sizeof *e, 1, in) != 1 || e->magic != MAGIC || e->layers < 1 || e->tokens < 1 || e->heads < 1 ||
      e->width < e->heads || e->inner < 1 || e->width % e->heads || e->layers > 1024 || e->tokens > LARGEST ||
      e->width > 65536 || e->inner > LARGEST) {
    fprintf(stderr, "%s: not an encoder that minilm.py wrote\n", path);
  } else {
    const int64_t w = e->width, per_layer = 4 * (w * w + w) + 2 * w * e->inner + e->inner + 5 * w;
    const size_t count = (size_t)((e->layers + 1) * e->tokens * w + e->layers * per_layer);
    data = malloc(count * sizeof *data);
    if (!data || fread(data, sizeof *data, count, in) != count || fgetc(in) != EOF) {
      fprintf(stderr, "%s: %s\n", path, data ? "is not of the length that its header tells" : "no memory");
      free(data);
      data = NULL;
    }
  }
  fclose(in);
  return data;
}

int main(int argc, char **argv)
{
  struct encoder e;
  if (argc != 2) return fprintf(stderr, "usage: minilm FILE   (made by examples/minilm.py)\n"), 2;
  float *data = load(argv[1], &e);
  if (!data) return 2;
  const int64_t state = (int64_t)e.tokens * e.width;
  const float *weights = data + (e.layers + 1) * state;
  const size_t bytes = (size_t)state * sizeof(float);
  float *alone = malloc(bytes), *chained = malloc(bytes), *room = malloc(((size_t)e.inner + (size_t)e.width) * 4 + bytes);
  if (!alone || !chained || !room) return fprintf(stderr, "no memory\n"), 1;
  const char *kernels = "";
  double worst = 0;
  printf("%d layers of width %d, %d heads, %d tokens\n\n", e.layers, e.width, e.heads, e.tokens);
  printf("layer   largest difference from the model's own output\n        on the model's input   layer after layer\n");
  memcpy(chained, data, bytes);
  for (int l = 0; l < e.layers; l++) {
    const struct weights w = next_weights(&weights, &e);
    const float *expected = data + (l + 1) * state;
    memcpy(alone, data + l * state, bytes);
    attn_status status = encode(&e, &w, alone, room, &kernels);
    if (!status) status = encode(&e, &w, chained, room, &kernels);
    if (status) return fprintf(stderr, "%s: %s\n", attn_status_name(status), attn_error_message()), 1;
    const double here = farthest(alone, expected, state), so_far = farthest(chained, expected, state);
    printf("%5d   %20.2g   %17.2g\n", l, here, so_far);
    if (!(here <= worst)) worst = here;
    if (!(so_far <= worst)) worst = so_far;
  }
  const bool good = worst <= TOLERANCE;
  printf("\n%s: largest difference %.2g, %s %g\n", kernels, worst, good ? "within" : "NOT within", TOLERANCE);
  free(alone), free(chained), free(room), free(data);
  return good ? 0 : 1;
}
