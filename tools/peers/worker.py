"""The measuring process: one thread count, some cases, all peers, one set of buffers. Started by main.py, which survives
it: every finished row goes out at once, and before each risky step a line says what is about to be tried.

Its arguments: the file with the job (JSON) and the file descriptor for the lines it tells (JSON). Standard output is left
to the libraries, which like to print.
"""

import gc
import importlib
import inspect
import json
import os
import random
import sys
import time

from cases import CASES
from libattn import Library
from peer import MODULES, Unsupported
from stats import median
from tensors import TOLERANCE, Tensors

TURN_NS = 10_000_000  # calls of a turn together take at least this long
WARM_NS = 50_000_000  # calls that take longer need no uncounted call before them
LONG_NS = 300_000_000  # a first call that takes longer is estimate enough of the next ones
SPREAD_NS = 60_000_000  # an operating system may leave threads that have slept on one core for tens of milliseconds
FEWEST, SCARCE = 6, 3  # below 6 rounds no 95 % interval of a median exists
PATIENCE = 1.5  # FEWEST rounds may take this many times the row's share of the time, all rows this many times theirs
SLOW = 4.0  # a peer that takes this many times as long as libattn joins only the first rounds
IDLE_S, IDLE_SHARE, IDLE_LIMIT_S = 0.002, 0.2, 0.25


def tell(**message):
    os.write(int(sys.argv[2]), (json.dumps(message) + "\n").encode())


def wait_until_idle():
    """Thread pools spin for a while after their work is done; the next one measured must not pay for that."""
    limit = time.perf_counter() + IDLE_LIMIT_S
    while time.perf_counter() < limit:
        cpu, wall = time.process_time(), time.perf_counter()
        time.sleep(IDLE_S)
        if time.process_time() - cpu < IDLE_SHARE * (time.perf_counter() - wall):
            return


def timed(run, calls):
    clock = time.perf_counter_ns
    start = clock()
    for _ in range(calls):
        run()
    return clock() - start


class Contestant:
    """One of those who take part in a case: libattn or a peer."""

    def __init__(self, name, prepared, case, tensors, threads, ours):
        self.name, self.prepared, self.times = name, prepared, {}
        once = timed(prepared.first_run or prepared.run, 1)
        output = prepared.output()
        self.error = tensors.max_error(output)
        self.right = self.error <= TOLERANCE[case.dtype]
        if ours:
            difference = float(abs(output - ours.prepared.output()).max())
            self.difference = difference if difference == difference else float("inf")
            self.right = self.right and self.difference <= 2 * TOLERANCE[case.dtype]
        if self.right and once < LONG_NS:
            once = min(timed(prepared.run, 1), timed(prepared.run, 1))
        self.calls = max(1, round(TURN_NS / max(once, 1)))
        self.warm = once < WARM_NS
        self.spread_ns = SPREAD_NS if threads > 1 and once < LONG_NS else 0
        self.cost_ns = once * (self.calls + self.warm) + (self.spread_ns and max(self.spread_ns, once))
        self.once_ns = once

    def turn(self):
        self.prepared.before_turn()
        if self.warm:
            self.prepared.run()
        return timed(self.prepared.run, self.calls) / self.calls

    def take_turn(self, number):
        """Only the last one counts, which finds the threads spread over the cores."""
        wait_until_idle()
        start = time.perf_counter_ns()
        while time.perf_counter_ns() - start < self.spread_ns:
            self.turn()
        self.times[number] = self.turn()


def load_peers(names):
    peers = {}
    for name in names:
        tell(at=[None, name])
        try:
            module = importlib.import_module(MODULES[name])
            peer = next(c for _, c in inspect.getmembers(module, inspect.isclass) if getattr(c, "name", None) == name)()
            tell(peer=name, version=peer.load(), settings=peer.settings)
            peers[name] = peer
        except (ImportError, OSError, AttributeError) as error:
            tell(peer=name, missing=str(error).splitlines()[0])
    return peers


