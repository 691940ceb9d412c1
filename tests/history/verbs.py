#!/usr/bin/env python3
"""attnbench history as a user meets it: what it keeps, shows, refuses, and which changes it finds.

usage: verbs.py ATTNBENCH [--postgres]"""

import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import documents
import server

passed = failed = skipped = 0


def verdict(name, wrong=""):
    global passed, failed
    if wrong:
        failed += 1
        print(f"not ok - {name}\n#   {wrong[:2000]}")
    else:
        passed += 1
        print(f"ok - {name}")


class History:
    def __init__(self, attnbench, db):
        self.attnbench, self.db = attnbench, db

    def run(self, *arguments, db=True, text=None, **environment):
        command = [self.attnbench, "history", *arguments, *(["--db", self.db] if db and self.db else [])]
        return subprocess.run(command, input=text, capture_output=True, text=True, env={**os.environ, **environment})

    def expect(self, name, code, pattern, *arguments, **more):
        said = self.run(*arguments, **more)
        everything = said.stdout + said.stderr
        if said.returncode != code:
            verdict(name, f"exit code {said.returncode} instead of {code}: {everything}")
        elif not re.search(pattern, everything, re.M):
            verdict(name, f"no '{pattern}' in: {everything}")
        else:
            verdict(name)
        return said.stdout


ONE, TWO, THREE = (documents.case_name(n) for n in range(3))


def basics(h):
    first = documents.write("first.json", documents.document(1, {ONE: documents.noisy(1000, 8, 1), TWO: [5.5]},
                                                             counters={"gflops": 3.25, "max_error": 1e-7}))  # fmt: skip
    h.expect("reading what is not there", 2, r"history add. makes", "list")
    h.expect("add", 0, r"^run 1 added: 2 cases, first.json$", "add", first)
    h.expect("the same again is the same run", 0, r"^run 1 was there already", "add", first)
    h.expect("another machine's name is another run", 0, r"^run \d+ added", "add", first, "--machine", "beta")
    h.expect("a commit that is given", 0, r"^run \d+ added", "add", first, "--commit", "cafe")
    h.expect("standard input", 0, r"^run \d+ added: 2 cases, -$|standard input", "add", "-",
             text=json.dumps(documents.document(50, {ONE: [7, 8, 9]})))  # fmt: skip
    h.expect("list", 0, r"1  2026-01-01T01:00:00\+00:00  alpha +a cpu +000000000001 +b0 +2$", "list")
    h.expect("list --machine", 0, r"beta", "list", "--machine", "^beta, a cpu$")
    h.expect("list: nothing matches", 2, r"no run matches", "list", "--machine", "gamma")
    h.expect("list --commit", 0, r"cafe", "list", "--commit", "ca")
    runs = json.loads(h.run("list", "--since", "2026-01-02", "--json").stdout)
    verdict("list --since --json", "" if len(runs) == 1 and runs[0]["cases"] == 1 else str(runs))
    runs = json.loads(h.run("list", "--latest", "2", "--json").stdout)
    verdict("list --latest", "" if len(runs) == 2 and runs[1]["date"].startswith("2026-01-03") else str(runs))
    h.expect("show", 0, r"fwd_f32_avx2 f32 .* 5\.500 ns +unknown +1$", "show", "1")
    h.expect("show what is not there", 2, r"there is no run 999", "show", "999")
    out = h.expect("show last", 0, r"8\.000 ns", "show", "last", "--filter", "Sq:64/")
    verdict("show: the filter leaves the rest out", "" if "5.500" not in out else out)
    exported = json.loads(h.run("export", "1").stdout)
    original = json.load(open(first))
    row = exported["benchmarks"][3]
    verdict("export gives what was added", "" if [r["real_time"] for r in exported["benchmarks"]] ==
            [r["real_time"] for r in original["benchmarks"]] and row["cpu_time"] == original["benchmarks"][3]["cpu_time"] and
            row["gflops"] == 3.25 and row["max_error"] == 1e-7 and row["iterations"] == 13 and
            exported["context"]["doctor_load"] == "ok: quiet" and exported["left_out"] == original["left_out"]
            else json.dumps(exported))  # fmt: skip
    h.expect("export --output", 0, r"^$", "export", "--output", "all.jsonl")
    other = History(h.attnbench, os.path.abspath("copy.db"))
    other.expect("import of an export", 0, r"^run 4 added", "import", "all.jsonl")
    verdict("and its export is the same", "" if other.run("export").stdout == open("all.jsonl").read() else "differs")
    other.expect("import again", 0, r"^run 4 was there already", "import", "all.jsonl")
    text = open("all.jsonl").read()
    other = History(h.attnbench, os.path.abspath("part.db"))
    other.expect("a truncated export", 2, r"document 3: .*not valid JSON", "import", "-",
                 text=text[: text.index("\n", text.index("\n") + 1) + 500])  # fmt: skip
    runs = json.loads(other.run("list", "--json").stdout)
    verdict("of it, whole runs are kept", "" if [r["cases"] for r in runs] == [2, 2] else str(runs))
    compared = subprocess.run([h.attnbench, "compare", "-", first], input=h.run("export", "1").stdout, capture_output=True, text=True)
    verdict("compare reads an export", "" if compared.returncode in (0, 5) and "1.000" in compared.stdout else str(compared))


