#!/usr/bin/env python3
"""Mechanical mutation testing: small changes of the source, one at a time, each of which a test must notice.

usage: mechanical.py [--dir DIR] [--per-file N] [--seed N] [--only REGEX] [--prefix COMMAND] [--list] [--resume]

Copies the tree to DIR/tree. In each file of FILES it changes operators, constants and statements at random places (fixed by
the seed), builds, and runs the tests that stand for the file until one fails. A change that leaves the object code as it was
is no change and does not count; one that does not compile is drawn again. Those of tests/mutants/equivalent, each with the
reason why no test can see it, do not count either. Ends with the score and "N passed, N failed": killed and survived.
Exit status: 0, 3 if a mutant survived that is not listed.
"""
import argparse
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HARNESS = "check_kernels_static"


def harness(*kernels):
    return [HARNESS, "--kernel", ",".join(kernels), "--grid", "emulated", "--no-exp2", "--seed", "1"]


FWD, DECODE = harness("fwd_f32_avx512"), harness("decode_f32_avx512")
API = [["test_errors"], ["test_limits"], ["test_api"], ["test_select"], ["test_tuning"], ["test_cache"], ["test_scores"], ["test_sequences"], ["test_rope"],
       ["test_threads"], harness("fwd_f32_avx2", "decode_f32_avx2")]
# file, the objects that hold it (to tell equal code), the commands that must notice
FILES = [
    ("kernels/template/fwd_stream.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/pack.h", ["kernels/x86/fwd_f32_avx512"], [FWD, ["test_rope"]]),
    ("kernels/template/output.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/tile_broadcast.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/decode.h", ["kernels/x86/decode_f32_avx512"], [DECODE]),
    ("kernels/scores.h", ["kernels/x86/fwd_f32_avx512", "kernels/x86/decode_f32_avx512"], [FWD, DECODE]),
    ("kernels/template/naive.h", ["kernels/x86/naive_f32_avx512"], [harness("naive_f32_avx512")]),
    ("kernels/x86/vec_avx512.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/x86/vec_avx2.h", ["kernels/x86/fwd_f32_avx2"], [harness("fwd_f32_avx2")]),
    ("kernels/arm/vec_neon.h", ["kernels/arm/fwd_f32_neon"], [harness("fwd_f32_neon")]),
    ("kernels/template/tile_lane.h", ["kernels/arm/fwd_f32_neon"], [harness("fwd_f32_neon")]),
    ("kernels/reference/fwd_body.h", ["kernels/reference/fwd_f32_scalar"], [harness("fwd_f32_scalar")]),
    ("kernels/reference/decode_body.h", ["kernels/reference/decode_f32_scalar"], [harness("decode_f32_scalar")]),
    ("dispatch/problem.c", ["dispatch/problem"], API),
    ("dispatch/plan.c", ["dispatch/plan"], API),
    ("dispatch/driver.c", ["dispatch/driver"], API),
    ("dispatch/select.c", ["dispatch/select"], API),
    ("dispatch/tuning.c", ["dispatch/tuning"], API),
    ("dispatch/blocking.c", ["dispatch/blocking"], API),
    ("dispatch/cache.c", ["dispatch/cache"], API),
    ("dispatch/cache_append.c", ["dispatch/cache_append"], API),
    ("dispatch/scores_out.c", ["dispatch/scores_out"], API),
    ("dispatch/quota.c", ["dispatch/quota"], [["test_threads"], ["test_limits"]]),
    ("dispatch/rope.c", ["dispatch/rope"], [["test_rope"]]),
    ("dispatch/layer.c", ["dispatch/layer"], [["test_layer"], ["test_rope"]]),
    ("dispatch/linear.c", ["dispatch/linear"], [["test_layer"]]),
    ("dispatch/mask_make.c", ["dispatch/mask_make"], [["test_masks"]]),
    ("bench/stats.c", ["bench/stats"], [["test_stats"]]),
    ("bench/welch.c", ["bench/welch"], [["test_edivisive"]]),
    ("bench/edivisive.c", ["bench/edivisive"], [["test_edivisive"]]),
]
KERNELS = {"fwd_f32_avx512", "decode_f32_avx512", "naive_f32_avx512", "fwd_f32_avx2", "decode_f32_avx2", "fwd_f32_neon",
           "fwd_f16_scalar", "fwd_bf16_scalar"}

