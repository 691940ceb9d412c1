/* What `attnbench explain` found out, and how it is shown: in a terminal, as a page, as a picture. All show the same
 * figures, in the same format. */
#ifndef ATTNBENCH_EXPLANATION_H
#define ATTNBENCH_EXPLANATION_H

#include "attention_stats.h"
#include "tokens.h"

#include <stdio.h>

struct explanation {
  const char *title; /* the sentence, or the names of the files */
  char about[512];   /* shape and rules */
  char check[256];   /* what the weights were compared with; "" */
  const struct tokens *query, *key;
  int64_t batch, head, heads;
  const char *const *head_names;       /* [heads] or NULL */
  const double *head_entropy;          /* [heads] mean, bits */
  const struct attention_stats *stats; /* of the head that is shown */
};

enum { EXPLANATION_COLUMNS = 80, EXPLANATION_MOST_LISTED = 48, EXPLANATION_MOST_RECEIVERS = 10 };

struct explanation_style {
  bool ascii, colour;
};

/* How many columns of keys, after the names of the queries, a terminal has room for. */
int64_t explanation_most_columns(const struct explanation *e);

void explanation_print(FILE *out, const struct explanation *e, const struct attention_heat *heat,
                       const struct explanation_style *style);
void explanation_write_html(FILE *out, const struct explanation *e, const struct attention_heat *heat);
void explanation_write_svg(FILE *out, const struct explanation *e, const struct attention_heat *heat);

/* "0.77": a weight; "1.30": bits. Returns buffer, of EXPLANATION_NUMBER_BYTES. */
enum { EXPLANATION_NUMBER_BYTES = 32 };
char *explanation_number(double value, char *buffer);

/* The largest cell, which shades are relative to; 1 if all are 0. */
double explanation_peak(const struct attention_heat *heat);

/* The name of a row or column: the token if it stands for one, otherwise the first and the last number. */
char *explanation_name(const struct tokens *tokens, int64_t of, int64_t cells, int64_t index, char *buffer, size_t bytes);

/* Keys by falling attention received, at most n; returns how many. */
int explanation_receivers(const struct attention_stats *stats, int64_t *keys, int n);

#endif