def mistakes(h):
    first = "first.json"
    h.expect("no verb", 2, r"a verb is missing", db=False)
    h.expect("unknown verb", 2, r"no verb 'ad'", "ad")
    h.expect("add nothing", 2, r"add wants files", "add")
    h.expect("list something", 2, r"list wants nothing", "list", "x")
    h.expect("an option of another verb", 2, r"--since means nothing to add", "add", first, "--since", "2026-01-01")
    h.expect("bad date", 2, r"--date: date 'x' is not of the form", "add", first, "--date", "x")
    h.expect("bad since", 2, r"--since: 'x' is neither", "list", "--since", "x")
    h.expect("bad expression", 2, r"--filter '\(': ", "trend", "--filter", "(")
    h.expect("bad number", 2, r"--latest: '0' is not", "list", "--latest", "0")
    h.expect("no run", 2, r"'one' is no run", "show", "one")
    h.expect("no such file", 2, r"none.json: cannot be opened", "add", "none.json")
    h.expect("not JSON", 2, r"not valid JSON", "add", "-", text="hello")
    h.expect("no cases", 2, r"has no case with a time", "add", "-", text='{"context": {"date": "x"}, "benchmarks": []}')
    undated = documents.document(1, {ONE: [1]})
    del undated["context"]["date"]
    h.expect("no date", 2, r"context.date is missing; --date", "add", "-", text=json.dumps(undated))
    h.expect("a date that is given", 0, r"added", "add", "-", "--date", "2020-01-01T00:00:00+01:00", text=json.dumps(undated))
    h.expect("an address of something else", 2, r"addresses are postgresql://", "list", "--db", "mysql://x", db=False)
    h.expect("a server that is not there", 2, r"(failed|built without libpq)", "list", "--db", "postgresql://127.0.0.1:9/x",
             db=False)  # fmt: skip
    closed = subprocess.run(f"'{h.attnbench}' history export --db '{h.db}' | true", shell=True, capture_output=True, text=True)
    verdict("a reader that goes away", closed.stderr)


def trends(h):
    """Sixty runs on two machines: one case gets slower with a new binary, one with the same, one never, one faster."""
    draw = random.Random(7)
    files = []
    for run in range(60):
        binary = f"binary{run // 20}"
        for machine in ("alpha", "beta"):
            level = {ONE: 1.15 if machine == "alpha" and run >= 40 else 1, TWO: 1.3 if run >= 30 else 1, THREE: 1}
            times = {case: [1000 * factor * (1 + draw.gauss(0, 0.01)) for _ in range(7)] for case, factor in level.items()}
            files.append(documents.document(1000 + run, times, machine, f"c{run}", binary))
    documents.write("many.json", *files)
    h.expect("many runs at once", 0, r"document 120", "add", "many.json")
    since = ("--since", "2026-02-01")
    found = {(s["machine"], s["name"]): s for s in json.loads(h.run("trend", "--json", *since).stdout)}
    verdict("a series for each case and machine", "" if len(found) == 6 else str(list(found)))

    def changes(machine, case):
        series = found[f"{machine}, a cpu", case]
        return [(c["at"], round(c["ratio"], 1), c["commit_before"], c["commit_after"], c["binary_unchanged"])
                for c in series["changes"]]  # fmt: skip

    verdict("slower since a new binary", "" if changes("alpha", ONE) in ([(40, 1.1, "c39", "c40", False)], [(40, 1.2, "c39", "c40", False)])
            else str(changes("alpha", ONE)))  # fmt: skip
    for machine in ("alpha", "beta"):
        verdict(f"{machine}: slower with the same binary", "" if changes(machine, TWO) == [(30, 1.3, "c29", "c30", True)]
                else str(changes(machine, TWO)))  # fmt: skip
    verdict("no change", str(changes("beta", ONE) + changes("alpha", THREE) + changes("beta", THREE)).strip("[]"))
    points = found["alpha, a cpu", ONE]["points"]
    verdict("points have medians and intervals", "" if len(points) == 60 and all(p["low_ns"] <= p["median_ns"] <= p["high_ns"]
            and p["repetitions"] == 7 for p in points) else str(points[0]))  # fmt: skip
    out = h.expect("trend names the commits", 0, r"slower by 1[3-7]\.\d %.*\n +commits c39\.\.c40", "trend", *since, LC_ALL="C")
    verdict("and is silent about the unchanged binary", "" if "no alarm: the binary is unchanged" in out and
            "6 series: 1 change to slower, 0 to faster, 2 without alarm" in out else out)  # fmt: skip
    verdict("sparkline without UTF-8", "" if re.search(r"^  [_.\-~=+*#]{60}  60 runs", out, re.M) and out.isascii() else out)
    out = h.expect("sparkline", 0, r"^  [\u2581-\u2588]{60}  60 runs", "trend", "--changed", *since, LC_ALL="C.UTF-8")
    verdict("trend --changed leaves out the rest", "" if out.count(" runs, last") == 3 else out)
    h.expect("trend --noise", 0, r"0 changes to slower, 0 to faster, 2 without", "trend", "--noise", "20", *since)
    h.expect("trend --latest", 0, r"6 series: 0 changes", "trend", "--latest", "15", *since)
    h.expect("trend: nothing matches", 2, r"no case of a run matches", "trend", "--filter", "nothing")


