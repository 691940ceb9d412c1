#!/usr/bin/env python3
"""Mechanical mutation testing: small changes of the source, one at a time, each of which a test must notice.

usage: mechanical.py [--dir DIR] [--per-file N] [--seed N] [--only REGEX] [--these FILE] [--prefix COMMAND] [--list] [--resume]

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
SANITIZED = "sanitized/"  # before a program's name: built with ASan and UBSan


def harness(*kernels):
    return [HARNESS, "--kernel", ",".join(kernels), "--grid", "emulated", "--no-exp2", "--seed", "1"]


def tests(*names):
    return [["test_" + name] for name in names]


def sanitized(*commands):  # (a static program cannot be)
    return [[SANITIZED + command[0].replace("_static", "")] + command[1:] for command in commands]


FWD, DECODE, SCALAR = harness("fwd_f32_avx512"), harness("decode_f32_avx512"), harness("fwd_f32_scalar")
AMX, DIGITS = harness("fwd_bf16_amx"), harness("fwd_f16_amx", "fwd_f32_amx")
PAIRS, MMLA, QUADS = harness("fwd_bf16_avx512bf16"), harness("fwd_bf16_neonbf16"), harness("decode_i8_avx512")
# What sees the dispatcher as a whole, after the tests of a file itself; last what reads and writes beyond its memory.
API = tests("errors", "limits", "api", "select", "tuning", "cache", "scores", "sequences", "merge", "rope", "threads") + [harness("fwd_f32_avx2", "decode_f32_avx2")]
EDIVISIVE = [["test_edivisive"]]


def dispatch(*names):
    return tests(*names) + [command for command in API if command not in tests(*names)] + sanitized(*tests(*names))


# file, the objects that hold it (to tell equal code), the commands that must notice
FILES = [
    ("kernels/template/fwd_stream.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/products.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/products_amx.h", ["kernels/x86/fwd_bf16_amx"], [AMX]),
    ("kernels/template/multiply_pairs_amx.h", ["kernels/x86/fwd_bf16_amx"], [AMX]),
    ("kernels/template/multiply_digits_amx.h", ["kernels/x86/fwd_f16_amx", "kernels/x86/fwd_f32_amx"], [DIGITS]),
    ("kernels/template/score_digits_amx.h", ["kernels/x86/fwd_f16_amx", "kernels/x86/fwd_f32_amx"], [DIGITS]),
    ("kernels/template/digits.h", ["kernels/x86/fwd_f16_amx", "kernels/x86/fwd_f32_amx"], [DIGITS]),
    ("kernels/template/value_tile.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/stream.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/weigh.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/panels.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/pack.h", ["kernels/x86/fwd_f32_avx512"], [FWD, ["test_rope"]]),
    ("kernels/template/pack_pairs.h", ["kernels/x86/fwd_bf16_avx512bf16"], [PAIRS, ["test_rope"]]),
    ("kernels/template/pack_digits.h", ["kernels/x86/fwd_f16_amx", "kernels/x86/fwd_f32_amx"], [DIGITS]),
    ("kernels/template/output.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/tile_broadcast.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/template/decode.h", ["kernels/x86/decode_f32_avx512"], [DECODE, harness("decode_f16_avx512", "decode_i8_avx512")]),
    ("kernels/template/decode_tiles.h", ["kernels/x86/decode_f32_avx512"], [DECODE]),
    ("kernels/template/decode_ahead.h", ["kernels/x86/decode_f32_avx512"], [DECODE]),
    ("kernels/template/decode_passing.h", ["kernels/x86/decode_f32_avx512"], [DECODE, ["test_cache"]]),
    ("kernels/template/decode_quads.h", ["kernels/x86/decode_i8_avx512"], [QUADS, ["test_cache"]]),
    ("kernels/x86/quads_avx512.h", ["kernels/x86/decode_i8_avx512"], [QUADS, ["test_cache"]]),
    ("kernels/template/linear.h", ["kernels/x86/linear_f32_avx512"], tests("layer", "rope") + sanitized(["test_layer"])),
    ("kernels/x86/linear_f32_amx.c", ["kernels/x86/linear_f32_amx"], tests("layer") + sanitized(["test_layer"])),
    ("kernels/scores.h", ["kernels/x86/fwd_f32_avx512", "kernels/x86/decode_f32_avx512"], [FWD, DECODE]),
    ("kernels/template/naive.h", ["kernels/x86/naive_f32_avx512"], [harness("naive_f32_avx512")]),
    ("kernels/x86/vec_avx512.h", ["kernels/x86/fwd_f32_avx512"], [FWD]),
    ("kernels/x86/vec_avx512bf16.h", ["kernels/x86/fwd_bf16_avx512bf16"], [PAIRS]),
    ("kernels/x86/vec_avx2.h", ["kernels/x86/fwd_f32_avx2"], [harness("fwd_f32_avx2")]),
    ("kernels/arm/vec_neon.h", ["kernels/arm/fwd_f32_neon"], [harness("fwd_f32_neon")]),
    ("kernels/arm/vec_neonbf16.h", ["kernels/arm/fwd_bf16_neonbf16"], [MMLA]),
    ("kernels/template/tile_lane.h", ["kernels/arm/fwd_f32_neon"], [harness("fwd_f32_neon")]),
    ("kernels/template/tile_mmla.h", ["kernels/arm/fwd_bf16_neonbf16"], [MMLA]),
    ("kernels/reference/fwd_body.h", ["kernels/reference/fwd_f32_scalar"], [SCALAR] + sanitized(SCALAR)),
    ("kernels/reference/decode_body.h", ["kernels/reference/decode_f32_scalar"], [harness("decode_f32_scalar")]),
    ("dispatch/problem.c", ["dispatch/problem"], dispatch("errors", "limits", "api", "masks")),
    ("dispatch/plan.c", ["dispatch/plan"], dispatch("api", "errors", "sequences", "cache") + [["test_small"]] + sanitized(harness("decode_f32_avx2"))),
    ("dispatch/driver.c", ["dispatch/driver"], dispatch("api", "threads", "sequences", "cache") + sanitized(harness("decode_f32_avx2"))),
    ("dispatch/sequences.c", ["dispatch/sequences"], dispatch("sequences", "cache")),
    ("dispatch/select.c", ["dispatch/select"], dispatch("select")),
    ("dispatch/tuning.c", ["dispatch/tuning"], dispatch("tuning")),
    ("dispatch/blocking.c", ["dispatch/blocking"], dispatch("tuning", "select")),
    ("dispatch/cache.c", ["dispatch/cache"], dispatch("cache", "limits")),
    ("dispatch/cache_append.c", ["dispatch/cache_append"], dispatch("cache", "rope")),
    ("dispatch/scores_out.c", ["dispatch/scores_out"], dispatch("scores")),
    ("dispatch/merge.c", ["dispatch/merge"], dispatch("merge")),
    ("dispatch/quota.c", ["dispatch/quota"], tests("threads", "limits")),
    ("dispatch/rope.c", ["dispatch/rope"], tests("rope", "errors", "limits") + sanitized(["test_rope"])),
    ("dispatch/layer.c", ["dispatch/layer"], tests("layer", "rope") + sanitized(["test_layer"])),
    ("dispatch/linear.c", ["dispatch/linear"], tests("layer") + sanitized(["test_layer"])),
    ("dispatch/mask_make.c", ["dispatch/mask_make"], tests("masks") + sanitized(["test_masks"])),
    ("bench/stats.c", ["bench/stats"], [["test_stats"], ["stats_driver"]]),
    ("bench/welch.c", ["bench/welch"], [["stats_driver"]] + EDIVISIVE),
    ("bench/edivisive.c", ["bench/edivisive"], EDIVISIVE),
]
KERNELS = {"fwd_f32_avx512", "decode_f32_avx512", "naive_f32_avx512", "fwd_f32_avx2", "decode_f32_avx2", "fwd_f32_neon",
           "fwd_bf16_amx", "fwd_f16_amx", "fwd_bf16_avx512bf16", "fwd_bf16_neonbf16", "decode_f16_avx512", "decode_i8_avx512", "fwd_f16_scalar", "fwd_bf16_scalar"}

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
    return re.sub(r"^.*__builtin_prefetch\([^;]*;|\bask_for\([^;]*;", blank, text, flags=re.M)  # speed only


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

    def out(self, command):
        kind = "arm" if any("neon" in word for word in command) else "x86"
        return os.path.join(self.folder, kind + "-sanitized" * command[0].startswith(SANITIZED))

    def program(self, command):
        return os.path.join(self.out(command), "tests", command[0].removeprefix(SANITIZED))

    def build(self, command):
        out = self.out(command)
        make = ["make", "-s", "-j2", "-C", self.tree, f"BUILD={out}", "HWLOC=0", "CFLAGS=-Wno-error", "--no-print-directory"]
        make += ["CC=aarch64-linux-gnu-gcc", "AR=aarch64-linux-gnu-ar"] if out.endswith("arm") else ["CC=gcc"]
        make += ["SANITIZE=address,undefined"] if command[0].startswith(SANITIZED) else []
        make += [self.program(command)]
        return subprocess.run(self.prefix + make, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def run(self, command):
        call = [self.program(command)] + command[1:]
        if command[0] == "stats_driver":
            call = [sys.executable, "tests/stats_scipy.py"] + call
        if self.out(command).endswith("arm"):
            call = ["qemu-aarch64-static", "-cpu", "max"] + call
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ATTN")}
        environment |= {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1", "LSAN_OPTIONS": "suppressions=tests/lsan.supp:print_suppressions=0"}
        return subprocess.run(self.prefix + ["timeout", "120"] + call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.tree, env=environment).returncode

    def notices(self, command):
        """Whether the command fails; it is built first, for most mutants need only one of their commands."""
        if self.build(command).returncode:
            sys.exit(f"{command[0]} does not build")
        return self.run(command) != 0


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
    parser.add_argument("--these", default="", help="only those that this file names, as an earlier run printed them")
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
    wanted = {re.sub(r" \(\w+\)$", "", m[1]) for m in re.finditer(r"line \d+ of (.*)", open(options.these).read())} if options.these else None
    killed, survived, equivalent, listed = 0, [], 0, 0
    sound = {}
    for file, objects, commands in FILES:
        if not re.search(options.only, file):
            continue
        text = open(os.path.join(ROOT, file)).read()
        order = places(text)
        random.Random(f"{options.seed}{file}").shuffle(order)
        if wanted is not None:
            order = [place for place in order if describe(file, text, place)[0] in wanted]
            if not order:
                continue
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
        for command in reversed(commands):
            made = tree.build(command)
            if made.returncode:
                sys.exit(f"the tree does not build:\n{made.stderr}")
            if str(command) not in sound:
                sound[str(command)] = tree.run(command)
            if sound[str(command)] != 0:
                sys.exit(f"{command} fails without a change")
        original = code_of(tree.out(commands[0]), objects)
        done = 0
        for place in order:
            if done == options.per_file:
                break
            name, line = describe(file, text, place)
            open(path, "w").write(text[: place[0]] + place[2] + text[place[1]:])
            if tree.build(commands[0]).returncode:
                continue
            if code_of(tree.out(commands[0]), objects) == original:
                equivalent += 1
                continue
            if name in known:
                listed += 1
                continue
            done += 1
            by = next((c[0] for c in commands if tree.notices(c)), None)
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
