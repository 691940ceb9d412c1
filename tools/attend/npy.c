#include "npy.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char magic[] = "\x93NUMPY";

static const struct {
  const char *descr, *name;
  size_t bytes;
} types[] = {[NPY_BOOL] = {"|b1", "bool", 1},   [NPY_F16] = {"<f2", "float16", 2}, [NPY_F32] = {"<f4", "float32", 4},
             [NPY_F64] = {"<f8", "float64", 8}, [NPY_I64] = {"<i8", "int64", 8},   [NPY_BF16] = {"<V2", "bfloat16", 2}};

const char *npy_dtype_name(enum npy_dtype dtype) { return types[dtype].name; }

char *npy_shape_text(const struct npy_header *h, char *buffer, size_t bytes)
{
  size_t used = 0;
  snprintf(buffer, bytes, "scalar");
  for (int i = 0; i < h->rank && used < bytes; i++)
    used += (size_t)snprintf(buffer + used, bytes - used, "[%lld]", (long long)h->shape[i]);
  return buffer;
}

/* The rest of the header's text. */
struct cursor {
  const char *at, *end;
};

static void skip_blanks(struct cursor *c)
{
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t')) c->at++;
}

static bool accept(struct cursor *c, char wanted)
{
  skip_blanks(c);
  if (c->at == c->end || *c->at != wanted) return false;
  c->at++;
  return true;
}

static bool accept_word(struct cursor *c, const char *word)
{
  const size_t n = strlen(word);
  skip_blanks(c);
  if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n)) return false;
  c->at += n;
  return true;
}

/* A quoted string without escapes, into text. */
static bool parse_string(struct cursor *c, char *text, size_t bytes)
{
  skip_blanks(c);
  if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
  const char quote = *c->at++, *start = c->at;
  while (c->at < c->end && *c->at != quote && *c->at != '\\' && *c->at != '\n') c->at++;
  const size_t n = (size_t)(c->at - start);
  if (c->at == c->end || *c->at != quote || n >= bytes || memchr(start, 0, n)) return false;
  memcpy(text, start, n);
  text[n] = 0;
  c->at++;
  return true;
}

static bool parse_dtype(struct npy_header *h, struct cursor *c, struct complaint *why)
{
  char descr[32];
  skip_blanks(c);
  if (c->at < c->end && *c->at == '[') return complain(why, "descr is a structured type; give an array of float32");
  if (!parse_string(c, descr, sizeof descr)) return complain(why, "descr is not a type name");
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (!strcmp(descr, types[i].descr) || (i == NPY_BF16 && !strcmp(descr, "|V2"))) {
      h->dtype = (enum npy_dtype)i;
      h->element_bytes = types[i].bytes;
      return true;
    }
  for (const char *letter = descr; *letter; letter++) /* comes from a file and goes to a terminal */
    if (*letter < ' ' || *letter > '~') return complain(why, "descr is not a type name");
  if (descr[0] == '>') return complain(why, "descr '%s' is big-endian; convert it with .astype('<f4')", descr);
  if (strchr(descr, 'O')) return complain(why, "descr '%s' means Python objects, not numbers", descr);
  return complain(why, "descr '%s' is none of <f4, <f2, <f8, <i8, |b1; convert it with .astype('<f4')", descr);
}

static bool parse_shape(struct npy_header *h, struct cursor *c, struct complaint *why)
{
  if (!accept(c, '(')) return complain(why, "shape is not a tuple");
  h->rank = 0;
  while (!accept(c, ')')) {
    int64_t n = 0;
    skip_blanks(c);
    const char *start = c->at;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
      if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *c->at - '0', &n))
        return complain(why, "dimension %d of shape does not fit 64 bits", h->rank);
    if (c->at == start) return complain(why, "dimension %d of shape is not a number that is 0 or more", h->rank);
    if (c->at < c->end && *c->at == 'L') c->at++; /* as Python 2 wrote it */
    if (h->rank == NPY_MAX_RANK) return complain(why, "shape has more than %d dimensions", NPY_MAX_RANK);
    h->shape[h->rank++] = n;
    if (accept(c, ',')) continue;
    if (!accept(c, ')')) return complain(why, "shape is not a tuple of numbers");
    if (h->rank == 1) return complain(why, "shape is a number in parentheses, not a tuple");
    return true;
  }
  return true;
}

