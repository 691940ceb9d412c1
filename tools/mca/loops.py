"""Finds the hot loops of a kernel's object file, from its disassembly and its debug information.

A hot loop is a straight run of instructions that ends in a branch back to its first one and multiplies and adds on the
way: no call, and no other branch but out of the loop. Which tile a loop belongs to is read from the debug information:
the tiles are always inlined, so the chain of inlined functions at a multiply-add is e.g. vf_fma < qk_tile < score_tile <
stream_block.
"""

import os
import re
import subprocess

ELF_MACHINE = {62: "x86_64", 183: "aarch64"}
# Multiply-and-accumulate into a vector register; vpmaddwd is followed by an addition.
FMA = {
    "x86_64": re.compile(r"v(fn?m(add|sub)\d+p[sdh]|dpbf16ps|pdpbusds?|pdpwssds?|pmaddwd)$"),
    "aarch64": re.compile(r"(fmla|fmls|fmlal2?|sdot|udot|bfdot|bfmmla|smmla|bfmlal[bt])$"),
}
BRANCH = {
    "x86_64": re.compile(r"(j[a-z]+|loop[a-z]*)$"),
    "aarch64": re.compile(r"(b|b\.[a-z]+|cbn?z|tbn?z|br)$"),
}
CALL = {
    "x86_64": re.compile(r"(call|ret)"),
    "aarch64": re.compile(r"(bl|blr|ret)$"),
}
# The verbs that are a multiply-add, the intrinsics below them and the step of a tile above. What calls them is the function it was written in.
VERB = re.compile(r"_mm|v[a-z]*_fma|v[a-z]*_dot|[a-z]*_step$|vi_add_pairs|v(fma|fmla|mla|dot|bfdot|bfmmla|mmla|bfmlal)\w*q?_|__builtin")
TILE = re.compile(r"_tile$")


class Instruction:
    def __init__(self, address, mnemonic, operands):
        self.address, self.mnemonic, self.operands = address, mnemonic, operands

    def target(self):
        """Of a branch: the address that it names; None if it names none."""
        found = re.search(r"([0-9a-f]+)\s+<", self.operands)
        return int(found[1], 16) if found else None

    def __str__(self):
        return f"{self.mnemonic}\t{self.operands}".strip()


class Loop:
    """body: instructions, the closing branch last. tile: name of the function it comes from."""

    def __init__(self, machine, function, frame_pointer, body):
        self.machine, self.function, self.frame_pointer, self.body = machine, function, frame_pointer, body
        self.tile = None

    def is_straight(self):
        """Whether each pass runs through all of the body: there is no call, and the only branches lead out of it."""
        first, last = self.body[0].address, self.body[-1].address
        for instruction in self.body[:-1]:
            if CALL[self.machine].match(instruction.mnemonic):
                return False
            if BRANCH[self.machine].match(instruction.mnemonic):
                target = instruction.target()
                if target is None or first <= target <= last:
                    return False
        return True

    def fmas(self):
        return [i for i in self.body if FMA[self.machine].match(i.mnemonic)]

    def accumulators(self):
        """Registers that multiply-adds accumulate in: AT&T syntax has them last, Arm's first."""
        last = self.machine == "x86_64"
        return {re.split(r",(?![^(\[{]*[)\]}])", i.operands)[-1 if last else 0].strip() for i in self.fmas()}

    def width_bits(self):
        if self.machine == "aarch64":
            return 128
        registers = " ".join(i.operands for i in self.fmas())
        return 512 if "%zmm" in registers else 256 if "%ymm" in registers else 128

    def stack_traffic(self):
        """Instructions that read or write memory relative to the stack or frame pointer."""
        base = r"\(%rsp|\(%rbp" if self.frame_pointer else r"\(%rsp"
        if self.machine == "aarch64":
            base = r"\[sp\b|\[x29\b" if self.frame_pointer else r"\[sp\b"
        return [i for i in self.body if re.search(base, i.operands) and not i.mnemonic.startswith("lea")]

    def is_vector(self, instruction):
        """Whether an instruction has a vector register among its operands."""
        return re.search(r"%[xyz]mm" if self.machine == "x86_64" else r"\b[qvds]\d", instruction.operands)

    def stores(self):
        """Instructions that write vector registers to memory: an accumulator that does not live in a register."""
        if self.machine == "aarch64":
            return [i for i in self.body if re.match(r"st", i.mnemonic) and re.search(r"\b[qvds]\d", i.operands)]
        to_memory = re.compile(r"%[xyz]mm\d+,[^%]*\(")
        return [i for i in self.body if re.match(r"v?mov|vextract", i.mnemonic) and to_memory.search(i.operands)]

    def text(self):
        """The loop as an assembler wants it."""
        lines = ["loop:"]
        for i in self.body:
            label = "loop" if i is self.body[-1] else "out"
            lines.append(re.sub(r"[0-9a-f]+\s+<.*", label, str(i)) if BRANCH[self.machine].match(i.mnemonic) else str(i))
        return "\n".join(lines + ["out:"]) + "\n"


