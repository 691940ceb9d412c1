/* .npy files: any bytes are refused with a message, or are an array whose every element lies within the file. */
#include "fuzz.h"

#include "../../tools/attend/npy.h"

#include <sys/mman.h>
#include <unistd.h>

static void check_header(const struct npy_header *h, size_t size)
{
  int64_t last = 0, count = 1;
  char text[256];
  REQUIRE(h->rank >= 0 && h->rank <= NPY_MAX_RANK && h->data_offset <= size);
  for (int i = 0; i < h->rank; i++) {
    count *= h->shape[i]; /* the parser says that it fits, or that one is 0 */
    if (h->shape[i] == 0) break;
    last += (h->shape[i] - 1) * h->stride[i];
  }
  REQUIRE(count == h->count || h->count == 0);
  REQUIRE(h->data_bytes == (size_t)h->count * h->element_bytes);
  REQUIRE(h->count == 0 || last == h->count - 1);
  REQUIRE(npy_shape_text(h, text, sizeof text) == text && *text && *npy_dtype_name(h->dtype));
}

static void read_back(const uint8_t *data, size_t size, bool as_pipe)
{
  char path[64];
  struct npy_array array;
  struct complaint why = {""};
  int ends[2];
  if (as_pipe) {
    if (size > 4096 || pipe(ends)) return;
    REQUIRE(write(ends[1], data, size) == (ssize_t)size);
    close(ends[1]);
  } else {
    REQUIRE((ends[0] = memfd_create("fuzz", 0)) >= 0 && write(ends[0], data, size) == (ssize_t)size);
  }
  snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
  if (npy_read(&array, path, &why)) {
    REQUIRE(array.data && array.header.data_bytes == size - array.header.data_offset);
    char *copy;
    size_t copy_bytes;
    FILE *f = open_memstream(&copy, &copy_bytes);
    REQUIRE(f);
    npy_write(f, array.header.dtype, array.header.rank, array.header.shape, array.data);
    REQUIRE(!fclose(f));
    struct npy_header again;
    REQUIRE(npy_parse_header(&again, copy, copy_bytes, &why));
    REQUIRE(again.dtype == array.header.dtype && again.count == array.header.count && again.rank == array.header.rank);
    free(copy);
    npy_free(&array);
  } else {
    require_message(why.text);
  }
  close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct npy_header h;
  struct complaint why = {""};
  if (npy_parse_header(&h, data, size, &why)) {
    check_header(&h, size);
    read_back(data, size, size % 4 == 1);
  } else {
    require_message(why.text);
  }
  return 0;
}
