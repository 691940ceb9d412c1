/* fwd_stream.h by tile registers, which are opened for a unit. */
#ifndef ATTN_FWD_STREAM_AMX_H
#define ATTN_FWD_STREAM_AMX_H

#include "tile_amx.h"

#include "fwd_stream.h"

static void run_with_tiles(const struct attn_unit *unit)
{
  tiles_open();
  stream_run(unit);
  tiles_close();
}

#endif
