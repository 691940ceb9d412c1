#!/usr/bin/env python3
"""attnbench export: every format as the tool reads it that it is meant for.

usage: consumers.py ATTNBENCH VENV

Consumers come from PyPI into VENV, which is made once, or from Debian (libbenchmark-tools). One that cannot be had is skipped
with the reason; what its format says of itself is checked all the same. benchstat is run where it is in PATH."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import xml.dom.minidom

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "history"))
import documents  # noqa: E402

PACKAGES = ("prometheus_client", "jsonschema", "junitparser", "markdown-it-py", "llvm-lnt", "scipy")
ONE, TWO, WAVE = documents.case_name(0), documents.case_name(1, "fwd_f32_scalar"), "BM_other, \"quoted\"/1"
passed = failed = skipped = 0


def verdict(name, wrong=None):
    global passed, failed
    if wrong:
        failed += 1
        print(f"not ok - {name}\n#   {str(wrong)[:2000]}")
    else:
        passed += 1
        print(f"ok - {name}")


def skip(name, reason):
    global skipped
    skipped += 1
    print(f"skipped - {name}: {reason}")


class Consumers:
    """Python packages in an environment of their own; each is installed alone, so that one that fails takes none along."""

    def __init__(self, folder):
        self.folder, self.python = folder, os.path.join(folder, "bin", "python")
        self.reasons = {}
        if not os.path.exists(self.python):
            try:
                venv.create(folder, with_pip=True, system_site_packages=True)
            except (OSError, subprocess.CalledProcessError) as failure:
                self.reasons = dict.fromkeys(PACKAGES, f"no virtual environment: {failure}")
                return
        for package in PACKAGES:
            if self._run(["-m", "pip", "show", "-qq", package]).returncode == 0:
                continue
            said = self._run(["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input", "--retries", "0",
                              "--timeout", "10", package])  # fmt: skip
            if said.returncode:
                last = [line for line in said.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
                self.reasons[package] = last[-1][:200]

    def _run(self, arguments, text=None):
        return subprocess.run([self.python, *arguments], input=text, capture_output=True, text=True)

    def check(self, name, package, program, text):
        """program reads text on standard input and fails by an exception."""
        if package in self.reasons:
            skip(name, f"{package} cannot be had: {self.reasons[package]}")
            return
        said = self._run(["-c", program], text)
        verdict(name, said.returncode and said.stderr)


class Attnbench:
    def __init__(self, program):
        self.program = program

    def export(self, form, path="r.json", *more):
        said = subprocess.run([self.program, "export", "--format", form, path, *more], capture_output=True)
        if said.returncode:
            raise RuntimeError(said.stderr.decode())
        return said.stdout.decode()

    def expect(self, name, code, pattern, *arguments, text=None):
        said = subprocess.run([self.program, "export", *arguments], input=text, capture_output=True, text=True)
        everything = said.stdout + said.stderr
        verdict(name, (said.returncode != code or not re.search(pattern, everything)) and f"{said.returncode}: {everything}")


def table(attnbench):
    rows = list(csv.DictReader(io.StringIO(attnbench.export("csv"), newline=""), strict=True))
    first, other = rows[0], rows[-1]
    good = (len(rows) == 17 and first["kernel"] == "fwd_f32_avx2" and first["isa"] == "avx2" and first["Sq"] == "64" and
            first["T"] == "1" and float(first["real_time_ns"]) == 1000.25 and first["gflops"] == "3.25" and
            first["commit"] == "000000000001" and other["name"] == WAVE and other["kernel"] == "" and
            float(other["real_time_ns"]) == 2.5)  # fmt: skip
    verdict("csv: Python's reader, strict", not good and (first, other))


def openmetrics(attnbench, consumers):
    text = attnbench.export("openmetrics")
    consumers.check("openmetrics: prometheus_client's strict parser", "prometheus_client", f"""
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
f = {{x.name: x for x in text_string_to_metric_families(sys.stdin.read())}}
times = {{(s.labels["case"], s.labels["stat"]): s.value for s in f["attnbench_time_seconds"].samples}}
assert f["attnbench_time_seconds"].unit == "seconds" and f["attnbench_run"].type == "info", f
assert abs(times[{ONE!r}, "median"] - 1003.75e-9) < 1e-15, times
assert times[{ONE!r}, "low"] == 1000.25e-9 and times[{ONE!r}, "high"] == 1007.25e-9, times
assert ({WAVE!r}, "median") in times and ({WAVE!r}, "low") not in times, times
labels = f["attnbench_time_seconds"].samples[0].labels
assert labels["kernel"] == "fwd_f32_avx2" and labels["threads"] == "1", labels
assert {{s.labels["counter"]: s.value for s in f["attnbench_counter"].samples}}["gflops"] == 3.25
assert f["attnbench_run"].samples[0].labels["commit"] == "000000000001"
""", text)  # fmt: skip


def benchstat(attnbench):
    text = attnbench.export("benchstat")
    # https://golang.org/design/14313-benchmark-format: configuration lines "key: value" with a small first letter; then lines
    # of fields between blanks, a name that does not go on with a small letter, a whole number, and pairs of value and unit.
    wrong, seen = [], 0
    for line in text.splitlines():
        fields = line.split()
        if re.fullmatch(r"[a-z][^\sA-Z]*: .*", line):
            continue
        seen += 1
        if not (re.fullmatch(r"Benchmark[^a-z]\S*", fields[0]) and re.fullmatch(r"\d+", fields[1]) and len(fields) % 2 == 0 and
                all(float(value) >= 0 for value in fields[2::2]) and fields[3] == "ns/op"):  # fmt: skip
            wrong.append(line)
    name = "BenchmarkAttn/kernel=fwd_f32_avx2/dtype=f32/B=1/Hq=1/Hkv=1/Sq=64/Skv=64/Dqk=16/Dv=16/mask=none-1 10 1000.25 ns/op"
    verdict("benchstat: the documented grammar", wrong or seen != 17 or name not in text and text)
    program = shutil.which("benchstat")
    if not program:
        skip("benchstat: the program", "it is not in PATH, and Debian has no package of it")
        return
    for path, source in (("old.txt", "r.json"), ("new.txt", "slow.json")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(attnbench.export("benchstat", source))
    said = subprocess.run([program, "old.txt", "new.txt"], capture_output=True, text=True)
    verdict("benchstat: the program sees what is slower", (said.returncode or "+100" not in said.stdout) and said.stdout + said.stderr)


def bencher(attnbench, consumers):
    # As https://bencher.dev/docs/reference/bencher-metric-format says.
    consumers.check("bencher: its JSON schema", "jsonschema", f"""
