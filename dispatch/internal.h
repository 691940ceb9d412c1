/* What bench/, tools/ and tests/ may know of libattn beyond attn.h. Linked from libattn.a; not exported by
 * libattn.so, not stable. */
#ifndef ATTN_INTERNAL_H
#define ATTN_INTERNAL_H

#include "attn.h"
#include "blocking.h"
#include "cpu.h"
#include "select.h"
#include "topology.h"
#include "tuning.h"

#include "../kernels/kernel.h"
#include "../kernels/reference/half.h"
#include "../kernels/reference/oracle.h"

#endif
