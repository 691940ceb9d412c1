#!/usr/bin/env python3
"""Cases of the ONNX Attention operator for `attnbench conformance`, from the package onnx of PyPI: the operator's own node tests,
and random ones whose expected outputs its reference evaluator computes, an implementation independent of ours.

    cases.py [--build build] [--random 300] [--seed 1] -o DIR

The package goes into the private virtual environment of `make peers`, below the build folder. Exit code: 0; 2 if it cannot be
had or DIR cannot be written.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
INPUTS = ("Q", "K", "V", "attn_mask", "past_key", "past_value", "nonpad_kv_seqlen")
OUTPUTS = ("Y", "present_key", "present_value", "qk_matmul_output")


def save(folder, model, inputs, outputs):
    """inputs, outputs: arrays by name."""
    import numpy as np
    from onnx import helper

    def tensors(slots, values, prefix):
        rows = []
        for slot, name in enumerate(slots):
            if name:
                array = np.asarray(values[name])
                np.save(os.path.join(folder, f"{prefix}{name}.npy"), array)
                rows.append({"name": name, "slot": slot, "dtype": str(array.dtype), "shape": list(array.shape)})
        return rows

    node = model.graph.node[0]
    os.makedirs(folder)
    case = {
        "name": os.path.basename(folder),
        "op": node.op_type,
        "opset": [[opset.domain, opset.version] for opset in model.opset_import],
        "attributes": {a.name: helper.get_attribute_value(a) for a in node.attribute},
        "inputs": tensors(node.input, inputs, "in_"),
        "outputs": tensors(node.output, outputs, "out_"),
    }
    with open(os.path.join(folder, "case.json"), "w", encoding="utf-8") as out:
        json.dump(case, out, indent=1)


def node_tests(folder):
    from onnx.backend.test.case.node import collect_testcases

    count = 0
    for case in collect_testcases("Attention"):
        if not case.name.startswith("test_attention") or case.name.endswith("_expanded"):
            continue  # the expanded ones are other operators
        model = case.model
        inputs, outputs = case.data_sets[0]
        save(os.path.join(folder, case.name), model, dict(zip((i.name for i in model.graph.input), inputs)),
             dict(zip((o.name for o in model.graph.output), outputs)))  # fmt: skip
        count += 1
    return count


def random_problem(random, opset):
    """Attributes and inputs of one call that the operator's definition allows. Scores stay small, and outputs
    have several elements: errors are told relative to the largest, which must not be what cancellation left."""
    import ml_dtypes
    import numpy as np

    pick = random.choice
    dtype = pick((np.float32, np.float32, np.float16, ml_dtypes.bfloat16))
    batch, kv_heads, group = pick((1, 1, 2, 3)), pick((1, 2, 3)), pick((1, 1, 2, 4, 5))
    rows, keys, size, value_size = pick((1, 2, 5, 17)), pick((1, 3, 8, 31, 70)), pick((1, 4, 8, 24, 65)), pick((7, 8, 20, 40))
    past = pick((0, 0, 1, 6))
    cache = opset >= 24 and not past and random.random() < 0.35  # K and V are a whole cache, valid in part
    total = past + keys
    attributes, inputs = {}, {}
    flat = random.random() < 0.4

    def normal(*shape):
        return (np.asarray(random.gauss_array(shape)) * pick((0.5, 1))).astype(dtype)

    def heads(count, length, width):
        return normal(batch, length, count * width) if flat else normal(batch, count, length, width)

    if flat:
        attributes.update(q_num_heads=kv_heads * group, kv_num_heads=kv_heads)
    inputs["Q"], inputs["K"] = heads(kv_heads * group, rows, size), heads(kv_heads, keys, size)
    inputs["V"] = heads(kv_heads, keys, value_size)
    if past:
        inputs["past_key"], inputs["past_value"] = normal(batch, kv_heads, past, size), normal(batch, kv_heads, past, value_size)
    if cache:
        inputs["nonpad_kv_seqlen"] = np.array([random.randint(0, keys) for _ in range(batch)], dtype=np.int64)
    if random.random() < 0.5:
        full = (batch, kv_heads * group, rows, total)
        shape = [n if random.random() < 0.7 else 1 for n in full[:2]] + [rows, total]
        shape = shape[4 - pick((2, 3, 4)) :]
        if random.random() < 0.5:
            inputs["attn_mask"] = np.asarray(random.gauss_array(shape)) < pick((-1, 0.5, 1.5))
        else:
            inputs["attn_mask"] = normal(*shape)
    if random.random() < 0.5:
        attributes["is_causal"] = 1
    if random.random() < 0.3:
        attributes["scale"] = pick((0.05, 0.1, 0.2))
    if random.random() < 0.3:
        attributes["softcap"] = pick((0.5, 2.0, 30.0))
    if random.random() < 0.4:
        # 0 is the product before the softcap, says the operator's text; the evaluator (1.23) has it after.
        attributes["qk_matmul_output_mode"] = pick((1, 2, 3) if "softcap" in attributes else (0, 1, 2, 3))
    if dtype != np.float32 and random.random() < 0.4:
        attributes["softmax_precision"] = 1
    if opset >= 25 and random.random() < 0.5:
        attributes["left_window_size"] = pick((-1, 0, 2, 9))
        if not attributes.get("is_causal"):
            attributes["right_window_size"] = pick((-1, 0, 3))
    outputs = [name if name == "Y" or (name == "qk_matmul_output" and "qk_matmul_output_mode" in attributes)
               or (past and name.startswith("present")) else "" for name in OUTPUTS]  # fmt: skip
    while not outputs[-1]:
        outputs.pop()
    return attributes, inputs, outputs


def random_model(attributes, inputs, outputs, opset):
    from onnx import TensorProto, helper

    slots = [name if name in inputs else "" for name in INPUTS]
    while not slots[-1]:
        slots.pop()
    node = helper.make_node("Attention", slots, outputs, **attributes)
    graph = helper.make_graph(
        [node], "attention",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs if n])  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def random_cases(folder, count, seed):
    import random as standard

    import numpy as np
    import onnx
    from onnx.reference import ReferenceEvaluator

    class Generator(standard.Random):
        def gauss_array(self, shape):
            return np.random.default_rng(self.getrandbits(63)).standard_normal(shape)

    newest = min(25, onnx.defs.onnx_opset_version())
    for index in range(count):
        random = Generator(f"{seed} {index}")
        opset = random.randint(23, newest)
        attributes, inputs, outputs = random_problem(random, opset)
        dtype = inputs["Q"].dtype
        # In the type of Q it would round every step: its error, not ours, would be seen.
        wide = {name: a.astype(np.float64) if a.dtype == dtype else a for name, a in inputs.items()}
        results = ReferenceEvaluator(random_model(attributes, wide, outputs, opset)).run(None, wide)
        save(os.path.join(folder, f"random_{seed}_{index}"), random_model(attributes, inputs, outputs, opset), inputs,
             dict(zip([o for o in outputs if o], [result.astype(dtype) for result in results])))  # fmt: skip


def inside(options):
    import warnings

    import onnx

    warnings.filterwarnings("ignore")  # of casts that overflow on purpose
    part = f"{options.output}.{os.getpid()}.part"
    try:
        tests = node_tests(part)
        random_cases(part, options.random, options.seed)
        shutil.rmtree(options.output, ignore_errors=True)
        os.rename(part, options.output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    print(f"onnx {onnx.__version__}: {tests} node tests, {options.random} random cases (seed {options.seed}) in {options.output}")
    return 0


def main():
    parser = argparse.ArgumentParser(description="Writes cases of the ONNX Attention operator.")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="replaced as a whole")
    parser.add_argument("--build", default="build", help="its folder peers/ takes the virtual environment [%(default)s]")
    parser.add_argument("--random", type=int, default=300, metavar="N", help="random cases [%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of the random cases [%(default)s]")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        if options.inside:
            return inside(options)
        sys.path.insert(0, os.path.join(HERE, "..", "..", "tools", "peers"))
        from install import Environment, InstallError

        environment = Environment(os.path.join(options.build, "peers"), lambda text: print(f"onnx: {text}", flush=True))
        environment.make()
        environment.require_numpy()
        missing = environment.install(("onnx",))
    except OSError as error:
        print(f"onnx: {error.filename or options.output}: {error.strerror}", file=sys.stderr)
        return 2
    except InstallError as error:
        print(f"onnx: {error}", file=sys.stderr)
        return 2
    if missing:
        print("; ".join(f"onnx: {package}: {reason}" for package, reason in missing.items()), file=sys.stderr)
        return 2
    return subprocess.run(
        (environment.python, "-B", __file__, "--inside", *sys.argv[1:]), env=environment.child_environment(), check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