import json, sys, jsonschema
number = {{"type": "number"}}
measures = {{"type": "object", "minProperties": 1, "additionalProperties": {{"type": "object", "required": ["value"],
            "properties": {{"value": number, "lower_value": number, "upper_value": number}}, "additionalProperties": False}}}}
found = json.load(sys.stdin)
jsonschema.validate(found, {{"type": "object", "minProperties": 1, "additionalProperties": measures}})
one = found[{ONE!r}]["latency"]
assert one["lower_value"] == 1000.25 and one["value"] == 1003.75 and one["upper_value"] == 1007.25, one
assert found[{WAVE!r}]["latency"] == {{"value": 2.5}}
""", attnbench.export("bencher"))  # fmt: skip


def gha(attnbench, consumers):
    # As the README of benchmark-action/github-action-benchmark says: name, unit and value; range and extra as they please.
    consumers.check("gha: customSmallerIsBetter as documented", "jsonschema", f"""
import json, sys, jsonschema
text = {{"type": "string"}}
found = json.load(sys.stdin)
jsonschema.validate(found, {{"type": "array", "minItems": 3, "maxItems": 3, "items": {{"type": "object",
    "required": ["name", "unit", "value"], "additionalProperties": False,
    "properties": {{"name": text, "unit": text, "value": {{"type": "number"}}, "range": text, "extra": text}}}}}})
assert found[0]["name"] == {ONE!r} and found[0]["unit"] == "ns" and found[0]["value"] == 1003.75, found
assert found[0]["range"] == "1000.25 ... 1007.25" and "range" not in found[2], found
""", attnbench.export("gha"))  # fmt: skip


def lnt(attnbench, consumers):
    with open("lnt.json", "w", encoding="utf-8") as file:
        file.write(attnbench.export("lnt"))
    report = json.load(open("lnt.json", encoding="utf-8"))
    verdict("lnt: format 2", not (report["format_version"] == "2" and report["run"]["llvm_project_revision"] == "20260101010000" and
            report["run"]["start_time"] == "2026-01-01T01:00:00" and report["tests"][0]["name"] == ONE and
            len(report["tests"][0]["execution_time"]) == 8) and report)  # fmt: skip
    if "llvm-lnt" in consumers.reasons:
        skip("lnt: LNT", f"llvm-lnt cannot be had: {consumers.reasons['llvm-lnt']}")
        return
    program = os.path.join(consumers.folder, "bin", "lnt")
    for name, arguments, pattern in (
        ("LNT finds it valid", ["checkformat", "lnt.json"], "Validation succeeded. Machine: alpha / Tests: 3"),
        ("LNT makes a database", ["create", "instance"], "created LNT configuration"),
        ("LNT imports it", ["import", "instance", "lnt.json"], r"(?s)Import succeeded.*Added Tests +: 3"),
    ):
        said = subprocess.run([program, *arguments], capture_output=True, text=True)
        everything = said.stdout + said.stderr
        verdict(f"lnt: {name}", (said.returncode or not re.search(pattern, everything)) and everything)


def google(attnbench, consumers):
    for path, source in (("a.json", "r.json"), ("b.json", "slow.json")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(attnbench.export("google", source))
    found = json.load(open("a.json", encoding="utf-8"))
    verdict("google: schema 1, nothing beside it", set(found) != {"context", "benchmarks"} or len(found["benchmarks"]) != 17)
    program = "/usr/share/benchmark/compare.py"
    if not os.path.exists(program):
        skip("google: compare.py", f"no {program}: Debian's package libbenchmark-tools is not installed")
    elif "scipy" in consumers.reasons:
        skip("google: compare.py", f"it needs SciPy, which cannot be had: {consumers.reasons['scipy']}")
    else:
        said = subprocess.run([consumers.python, program, "--no-color", "benchmarks", "a.json", "b.json"], capture_output=True, text=True)
        ratio = re.search(re.escape(ONE) + r"\s+\+1\.0000\s", said.stdout)
        p = re.search(re.escape(ONE) + r"_pvalue\s+0\.0002", said.stdout)
        verdict("google: compare.py compares", (said.returncode or not ratio or not p) and said.stdout + said.stderr)


def junit(attnbench, consumers):
    text = attnbench.export("junit")
    cases = xml.dom.minidom.parseString(text).getElementsByTagName("testcase")
    verdict("junit: well-formed", [c.getAttribute("name") for c in cases] != [ONE, TWO, WAVE, "x"] and text)
    consumers.check("junit: junitparser", "junitparser", f"""
