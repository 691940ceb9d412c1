#!/usr/bin/env python3
"""Costs the hot loops of the kernels with llvm-mca and writes the result as Markdown.

usage: mca.py --llvm-mca LLVM-MCA --out FILE [--timed PROGRAM=OBJECT ...] OBJECT...

OBJECT   object file of a kernel, for x86-64 or aarch64, with debug information (what ships is built with -g)
--timed  a program built from tile_time.c and the object file it came from: run, and compared with the model

exit status: 0 ok; 1 model and measurement differ by more than 10 %, or a full tile is below the bar without a reason;
2 bad input; 4 a tool is missing.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys

from loops import ObjectFile, TILE

MODELS = {
    "x86_64": ["haswell", "skylake-avx512", "icelake-server", "sapphirerapids", "znver3", "znver4"],
    "aarch64": ["neoverse-n1", "neoverse-v1", "neoverse-v2"],
}
NO_AVX512 = ("haswell", "znver3")
NO_VNNI = {512: ("skylake-avx512",), 256: ("haswell", "skylake-avx512", "icelake-server", "znver3", "znver4")}
NO_BF16 = ("haswell", "skylake-avx512", "icelake-server", "znver3", "neoverse-n1")
BAR = 0.90
AGREE = 0.10
ITERATIONS = 200

# Where LLVM's description of a CPU is known to be wrong, from a measurement: (model, instruction, replaced by, why).
CORRECTIONS = [
    (
        "znver4",
        re.compile(r"vbroadcastss(\s+[^,%]*\(.*\),\s*%zmm)"),
        r"vmovups\1",
        "LLVM gives znver4's 512-bit `vbroadcastss` from memory three micro-operations, one of them on an FMA pipe. "
        "The Zen 4 machine below shows no such cost: its loop runs at the speed of one whose broadcasts are plain loads, "
        "as in the corrected row.",
    ),
]
# What a model says of the hardware that a reader should know before believing the fraction.
REMARKS = {
    ("icelake-server", 512): "LLVM gives this CPU one 512-bit FMA a cycle; Xeon Gold and Platinum parts have two.",
    ("sapphirerapids", 512): "LLVM gives this CPU one 512-bit FMA a cycle; the hardware has two.",
}


class Mca:
    def __init__(self, program):
        self.program = program
        first = self._run(["--version"], "")
        self.version = re.search(r"LLVM version (\S+)", first)[1]
        host = re.search(r"Host CPU: (\S+)", first)
        self.host = host[1] if host else None

    def _run(self, arguments, text):
        try:
            done = subprocess.run([self.program, *arguments], input=text, capture_output=True, text=True)
        except FileNotFoundError:
            print(f"{self.program}: not installed (Debian: llvm-19)", file=sys.stderr)
            raise SystemExit(4)
        if done.returncode != 0:
            print(f"{self.program} {' '.join(arguments)}: {done.stderr.strip()[:2000]}", file=sys.stderr)
            raise SystemExit(2)
        return done.stdout

    def cost(self, text, machine, model):
        """Cycles of one iteration in the steady state, and cycles that it takes to issue its micro-operations."""

        def run(iterations):
            arguments = [f"-mtriple={machine}-linux-gnu", f"-mcpu={model}", f"-iterations={iterations}"]
            out = self._run(arguments, text)
            number = lambda name: float(re.search(rf"^{name}:\s+([\d.]+)", out, re.M)[1])
            return number("Total Cycles"), number("Total uOps") / iterations / number("Dispatch Width")

        first, _ = run(ITERATIONS)
        second, issue = run(2 * ITERATIONS)
        return (second - first) / ITERATIONS, issue

    def limit(self, loop, model):
        """Cycles that the loop's multiply-adds take with nothing but them: the same instruction on registers, with 24
        independent sums (12 where there are 16 registers), so that latency does not count."""
        fma = loop.fmas()[0]
        if loop.machine == "x86_64":
            register = {512: "%zmm", 256: "%ymm", 128: "%xmm"}[loop.width_bits()]
            sums = 24 if loop.width_bits() == 512 else 12
            lines = [f"{fma.mnemonic} {register}0, {register}1, {register}{i + 2}" for i in range(sums)]
        else:
            shapes = re.findall(r"v\d+\.(\d+[a-z])", fma.operands)
            sums = 24
            lines = [f"{fma.mnemonic} v{i + 2}.{shapes[0]}, v0.{shapes[1]}, v1.{shapes[1]}" for i in range(sums)]
        return self.cost("\n".join(lines) + "\n", loop.machine, model)[0] * len(loop.fmas()) / sums


def correct(text, model):
    """The loop with the corrections of this model applied; None if there is none to apply."""
    changed = text
    for cpu, pattern, replacement, _ in CORRECTIONS:
        if cpu == model:
            changed = pattern.sub(replacement, changed)
    return None if changed == text else changed


class Row:
    def __init__(self, mca, loop, model, corrected=False):
        text = correct(loop.text(), model) if corrected else loop.text()
        self.loop, self.model, self.corrected = loop, model, corrected
        self.cycles, self.issue = mca.cost(text, loop.machine, model)
        self.limit = mca.limit(loop, model)
        self.fmas = len(loop.fmas())
        self.fraction = self.limit / self.cycles


def rows_of(mca, loops):
    """For each loop and CPU model a row, slowest first among copies of the same tile, and corrected ones."""
    rows = []
    for model in MODELS[loops[0].machine]:
        if loops[0].width_bits() == 512 and model in NO_AVX512:
            continue
        if "bf" in loops[0].fmas()[0].mnemonic and model in NO_BF16:
            continue
        if loops[0].fmas()[0].mnemonic.startswith("vpdp") and model in NO_VNNI[loops[0].width_bits()]:
            continue
        row = min((Row(mca, loop, model) for loop in loops), key=lambda r: r.fraction)
        rows.append(row)
        if correct(row.loop.text(), model):
            rows.append(Row(mca, row.loop, model, True))
    return rows


def hot_tiles(objectfile):
    """(tile, FMAs of a turn) -> its copies, the fullest first."""
    tiles = {}
    for loop in objectfile.loops:
        if loop.tile and TILE.search(loop.tile):
            tiles.setdefault((loop.tile, len(loop.fmas())), []).append(loop)
    return dict(sorted(tiles.items(), key=lambda item: (-item[0][1], not item[0][0].startswith("qk"))))


def kernel_name(path):
    return os.path.splitext(os.path.basename(path))[0]


def alike(objects):
    """Objects whose loops consist of the same instructions, registers and addresses aside, in one list."""
    groups = {}
    for objectfile in objects:
        tiles = hot_tiles(objectfile)
        if not tiles:
            raise SystemExit(f"{objectfile.path}: no hot loop of a tile found")
        mnemonics = lambda loop: tuple(sorted(i.mnemonic for i in loop.body))
        key = [(tile, sorted({mnemonics(loop) for loop in loops})) for tile, loops in tiles.items()]
        groups.setdefault(repr(key), []).append(objectfile)
    return groups.values()


def fullest(tiles):
    """Of each tile the one with the most FMAs: the others are what is left of a depth or a width."""
    first = {}
    for (tile, fmas), loops in tiles.items():
        first.setdefault(tile, ((tile, fmas), loops))
    return dict(first.values())


def model_section(mca, objects):
    """Tiles of decode kernels wait for memory and convert what they multiply: no bar, and none but the fullest."""
    lines, failures, noted = [], [], set()
    for group in alike(objects):
        objectfile = group[0]
        name = kernel_name(objectfile.path)
        tiles = hot_tiles(objectfile)
        decodes, full = name.startswith("decode_"), fullest(tiles)
        if decodes:
            tiles = full
        others = ", ".join(kernel_name(other.path) for other in group[1:])
        lines += [f"### {name}", "", f"Compiler: {objectfile.compiler()}."]
        lines += [f"The loops of {others} are the same instructions." if others else "", ""]
        lines += ["| loop | CPU model | cycles | FMAs | cycles/FMA | port limit | of the limit | issue |"]
        lines += ["|---|---|--:|--:|--:|--:|--:|--:|"]
        for (tile, fmas), loops in tiles.items():
            whole = (tile, fmas) in full and not {"half", "thirds"} & set(tile.split("_"))
            for row in rows_of(mca, loops):
                label = tile if (tile, fmas) in full else f"{tile}, rest"
                model = row.model + (", corrected" if row.corrected else "")
                lines.append(
                    f"| {label} | {model} | {row.cycles:.2f} | {fmas} | {row.cycles / fmas:.3f} | "
                    f"{row.limit / fmas:.3f} | {row.fraction:.3f} | {row.issue:.1f} |"
                )
                corrected = correct(row.loop.text(), row.model) is not None
                if not decodes and whole and row.fraction < BAR and not (corrected and not row.corrected):
                    failures.append(f"{name} {tile} on {row.model}: {row.fraction:.3f} of the port limit, bar {BAR:.2f}")
                if row.corrected:
                    noted.update(why for cpu, _, _, why in CORRECTIONS if cpu == row.model)
                if (row.model, row.loop.width_bits()) in REMARKS:
                    noted.add(f"{row.model}: " + REMARKS[row.model, row.loop.width_bits()])
        lines.append("")
    lines += [f"- {note}" for note in sorted(noted)]
    lines += ["", "Below the bar: " + ("; ".join(failures) if failures else "none") + ".", ""]
    return lines, failures


def measured(program):
    """Lines `name fraction lower upper` of the program, as {name: (median, lower, upper)}."""
    done = subprocess.run([program], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{program}: {done.stderr.strip() or 'exit status ' + str(done.returncode)}")
    out = {}
    for line in done.stdout.splitlines():
        name, *numbers = line.split()
        out[name] = tuple(map(float, numbers))
    return out


def cpu_name():
    with open("/proc/cpuinfo") as file:
        text = file.read()
    field = lambda name: (re.search(rf"^{name}\s*:\s*(.*)$", text, re.M) or ["", "?"])[1]
    return f"{field('model name')} (family {field('cpu family')}, model {field('model')})"


def agreement_section(mca, timed, shipped):
    lines, failures = [], []
    lines += [f"Measured on {cpu_name()}, {datetime.date.today()}; LLVM's name for it is {mca.host}.", ""]
    lines += ["| kernel | loop | modelled | measured | middle half | measured/modelled | same instructions as shipped |"]
    lines += ["|---|---|--:|--:|--:|--:|---|"]
    for program, path in timed:
        name = kernel_name(path).removeprefix("time_")
        ship = next((o for o in shipped if kernel_name(o.path) == name), None)
        if ship is None:
            raise SystemExit(f"--timed {program}={path}: no object of kernel {name} among the arguments")
        fractions = measured(program)
        object_file = ObjectFile(path)
        ours, theirs = hot_tiles(object_file), hot_tiles(ship)
        roof = next((loop for loop in object_file.loops if loop.tile == "time_roof"), None)
        for tile in fractions:
            loop = max((ls[0] for (t, _), ls in ours.items() if t == tile), key=lambda l: len(l.fmas()))
            sums = len(roof.accumulators()) if roof else 0
            if not sums or len(roof.fmas()) != sums or len(loop.fmas()) % sums or len(roof.body) > sums + 3:
                raise SystemExit(f"{path}: the compiler made something else of the FMA roof than independent sums")
            mnemonics = sorted(i.mnemonic for i in loop.body)
            same = any(sorted(i.mnemonic for i in l.body) == mnemonics for ls in theirs.values() for l in ls)
            corrected = correct(loop.text(), mca.host) is not None
            row = Row(mca, loop, mca.host, corrected)
            median, lower, upper = fractions[tile]
            ratio = median / row.fraction
            plain = f" (uncorrected {Row(mca, loop, mca.host).fraction:.3f})" if corrected else ""
            lines.append(
                f"| {name} | {tile} | {row.fraction:.3f}{plain} | {median:.3f} | {lower:.3f}-{upper:.3f} | {ratio:.3f} | "
                f"{'yes' if same else 'no'} |"
            )
            if abs(ratio - 1) > AGREE:
                failures.append(f"{name} {tile}: measured {median:.3f}, modelled {row.fraction:.3f} of the FMA limit")
    lines += ["", "More than 10 % apart: " + ("; ".join(failures) if failures else "none") + ".", ""]
    return lines, failures


INTRODUCTION = """\
# The inner loops, modelled