OPERATORS = [
    (r"<=", "<"), (r">=", ">"), (r"(?<![<\-=>])<(?![<=])", "<="), (r"(?<![\->=])>(?![>=])", ">="), (r"==", "!="),
    (r"!=", "=="), (r"&&", "||"), (r"\|\|", "&&"), (r"(?<=\S) \+ ", " - "), (r"(?<=[\w)\]]) - ", " + "),
    (r"(?<=[\w)\]]) \* (?=[\w(])", " + "), (r"(?<=[\w)\]]) / ", " * "), (r"(?<=[\w)\]]) % ", " / "),
    (r"(?<![\w.])0(?![\w.])", "1"), (r"(?<![\w.])1(?![\w.])", "2"), (r"(?<![\w.])2(?![\w.])", "3"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"\bcontinue;", ";"), (r"(?<= )\+= ", "-= "), (r"<<", ">>"),
    (r"(?<=^  )(?!return|const|int|float|double|if|for|while|vf|static|struct|size_t|bool)[a-z][\w>.\[\]-]*( [-+*]?= |\()[^;{}]*;$", ";"),
]


def masked(text):
    """The text with comments, strings and preprocessor lines blanked, of the same length."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)
    text = re.sub(r"^#.*(?:\\\n.*)*", blank, text, flags=re.M)
    text = re.sub(r"attn_fail\([^;]*;", blank, text)  # words of a message
    return re.sub(r"__builtin_prefetch\([^;]*;|\bask_for\([^;]*;", blank, text)  # speed only


def places(text):
    code = masked(text)
    found = []
    for pattern, replacement in OPERATORS:
        for match in re.finditer(pattern, code, flags=re.M):
            found.append((match.start(), match.end(), replacement))
    return sorted(found)


def describe(file, text, place):
    start, end, replacement = place
    line = text.count("\n", 0, start) + 1
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end)
    old = text[begin:stop].strip()
    new = (text[begin:start] + replacement + text[end:stop]).strip()
    return f"{file}: {old} => {new}", line


class Tree:
    def __init__(self, folder, few, prefix):
        self.folder = folder
        self.tree = os.path.join(folder, "tree")
        self.few = few
        self.prefix = prefix.split()

    def copy(self):
        os.makedirs(self.folder, exist_ok=True)
        shutil.rmtree(self.tree, ignore_errors=True)
        for part in ("Makefile", "mk", "include", "kernels", "dispatch", "bench", "tests", "tools", "docs", "examples"):
            source, to = os.path.join(ROOT, part), os.path.join(self.tree, part)
            os.makedirs(self.tree, exist_ok=True)
            shutil.copytree(source, to) if os.path.isdir(source) else shutil.copy(source, to)
        if not self.few:
            return
        listed = os.path.join(self.tree, "dispatch/kernels.h")
        lines = open(listed).read().splitlines(True)
        keep = []
        for line in lines:
            kernel = re.match(r"KERNEL\((\w+)\)", line)
            if kernel and kernel[1] not in KERNELS and not re.match(r"(fwd|decode)_f32_scalar|decode_i8_scalar", kernel[1]):
                for place in ("x86", "arm", "reference"):
                    path = os.path.join(self.tree, "kernels", place, kernel[1] + ".c")
                    if os.path.exists(path):
                        os.remove(path)
                continue
            keep.append(line)
        open(listed, "w").write("".join(keep))

    def build(self, commands):
        arm = any("neon" in word for command in commands for word in command)
        out = os.path.join(self.folder, "arm" if arm else "x86")
        make = ["make", "-s", "-j2", "-C", self.tree, f"BUILD={out}", "HWLOC=0", "CFLAGS=-Wno-error", "--no-print-directory"]
        make += ["CC=aarch64-linux-gnu-gcc", "AR=aarch64-linux-gnu-ar"] if arm else ["CC=gcc"]
        make += sorted({f"{out}/tests/{command[0]}" for command in commands})
        return out, subprocess.run(self.prefix + make, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def run(self, out, command):
        call = [os.path.join(out, "tests", command[0])] + command[1:]
        if out.endswith("arm"):
            call = ["qemu-aarch64-static", "-cpu", "max"] + call
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ATTN")}
        return subprocess.run(self.prefix + ["timeout", "120"] + call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.tree, env=environment).returncode


def code_of(out, objects):
    digest = hashlib.sha256()
    for name in objects:
        path = os.path.join(out, "obj", name + ".o")
        tool = "aarch64-linux-gnu-objdump" if out.endswith("arm") else "objdump"
        digest.update(subprocess.run([tool, "-d", "-r", "--no-addresses", "-s", "-j", ".text", "-j", ".rodata", "-j", ".data.rel.ro.local",
                                      path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.replace(path.encode(), b""))
    return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=True)
    parser.add_argument("--dir", default="build/mechanical")
    parser.add_argument("--per-file", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--prefix", default="", help="what builds and tests are run under: 'nice -n 19'")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--resume", action="store_true", help="do not copy the tree again")
    options = parser.parse_args()
    known = set()
    if os.path.exists(os.path.join(HERE, "equivalent")):
        known = {line.rstrip("\n") for line in open(os.path.join(HERE, "equivalent")) if " => " in line}
    # Kernels are built in a tree with as few of them as the commands need: building is what takes time.
    trees = {few: Tree(os.path.abspath(os.path.join(options.dir, "few" if few else "all")), few, options.prefix)
             for few in (True, False)}
    for tree in trees.values():
        if not options.list and not (options.resume and os.path.isdir(tree.tree)):
            tree.copy()
    killed, survived, equivalent, listed = 0, [], 0, 0
    sound = {}
    for file, objects, commands in FILES:
        if not re.search(options.only, file):
            continue
        text = open(os.path.join(ROOT, file)).read()
        order = places(text)
        random.Random(f"{options.seed}{file}").shuffle(order)
        if any("neon" in word for c in commands for word in c) and not shutil.which("qemu-aarch64-static"):
            print(f"skipped {file}: no qemu-aarch64-static")
            continue
        if options.list:
            for place in order[: options.per_file]:
                print(describe(file, text, place)[0])
            continue
        tree = trees[commands[0][0] == HARNESS]
        path = os.path.join(tree.tree, file)
        open(path, "w").write(text)
        out, made = tree.build(commands)
        if made.returncode:
            sys.exit(f"the tree does not build:\n{made.stderr}")
        original = code_of(out, objects)
        for command in commands:
            if str(command) not in sound:
                sound[str(command)] = tree.run(out, command)
            if sound[str(command)] != 0:
                sys.exit(f"{command} fails without a change")
        done = 0
        for place in order:
            if done == options.per_file:
                break
            name, line = describe(file, text, place)
            open(path, "w").write(text[: place[0]] + place[2] + text[place[1]:])
            out, made = tree.build(commands)
            if made.returncode:
                continue
            if code_of(out, objects) == original:
                equivalent += 1
                continue
            if name in known:
                listed += 1
                continue
            done += 1
            by = next((c[0] for c in commands if tree.run(out, c) != 0), None)
            print(f"{'killed' if by else 'SURVIVED'} line {line} of {name}{f' ({by})' if by else ''}", flush=True)
            if by:
                killed += 1
            else:
                survived.append(name)
        open(path, "w").write(text)
    if options.list:
        return 0
    total = killed + len(survived)
    print(f"{total} mutants, {equivalent} more of equal object code, {listed} more that no test can see; score "
          f"{killed / total if total else 0:.3f}")
    print(f"{killed} passed, {len(survived)} failed")
    return 3 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
