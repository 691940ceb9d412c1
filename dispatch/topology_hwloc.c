/* The only file that knows hwloc. */
#include "topology_source.h"

#include <hwloc.h>
#include <stdlib.h>
#include <string.h>

static int core_kind(hwloc_topology_t h, hwloc_const_cpuset_t set)
{
#if HWLOC_API_VERSION >= 0x00020400
  const int kind = hwloc_cpukinds_get_by_cpuset(h, set, 0);
  return kind < 0 ? 0 : kind;
#else
  (void)h, (void)set;
  return 0;
#endif
}

static void read_caches(struct attn_topology *t, hwloc_topology_t h, hwloc_obj_t core)
{
  for (hwloc_obj_t o = core; o; o = o->parent) {
    size_t *bytes = o->type == HWLOC_OBJ_L1CACHE   ? &t->l1d_bytes
                    : o->type == HWLOC_OBJ_L2CACHE ? &t->l2_bytes
                    : o->type == HWLOC_OBJ_L3CACHE ? &t->l3_bytes
                                                   : NULL;
    if (!bytes) continue;
    *bytes = o->attr->cache.size;
    const int sharers = hwloc_get_nbobjs_inside_cpuset_by_type(h, o->cpuset, HWLOC_OBJ_CORE);
    if (o->type == HWLOC_OBJ_L2CACHE) t->l2_cores = sharers;
    if (o->type == HWLOC_OBJ_L3CACHE) t->l3_cores = sharers;
  }
}

bool attn_topology_read(struct attn_topology *t)
{
  hwloc_topology_t h;
  if (hwloc_topology_init(&h)) return false;
  hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
  bool ok = allowed && !hwloc_topology_load(h);
  const int n = ok ? hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_CORE) : 0;
  struct attn_core *cores = n > 0 ? calloc((size_t)n, sizeof *cores) : NULL;
  ok = ok && cores && !hwloc_get_cpubind(h, allowed, HWLOC_CPUBIND_PROCESS);
  if (ok) {
    hwloc_bitmap_and(allowed, allowed, hwloc_topology_get_allowed_cpuset(h));
    t->hardware_threads = hwloc_bitmap_weight(allowed);
    t->packages = hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_PACKAGE);
    t->numa_nodes = hwloc_get_nbobjs_by_type(h, HWLOC_OBJ_NUMANODE);
    t->kinds = 1;
    for (int i = 0; i < n; i++) {
      hwloc_obj_t core = hwloc_get_obj_by_type(h, HWLOC_OBJ_CORE, (unsigned)i);
      if (!core || !hwloc_bitmap_intersects(core->cpuset, allowed)) continue;
      hwloc_bitmap_t mine = hwloc_bitmap_dup(core->cpuset);
      if (!mine) continue;
      hwloc_bitmap_and(mine, mine, allowed);
      if (t->cores == 0) read_caches(t, h, core);
      struct attn_core *c = &cores[t->cores++];
      *c = (struct attn_core){.cpu = hwloc_bitmap_first(mine), .kind = core_kind(h, mine)};
      if (core->nodeset) c->numa = hwloc_bitmap_first(core->nodeset);
      if (c->kind >= t->kinds) t->kinds = c->kind + 1;
      hwloc_bitmap_free(mine);
    }
    qsort(cores, (size_t)t->cores, sizeof *cores, attn_core_order);
    t->core = cores;
    ok = t->cores > 0;
  }
  if (!ok) free(cores);
  hwloc_bitmap_free(allowed);
  hwloc_topology_destroy(h);
  return ok;
}

/* Results are handed on: what identifies this very piece of hardware does not belong to them. */
static bool is_private(const char *line, size_t bytes)
{
  static const char *const names[] = {"Serial\"", "UUID\"", "AssetTag\""};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (memmem(line, bytes, names[i], strlen(names[i]))) return true;
  return false;
}

char *attn_topology_xml(void)
{
  hwloc_topology_t h;
  char *xml = NULL, *kept = NULL;
  int bytes = 0;
  if (hwloc_topology_init(&h)) return NULL;
  if (!hwloc_topology_load(h) && !hwloc_topology_export_xmlbuffer(h, &xml, &bytes, 0)) {
    kept = bytes > 0 ? malloc((size_t)bytes + 1) : NULL;
    size_t used = 0;
    for (const char *line = xml, *end; kept && *line; line = end) {
      end = strchrnul(line, '\n');
      end += *end == '\n';
      if (is_private(line, (size_t)(end - line))) continue;
      memcpy(kept + used, line, (size_t)(end - line));
      used += (size_t)(end - line);
    }
    if (kept) kept[used] = 0;
    hwloc_free_xmlbuffer(h, xml);
  }
  hwloc_topology_destroy(h);
  return kept;
}