/* Strides, count and bytes. Dimensions of 0 count as 1 while overflow is looked for: no stride overflows either. */
static bool measure(struct npy_header *h, struct complaint *why)
{
  int64_t product = 1, bytes;
  bool empty = false;
  for (int n = 0; n < h->rank; n++) {
    const int i = h->fortran_order ? n : h->rank - 1 - n;
    h->stride[i] = product;
    if (h->shape[i] == 0) empty = true;
    if (h->shape[i] > 0 && __builtin_mul_overflow(product, h->shape[i], &product))
      return complain(why, "shape has more elements than 64 bits count");
  }
  if (__builtin_mul_overflow(product, (int64_t)h->element_bytes, &bytes) || bytes > PTRDIFF_MAX / 2)
    return complain(why, "shape needs more bytes than the address space has");
  h->count = empty ? 0 : product;
  h->data_bytes = empty ? 0 : (size_t)bytes;
  return true;
}

static bool parse_dictionary(struct npy_header *h, struct cursor *c, struct complaint *why)
{
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  bool seen[3] = {false};
  if (!accept(c, '{')) return complain(why, "header is not a dictionary");
  while (!accept(c, '}')) {
    char key[16];
    int k = 0;
    if (!parse_string(c, key, sizeof key)) return complain(why, "header has something other than a quoted key");
    while (k < 3 && strcmp(key, keys[k])) k++;
    if (k == 3) return complain(why, "header has an unknown key; only descr, fortran_order and shape are allowed");
    if (seen[k]) return complain(why, "header has the key '%s' twice", key);
    seen[k] = true;
    if (!accept(c, ':')) return complain(why, "header has no ':' after the key '%s'", key);
    if (k == 0 && !parse_dtype(h, c, why)) return false;
    if (k == 1 && !(h->fortran_order = accept_word(c, "True")) && !accept_word(c, "False"))
      return complain(why, "fortran_order is neither True nor False");
    if (k == 2 && !parse_shape(h, c, why)) return false;
    if (accept(c, ',')) continue;
    if (!accept(c, '}')) return complain(why, "header has no ',' or '}' after the value of '%s'", key);
    break;
  }
  for (int k = 0; k < 3; k++)
    if (!seen[k]) return complain(why, "header has no key '%s'", keys[k]);
  for (skip_blanks(c); c->at < c->end; c->at++)
    if (*c->at != ' ' && *c->at != '\n') return complain(why, "header has text after its dictionary");
  return true;
}

/* From magic and version: where the header's text starts and how long it is. */
static bool parse_preamble(const unsigned char *b, size_t size, size_t *start, size_t *length, struct complaint *why)
{
  if (size < 6 || memcmp(b, magic, 6))
    return complain(why, "is not a NumPy .npy file (its first bytes are not \\x93NUMPY)");
  if (size < 8) return complain(why, "header is truncated: no version");
  if (b[6] < 1 || b[6] > 3 || b[7] != 0) return complain(why, "format version %d.%d is not 1.0, 2.0 or 3.0", b[6], b[7]);
  *start = b[6] == 1 ? 10 : 12;
  if (size < *start) return complain(why, "header is truncated: no length");
  *length = (size_t)b[8] | (size_t)b[9] << 8;
  if (b[6] > 1) *length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
  if (*length > NPY_MAX_HEADER_BYTES)
    return complain(why, "header of %zu bytes is longer than any array of numbers needs (%d)", *length,
                    NPY_MAX_HEADER_BYTES);
  return true;
}

bool npy_parse_header(struct npy_header *h, const void *bytes, size_t size, struct complaint *why)
{
  size_t start, length;
  *h = (struct npy_header){0};
  if (!parse_preamble(bytes, size, &start, &length, why)) return false;
  if (size - start < length)
    return complain(why, "header is truncated: %zu bytes are announced, %zu are there", length, size - start);
  struct cursor c = {(const char *)bytes + start, (const char *)bytes + start + length};
  h->data_offset = start + length;
  return parse_dictionary(h, &c, why) && measure(h, why);
}