Written by `make mca`; do not edit. **The first table is modelled, not measured**: llvm-mca {version} read the loops out of
the object files that ship and predicts them from LLVM's description of each CPU, with every load hitting the L1 cache.
The second one compares the model with a measurement on one machine.

- A loop is a turn of a register tile, one step or two: `qk_tile` is S = Q K^T, `pv_tile` O += P V. *rest*: what remains of
  the value width when it is not a whole number of tiles, or of an odd depth; *half* and *thirds* tiles have half or two thirds of the rows. Large shapes hardly
  run them, and the bar does not apply to them: with half the sums they are bound by latency and loads.
- The port limit is what the same model says of the same multiply-adds alone, on registers and independent of each other.
- issue: cycles that the loop's micro-operations take at the CPU's issue width. Above it nothing but ports and latency
  is in the way; it also bounds the loop on a part with more FMA ports than the model has.
- The bar for a full tile is {bar:.2f} of the port limit.
- Of decode kernels the fullest tile of each kind is shown: `dots_tile`, `keys_tile` and `passing_tile` make scores of tensors, of caches and
  of one row, `values_tile` adds values, `quads_tile` does both over int8. They have no bar: what they multiply is converted on the way,
  and memory is their roof. The multiplications of int8 are counted as FMAs.

"""

AGREEMENT = """\
## The model against a measurement

