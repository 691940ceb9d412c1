#include <attn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
  enum { B = 1, Hq = 8, Hkv = 2, S = 512, D = 64 };
  float *q = malloc(sizeof(float) * B * Hq * S * D), *o = malloc(sizeof(float) * B * Hq * S * D);
  float *k = malloc(sizeof(float) * B * Hkv * S * D), *v = malloc(sizeof(float) * B * Hkv * S * D);
  if (!q || !k || !v || !o) return 1;
  for (int i = 0; i < B * Hq * S * D; i++) q[i] = (float)(i % 7) - 3;
  for (int i = 0; i < B * Hkv * S * D; i++) k[i] = (float)(i % 5) - 2, v[i] = (float)(i / D % S); /* value of key j: j */
  const attn_desc desc = {.B = B, .Hq = Hq, .Hkv = Hkv, .Sq = S, .Skv = S, .Dqk = D, .Dv = D, .flags = ATTN_CAUSAL};
  const attn_args args = {.q = q, .k = k, .v = v, .o = o};
  attn_plan *plan;
  attn_status status = attn_plan_create(&plan, &desc, NULL); /* every check, every allocation */
  if (!status) status = attn_run(plan, &args);               /* as often as you like */
  if (status) return fprintf(stderr, "%s: %s\n", attn_status_name(status), attn_error_message()), 1;
  printf("%s, %d threads: row 0 is %g, row 1 lies between 0 and 1: %g\n", attn_plan_kernel(plan), attn_plan_threads(plan),
         o[0], o[D]);
  attn_plan_destroy(plan);
  free(q), free(k), free(v), free(o);
}
