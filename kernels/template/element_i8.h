/* The type of the elements of K and V of the kernel that includes this: int8, times a scale per key and head. Read only,
 * and only from a cache: Q and O of such a problem have another type. Vectors multiply it as integers, in quads. */
#ifndef ATTN_ELEMENT_H
#define ATTN_ELEMENT_H

#include "../reference/half.h"

typedef int8_t element;
#define ELEMENT_DTYPE ATTN_I8
#define ATTN_ELEMENT_QUADS

static inline float el_get(element x) { return x; }

#endif
