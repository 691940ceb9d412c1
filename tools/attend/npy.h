/* NumPy's .npy format, versions 1 to 3: one array, little-endian, of the types that attention uses.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * The header is a Python dictionary. Only its literal form as NumPy writes it is understood: keys 'descr',
 * 'fortran_order' and 'shape', each once, in any order. Everything else is an error that says where. */
#ifndef ATTNBENCH_NPY_H
#define ATTNBENCH_NPY_H

#include "../complaint.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* NumPy has no bfloat16 of its own: ml_dtypes' arrays are stored as 2 bytes without a meaning ('V2') and are read as such.
 */
enum npy_dtype { NPY_BOOL, NPY_F16, NPY_F32, NPY_F64, NPY_I64, NPY_BF16 };
enum { NPY_MAX_RANK = 8, NPY_PREAMBLE_BYTES = 12, NPY_MAX_HEADER_BYTES = 65536 };

struct npy_header {
  enum npy_dtype dtype;
  bool fortran_order;
  int rank; /* 0: a scalar */
  int64_t shape[NPY_MAX_RANK];
  int64_t stride[NPY_MAX_RANK]; /* in elements, by the order of the dimensions */
  int64_t count;                /* elements */
  size_t element_bytes, data_bytes;
  size_t data_offset; /* from the start of the file */
};

struct npy_array {
  struct npy_header header;
  void *data; /* 64-byte aligned; never NULL after a successful read */
};

/* Parses the beginning of a file: bytes may hold less than the whole file, but must hold the header. Never reads
 * beyond bytes[size - 1]. Sizes are checked: count and data_bytes fit, product of the non-zero dimensions included. */
bool npy_parse_header(struct npy_header *header, const void *bytes, size_t size, struct complaint *why);

/* Reads a file (also a pipe) completely. The complaint begins with the path. */
bool npy_read(struct npy_array *array, const char *path, struct complaint *why);
void npy_free(struct npy_array *array); /* {0} is allowed */

/* Version 1.0, C order. Errors of writing stay with the stream. */
void npy_write(FILE *stream, enum npy_dtype dtype, int rank, const int64_t *shape, const void *data);

const char *npy_dtype_name(enum npy_dtype dtype); /* "float32" */

/* Writes "[2][3][4]" to buffer. Returns buffer. */
char *npy_shape_text(const struct npy_header *header, char *buffer, size_t bytes);

#endif
