#include "attend_shape.h"

#include "mask_shape.h"

/* One tensor as [B][H][S][D], whatever its layout and however many dimensions it has. */
struct view {
  int64_t n[4], stride[4];
};

static struct view view_of(const struct npy_header *h, attn_layout layout)
{
  struct view v = {.n = {1, 1, 1, 1}};
  for (int own = 0; own < h->rank; own++) {
    int to = own + 4 - h->rank;
    if (layout == ATTN_BSHD && h->rank > 2 && (to == 1 || to == 2)) to = 3 - to; /* [S][D] has no head */
    v.n[to] = h->shape[own];
    v.stride[to] = h->stride[own];
  }
  return v;
}

static attn_strides strides_of(const struct view *v)
{
  return (attn_strides){v->stride[0], v->stride[1], v->stride[2], v->stride[3]};
}

static bool check_file(const struct npy_header *h, const char *path, const struct attend_tensors *t, struct complaint *why)
{
  char shape[256], q_shape[256];
  npy_shape_text(h, shape, sizeof shape);
  if (h->dtype != NPY_F32 && h->dtype != NPY_F16)
    return complain(why, "%.400s: descr is %s; q, k and v are float32 or float16: convert it with .astype('<f4')", path,
                    npy_dtype_name(h->dtype));
  if (h->rank < 2 || h->rank > 4)
    return complain(why, "%.400s: shape %s has %d dimensions; 2 to 4 are needed", path, shape, h->rank);
  if (h->rank != t->q->rank)
    return complain(why, "%.400s: shape %s has %d dimensions, that of q %s has %d; give all the same number", path, shape,
                    h->rank, npy_shape_text(t->q, q_shape, sizeof q_shape), t->q->rank);
  if (h->dtype != t->q->dtype)
    return complain(why, "%.400s: descr is %s, that of q is %s; give all the same type", path, npy_dtype_name(h->dtype),
                    npy_dtype_name(t->q->dtype));
  return true;
}

/* The dimension of a tensor that must equal another's. */
static bool check_equal(const char *path, const char *letter, int64_t got, int64_t wanted, const char *of,
                        struct complaint *why)
{
  if (got == wanted) return true;
  return complain(why, "%.400s: %s = %lld differs from %s = %lld of %s", path, letter, (long long)got, letter,
                  (long long)wanted, of);
}

bool attend_describe(attn_desc *desc, attn_layout layout, const struct attend_tensors *t, struct complaint *why)
{
  if (!check_file(t->q, t->q_path, t, why) || !check_file(t->k, t->k_path, t, why) || !check_file(t->v, t->v_path, t, why))
    return false;
  const struct view q = view_of(t->q, layout), k = view_of(t->k, layout), v = view_of(t->v, layout);
  if (!check_equal(t->k_path, "B", k.n[0], q.n[0], "q", why) || !check_equal(t->v_path, "B", v.n[0], q.n[0], "q", why) ||
      !check_equal(t->v_path, "Hkv", v.n[1], k.n[1], "k", why) ||
      !check_equal(t->v_path, "Skv", v.n[2], k.n[2], "k", why) || !check_equal(t->k_path, "Dqk", k.n[3], q.n[3], "q", why))
    return false;
  if (q.n[1] && (k.n[1] == 0 || q.n[1] % k.n[1]))
    return complain(why, "%.400s: Hkv = %lld does not divide Hq = %lld of q; each KV head serves Hq/Hkv query heads",
                    t->k_path, (long long)k.n[1], (long long)q.n[1]);
  desc->dtype = t->q->dtype == NPY_F16 ? ATTN_F16 : ATTN_F32;
  desc->layout = layout;
  desc->B = q.n[0], desc->Hq = q.n[1], desc->Hkv = k.n[1], desc->Sq = q.n[2], desc->Skv = k.n[2];
  desc->Dqk = q.n[3], desc->Dv = v.n[3];
  desc->q = strides_of(&q);
  desc->k = strides_of(&k);
  desc->v = strides_of(&v);
  struct complaint detail;
  if (!t->mask) return true;
  const int64_t last = t->mask->rank ? t->mask->shape[t->mask->rank - 1] : 0;
  if (last == 1 && desc->Skv > 1)
    return complain(why,
                    "%.400s: the last dimension is 1: it could mean one key or all of them; give all Skv = %lld (a shorter "
                    "mask hides the keys beyond it)",
                    t->mask_path, (long long)desc->Skv);
  return mask_describe(desc, t->mask, &detail) || complain(why, "%.400s: %.500s", t->mask_path, detail.text);
}

void attend_output_shapes(const attn_desc *desc, int rank, int64_t *o_shape, int64_t *lse_shape)
{
  const int64_t lse[3] = {desc->B, desc->Hq, desc->Sq};
  const bool head_last = desc->layout == ATTN_BSHD && rank > 2;
  const int64_t o[4] = {desc->B, head_last ? desc->Sq : desc->Hq, head_last ? desc->Hq : desc->Sq, desc->Dv};
  for (int i = 0; i < rank; i++) o_shape[i] = o[i + 4 - rank];
  /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): rank is 2 to 4 */
  for (int i = 0; i < rank - 1; i++) lse_shape[i] = lse[i + 4 - rank];
}
