/* The .npy reader and writer: what must be read, what must be refused and why, and what must never crash. */
#include "temporary.h"

#include "../tools/attend/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A header of any version around a dictionary, in memory of exactly its size, so that sanitizers see an overrun. */
static unsigned char *header(int version, const char *dictionary, size_t *size)
{
  const size_t n = strlen(dictionary), start = version == 1 ? 10 : 12;
  unsigned char *bytes = malloc(start + n);
  assert_non_null(bytes);
  memcpy(bytes, "\x93NUMPY", 6);
  bytes[6] = (unsigned char)version;
  bytes[7] = 0;
  bytes[8] = (unsigned char)n;
  bytes[9] = (unsigned char)(n >> 8);
  if (version > 1) bytes[10] = bytes[11] = 0;
  memcpy(bytes + start, dictionary, n);
  *size = start + n;
  return bytes;
}

static bool parse(struct npy_header *h, int version, const char *dictionary, struct complaint *why)
{
  size_t size;
  unsigned char *bytes = header(version, dictionary, &size);
  const bool ok = npy_parse_header(h, bytes, size, why);
  free(bytes);
  return ok;
}

static void good_headers(void **state)
{
  (void)state;
  static const struct {
    const char *text;
    enum npy_dtype dtype;
    int rank;
    int64_t shape[3], stride[3], count;
  } cases[] = {
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }  \n", NPY_F32, 3, {2, 3, 4}, {12, 4, 1}, 24},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4), }\n", NPY_F32, 3, {2, 3, 4}, {1, 2, 6}, 24},
      {"{'shape': (7,), \"descr\": \"|b1\", 'fortran_order': False}\n", NPY_BOOL, 1, {7}, {1}, 7},
      {"{'descr': '<f2', 'fortran_order': False, 'shape': ()}", NPY_F16, 0, {0}, {0}, 1},
      {"{'descr': '<i8', 'fortran_order': False, 'shape': (5L, 2L), }\n", NPY_I64, 2, {5, 2}, {2, 1}, 10},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 0, 4), }\n", NPY_F64, 3, {3, 0, 4}, {4, 4, 1}, 0},
      {"{ 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 1 , ) , }", NPY_F32, 1, {1}, {1}, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int version = 1; version <= 3; version++) {
      struct npy_header h;
      struct complaint why;
      if (!parse(&h, version, cases[i].text, &why)) fail_msg("%s: %s", cases[i].text, why.text);
      assert_int_equal(h.dtype, cases[i].dtype);
      assert_int_equal(h.rank, cases[i].rank);
      for (int d = 0; d < h.rank; d++) {
        assert_int_equal(h.shape[d], cases[i].shape[d]);
        assert_int_equal(h.stride[d], cases[i].stride[d]);
      }
      assert_int_equal(h.count, cases[i].count);
      assert_int_equal(h.data_bytes, (size_t)h.count * h.element_bytes);
      assert_int_equal(h.data_offset, (version == 1 ? 10 : 12) + strlen(cases[i].text));
    }
}

