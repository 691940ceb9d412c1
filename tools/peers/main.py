#!/usr/bin/env python3
"""Compares libattn with what one would use instead: same tensors, same run, rounds interleaved.

Needs nothing but Python's standard library; the peers live in a virtual environment below the build folder (install.py)
and run in worker processes (worker.py), one for each number of threads.
"""

import argparse
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time

import machine
import output
from cases import CASES
from header import Header, HeaderError
from install import PACKAGE_OF_PEER, Environment, InstallError
from peer import MODULES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SILENT_S = 180  # a worker that tells nothing for so long is stuck
EXIT_USAGE, EXIT_WRONG, EXIT_INTERRUPTED = 2, 3, 130

EPILOG = """examples:
  make peers                                    everything, 1 thread and all cores; writes docs/peers.md
  attnbench peers --case llama31-8b-512 --threads 1
  attnbench peers --case 'd[0-9]+' --peer torch,ggml --rounds 50
  attnbench peers --list

A ratio is the peer's time divided by libattn's: above 1 libattn is faster. A peer that is wrong against the float64
oracle is marked and not ranked.

exit codes: 0 ok; 2 wrong usage, nothing matched, or nothing could be installed; 3 libattn computed a wrong result
"""


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive number")
    return value


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="attnbench peers",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__.splitlines()[0],
    )
    parser.add_argument(
        "--case",
        action="append",
        metavar="REGEX",
        help="cases whose whole name, or whose row name (attn/...) in part, matches; may be repeated; default: all",
    )
    parser.add_argument("--peer", action="append", metavar="NAME[,NAME...]", help=f"default: all of {', '.join(MODULES)}")
    parser.add_argument(
        "--threads",
        default="1,all",
        metavar="N[,N...]",
        help="numbers of threads; all: the physical cores that this process may use (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds",
        type=positive,
        default=25,
        metavar="N",
        help="most rounds of a row (default: %(default)s); fewer where time does not suffice: n in the table",
    )
    parser.add_argument(
        "--seconds",
        type=positive,
        default=600,
        metavar="N",
        help="time for measuring, all rows together (default: %(default)s); every row gets "
        "at least 6 rounds, or 3 where that is far too long",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the order within the rounds (default: %(default)s)"
    )
    parser.add_argument("--markdown", metavar="FILE", help="write the page")
    parser.add_argument("--json", metavar="FILE", help="write Google Benchmark's JSON")
    parser.add_argument(
        "--build",
        default="build",
        metavar="DIR",
        help="build folder: has libattn.so, receives peers/ (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="show cases and peers, measure nothing")
    parser.add_argument("--prepare", action="store_true", help="only install the peers")
    return parser.parse_args(arguments)


class UsageError(Exception):
    pass


def of_any_contestant(pattern):
    """The name of a result row finds its case, whoever ran it and with however many threads."""
    return re.sub(r"/T:\d+(/real_time(_median)?)?$", "", re.sub(r"^attn/[^/]*/", "attn/[^/]*/", pattern))


def choose_cases(patterns):
    if not patterns:
        return list(CASES)
    try:
        compiled = [re.compile(of_any_contestant(pattern)) for pattern in patterns]
    except re.error as error:
        raise UsageError(f"--case: {error}") from None
    chosen = [
        c
        for c in CASES
        if any(p.fullmatch(c.name) or ("/" in p.pattern and p.search(c.path("libattn", 1))) for p in compiled)
    ]
    if not chosen:
        raise UsageError(f"--case {' '.join(patterns)}: no case matches; there are: {' '.join(c.name for c in CASES)}")
    return chosen


def choose_peers(lists):
    names = [name for text in lists or [] for name in text.split(",") if name]
    for name in names:
        if name not in MODULES:
            raise UsageError(f"--peer {name}: there is no such peer; there are: {' '.join(MODULES)}")
    return [name for name in MODULES if not names or name in names]


def choose_threads(text):
    cores = machine.cores()
    chosen = []
    for word in text.split(","):
        if word != "all" and not (word.isdigit() and 1 <= int(word) <= len(cores)):
            raise UsageError(f"--threads {word}: must be all or 1 to {len(cores)}, the physical cores that may be used")
        chosen.append(len(cores) if word == "all" else int(word))
    return sorted(set(chosen)), cores


def show_list(cases, peers):
    width = max(len(case.name) for case in cases)
    for case in cases:
        print(f"{case.name:{width}}  {output.shape(case)}: {case.what}")
    print(f"\npeers: {' '.join(peers)}")


def check_header(path, folder):
    """The compiler must see the structs as ctypes does, or a run would compare garbage."""
    try:
        program = "\n".join(Header(path).assertions())
    except (HeaderError, OSError) as error:
        raise UsageError(str(error)) from None
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-std=c11", f"-I{os.path.dirname(path)}", "-fsyntax-only", "-x", "c", "-"]
    try:
        done = subprocess.run(command, input=program, text=True, capture_output=True, check=False, cwd=folder)
    except OSError as error:
        raise UsageError(
            f"{compiler[0]}: {error.strerror}; a C compiler is needed to check attn.h against its ctypes twin"
        ) from None
    if done.returncode:
        raise UsageError(f"attn.h and its ctypes twin differ:\n{done.stderr}")


class Progress:
    """One line on a terminal, nothing elsewhere."""

    def __init__(self):
        self.on = sys.stderr.isatty()

    def show(self, text):
        if self.on:
            sys.stderr.write(f"\r\033[K{text[:100]}")
            sys.stderr.flush()

    def clear(self):
        self.show("")


class Run:
    """All rows of all thread counts, gathered from workers that may die."""

    def __init__(self, options, environment, peers, cores):
        self.options, self.environment, self.cores = options, environment, cores
        self.peers, self.rows, self.info, self.missing = peers, [], {}, {}
        self.skipped, self.wrong = {}, []
        self.progress = Progress()

    def measure(self, cases, threads, seconds):
        # The quick ones first: what they leave of their time goes to the slow ones.
        todo = [case.name for case in sorted(cases, key=lambda case: case.weight)]
        excluded, loadable, finish = {}, list(self.peers), time.monotonic() + seconds
        while todo:
            done, last, how = self._one_worker(todo, threads, loadable, excluded, max(10.0, finish - time.monotonic()))
            todo = [name for name in todo if name not in done]
            if how is None:
                return
            case, peer = last
            self.progress.clear()
            log = os.path.join(self.environment.folder, "worker.log")
            if not case and not peer:
                raise UsageError(f"the measuring process {how} at its start; see {log}")
            if peer in (None, "libattn"):
                say(f"{case}: the process {how} in {peer or 'the oracle'}; going on without the case (log: {log})")
                self.wrong.append(case)
                todo.remove(case)
                continue
            say(f"{peer}: the process {how} at {case or 'loading'}; going on without it (log: {log})")
            if case:
                excluded[f"{case} {peer}"] = f"the process {how}"
            else:
                loadable.remove(peer)
                self.missing[peer] = f"the process {how} while loading it"

    def _one_worker(self, todo, threads, peers, excluded, seconds):
        """(finished cases, last (case, peer) announced, None or how the process ended)."""
        folder = self.environment.folder
        job = {
            "threads": threads,
            "cpus": self.cores[:threads],
            "library": os.path.join(self.options.build, "libattn.so"),
            "header": os.path.join(ROOT, "include", "attn.h"),
            "peers": peers,
            "cases": todo,
            "seconds": seconds,
            "rounds": self.options.rounds,
            "seed": self.options.seed,
            "excluded": excluded,
        }
        job_file = os.path.join(folder, "job.json")
        output.replace_file(job_file, json.dumps(job))
        # No variable that binds threads: a pool started by a bound thread would inherit its one core.
        unset = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
        environment = self.environment.child_environment(
            **{name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        )
        environment = {name: value for name, value in environment.items() if name not in unset}
        reader, writer = os.pipe()
        with open(os.path.join(folder, "worker.log"), "wb") as log:
            process = subprocess.Popen(
                (self.environment.python, os.path.join(ROOT, "tools", "peers", "worker.py"), job_file, str(writer)),
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=(writer,),
            )
        os.close(writer)
        try:
            return self._listen(process, reader, threads)
        finally:
            os.close(reader)
            if process.poll() is None:
                process.kill()
            process.wait()

    def _listen(self, process, reader, threads):
        finished, last, pending = set(), (None, None), b""
        while True:
            if not select.select([reader], [], [], SILENT_S)[0]:
                return finished, last, f"told nothing for {SILENT_S} s"
            chunk = os.read(reader, 65536)
            if not chunk:
                code = process.wait()
                return finished, last, f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "at" in message:
                    last = tuple(message["at"])
                    self.progress.show(f"{output.threads_text(threads)}: {last[0] or 'loading'} {last[1] or ''}")
                elif "done" in message:
                    self.progress.clear()
                    return finished, last, None
                else:
                    finished |= self._note(message)

    def _note(self, message):
        self.progress.clear()
        if "row" in message:
            self.rows.append(message["row"])
            print("\n".join(output.row_block(message["row"])), end="\n\n", flush=True)
            return {message["row"]["case"]}
        if "skipped" in message:
            self.skipped[message["skipped"]] = message["reason"]
            return {message["skipped"]}
        if "wrong" in message:
            self.wrong.append(message["wrong"])
            say(f"{message['wrong']}: libattn is WRONG, max error {message['error']}; not measured")
            return {message["wrong"]}
        if "missing" in message:
            self.missing.setdefault(message["peer"], message["missing"])
        else:
            self.info[message["peer"]] = {"version": message["version"], "settings": message["settings"]}
        return set()


def prepare(options, peers):
    environment = Environment(os.path.join(options.build, "peers"), say)
    environment.make()
    environment.require_numpy()
    packages = sorted({PACKAGE_OF_PEER[name] for name in peers if name in PACKAGE_OF_PEER})
    failed = environment.install(packages)
    return environment, {name: failed[PACKAGE_OF_PEER[name]] for name in peers if PACKAGE_OF_PEER.get(name) in failed}


def check_outputs(paths):
    """Before anything is measured: results must not be lost for want of a place."""
    for path in filter(None, paths):
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise UsageError(f"cannot write {path}: {folder} must be a folder that can be written to, {path} not a folder")


def compare(options, cases, peers, threads, cores):
    check_outputs((options.markdown, options.json) if not options.prepare else ())
    environment, missing = prepare(options, peers)
    if options.prepare:
        return 0
    if not os.path.exists(os.path.join(options.build, "libattn.so")):
        raise UsageError(f"{options.build}/libattn.so does not exist: make lib")
    check_header(os.path.join(ROOT, "include", "attn.h"), environment.folder)
    load, started = os.getloadavg(), output.now()
    run = Run(options, environment, [name for name in peers if name not in missing], cores)
    run.missing.update(missing)
    # A row takes longer on one thread than on several; twice as long is near enough to share the time out.
    shares = {count: 1 if count == 1 else 0.5 for count in threads}
    for count in threads:
        try:
            run.measure(cases, count, options.seconds * shares[count] / sum(shares.values()))
        except UsageError as error:
            if not run.rows:
                raise
            say(f"{error}; what was measured before stands")
    for name, reason in run.skipped.items():
        print(f"{name}: passed over: {reason}")
    if not run.rows:
        if run.wrong:
            return EXIT_WRONG
        raise UsageError("no row could be measured")
    print("\n".join(["", *output.summary_text(run.rows)]), flush=True)
    command = " ".join(["build/attnbench peers", *map(shlex.quote, options.typed)])
    facts = {
        "rows": run.rows,
        "peers": run.info,
        "missing": run.missing,
        "skipped": run.skipped,
        "date": started,
        "cpu": machine.model(),
        "load": load,
        "cores": max(threads),
        "cpus": cores,
        "extensions": machine.vector_extensions(),
        "command": command,
    }
    for path, text in ((options.markdown, "\n".join(output.markdown(facts)) + "\n"), (options.json, output.gbench(facts))):
        if path:
            output.replace_file(path, text)
    return EXIT_WRONG if run.wrong else 0


def main(arguments):
    options = parse(arguments)
    options.typed = (
        arguments[2:] if arguments[:1] == ["--build"] else arguments
    )  # the page's command finds the folder itself
    try:
        cases, peers = choose_cases(options.case), choose_peers(options.peer)
        threads, cores = choose_threads(options.threads)
        if options.list:
            show_list(cases, peers)
            return 0
        return compare(options, cases, peers, threads, cores)
    except (UsageError, InstallError) as error:
        print(f"attnbench peers: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as error:
        print(f"attnbench peers: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        print("\nattnbench peers: interrupted; no file was written", file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