def enter(case, tensors, library, peers, job):
    """Prepares and verifies everybody. The full outputs are also compared with libattn's."""
    contestants, notes = [], {}
    for name, peer in {"libattn": library, **peers}.items():
        excluded = job["excluded"].get(f"{case.name} {name}")
        if excluded:
            notes[name] = excluded
            continue
        tell(at=[case.name, name])
        try:
            prepared = peer.prepare(case, tensors, job["threads"])
            ours = contestants[0] if contestants else None
            contestants.append(Contestant(name, prepared, case, tensors, job["threads"], ours))
        except Unsupported as reason:
            notes[name] = str(reason)[:200]
            if name == "libattn":
                break
    return contestants, notes


def measure(case, contestants, job, deadline):
    """Rounds in random order: as many as the time allows, up to job["rounds"] and at least FEWEST, or SCARCE where even
    those would take far longer than there is. The slow join the first FEWEST only."""
    runners = [c for c in contestants if c.right]
    ours = runners[0]
    few = [c for c in runners if c.once_ns > SLOW * ours.once_ns and c.cost_ns > 100e6]
    many = [c for c in runners if c not in few]
    budget = deadline - time.monotonic()
    cost_of_few, cost_of_many = (sum(c.cost_ns for c in group) / 1e9 + len(group) * IDLE_S for group in (few, many))
    fewest = FEWEST if FEWEST * (cost_of_few + cost_of_many) <= PATIENCE * budget else SCARCE
    rounds = int(min(job["rounds"], max(fewest, (budget - fewest * cost_of_few) / cost_of_many)))
    order = random.Random(job["seed"])
    for number in range(rounds):
        turn = many + few if number < fewest else list(many)
        order.shuffle(turn)
        for contestant in turn:
            tell(at=[case.name, contestant.name])
            contestant.take_turn(number)


def row(case, contestants, notes, threads):
    ours = contestants[0]
    out = {
        "case": case.name,
        "threads": threads,
        "kernel": ours.prepared.kernel,
        "flops": case.flops,
        "notes": notes,
        "results": [],
    }
    for c in contestants:
        entry = {"name": c.name, "error": c.error if c.error < float("inf") else None, "right": c.right}
        if c is not ours:
            entry["difference"] = c.difference if c.difference < float("inf") else None
        if c.right:
            entry["ns"] = [c.times[n] for n in sorted(c.times)]
            entry["calls"] = c.calls
            entry["ratios"] = [c.times[n] / ours.times[n] for n in sorted(c.times)]
            entry["median_ns"] = median(entry["ns"])
        out["results"].append(entry)
    return out


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    os.sched_setaffinity(0, job["cpus"])
    library = Library(job["library"], job["header"])
    tell(peer="libattn", version=library.version, settings="plan made once, no pinning of its own; [B][H][S][D]")
    peers = load_peers(job["peers"])
    todo = [next(c for c in CASES if c.name == name) for name in job["cases"]]
    finish = time.monotonic() + job["seconds"]
    for position, case in enumerate(todo):
        # What the quick cases leave over goes to the slow ones, which come last.
        share = max(0.0, finish - time.monotonic()) / (len(todo) - position)
        deadline = time.monotonic() + share
        tell(at=[case.name, None])
        if time.monotonic() > finish + (PATIENCE - 1) * job["seconds"]:
            tell(
                skipped=case.name,
                reason=f"no time left with {job['threads']} threads; alone, or with --seconds, it is measured",
            )
            continue
        if not library.supports_dtype(case.dtype):
            tell(skipped=case.name, reason=f"this libattn has no {case.dtype} yet")
            continue
        tensors = Tensors(case)
        contestants, notes = enter(case, tensors, library, peers, job)
        if "libattn" in notes:
            tell(skipped=case.name, reason=notes["libattn"])
        elif not contestants[0].right:
            tell(wrong=case.name, error=str(contestants[0].error))
        else:
            measure(case, contestants, job, deadline)
            tell(row=row(case, contestants, notes, job["threads"]))
        for contestant in contestants:
            contestant.prepared.close()
        del contestants, tensors
        gc.collect()
    tell(done=True)


if __name__ == "__main__":
    main()
    # Some runtimes abort while they are torn down; everything has been told by now.
    os._exit(0)