def files(h):
    """What concerns files only."""
    home = {"XDG_DATA_HOME": os.path.abspath("data"), "ATTNBENCH_DB": ""}
    h.expect("the default place", 0, r"added", "add", "first.json", db=False, **home)
    verdict("is XDG_DATA_HOME/attnbench/history.db", "" if os.path.exists("data/attnbench/history.db") else "not there")
    h.expect("the default place of HOME", 2, r"/nowhere/.local/share/attnbench/history.db", "list", db=False, XDG_DATA_HOME="",
             ATTNBENCH_DB="", HOME="/nowhere")  # fmt: skip
    h.expect("ATTNBENCH_DB", 0, r"alpha", "list", db=False, ATTNBENCH_DB=os.path.abspath("data/attnbench/history.db"))
    with contextlib.closing(sqlite3.connect("foreign.db")) as foreign:
        foreign.execute("CREATE TABLE t (x)")
    h.expect("a foreign database", 2, r"is an SQLite database, but no history", "add", "first.json", "--db", "foreign.db", db=False)
    h.expect("a file that is no database", 2, r"not a database; --db wants", "list", "--db", "first.json", db=False)
    h.expect("a folder", 2, r"is a folder", "add", "first.json", "--db", ".", db=False)
    h.expect("memory", 2, r"anything else is a file", "add", "first.json", "--db", ":memory:", db=False)
    shutil.copy("data/attnbench/history.db", "old.db")
    with contextlib.closing(sqlite3.connect("old.db")) as old:
        old.executescript("DROP INDEX attnbench_row_name; DROP INDEX attnbench_run_time; PRAGMA user_version = 1")
    h.expect("an older schema", 0, r"alpha", "list", "--db", "old.db", db=False)
    with contextlib.closing(sqlite3.connect("old.db")) as old:
        state = old.execute("PRAGMA user_version").fetchone()[0], old.execute(
            "SELECT count(*) FROM sqlite_master WHERE name LIKE 'attnbench_r%' AND type = 'index'").fetchone()[0]  # fmt: skip
        verdict("is brought up to date", "" if state == (2, 2) else str(state))
        old.execute("PRAGMA user_version = 3")
    h.expect("a newer schema", 2, r"has version 3, this attnbench knows up to 2", "list", "--db", "old.db", db=False)
    hostile(h)
    with open("damaged.db", "wb") as damaged, open("data/attnbench/history.db", "rb") as good:
        content = bytearray(good.read())
        content[200 : 2 * 4096] = os.urandom(2 * 4096 - 200)
        damaged.write(content)
    h.expect("a damaged file", 2, r"damaged.db: ", "trend", "--db", "damaged.db", db=False)
    if os.path.exists("/dev/full"):
        h.expect("a full disk", 2, r"/dev/full", "export", "--db", "data/attnbench/history.db", "-o", "/dev/full", db=False)
    identity(h)
    gates(h)


