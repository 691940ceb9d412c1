#include "guard.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard guard_alloc(const char *name, size_t bytes, enum guard_side side, size_t skew_bytes, unsigned char fill)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t room = (bytes + skew_bytes + page - 1) / page * page + (bytes + skew_bytes == 0 ? page : 0);
  unsigned char *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED || mprotect(map + page, room, PROT_READ | PROT_WRITE)) {
    perror("check_kernels: mmap");
    exit(4);
  }
  struct guard g = {.name = name, .room = map + page, .room_bytes = room, .bytes = bytes, .fill = fill};
  g.data = side == GUARD_BEGIN ? g.room + skew_bytes : g.room + room - bytes - skew_bytes;
  memset(g.room, fill, room);
  return g;
}

void guard_free(struct guard *g)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (g->room) munmap(g->room - page, g->room_bytes + 2 * page);
  *g = (struct guard){0};
}

void guard_read_only(const struct guard *g)
{
  if (g->room) mprotect(g->room, g->room_bytes, PROT_READ);
}

void guard_refill(const struct guard *g, unsigned char fill) { memset(g->room, fill, g->room_bytes); }

void guard_describe(const struct guard *const *list, size_t n, const void *address, char *text, size_t bytes)
{
  const uintptr_t at = (uintptr_t)address, reach = 1 << 16;
  for (size_t i = 0; i < n; i++) {
    const uintptr_t begin = (uintptr_t)list[i]->data, end = begin + list[i]->bytes;
    if (!list[i]->room || at + reach < begin || at >= end + reach) continue;
    if (at < begin)
      snprintf(text, bytes, "%zu bytes before %s", (size_t)(begin - at), list[i]->name);
    else if (at >= end)
      snprintf(text, bytes, "%zu bytes beyond the end of %s", (size_t)(at - end), list[i]->name);
    else
      snprintf(text, bytes, "byte %zu of the read-only %s", (size_t)(at - begin), list[i]->name);
    return;
  }
  snprintf(text, bytes, "address %p", address);
}
