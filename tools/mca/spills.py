#!/usr/bin/env python3
"""Fails when a hot loop of a kernel keeps something on the stack.

usage: spills.py [--self-test GOOD BAD...] OBJECT...

For each object file of a kernel: every tile (an inlined function whose name ends in _tile) must have a hot loop, and
each loop of it must be free of loads and stores of vectors relative to the stack pointer and of stores of vector registers; a
pointer or two may be read there again. Tiles of decoding need every register and two pointers for each key besides: of those some
are tolerated, see TOLERATED.
--self-test: checks first that the object GOOD passes and each object BAD does not.
Prints one line for each tile of each object, and `N passed, M failed`. Exit status 1 if one failed.
"""

import argparse
import sys

from loops import ObjectFile, TILE


# Such instructions for each multiply-add, by compiler; None: any number. Loops of fewer than DECODE_FMAS are what is left over.
DECODE_TILES = ("dots_tile", "keys_tile", "values_tile", "passing_tile", "quads_tile")
TOLERATED = {"GCC": {}, "clang": {"dots_tile": None, "keys_tile": 1 / 4}}
DECODE_FMAS = 4
# Pointers, of which two may always be read.
DECODE_POINTERS = 1 / 5
# Of other tiles: pointers read from the stack for each multiply-add.
POINTERS = 1 / 12


def tolerated(tile, fmas, compiler):
    """How many such instructions a loop of decoding may have."""
    name = next((c for c in TOLERATED if c in compiler), "GCC")
    share = TOLERATED[name].get(tile, 1 / 8)
    return float("inf") if share is None or fmas < DECODE_FMAS else share * fmas


def faults(path):
    """tile -> what is wrong with its loops, None if nothing. Tiles without any hot loop are faults, too."""
    found = ObjectFile(path)
    result = {}
    for tile in sorted(t for t in found.fma_tiles if TILE.search(t)):
        loops = [loop for loop in found.loops if loop.tile == tile and len(loop.fmas()) >= 2]
        wrong = None if loops else "no hot loop: the compiler made something else of it"
        for loop in loops:
            traffic, fmas = loop.stack_traffic(), len(loop.fmas())
            bad = traffic + [i for i in loop.stores() if i not in traffic]
            if tile in DECODE_TILES:
                most = tolerated(tile, fmas, found.compiler())
                few = sum(bool(loop.is_vector(i)) for i in bad) <= most and len(bad) <= max(most, 2, DECODE_POINTERS * fmas)
            else:
                few = len(bad) <= POINTERS * fmas and not any(loop.is_vector(i) for i in bad)
            if not few:
                shown = "; ".join(" ".join(str(i).split()) for i in bad[:2])
                wrong = f"{len(bad)} memory operands for what belongs in registers, in {loop.function}: {shown}"
        result[tile] = wrong
    if not result:
        result["(none)"] = "no tile found; is the object built with -g and optimised?"
    return result


def main():
    parser = argparse.ArgumentParser(description="Fails when a hot loop of a kernel keeps something on the stack.")
    parser.add_argument("--self-test", nargs="+", metavar="OBJECT", default=[], help="one that passes, then some that fail")
    parser.add_argument("objects", nargs="*", metavar="OBJECT", help="object file of a kernel")
    arguments = parser.parse_args()
    passed = failed = 0

    def report(good, line):
        nonlocal passed, failed
        passed, failed = passed + good, failed + (not good)
        print(("ok    " if good else "FAIL  ") + line)

    for number, path in enumerate(arguments.self_test):
        wrong = [w for w in faults(path).values() if w]
        if number == 0:
            report(not wrong, f"self-test: {path} has no fault" + "".join(f"; found: {w}" for w in wrong))
        else:
            report(bool(wrong), f"self-test: {path} is caught" + (f": {wrong[0]}" if wrong else ""))
    for path in arguments.objects:
        for tile, wrong in faults(path).items():
            report(wrong is None, f"{path} {tile}" + (f": {wrong}" if wrong else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
