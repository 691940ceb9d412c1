/* What the products of packed operands must take care of: the functions that pack return a set of these, for most packings
 * and most data the empty one. */
#ifndef ATTN_CARE_H
#define ATTN_CARE_H

enum care {
  CARE_SCORES = 1, /* Q or K is not finite, and products of it are wrong: mend_scores() */
  CARE_VALUES = 2, /* V is not finite: value_tile_careful() */
};

#endif
