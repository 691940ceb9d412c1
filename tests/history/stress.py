#!/usr/bin/env python3
"""Many writers on one history, one of them killed again and again: no committed run is lost, none is there in part, nothing is
damaged.

usage: stress.py ATTNBENCH [--writers 8] [--runs 500] [--cases 20] [--postgres]

Every writer adds its runs one by one, each by a process of its own, and keeps what the process said. The first writer's
processes are killed after a random time, for every run until one kill has hit, and it tries the same run again until it is told
that the run is there. In the end every run that a process called added or there is in the history with all its cases and the
very times it was given, no other is, and SQLite's integrity_check or PostgreSQL's amcheck finds nothing."""

import argparse
import contextlib
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import documents
import server

SAID = re.compile(r"^run (\d+) (added|was there already)", re.M)


class Writer(threading.Thread):
    def __init__(self, number, options, db, folder):
        super().__init__()
        self.number, self.options, self.db = number, options, db
        self.path = os.path.join(folder, f"writer{number}.json")
        self.random = random.Random(number)
        self.runs, self.kills, self.killed_but_there, self.slowest = {}, 0, 0, 0.0
        self.failure = None
        self.reach = 0.02  # the longest time before a kill, in seconds: grows with every hit, shrinks with every miss

    def run(self):
        try:
            for index in range(self.options.runs):
                self.add(index)
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def content(self, index):
        seed = self.number * 1000003 + index
        times = {documents.case_name(c): documents.noisy(1000 + c, 5, seed + c) for c in range(self.options.cases)}
        return documents.document(self.number * 100000 + index, times, commit=f"w{self.number}r{index}")

    def add(self, index):
        """One run, until it is told that the run is there and, for the first writer, one process of it was killed."""
        content = self.content(index)
        documents.write(self.path, content)
        there = False
        killed = self.number != 0
        while not (there and killed):
            begin = time.monotonic()
            process = subprocess.Popen(
                [self.options.attnbench, "history", "add", "--db", self.db, self.path],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
            if not killed:
                time.sleep(self.random.uniform(0, self.reach))
                process.kill()
            out, err = process.communicate()
            said = SAID.search(out)
            if process.returncode == -9:
                killed = True
                self.kills += 1
                self.killed_but_there += said is not None
                self.reach *= 1.5
            elif process.returncode or not said:
                raise RuntimeError(f"writer {self.number}, run {index}: exit code {process.returncode}: {err.strip()}")
            else:
                self.slowest = max(self.slowest, time.monotonic() - begin)
                if not killed:  # it was faster
                    self.reach *= 0.7
            if said:
                there = True
                self.runs[int(said.group(1))] = content


def times_of(document):
    rows = {}
    for row in document["benchmarks"]:
        rows.setdefault(row["run_name"], []).append(row["real_time"])
    return rows


def examine(options, db, writers):
    """What is wrong, one text each."""
    wrong = []
    expected = {}
    for writer in writers:
        for run, content in writer.runs.items():
            if run in expected:
                wrong.append(f"run {run} was given to two writers")
            expected[run] = content
    listed = json.loads(subprocess.check_output([options.attnbench, "history", "list", "--json", "--db", db]))
    found = {run["run"]: run for run in listed}
    for run in expected.keys() - found.keys():
        wrong.append(f"run {run} was committed and is lost")
    for run in found.keys() - expected.keys():
        wrong.append(f"run {run} is there, and nobody was told so")
    for run, row in found.items():
        if row["cases"] != options.cases:
            wrong.append(f"run {run} has {row['cases']} of {options.cases} cases")
    exported = subprocess.check_output([options.attnbench, "history", "export", "--db", db], text=True).splitlines()
    by_commit = {json.loads(line)["context"]["commit"]: times_of(json.loads(line)) for line in exported}
    if len(exported) != options.writers * options.runs:
        wrong.append(f"{len(exported)} runs instead of {options.writers * options.runs}")
    for content in expected.values():
        if by_commit.get(content["context"]["commit"]) != times_of(content):
            wrong.append(f"the times of {content['context']['commit']} are not those that were added")
    return wrong


def damage_of_file(db):
    with contextlib.closing(sqlite3.connect(db)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        found += [str(row) for row in connection.execute("PRAGMA foreign_key_check")]
    return [] if found == ["ok"] else found


def stress(options, db, damage):
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        writers = [Writer(number, options, db, folder) for number in range(options.writers)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        took = time.monotonic() - begin
        wrong = [str(writer.failure) for writer in writers if writer.failure]
        wrong = wrong or examine(options, db, writers)
        victim = writers[0]
        print(f"{options.writers} writers x {options.runs} runs of {options.cases} cases: {took:.0f} s; one of them killed "
              f"{victim.kills} times ({victim.killed_but_there} after its commit was told); slowest add "
              f"{max(writer.slowest for writer in writers):.2f} s")  # fmt: skip
        return wrong, damage(), victim.kills


def report(what, wrong):
    print(f"{'not ok' if wrong else 'ok'} - {what}")
    for text in wrong[:20]:
        print(f"#   {text}")
    return not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attnbench")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server that is started for it")
    options = parser.parse_args()
    os.environ.pop("ATTNBENCH_DB", None)
    if options.postgres:
        try:
            with server.Server() as one:
                server.require_libpq(options.attnbench, one.url)
                wrong, damage, kills = stress(options, one.url, lambda: one.check())
        except server.Unavailable as reason:
            print(f"skipped: {reason}\n0 passed, 0 failed, 3 skipped")
            return 0
    else:
        with tempfile.TemporaryDirectory() as folder:
            db = os.path.join(folder, "history.db")
            wrong, damage, kills = stress(options, db, lambda: damage_of_file(db))
    skipped = damage is None
    results = [report("every committed run is there, whole and once", wrong)]
    results.append(report("it was killed often enough to mean something", [] if kills >= options.runs else [f"{kills} kills"]))
    if skipped:
        print("skipped: no pg_amcheck or no extension amcheck here")
    else:
        results.append(report("nothing is damaged", [damage] if isinstance(damage, str) and damage.strip() else damage or []))
    passed = sum(results)
    print(f"{passed} passed, {len(results) - passed} failed{', 1 skipped' if skipped else ''}")
    return passed != len(results)


if __name__ == "__main__":
    sys.exit(main())