def hostile(h):
    """Files made to do harm to who opens them."""
    for name, sql in {
        "a negative version": "PRAGMA user_version = -5",
        "a view without end": "ALTER TABLE attnbench_row RENAME TO x; CREATE VIEW attnbench_row AS WITH RECURSIVE w(n) AS "
                              "(SELECT 1 UNION ALL SELECT n FROM w) SELECT w.n, x.* FROM w, x",
        "a trigger": "CREATE TRIGGER t AFTER INSERT ON attnbench_run BEGIN DELETE FROM attnbench_run; END",
        "a virtual table": "CREATE VIRTUAL TABLE v USING rtree(id, low, high)",
    }.items():  # fmt: skip
        shutil.copy("data/attnbench/history.db", "hostile.db")
        with contextlib.closing(sqlite3.connect("hostile.db")) as db:
            db.executescript(sql)
        for verb in ("list", "trend"):
            h.expect(f"{name}: {verb}", 2, r"is damaged|has views or triggers", verb, "--db", "hostile.db", db=False)
    shutil.copy("data/attnbench/history.db", "hostile.db")
    with contextlib.closing(sqlite3.connect("hostile.db")) as db:
        db.execute("UPDATE attnbench_run SET machine_name = ?1, cpu = ?1, date = ?1, commit_name = ?1, method = ?1", ["\x1b]0;x\x07"])
        db.execute("UPDATE attnbench_row SET name = ?1", ["\x1b[2J"])
        db.commit()
    for arguments in (["list"], ["show", "1"], ["trend"]):
        said = h.run(*arguments, "--db", "hostile.db", db=False)
        verdict(f"no escape sequence gets to the terminal: {arguments[0]}",
                "" if re.search(r"\?|control characters", said.stdout + said.stderr) and "\x1b" not in said.stdout + said.stderr else repr(said.stdout + said.stderr))
    with contextlib.closing(sqlite3.connect("hostile.db")) as db:
        db.executescript("PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = char(27) || 'x', name = char(27) WHERE type = 'index'")
    said = h.run("list", "--db", "hostile.db", db=False)
    verdict("nor in SQLite's own message", "" if said.returncode == 2 and "?" in said.stderr and "\x1b" not in said.stderr else
            repr(said.stdout + said.stderr))  # fmt: skip


SMALL = "attn/fwd_f32_scalar/f32/B:1/Hq:1/Hkv:1/Sq:64/Skv:64/Dqk:16/Dv:16/none/T:1"


def measure(attnbench, path, case=SMALL):
    said = subprocess.run([attnbench, "run", "--times-only", "--quiet", "--case", case, "--repetitions", "5", "--min-time", "0.002",
                           "--json", path], capture_output=True, text=True)  # fmt: skip
    if said.returncode:
        raise RuntimeError(said.stderr)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def gates(h):
    """gate --baseline history: seven real runs of this machine, as they are and with half their times."""
    files = {"even.db": [], "half.db": [], "few.db": [], "stepped.db": []}
    for run in range(14):
        result = measure(h.attnbench, "r.json")
        result["context"]["date"] = documents.date_of(run)
        for db, factor in (("even.db", 1), ("half.db", 0.5), ("few.db", 1), ("stepped.db", 5 if run < 7 else 1)):
            scaled = json.loads(json.dumps(result))
            for row in scaled["benchmarks"]:
                row["real_time"] *= factor
                row["cpu_time"] *= factor
            if db != "few.db" or run < 2:
                files[db].append(scaled)
    for db, documents_of_it in files.items():
        h.expect(f"runs for {db}", 0, "added", "add", documents.write("runs.json", *documents_of_it), "--db", db, db=False)

    def gate(name, code, pattern, *arguments):
        said = subprocess.run([h.attnbench, "gate", "--baseline", "history", "--quiet", "--alpha", "0.2", "--rounds", "12",
                               "--min-time", "0.001", *arguments], capture_output=True, text=True)  # fmt: skip
        everything = said.stdout + said.stderr
        verdict(name, "" if said.returncode == code and re.search(pattern, everything) else f"{said.returncode}: {everything}")

    gate("gate: the same build against its history", 0, r"(?s)passed.*Baseline: 14 runs of even.db, the latest of 2026-01-01T13", "--db",
         "even.db", "--threshold", "60")  # fmt: skip
    gate("gate: twice as slow as the history", 1, r"slower by", "--db", "half.db")
    gate("gate: what was before the last change does not count", 0, r"passed", "--db", "stepped.db", "--threshold", "60")
    gate("gate: of few runs, the repetitions of the latest", 0, r"passed", "--db", "few.db", "--threshold", "60")
    gate("gate: no run of this machine", 2, r"no run of this machine \('gamma', ", "--db", "even.db", "--machine", "gamma")
    gate("gate: no history", 2, r"none.db: No such file", "--db", "none.db")
    gate("gate: cases that the history lacks", 2, r"none of the selected cases", "--db", "even.db", "--case", SMALL.replace("64", "32"))
    said = subprocess.run([h.attnbench, "gate", "--baseline", "even.db", "--db", "x"], capture_output=True, text=True)
    verdict("gate: --db without it", "" if said.returncode == 2 and "means nothing without" in said.stderr else said.stderr)


