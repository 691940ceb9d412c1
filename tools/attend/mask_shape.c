#include "mask_shape.h"

bool mask_describe(attn_desc *desc, const struct npy_header *mask, struct complaint *why)
{
  static const char *const names[4] = {"B", "Hq", "Sq", "Skv"};
  const int64_t full[4] = {desc->B, desc->Hq, desc->Sq, desc->Skv};
  int64_t stride[4] = {0};
  char shape[256];
  npy_shape_text(mask, shape, sizeof shape);
  if (mask->dtype != NPY_BOOL && mask->dtype != NPY_F32)
    return complain(why, "a mask is bool (True: visible) or float32 (added to the score), not %s",
                    npy_dtype_name(mask->dtype));
  if (mask->rank < 1 || mask->rank > 4)
    return complain(why, "a mask has 1 to 4 dimensions, the tail of [B][Hq][Sq][Skv]; this one is %s", shape);
  for (int i = 4 - mask->rank; i < 3; i++) {
    const int own = i - (4 - mask->rank);
    if (mask->shape[own] != full[i] && mask->shape[own] != 1)
      return complain(why, "mask %s: dimension %d must be %s = %lld, or 1 to broadcast", shape, own, names[i],
                      (long long)full[i]);
    stride[i] = mask->shape[own] == 1 ? 0 : mask->stride[own];
  }
  const int64_t length = mask->shape[mask->rank - 1];
  if (length > desc->Skv)
    return complain(why, "mask %s: its last dimension exceeds Skv = %lld", shape, (long long)desc->Skv);
  if (length == 0 && desc->Skv > 0) return complain(why, "mask %s covers no key at all", shape);
  desc->mask = (attn_mask){.kind = mask->dtype == NPY_BOOL ? ATTN_MASK_BOOL : ATTN_MASK_ADDITIVE,
                           .length = length,
                           .stride = {stride[0], stride[1], stride[2], mask->stride[mask->rank - 1]}};
  if (length == 0) desc->mask = (attn_mask){.kind = ATTN_MASK_NONE};
  return true;
}
