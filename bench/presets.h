/* Named sets of shapes. A preset names shapes; kernels and threads are expanded from what the machine can run. */
#ifndef BENCH_PRESETS_H
#define BENCH_PRESETS_H

#include "case.h"

/* Which kernels a shape is measured with when none is named. */
enum bench_breadth {
  BENCH_DECODE,       /* the kernels that split keys, of every vector ISA here */
  BENCH_STREAMING,    /* what a plan would choose on this CPU or, restricted, on a lesser one */
  BENCH_HAND_WRITTEN, /* all but the scalar reference and what the compiler vectorised: those appear as ratios */
  BENCH_ALL_KERNELS
};

struct bench_preset_shape {
  const char *label;
  struct bench_shape shape;
  enum bench_breadth breadth;
  bool all_cores_only; /* too long for one core within the preset's time */
};

struct bench_preset {
  const char *name, *summary;
  const struct bench_preset_shape *shapes;
  int count, repetitions;
  double min_time_s; /* of one repetition */
};

extern const struct bench_preset bench_presets[];
extern const int bench_preset_count;

const struct bench_preset *bench_preset_find(const char *name); /* NULL: none of that name */

/* The label under which some preset lists this shape; NULL if none does. */
const char *bench_preset_label(const struct bench_shape *shape);

#endif
