/* Cross-modal attention: 77 tokens of a text look at 577 patches of an image (CLIP ViT-L/14 at 336 x 336: 24 x 24 patches
 * and a class token), which come from encoders of different widths. Weights and inputs are random; what is shown is how a
 * layer is described, run, and what its rows attend to.
 *
 * cc -std=c11 cross_modal.c $(pkg-config --cflags --libs libattn) */
#include <attn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TEXT = 77, IMAGE = 577, TEXT_WIDTH = 768, IMAGE_WIDTH = 1024, HEADS = 12, D = 64, RUNS = 5 };

static float *uniform(size_t n, float largest)
{
  static unsigned seed = 1;
  float *x = malloc(n * sizeof *x);
  if (!x) exit(1);
  for (size_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = ((float)(seed >> 8) / 8388608.0f - 1) * largest;
  }
  return x;
}

static double now(void)
{
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void)
{
  const float of_text = 1 / sqrtf(TEXT_WIDTH / 3.0f), of_image = 1 / sqrtf(IMAGE_WIDTH / 3.0f);
  float *text = uniform(TEXT * TEXT_WIDTH, 1), *image = uniform(IMAGE * IMAGE_WIDTH, 1), *o = uniform(TEXT * TEXT_WIDTH, 1);
  float *wq = uniform(HEADS * D * TEXT_WIDTH, of_text), *wk = uniform(HEADS * D * IMAGE_WIDTH, of_image);
  float *wv = uniform(HEADS * D * IMAGE_WIDTH, of_image), *wo = uniform(TEXT_WIDTH * HEADS * D, of_text), lse[HEADS * TEXT];
  const attn_layer_desc desc = {
      .attention = {.B = 1, .Hq = HEADS, .Hkv = HEADS, .Sq = TEXT, .Skv = IMAGE, .Dqk = D, .Dv = D},
      .query_width = TEXT_WIDTH,
      .key_width = IMAGE_WIDTH, /* and so is value_width */
      .output_width = TEXT_WIDTH,
  };
  const attn_layer_weights weights = {.q = wq, .k = wk, .v = wv, .o = wo};
  const attn_layer_args args = {.query = text, .key = image, .output = o, .attention = {.lse = lse}};
  attn_layer *layer;
  attn_status status = attn_layer_create(&layer, &desc, &weights, NULL); /* packs the weights */
  double best = INFINITY;
  for (int run = 0; run < RUNS && !status; run++) {
    const double start = now();
    status = attn_layer_run(layer, &args);
    if (now() - start < best) best = now() - start;
  }
  if (status) return fprintf(stderr, "%s: %s\n", attn_status_name(status), attn_error_message()), 1;
  double sum = 0, square = 0;
  for (int i = 0; i < TEXT * TEXT_WIDTH; i++) {
    sum += (double)o[i];
    square += (double)o[i] * (double)o[i];
  }
  const double n = TEXT * TEXT_WIDTH;
  printf("%d text tokens of %d attend to %d image patches of %d: %s\n", TEXT, TEXT_WIDTH, IMAGE, IMAGE_WIDTH,
         attn_layer_kernels(layer));
  printf("output %d x %d: mean %.4f, deviation %.4f; log-sum-exp of row 0: %.4f\n", TEXT, TEXT_WIDTH, sum / n,
         sqrt(square / n - sum * sum / n / n), (double)lse[0]);
  printf("best of %d runs: %.2f ms\n", RUNS, 1e3 * best);
  attn_layer_destroy(layer);
  free(text), free(image), free(o), free(wq), free(wk), free(wv), free(wo);
}