class ObjectFile:
    """Uses the binutils of the object's architecture. Bad input ends the program with a message."""

    def __init__(self, path):
        self.path = path
        self.machine = self._machine()
        self.prefix = "" if self.machine == os.uname().machine else f"{self.machine}-linux-gnu-"
        listing = self._run("objdump", "-d", "--no-show-raw-insn", "-w", path)
        self.loops = []
        self.fma_tiles = set()
        for section, function, instructions in self._functions(listing):
            self._scan(section, function, instructions)

    def _machine(self):
        try:
            with open(self.path, "rb") as file:
                header = file.read(20)
        except OSError as error:
            raise SystemExit(f"{self.path}: {error.strerror}; build it first: make lib")
        number = int.from_bytes(header[18:20], "little")
        if header[:4] != b"\x7fELF" or number not in ELF_MACHINE:
            raise SystemExit(f"{self.path}: not an object file for {' or '.join(ELF_MACHINE.values())}")
        return ELF_MACHINE[number]

    def compiler(self):
        """What the object says of its compiler."""
        found = re.findall(r"\]\s+(.*)", self._run("readelf", "-p", ".comment", self.path))
        return found[0] if found else "unknown compiler"

    def _run(self, tool, *arguments, stdin=None):
        command, environment = [self.prefix + tool, *arguments], dict(os.environ, LC_ALL="C")
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment)
        except FileNotFoundError:
            raise SystemExit(f"{self.prefix}{tool}: not installed (Debian: binutils, binutils-aarch64-linux-gnu)")
        if done.returncode != 0:
            raise SystemExit(f"{self.prefix}{tool} {self.path}: {done.stderr.strip()}")
        return done.stdout

    @staticmethod
    def _functions(listing):
        section = next_section = function = None
        instructions = []
        for line in listing.splitlines() + ["0 <end>:"]:
            if m := re.match(r"Disassembly of section (\S+):", line):
                next_section = m[1]
            elif m := re.match(r"[0-9a-f]+ <(.*)>:$", line):
                if instructions:
                    yield section, function, instructions
                section, function, instructions = next_section, m[1], []
            elif m := re.match(r"\s+([0-9a-f]+):\s+(?:\{vex\}\s+)?(\S+)\s*(.*)$", line):
                operands = re.sub(r"\s+(# |//).*$", "", m[3]).strip()
                instructions.append(Instruction(int(m[1], 16), m[2], operands))

    @staticmethod
    def _has_frame_pointer(instructions):
        """Whether rbp (x29) is set from the stack pointer and never otherwise. Else it is a register like any other, which
        may well receive the stack pointer once, as the address of a local array."""
        set_from_stack = re.compile(r"%rsp,%rbp$|x29,\s*sp\b")
        set_at_all = re.compile(r".*,\s*%rbp$|x29,")
        other = ("ldp", "stp", "cmp", "test")
        writes = [i for i in instructions if set_at_all.match(i.operands) and i.mnemonic not in other]
        return bool(writes) and all(i.mnemonic in ("mov", "add") and set_from_stack.match(i.operands) for i in writes)

    def _scan(self, section, function, instructions):
        index = {instruction.address: i for i, instruction in enumerate(instructions)}
        frame_pointer = self._has_frame_pointer(instructions)
        found = []
        for end, instruction in enumerate(instructions):
            if not BRANCH[self.machine].match(instruction.mnemonic):
                continue
            start = index.get(instruction.target())
            if start is None or start > end:
                continue
            loop = Loop(self.machine, function, frame_pointer, instructions[start : end + 1])
            if loop.fmas() and loop.is_straight():
                found.append(loop)
        innermost, taken = [], set()
        for loop in sorted(found, key=lambda l: len(l.body)):
            if not taken & {i.address for i in loop.body}:
                innermost.append(loop)
            taken.update(i.address for i in loop.body)
        everywhere = [i for i in instructions if FMA[self.machine].match(i.mnemonic)]
        tiles = self._tiles(section, [i.address for i in everywhere])
        self.fma_tiles.update(t for t in tiles.values() if t)
        for loop in innermost:
            names = [tiles[i.address] for i in loop.fmas() if tiles[i.address]]
            loop.tile = max(set(names), key=names.count) if names else None
            self.loops.append(loop)

    def _tiles(self, section, addresses):
        """address -> the function that the instruction was written in, verbs left out; None if there is no debug line."""
        if not addresses:
            return {}
        out = self._run("addr2line", "-a", "-f", "-i", "-j", section, "-e", self.path, stdin="\n".join(map(hex, addresses)))
        result, address, names = {}, None, []
        for line in out.splitlines() + ["0x0"]:
            if re.match(r"0x[0-9a-f]+$", line):
                if address is not None:
                    functions = names[0::2]
                    written = [f for f in functions if not VERB.match(f) and f != "??"]
                    result[address] = written[0] if written else None
                address, names = int(line, 16), []
            else:
                names.append(line)
        return result
