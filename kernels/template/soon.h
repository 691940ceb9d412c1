/* What the thread's next unit begins with is asked for between the multiply-adds of this one's last block, a few lines at a
 * time: more would hold up the loads. Heads of some hundred rows whose tensors come from beyond L2 spend a tenth of their
 * time waiting for them otherwise. Included after the packing. */
#ifndef ATTN_SOON_H
#define ATTN_SOON_H

#include "../kernel.h"
#include "unroll.h"

/* Rows of a tensor that are still to be asked for, a chunk of lines at a time. */
enum { ASKED_BYTES = 256 };
struct asking {
  const char *at;
  int64_t rows, chunks;         /* left: rows, and chunks of the first of them */
  int64_t chunks_of_row, apart; /* apart: from the end of a row's chunks to the next row */
};

/* All that a unit asks for: K and V of the next one's first block, and of as many rows of Q. */
struct asks {
  struct asking tensors[3];
  int64_t at, count; /* tensors before `at` are done */
};

static inline void add_ask(struct asks *asks, const element *row, const attn_strides *stride, int64_t rows, int64_t width)
{
  const int64_t between = stride->s * (int64_t)sizeof(element);
  int64_t bytes = width * (int64_t)sizeof(element);
  if (stride->d != 1) return;
  if (between == bytes) bytes *= rows, rows = 1;
  const int64_t chunks = (bytes + ASKED_BYTES - 1) / ASKED_BYTES;
  asks->tensors[asks->count++] = (struct asking){(const char *)row, rows, chunks, chunks, between - chunks * ASKED_BYTES};
}

/* For heads of more than two blocks this is too little to matter. Measured on AMD's CPUs only: where other instructions
 * share the ports of the multiply-adds (Intel's) and with NEON nothing is asked for. */
static inline void ask_for_next_unit(struct asks *asks, const struct attn_unit *u, int64_t block_keys)
{
  const struct attn_unit *soon = u->soon;
  const struct attn_problem *p = u->problem;
  *asks = (struct asks){.count = 0};
  if (!soon || !QK_DIVIDES || p->shared_ports || p->Skv > 2 * block_keys) return;
  const int64_t rows = soon->row1 - soon->row0, keys = p->Skv;
  /* Rows of several heads would lie in as many places. */
  if (p->G == 1)
    add_ask(asks, (const element *)u->q + attn_q_at(soon, soon->row0), &p->q, rows < block_keys ? rows : block_keys,
            p->Dqk);
  if (soon->b == u->b && soon->hkv == u->hkv) return;
  add_ask(asks, (const element *)u->k + attn_k_at(soon), &p->k, keys < block_keys ? keys : block_keys, p->Dqk);
  add_ask(asks, (const element *)u->v + attn_v_at(soon), &p->v, keys < block_keys ? keys : block_keys, p->Dv);
}

/* The next chunk, if one is left. */
ALWAYS_INLINE void ask_some(struct asks *asks)
{
  if (asks->at == asks->count) return;
  struct asking *a = &asks->tensors[asks->at];
  UNROLLED_FOR (line, ASKED_BYTES / 64) __builtin_prefetch(a->at + line * 64);
  a->at += ASKED_BYTES;
  if (--a->chunks > 0) return;
  a->at += a->apart;
  a->chunks = a->chunks_of_row;
  asks->at += --a->rows == 0;
}

#endif
