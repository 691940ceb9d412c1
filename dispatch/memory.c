#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

static const size_t line = 64, large_page = (size_t)2 << 20;

static void *aligned(size_t align, size_t bytes) { return aligned_alloc(align, (bytes + align - 1) / align * align); }

void *attn_reserve(size_t bytes, size_t part)
{
  if (bytes > PTRDIFF_MAX) return NULL;
  void *start = part < large_page / 2 ? NULL : aligned(large_page, bytes);
  if (!start) return aligned(line, bytes); /* large pages may take twice as much room, which a limit may forbid */
  (void)madvise(start, (bytes + large_page - 1) / large_page * large_page, MADV_HUGEPAGE); /* a wish */
  return start;
}