static void bad_headers(void **state)
{
  (void)state;
#define SHAPE(tuple) "{'descr': '<f4', 'fortran_order': False, 'shape': " tuple "}"
#define DESCR(type)  "{'descr': " type ", 'fortran_order': False, 'shape': (2,)}"
  static const struct {
    const char *text, *reason;
  } cases[] = {
      {DESCR("'>f4'"), "big-endian"},
      {DESCR("'|O'"), "Python objects"},
      {DESCR("[('a', '<f4')]"), "structured"},
      {DESCR("'<u4'"), "is none of"},
      {DESCR("'<f4"), "is none of"},
      {DESCR("<f4"), "not a type name"},
      {DESCR("'\033[2J'"), "not a type name"},
      {DESCR("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"), "not a type name"},
      {SHAPE("(-1,)"), "dimension 0"},
      {SHAPE("(2, x)"), "dimension 1"},
      {SHAPE("(2,, 3)"), "dimension 1"},
      {SHAPE("(,)"), "dimension 0"},
      {SHAPE("(2 3)"), "not a tuple"},
      {SHAPE("(2)"), "not a tuple"},
      {SHAPE("[2]"), "not a tuple"},
      {SHAPE("(2, 3"), "not a tuple"},
      {SHAPE("(9223372036854775808,)"), "64 bits"},
      {SHAPE("(99999999999999999999999999,)"), "64 bits"},
      {SHAPE("(4294967296, 4294967296)"), "64 bits"},
      {SHAPE("(0, 4294967296, 4294967296)"), "64 bits"},
      {SHAPE("(4611686018427387903,)"), "address space"},
      {SHAPE("(1,1,1,1,1,1,1,1,1)"), "more than 8"},
      {"{'descr': '<f4', 'fortran_order': false, 'shape': (2,)}", "fortran_order"},
      {"{'descr': '<f4', 'fortran_order': 1, 'shape': (2,)}", "fortran_order"},
      {"{'descr': '<f4', 'fortran_order': False}", "no key 'shape'"},
      {"{'descr': '<f4', 'shape': (2,)}", "no key 'fortran_order'"},
      {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "twice"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "unknown key"},
      {"{'descr' '<f4'}", "no ':'"},
      {"{'descr': '<f4' 'shape': (2,)}", "no ',' or '}'"},
      {SHAPE("(2,)") " x", "after its dictionary"},
      {"", "not a dictionary"},
      {"[]", "not a dictionary"},
      {"{", "quoted key"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct npy_header h;
    struct complaint why;
    if (parse(&h, 1, cases[i].text, &why)) fail_msg("accepted: %s", cases[i].text);
    if (!strstr(why.text, cases[i].reason)) fail_msg("%s: said '%s', not '%s'", cases[i].text, why.text, cases[i].reason);
  }
}

static void bad_preambles(void **state)
{
  (void)state;
  struct npy_header h;
  struct complaint why;
  const unsigned char version4[12] = {0x93, 'N', 'U', 'M', 'P', 'Y', 4, 0, 2, 0};
  const unsigned char enormous[12] = {0x93, 'N', 'U', 'M', 'P', 'Y', 2, 0, 0xff, 0xff, 0xff, 0xff};
  assert_false(npy_parse_header(&h, "not numpy at all", 16, &why));
  assert_non_null(strstr(why.text, "not a NumPy"));
  assert_false(npy_parse_header(&h, version4, sizeof version4, &why));
  assert_non_null(strstr(why.text, "version 4.0"));
  assert_false(npy_parse_header(&h, enormous, sizeof enormous, &why));
  assert_non_null(strstr(why.text, "longer than"));
}

static const char plain[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";

static void every_truncation(void **state)
{
  (void)state;
  for (int version = 1; version <= 3; version++) {
    size_t size;
    unsigned char *bytes = header(version, plain, &size);
    for (size_t n = 0; n < size; n++) {
      struct npy_header h;
      struct complaint why;
      unsigned char *exact = malloc(n ? n : 1); /* of just this size: sanitizers see a read beyond it */
      assert_non_null(exact);
      memcpy(exact, bytes, n);
      assert_false(npy_parse_header(&h, exact, n, &why));
      free(exact);
    }
    free(bytes);
  }
}

/* Headers with some bytes replaced: whatever is accepted must be consistent. */
static void mutations(void **state)
{
  (void)state;
  static const char letters[] = "{}()[],:'\" \n\\0129L<>|fbiO-TrueFalse\x93\xff";
  uint64_t random = 20240601;
  int accepted = 0;
  for (int n = 0; n < 200000; n++) {
    size_t size;
    unsigned char *bytes = header(1 + n % 3, plain, &size);
    const int changes = 1 + n % 4;
    for (int c = 0; c < changes; c++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      bytes[(random >> 33) % size] = (unsigned char)letters[(random >> 20) % (sizeof letters - 1)];
    }
    struct npy_header h;
    struct complaint why = {""};
    if (npy_parse_header(&h, bytes, size, &why)) {
      int64_t product = 1;
      accepted++;
      assert_in_range(h.rank, 0, NPY_MAX_RANK);
      for (int d = 0; d < h.rank; d++) product *= h.shape[d];
      assert_int_equal(product, h.count);
      assert_int_equal(h.data_bytes, (size_t)product * h.element_bytes);
      assert_true(h.data_offset <= size);
    } else {
      assert_true(why.text[0] != 0);
    }
    free(bytes);
  }
  assert_in_range(accepted, 1, 199999); /* both ways were taken */
}

static char *temporary_name(void)
{
  static char name[TEMPORARY_BYTES];
  const int fd = mkstemp(temporary_path(name, "test_npy"));
  assert_true(fd >= 0);
  close(fd);
  return name;
}

static void round_trip(void **state)
{
  (void)state;
  static const int64_t shapes[][4] = {{2, 3, 4, 5}, {1, 1, 1, 1}, {3, 0, 2, 2}, {7, 1, 1, 300}};
  const char *path = temporary_name();
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int rank = 0; rank <= 4; rank++) {
      size_t count = 1;
      for (int d = 0; d < rank; d++) count *= (size_t)shapes[s][d];
      float *data = malloc((count + 1) * sizeof *data);
      assert_non_null(data);
      for (size_t i = 0; i < count; i++) data[i] = (float)i * 0.25f - 3;
      FILE *f = fopen(path, "w");
      assert_non_null(f);
      npy_write(f, NPY_F32, rank, shapes[s], data);
      assert_int_equal(fclose(f), 0);
      struct npy_array a;
      struct complaint why;
      if (!npy_read(&a, path, &why)) fail_msg("%s", why.text);
      assert_int_equal(a.header.rank, rank);
      assert_int_equal(a.header.data_offset % 64, 0);
      for (int d = 0; d < rank; d++) assert_int_equal(a.header.shape[d], shapes[s][d]);
      assert_int_equal(a.header.count, count);
      if (count) assert_memory_equal(a.data, data, count * sizeof *data);
      npy_free(&a);
      free(data);
    }
  unlink(path);
}

/* Through a pipe the size is not known beforehand: memory follows what arrives. */
static void from_a_pipe(void **state)
{
  (void)state;
  const int64_t shape[1] = {900000}; /* 3.6 MB: several steps of growth */
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    close(ends[0]);
    float *data = malloc(900000 * sizeof *data);
    FILE *f = fdopen(ends[1], "w");
    if (!data || !f) _exit(1);
    for (int i = 0; i < 900000; i++) data[i] = (float)i;
    npy_write(f, NPY_F32, 1, shape, data);
    _exit(fclose(f) != 0);
  }
  close(ends[1]);
  char path[32];
  int status;
  struct npy_array a;
  struct complaint why;
  snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
  if (!npy_read(&a, path, &why)) fail_msg("%s", why.text);
  assert_int_equal(a.header.count, 900000);
  for (int i = 0; i < 900000; i++) assert_true(((float *)a.data)[i] == (float)i);
  npy_free(&a);
  close(ends[0]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

/* A promise of exabytes in a small file is refused before memory is asked for; one byte too few or too many as well. */
static void wrong_amount_of_data(void **state)
{
  (void)state;
  static const struct {
    const char *shape;
    int data_bytes;
    const char *reason;
  } cases[] = {{"(2, 3)", 23, "truncated"},
               {"(2, 3)", 0, "truncated"},
               {"(2, 3)", 25, "more data"},
               {"(1000000000000000,)", 24, "truncated"},
               {"(0,)", 1, "more data"}};
  const char *path = temporary_name();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[128];
    size_t size;
    snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': %s}\n", cases[i].shape);
    unsigned char *bytes = header(1, text, &size);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fwrite(bytes, 1, size, f);
    for (int n = 0; n < cases[i].data_bytes; n++) fputc(0, f);
    assert_int_equal(fclose(f), 0);
    free(bytes);
    struct npy_array a;
    struct complaint why;
    assert_false(npy_read(&a, path, &why));
    if (!strstr(why.text, cases[i].reason) || strncmp(why.text, path, strlen(path)))
      fail_msg("%s + %d bytes: '%s'", cases[i].shape, cases[i].data_bytes, why.text);
    assert_null(a.data);
  }
  unlink(path);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_headers),  cmocka_unit_test(bad_headers),
      cmocka_unit_test(bad_preambles), cmocka_unit_test(every_truncation),
      cmocka_unit_test(mutations),     cmocka_unit_test(round_trip),
      cmocka_unit_test(from_a_pipe),   cmocka_unit_test(wrong_amount_of_data),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