The tiles, compiled from the same source with the same flags, run on operands in the L1 cache; beside them, in the same
run, the same number of multiply-adds on registers: the FMA roof, which is also the clock. The fraction of that roof is
compared with the modelled fraction of the port limit; medians of interleaved rounds.

"""


def main():
    parser = argparse.ArgumentParser(description="Costs the hot loops of kernels with llvm-mca.")
    parser.add_argument("--llvm-mca", default="llvm-mca-19", help="program to run (default llvm-mca-19)")
    parser.add_argument("--out", required=True, help="Markdown file to write")
    parser.add_argument("--timed", action="append", default=[], metavar="PROGRAM=OBJECT", help="measure and compare")
    parser.add_argument("objects", nargs="+", metavar="OBJECT", help="object file of a kernel")
    arguments = parser.parse_args()
    mca = Mca(arguments.llvm_mca)
    objects = [ObjectFile(path) for path in arguments.objects]
    lines, below = model_section(mca, objects)
    text = INTRODUCTION.format(version=mca.version, bar=BAR) + "## Cycles of one loop iteration\n\n" + "\n".join(lines)
    apart = []
    if arguments.timed:
        timed = [pair.partition("=")[::2] for pair in arguments.timed]
        lines, apart = agreement_section(mca, timed, objects)
        text += "\n" + AGREEMENT + "\n".join(lines)
    temporary = arguments.out + ".new"
    with open(temporary, "w") as file:
        file.write(text.rstrip("\n") + "\n")
    os.replace(temporary, arguments.out)
    for failure in below + apart:
        print(failure, file=sys.stderr)
    print(f"{arguments.out}: written")
    return 1 if below or apart else 0


if __name__ == "__main__":
    sys.exit(main())
