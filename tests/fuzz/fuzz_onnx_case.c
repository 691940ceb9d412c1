/* case.json of a conformance case, beside well-formed tensors: refused with a message, or computed. */
#include "fuzz.h"

#include "../../tools/attend/onnx_case.h"

#include <fcntl.h>
#include <unistd.h>

static char folder[4096];

static void remove_folder(void)
{
  char command[4200];
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command)) perror("fuzz_onnx_case: rm");
}

static void put_tensor(const char *name, enum npy_dtype dtype, int rank, const int64_t *shape)
{
  static const float zeros[4096];
  char path[sizeof folder + 64];
  snprintf(path, sizeof path, "%s/%s.npy", folder, name);
  FILE *f = fopen(path, "w");
  REQUIRE(f);
  npy_write(f, dtype, rank, shape, zeros);
  REQUIRE(!fclose(f));
}

static void prepare(void)
{
  const char *tmp = getenv("TMPDIR");
  snprintf(folder, sizeof folder, "%s/fuzz-onnx-XXXXXX", tmp ? tmp : access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
  REQUIRE(mkdtemp(folder));
  atexit(remove_folder);
  put_tensor("in_Q", NPY_F32, 4, (const int64_t[]){1, 2, 3, 4});
  put_tensor("in_K", NPY_F32, 4, (const int64_t[]){1, 2, 5, 4});
  put_tensor("in_V", NPY_F32, 4, (const int64_t[]){1, 2, 5, 4});
  put_tensor("in_M", NPY_BOOL, 2, (const int64_t[]){3, 5});
  put_tensor("in_A", NPY_F32, 4, (const int64_t[]){1, 2, 3, 5});
  put_tensor("in_P", NPY_F32, 4, (const int64_t[]){1, 2, 2, 4});
  put_tensor("in_N", NPY_I64, 1, (const int64_t[]){1});
  put_tensor("in_Z", NPY_F16, 3, (const int64_t[]){1, 3, 8});
  put_tensor("in_D", NPY_F64, 4, (const int64_t[]){1, 2, 3, 4});
  put_tensor("out_Y", NPY_F32, 4, (const int64_t[]){1, 2, 3, 4});
  put_tensor("out_X", NPY_F32, 4, (const int64_t[]){1, 2, 3, 5});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (!*folder) prepare();
  char path[sizeof folder + 64];
  snprintf(path, sizeof path, "%s/case.json", folder);
  const int f = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  REQUIRE(f >= 0 && write(f, data, size) == (ssize_t)size);
  close(f);
  struct onnx_case c;
  struct complaint why = {""};
  char missing[512];
  if (onnx_case_load(&c, folder, &why)) {
    for (const char *letter = c.unknown; *letter; letter++) REQUIRE(*letter >= ' ' && *letter <= '~');
    if (!*c.unknown && !*onnx_attention_missing(&c.op, missing, sizeof missing)) {
      struct onnx_result result;
      why.text[0] = 0;
      if (onnx_attention_run(&result, &c.op, &why) != ONNX_DONE) require_message(why.text);
      onnx_result_free(&result);
    }
  } else {
    require_message(why.text);
  }
  onnx_case_free(&c);
  return 0;
}
