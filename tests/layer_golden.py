#!/usr/bin/env python3
"""Golden values of tests/unit/test_layer.c: attention layers by their definition, in NumPy float64, which shares nothing with
the library. Prints tests/unit/layer_golden.h.  usage: tests/layer_golden.py > tests/unit/layer_golden.h"""

import numpy as np


def pattern(n, seed):
    """The numbers of pattern() in tests/unit/problem.h: exact in float32."""
    x = np.empty(n)
    for i in range(n):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        x[i] = (seed >> 8) / 8388608.0 - 1
    return x


def to_bf16(x):
    bits = x.astype(np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32).astype(np.float64)


ROUND = {"f32": lambda x: x, "f16": lambda x: x.astype(np.float16).astype(np.float64), "bf16": to_bf16}


def weights(shape, seed, dtype):
    """Uniform, of about the size that keeps a projection's variance, rounded to the type the layer is given."""
    factor = 2.0 ** np.round(np.log2(1.7 / np.sqrt(shape[-1])))
    return ROUND[dtype](pattern(int(np.prod(shape)), seed).reshape(shape) * factor)


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer(c):
    B, Hq, Hkv, Sq, Skv, D, Dv = (c[k] for k in ("B", "Hq", "Hkv", "Sq", "Skv", "Dqk", "Dv"))
    dtype, wq, wk, wv, wo = c["dtype"], c["query_width"], c["key_width"], c["value_width"], c["output_width"]
    if c["vocabulary"]:
        table = weights((c["vocabulary"], wq), 30, dtype)
        x = table[[(7 * i + 3) % c["vocabulary"] for i in range(B * Sq)]].reshape(B, Sq, wq)
        y = z = x
    else:
        x = pattern(B * Sq * wq, 1).reshape(B, Sq, wq)
        y = x if c["self"] else pattern(B * Skv * wk, 2).reshape(B, Skv, wk)
        z = x if c["self"] else pattern(B * Skv * wv, 3).reshape(B, Skv, wv)

    def project(t, outputs, seed):
        return t @ weights((outputs, t.shape[-1]), seed, dtype).T + ROUND[dtype](pattern(outputs, seed + 10))

    q = project(x, Hq * D, 11).reshape(B, Sq, Hq, D)
    k = project(y, Hkv * D, 12).reshape(B, Skv, Hkv, D)
    v = project(z, Hkv * Dv, 13).reshape(B, Skv, Hkv, Dv)
    o = np.empty((B, Sq, Hq, Dv))
    for b in range(B):
        for h in range(Hq):
            s = q[b, :, h] @ k[b, :, h * Hkv // Hq].T / np.sqrt(D)
            if c["causal"]:
                s[np.arange(Skv)[None, :] > np.arange(Sq)[:, None] + Skv - Sq] = -np.inf
            o[b, :, h] = softmax(s) @ v[b, :, h * Hkv // Hq]
    o = o.reshape(B, Sq, Hq * Dv)
    return project(o, wo, 14) if wo else o


FIELDS = ("B", "Hq", "Hkv", "Sq", "Skv", "Dqk", "Dv", "query_width", "key_width", "value_width", "output_width",
          "vocabulary", "causal", "self", "every")


def case(name, **changes):
    c = dict(B=1, Hq=1, Hkv=1, Sq=5, Skv=5, Dqk=64, Dv=64, query_width=128, key_width=128, value_width=128, output_width=0,
             vocabulary=0, causal=0, self=0, every=1, dtype="f32")
    c.update(changes, name=name)
    return c


CASES = [
    case("reference"),
    case("reference with output projection", output_width=64),
    case("self-attention, grouped heads, causal", B=2, Hq=6, Hkv=2, Sq=19, Skv=19, Dqk=8, Dv=12, query_width=37,
         key_width=37, value_width=37, output_width=41, causal=1, self=1, every=13),
    case("embedding", B=2, Hq=2, Hkv=2, Sq=9, Skv=9, Dqk=16, Dv=16, query_width=24, key_width=24, value_width=24,
         output_width=24, vocabulary=50, self=1, every=7),
    case("cross-modal", Hq=8, Hkv=8, Sq=77, Skv=577, query_width=96, key_width=160, value_width=160, output_width=96,
         every=101),
    case("cross-modal, f16 weights", Hq=4, Hkv=4, Sq=13, Skv=57, Dqk=16, Dv=16, query_width=48, key_width=80,
         value_width=72, output_width=48, every=11, dtype="f16"),
    case("cross-modal, bf16 weights", Hq=4, Hkv=4, Sq=13, Skv=57, Dqk=16, Dv=16, query_width=48, key_width=80,
         value_width=72, output_width=48, every=11, dtype="bf16"),
]


HEAD = """#ifndef TESTS_LAYER_GOLDEN_H
#define TESTS_LAYER_GOLDEN_H

#include "attn.h"

struct golden_case {
  const char *name;
  attn_dtype dtype;
  int64_t B, Hq, Hkv, Sq, Skv, Dqk, Dv, query_width, key_width, value_width, output_width, vocabulary;
  int causal, is_self;
  int64_t every;
  const double *values;
  size_t count;
};
"""


def main():
    print("/* Made by tests/layer_golden.py: every `every`-th element of each case's output, from float64. */")
    print(HEAD)
    print("/* clang-format off */")
    for n, c in enumerate(CASES):
        values = layer(c).ravel()[:: c["every"]]
        print(f"static const double golden_{n}[] = {{")
        for i in range(0, len(values), 6):
            print("  " + " ".join(f"{v:.12g}," for v in values[i : i + 6]))
        print("};")
    print("static const struct golden_case golden_cases[] = {")
    for n, c in enumerate(CASES):
        fields = ", ".join(str(c[f]) for f in FIELDS)
        print(f'  {{"{c["name"]}", ATTN_{c["dtype"].upper()}, {fields}, golden_{n}, sizeof golden_{n} / sizeof *golden_{n}}},')
    print("};")
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
