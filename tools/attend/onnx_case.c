#include "onnx_case.h"

#include "../../bench/printable.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <string.h>

const char *const onnx_output_names[ONNX_OUTPUTS] = {"Y", "present_key", "present_value", "qk_matmul_output"};

/* Where a problem is: the case's folder, for messages. */
struct place {
  const char *folder;
  struct complaint *why;
};

#define COMPLAIN(place, format, ...) complain((place)->why, "%.300s/case.json: " format, (place)->folder, __VA_ARGS__)

static void note_unknown(struct onnx_case *c, const char *kind, const char *name)
{
  const size_t used = strlen(c->unknown);
  snprintf(c->unknown + used, sizeof c->unknown - used, "%s%s %.60s", used ? ", " : "", kind, name);
  for (char *letter = c->unknown + used; *letter; letter++) /* comes from a file and goes to a terminal */
    if (*letter < ' ' || *letter > '~') *letter = '?';
}

static bool read_operator(struct onnx_case *c, const json_t *root, const struct place *p)
{
  const json_t *op = json_object_get(root, "op"), *opset = json_object_get(root, "opset");
  if (!json_is_string(op)) return COMPLAIN(p, "%s is not a string", "op");
  if (strcmp(json_string_value(op), "Attention")) note_unknown(c, "operator", json_string_value(op));
  if (!json_is_array(opset)) return COMPLAIN(p, "%s is not an array", "opset");
  for (size_t i = 0; i < json_array_size(opset); i++) {
    const json_t *entry = json_array_get(opset, i), *domain = json_array_get(entry, 0), *version = json_array_get(entry, 1);
    if (!json_is_string(domain) || !json_is_integer(version)) return COMPLAIN(p, "opset[%zu] is not [domain, version]", i);
    const json_int_t v = json_integer_value(version);
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)v);
    if (!*json_string_value(domain) && (v < 23 || v > 25)) note_unknown(c, "opset", text);
  }
  return true;
}

static bool read_attributes(struct onnx_case *c, const json_t *root, const struct place *p)
{
  struct onnx_attention *op = &c->op;
  int64_t is_causal = 0;
  const struct {
    const char *name;
    int64_t *integer, least;
    double *real;
  } known[] = {{"is_causal", &is_causal, 0, NULL},
               {"q_num_heads", &op->q_num_heads, 1, NULL},
               {"kv_num_heads", &op->kv_num_heads, 1, NULL},
               {"left_window_size", &op->left_window, -1, NULL},
               {"right_window_size", &op->right_window, -1, NULL},
               {"softmax_precision", &op->softmax_precision, 0, NULL},
               {"qk_matmul_output_mode", &op->qk_matmul_output_mode, 0, NULL},
               {"scale", NULL, 0, &op->scale},
               {"softcap", NULL, 0, &op->softcap}};
  json_t *attributes = json_object_get(root, "attributes"), *value;
  const char *name;
  if (!json_is_object(attributes)) return COMPLAIN(p, "%s is not an object", "attributes");
  op->left_window = op->right_window = -1;
  json_object_foreach(attributes, name, value)
  {
    size_t i = 0;
    while (i < sizeof known / sizeof *known && strcmp(name, known[i].name)) i++;
    if (i == sizeof known / sizeof *known) {
      note_unknown(c, "attribute", name);
    } else if (known[i].real) {
      *known[i].real = json_number_value(value);
      if (!json_is_number(value) || fabs(*known[i].real) > 3e38)
        return COMPLAIN(p, "attributes.%s is not a number of f32", known[i].name);
    } else {
      *known[i].integer = json_integer_value(value);
      if (!json_is_integer(value) || *known[i].integer < known[i].least)
        return COMPLAIN(p, "attributes.%s is not an integer of %lld or more", known[i].name, (long long)known[i].least);
    }
  }
  op->is_causal = is_causal;
  op->scale_given = json_object_get(attributes, "scale");
  return true;
}

static bool same_shape(const struct npy_header *h, const json_t *shape)
{
  if (json_array_size(shape) != (size_t)h->rank) return false;
  for (int i = 0; i < h->rank; i++) {
    const json_t *n = json_array_get(shape, (size_t)i);
    if (!json_is_integer(n) || json_integer_value(n) != h->shape[i]) return false;
  }
  return true;
}

/* inputs[] or outputs[]: each entry's name leads to a file, which must be what the entry says. */
static bool read_tensors(struct npy_array *arrays, int slots, const json_t *root, const char *list_name, const char *prefix,
                         const struct place *p)
{
  const json_t *list = json_object_get(root, list_name);
  if (!json_is_array(list)) return COMPLAIN(p, "%s is not an array", list_name);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *entry = json_array_get(list, i);
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *slot = json_object_get(entry, "slot");
    const json_int_t at = json_integer_value(slot);
    char path[PATH_MAX];
    if (!name || !dtype || !json_is_integer(slot) || !json_is_array(json_object_get(entry, "shape")))
      return COMPLAIN(p, "%s[%zu] lacks name, slot, dtype or shape", list_name, i);
    if (!*name || strlen(name) > 64 ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")])
      return COMPLAIN(p, "%s[%zu].name is not a name of letters, digits and _", list_name, i);
    if (at < 0 || at >= slots || arrays[at].data)
      return COMPLAIN(p, "%s[%zu].slot = %lld is not within 0..%d, or is there twice", list_name, i, (long long)at,
                      slots - 1);
    if (snprintf(path, sizeof path, "%s/%s%s.npy", p->folder, prefix, name) >= (int)sizeof path)
      return COMPLAIN(p, "%s[%zu]: the path is too long", list_name, i);
    if (!npy_read(&arrays[at], path, p->why)) return false;
    if (strcmp(dtype, npy_dtype_name(arrays[at].header.dtype)) ||
        !same_shape(&arrays[at].header, json_object_get(entry, "shape"))) {
      char shape[256];
      return complain(p->why, "%.600s: is %s %s, which is not what case.json says", path,
                      npy_dtype_name(arrays[at].header.dtype), npy_shape_text(&arrays[at].header, shape, sizeof shape));
    }
  }
  return true;
}

bool onnx_case_load(struct onnx_case *c, const char *folder, struct complaint *why)
{
  const struct place place = {folder, why};
  char path[PATH_MAX];
  json_error_t error;
  *c = (struct onnx_case){0};
  if (snprintf(path, sizeof path, "%s/case.json", folder) >= (int)sizeof path)
    return complain(why, "%.300s: the path is too long", folder);
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  if (!root) return complain(why, "%.600s: line %d: %s", path, error.line, printable(error.text)); /* quotes the file */
  bool ok = read_operator(c, root, &place);
  if (ok && !*c->unknown)
    ok = read_attributes(c, root, &place) && read_tensors(c->op.input, ONNX_INPUTS, root, "inputs", "in_", &place) &&
         read_tensors(c->expected, ONNX_OUTPUTS, root, "outputs", "out_", &place);
  for (int i = 0; i < ONNX_OUTPUTS; i++) c->op.wanted[i] = c->expected[i].data;
  json_decref(root);
  return ok;
}

void onnx_case_free(struct onnx_case *c)
{
  for (int i = 0; i < ONNX_INPUTS; i++) npy_free(&c->op.input[i]);
  for (int i = 0; i < ONNX_OUTPUTS; i++) npy_free(&c->expected[i]);
}