/* Reads the data. Where the size of the file is not known, memory grows with what arrives, not with what the header
 * promises. */
static bool read_data(struct npy_array *a, FILE *f, bool size_known, struct complaint *why)
{
  const size_t wanted = a->header.data_bytes;
  size_t room = size_known || wanted < (1 << 20) ? wanted : 1 << 20, have = 0;
  for (;;) {
    void *grown = aligned_alloc(64, (room + 64) / 64 * 64);
    if (!grown) return complain(why, "no memory for its %zu bytes", wanted);
    if (have) memcpy(grown, a->data, have);
    free(a->data);
    a->data = grown;
    have += fread((char *)grown + have, 1, room - have, f);
    if (have < room) {
      if (ferror(f)) return complain(why, "cannot be read: %s", strerror(errno));
      return complain(why, "data is truncated: shape and type need %zu bytes, %zu are there", wanted, have);
    }
    if (have == wanted) break;
    room = wanted / 2 > room ? room * 2 : wanted;
  }
  if (fgetc(f) != EOF) return complain(why, "has more data than shape and type need (%zu bytes)", wanted);
  return true;
}

static bool read_stream(struct npy_array *a, FILE *f, struct complaint *why)
{
  struct stat st;
  unsigned char preamble[NPY_PREAMBLE_BYTES];
  size_t start, length;
  if (fstat(fileno(f), &st)) return complain(why, "cannot be read: %s", strerror(errno));
  if (S_ISDIR(st.st_mode)) return complain(why, "is a folder, not a .npy file");
  size_t have = fread(preamble, 1, 10, f);
  if (have == 10 && preamble[6] > 1) have += fread(preamble + 10, 1, 2, f);
  if (ferror(f)) return complain(why, "cannot be read: %s", strerror(errno));
  if (!parse_preamble(preamble, have, &start, &length, why)) return false;
  unsigned char *text = malloc(start + length);
  if (!text) return complain(why, "no memory for a header of %zu bytes", length);
  memcpy(text, preamble, start);
  have = start + fread(text + start, 1, length, f);
  const bool ok = npy_parse_header(&a->header, text, have, why);
  free(text);
  if (!ok) return false;
  const bool regular = S_ISREG(st.st_mode);
  if (regular && (uint64_t)st.st_size < (uint64_t)a->header.data_offset + a->header.data_bytes)
    return complain(why, "data is truncated: shape and type need %zu bytes, %lld are there", a->header.data_bytes,
                    (long long)st.st_size - (long long)a->header.data_offset);
  return read_data(a, f, regular, why);
}

bool npy_read(struct npy_array *array, const char *path, struct complaint *why)
{
  struct complaint detail;
  *array = (struct npy_array){0};
  FILE *f = fopen(path, "re");
  if (!f) return complain(why, "%s: cannot be opened: %s", path, strerror(errno));
  const bool ok = read_stream(array, f, &detail);
  fclose(f);
  if (ok) return true;
  npy_free(array);
  return complain(why, "%.400s: %.500s", path, detail.text);
}

void npy_free(struct npy_array *array)
{
  free(array->data);
  *array = (struct npy_array){0};
}

void npy_write(FILE *stream, enum npy_dtype dtype, int rank, const int64_t *shape, const void *data)
{
  char text[256];
  int64_t count = 1;
  int used = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[dtype].descr);
  for (int i = 0; i < rank; i++) {
    count *= shape[i];
    used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld%s", i ? " " : "", (long long)shape[i],
                     i + 1 < rank || rank == 1 ? "," : "");
  }
  used += snprintf(text + used, sizeof text - (size_t)used, "), }");
  const int padded = (10 + used + 1 + 63) / 64 * 64 - 10; /* data begins at a multiple of 64 */
  const unsigned char preamble[10] = {
      0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)padded, (unsigned char)(padded >> 8)};
  fwrite(preamble, 1, sizeof preamble, stream);
  fprintf(stream, "%-*s\n", padded - 1, text);
  fwrite(data, types[dtype].bytes, (size_t)count, stream);
}