def identity(h):
    """The digest of the binary: blind to the commit's name, not to anything else."""
    global skipped
    if not shutil.which("objcopy"):
        skipped += 1
        print("skipped: no objcopy (binutils) to rename a commit with")
        return

    with open("name", "wb") as name:
        name.write(b"another-commit".ljust(64, b"\0"))
    subprocess.run(["objcopy", "--update-section", "attnbench_commit=name", h.attnbench, "renamed"], check=True)
    with open("renamed", "rb") as program:
        content = program.read()
    with open("changed", "wb") as program:
        program.write(content.replace(b"Fast attention on CPUs: measured", b"Fast attention on CPUs: MEASURED", 1))
    os.chmod("changed", 0o755)
    old, renamed, changed = (measure(program, "r.json")["context"] for program in (h.attnbench, "./renamed", "./changed"))
    verdict("another commit of the same code has the same digest", "" if renamed["commit"] == "another-commit" and
            len(old["binary_hash"]) == 32 and renamed["binary_hash"] == old["binary_hash"] else f"{old} {renamed}")  # fmt: skip
    verdict("a byte that differs makes another digest", "" if changed["binary_hash"] != old["binary_hash"] else str(changed))


def on_server(h, one):
    """What concerns servers only."""
    versions = one.psql("SELECT version FROM attnbench_schema")
    verdict("the schema's version", "" if versions == [["2"]] else str(versions))
    wrong = f"postgresql://perf:not-{server.PASSWORD}@127.0.0.1:{one.port}/postgres"
    said = h.run("list", "--db", wrong, db=False)
    verdict("a wrong password is refused and not repeated", "" if said.returncode == 2 and "password" in said.stderr and
            server.PASSWORD not in said.stderr else said.stderr)  # fmt: skip
    right = f"postgresql://perf:{server.PASSWORD}@127.0.0.1:{one.port}/postgres"
    said = h.run("list", "--machine", "none", "--db", right, db=False)
    verdict("nor is a right one", "" if said.returncode == 2 and "no run matches" in said.stderr and
            server.PASSWORD not in said.stderr else said.stderr)  # fmt: skip
    one.psql("CREATE ROLE reader LOGIN; GRANT SELECT ON attnbench_schema, attnbench_run, attnbench_row TO reader")
    reader = one.url.replace("perf@", "reader@")
    h.expect("who may only read reads", 0, r"alpha", "list", "--db", reader, db=False)
    h.expect("and does not write", 2, r"permission denied", "add", "first.json", "--machine", "new", "--db", reader, db=False)
    one.psql("UPDATE attnbench_schema SET version = 3")
    h.expect("a newer schema", 2, r"has version 3, this attnbench knows up to 2", "list")
    one.psql("UPDATE attnbench_schema SET version = 1; DROP INDEX attnbench_row_name; DROP INDEX attnbench_run_time")
    h.expect("an older schema", 0, r"alpha", "list")
    verdict("is brought up to date", "" if one.psql("SELECT version FROM attnbench_schema") == [["2"]] else "it is not")


def main():
    attnbench = os.path.abspath(sys.argv[1])
    for name in ("ATTN_ISA", "ATTN_KERNEL", "ATTNBENCH_DB", "PGPASSWORD", "PGHOST", "PGDATABASE"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if "--postgres" in sys.argv[2:]:
            try:
                with server.Server() as one:
                    server.require_libpq(attnbench, one.url)
                    h = History(attnbench, one.url)
                    basics(h)
                    trends(h)
                    on_server(h, one)
            except server.Unavailable as reason:
                print(f"skipped: {reason}\n0 passed, 0 failed, 1 skipped")
                return 0
        else:
            h = History(attnbench, os.path.join(folder, "new folder", "history.db"))
            basics(h)
            mistakes(h)
            trends(h)
            files(h)
        os.chdir("/")
    print(f"{passed} passed, {failed} failed{f', {skipped} skipped' if skipped else ''}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