import sys
from junitparser import Failure, JUnitXml
suite = next(iter(JUnitXml.fromstring(sys.stdin.buffer.read())))
cases = list(suite)
assert (suite.tests, suite.failures, suite.skipped) == (4, 1, 0), (suite.tests, suite.failures)
assert abs(cases[0].time - 1.004e-6) < 1e-9 and cases[2].name == {WAVE!r}, cases
assert isinstance(cases[3].result[0], Failure) and cases[3].result[0].message == "error 1"
""", text)  # fmt: skip


def markdown(attnbench, consumers):
    consumers.check("markdown: markdown-it's tables", "markdown-it-py", f"""
import sys
from markdown_it import MarkdownIt
tokens = MarkdownIt("commonmark").enable("table").parse(sys.stdin.read())
cells = ["".join(c.content for c in t.children) for i, t in enumerate(tokens) if tokens[i - 1].type in ("th_open", "td_open")]
assert cells[0] == "case" and len(cells) == 4 * 6 and cells[6] == {ONE!r} and cells[7] == "1.004 us", cells
""", attnbench.export("markdown"))  # fmt: skip


def manners(attnbench):
    attnbench.expect("no format", 2, "--format is missing", "r.json")
    attnbench.expect("unknown format", 2, "no 'xml'; there are csv", "--format", "xml", "r.json")
    attnbench.expect("two files", 2, "one file of results at a time", "--format", "csv", "r.json", "r.json")
    attnbench.expect("nothing matches", 2, "no case matches --filter", "--format", "csv", "r.json", "--filter", "nothing")
    attnbench.expect("bad expression", 2, r"--filter '\('", "--format", "csv", "r.json", "--filter", "(")
    attnbench.expect("--filter", 0, "fwd_f32_scalar", "--format", "bencher", "--filter", "scalar", "r.json")
    attnbench.expect("no file", 2, "none.json: cannot be opened", "--format", "csv", "none.json")
    attnbench.expect("no date for LNT", 2, "context.date '' is not of the form", "--format", "lnt",
                     text='{"context": {}, "benchmarks": [{"name": "a", "real_time": 1, "time_unit": "ns"}]}')  # fmt: skip
    attnbench.expect("standard input", 0, "a,", "--format", "csv",
                     text='{"context": {}, "benchmarks": [{"name": "a", "real_time": 1, "time_unit": "ns"}]}')  # fmt: skip
    attnbench.expect("a folder that is not there", 2, "none/x", "--format", "csv", "r.json", "--output", "none/x")
    attnbench.expect("--output", 0, "^$", "--format", "csv", "r.json", "--output", "r.csv")
    verdict("--output writes the same", open("r.csv", newline="", encoding="utf-8").read() != attnbench.export("csv"))


def main():
    attnbench, folder = Attnbench(os.path.abspath(sys.argv[1])), os.path.abspath(sys.argv[2])
    consumers = Consumers(folder)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        times = {ONE: [1000.25 + i for i in range(8)], TWO: [500.0 + i for i in range(8)], WAVE: [2.5]}
        documents.write("r.json", documents.document(1, times, counters={"gflops": 3.25, "max_error": 1e-7}))
        slow = {case: [2 * value for value in values] for case, values in times.items()}
        documents.write("slow.json", documents.document(2, slow, counters={"gflops": 1.625, "max_error": 1e-7}))
        table(attnbench)
        openmetrics(attnbench, consumers)
        benchstat(attnbench)
        bencher(attnbench, consumers)
        gha(attnbench, consumers)
        lnt(attnbench, consumers)
        google(attnbench, consumers)
        junit(attnbench, consumers)
        markdown(attnbench, consumers)
        manners(attnbench)
        os.chdir("/")
    print(f"{passed} passed, {failed} failed{f', {skipped} skipped' if skipped else ''}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
