"""What a run leaves behind: the terminal's table, the Markdown page, Google Benchmark's JSON."""

import json
import os
import socket
import tempfile
import time

import machine
from cases import CASES
from stats import geomean, median, sign_interval

MASK_TEXT = {"none": "no mask", "causal": "causal", "bool": "boolean mask", "additive": "additive mask"}
BY_NAME = {case.name: case for case in CASES}


class Duel:
    """libattn against one peer in one row: the median of the paired ratios, peer's time / libattn's time."""

    def __init__(self, entry):
        self.peer, self.n, self.ratio = entry["name"], len(entry["ratios"]), median(entry["ratios"])
        self.low, self.high, self.confidence = sign_interval(entry["ratios"])

    @property
    def verdict(self):
        if self.confidence < 0.95 or self.low <= 1 <= self.high:
            return "undecided"
        return "faster" if self.low > 1 else "slower"

    @property
    def interval(self):
        level = "" if self.confidence >= 0.95 else f" ({100 * self.confidence:.0f} %)"
        return f"[{self.low:.2f}, {self.high:.2f}]{level}"


def duels(row):
    """Against the peers that were right, the fastest first."""
    return sorted((Duel(e) for e in row["results"][1:] if e["right"]), key=lambda duel: duel.ratio)


def ordered(rows):
    place = {case.name: index for index, case in enumerate(CASES)}
    return sorted(rows, key=lambda row: (place[row["case"]], row["threads"]))


def shape(case):
    heads = f"{case.Hq} head{'s' * (case.Hq > 1)}" if case.G == 1 else f"{case.Hq}/{case.Hkv} heads"
    batch = f"B {case.B}, " if case.B > 1 else ""
    return f"{batch}{heads}, {case.Sq} x {case.Skv}, D {case.D}, {MASK_TEXT[case.mask]}, {case.dtype}"


def threads_text(threads):
    return f"{threads} thread" + ("s" if threads > 1 else "")


def error_text(entry):
    return "NaN or Inf" if entry["error"] is None else f"{entry['error']:.1e}"


def row_block(row):
    """The lines of one row: libattn, then every peer, the fastest first, then those that could not."""
    case, ours = BY_NAME[row["case"]], row["results"][0]
    yield f"{row['case']}: {shape(case)}; {threads_text(row['threads'])}, {row['kernel']}"
    yield f"  {'':14}{'ms':>10}{'GFLOP/s':>10}{'ratio':>8}  {'interval':22}{'n':>4}  max error"
    yield (
        f"  {'libattn':14}{ours['median_ns'] / 1e6:10.3f}{case.flops / ours['median_ns']:10.1f}{1:8.2f}  {'':22}"
        f"{len(ours['ns']):4}  {error_text(ours)}"
    )
    entries = {entry["name"]: entry for entry in row["results"]}
    for duel in duels(row):
        entry = entries[duel.peer]
        yield (
            f"  {duel.peer:14}{entry['median_ns'] / 1e6:10.3f}{case.flops / entry['median_ns']:10.1f}{duel.ratio:8.2f}  "
            f"{duel.interval:22}{duel.n:4}  {error_text(entry)}"
        )
    for entry in row["results"][1:]:
        if not entry["right"]:
            yield f"  {entry['name']:14}WRONG, not ranked: max error {error_text(entry)}"
    for peer, reason in row["notes"].items():
        yield f"  {peer:14}- {reason}"


def summary_rows(rows):
    """(row, best duel or None) in the order of the cases."""
    for row in ordered(rows):
        found = duels(row)
        yield row, found[0] if found else None


def geomean_line(rows, label=""):
    best = [duel for _, duel in summary_rows(rows) if duel]
    if not best:
        return f"geomean{label}: no row has a peer to compare with"
    count = {word: sum(duel.verdict == word for duel in best) for word in ("faster", "slower", "undecided")}
    return (
        f"geomean{label} {geomean([duel.ratio for duel in best]):.2f} against the best peer of each of {len(best)} rows: "
        f"libattn faster in {count['faster']}, slower in {count['slower']}, undecided in {count['undecided']}"
    )


def summary_text(rows):
    width = max(len(row["case"]) for row in rows)
    yield f"{'case':{width}}   T  {'libattn ms':>10}  {'best peer':14}{'ratio':>6}  {'interval':22}libattn is"
    for row, duel in summary_rows(rows):
        line = f"{row['case']:{width}}{row['threads']:4}  {row['results'][0]['median_ns'] / 1e6:10.3f}  "
        yield line + (f"{duel.peer:14}{duel.ratio:6.2f}  {duel.interval:22}{duel.verdict}" if duel else "no peer could")
    for threads in sorted({row["threads"] for row in rows}):
        yield geomean_line([row for row in rows if row["threads"] == threads], f", {threads_text(threads)}:")
    yield geomean_line(rows)


def markdown(run):
    rows = run["rows"]
    peers = [name for name in run["peers"] if name != "libattn"]
    yield "# libattn side by side with what one would use instead"
    yield ""
    yield (
        "A ratio is the peer's time divided by libattn's, the median over paired rounds: above 1 libattn is faster. In "
        "brackets its exact sign-test interval (95 % unless another level stands beside it). How the comparison is kept "
        "fair: [peers-method.md](peers-method.md). This page is written by `make peers`; do not edit it."
    )
    yield ""
    yield f"- Date: {run['date']}"
    yield f"- CPU: {run['cpu']}, {run['cores']} cores used of those allowed ({' '.join(run['extensions'])})"
    yield f"- Load average when the run began: {run['load'][0]:.2f} (above 0, others shared the machine)"
    yield f"- Command: `{run['command']}`"
    yield f"- libattn {run['peers']['libattn']['version']}; " + "; ".join(
        f"{name} {run['peers'][name]['version']}" for name in peers
    )
    for name, reason in run["missing"].items():
        yield f"- Not compared: {name}: {reason}"
    for name, reason in run["skipped"].items():
        yield f"- Passed over: {name}: {reason}"
    yield ""
    yield "## Summary"
    yield ""
    yield "| case | threads | libattn ms | GFLOP/s | best peer | ratio | libattn is |"
    yield "|---|---:|---:|---:|---|---|---|"
    for row, duel in summary_rows(rows):
        ns, case = row["results"][0]["median_ns"], BY_NAME[row["case"]]
        against = f"{duel.peer} | {duel.ratio:.2f} {duel.interval} | {duel.verdict}" if duel else "none could | |"
        yield f"| {row['case']} | {row['threads']} | {ns / 1e6:.3f} | {case.flops / ns:.1f} | {against} |"
    yield ""
    for threads in sorted({row["threads"] for row in rows}):
        yield f"- {geomean_line([row for row in rows if row['threads'] == threads], ', ' + threads_text(threads) + ':')}"
    yield f"- **{geomean_line(rows)}**"
    yield ""
    yield "## Every peer"
    yield ""
    yield (
        "Milliseconds, ratio, interval, number of rounds, largest error against the float64 oracle. FLOP/s count 4 B Hq "
        "pairs D, of a causal square only the visible pairs."
    )
    for row in ordered(rows):
        yield from markdown_row(row)
    yield ""
    yield "## Settings of each peer"
    yield ""
    for name in run["peers"]:
        yield f"- **{name}**: {run['peers'][name]['settings']}"


def markdown_row(row):
    case, entries = BY_NAME[row["case"]], {entry["name"]: entry for entry in row["results"]}
    ours = entries["libattn"]
    yield ""
    yield f"### {row['case']}, {threads_text(row['threads'])}"
    yield ""
    yield f"{case.what}: {shape(case)}. Again: `build/attnbench peers --case {row['case']} --threads {row['threads']}`"
    yield ""
    yield "| | ms | GFLOP/s | ratio | interval | rounds | max error |"
    yield "|---|---:|---:|---:|---|---:|---:|"
    yield (
        f"| libattn ({row['kernel']}) | {ours['median_ns'] / 1e6:.3f} | {case.flops / ours['median_ns']:.1f} | 1 | | "
        f"{len(ours['ns'])} | {error_text(ours)} |"
    )
    for duel in duels(row):
        entry = entries[duel.peer]
        yield (
            f"| {duel.peer} | {entry['median_ns'] / 1e6:.3f} | {case.flops / entry['median_ns']:.1f} | {duel.ratio:.2f} | "
            f"{duel.interval} | {duel.n} | {error_text(entry)} |"
        )
    for entry in row["results"][1:]:
        if not entry["right"]:
            yield f"| {entry['name']} | | | **wrong**, not ranked | | | {error_text(entry)} |"
    for peer, reason in row["notes"].items():
        yield f"| {peer} | | | {reason.replace('|', '/')} | | | |"


def gbench(run):
    """Google Benchmark's schema 1: raw rows (an item a round), then the median, counters as flat numbers."""
    benchmarks = []
    for family, row in enumerate(ordered(run["rows"])):
        case = BY_NAME[row["case"]]
        for instance, entry in enumerate(e for e in row["results"] if e["right"]):
            kernel = row["kernel"] if entry["name"] == "libattn" else entry["name"]
            name = case.path(kernel, row["threads"])
            common = {
                "family_index": family,
                "per_family_instance_index": instance,
                "run_name": name,
                "threads": row["threads"],
                "repetitions": len(entry["ns"]),
                "time_unit": "ns",
                "label": row["case"],
            }
            for index, (ns, ratio) in enumerate(zip(entry["ns"], entry["ratios"])):
                benchmarks.append(
                    {
                        "name": name,
                        "run_type": "iteration",
                        "repetition_index": index,
                        "iterations": entry["calls"],
                        "real_time": ns,
                        "cpu_time": ns,
                        "ratio": ratio,
                        "FLOP/s": case.flops / ns * 1e9,
                        "max_error": entry["error"],
                        **common,
                    }
                )
            duel = Duel(entry)
            benchmarks.append(
                {
                    "name": f"{name}_median",
                    "run_type": "aggregate",
                    "aggregate_name": "median",
                    "aggregate_unit": "time",
                    "iterations": len(entry["ns"]),
                    "real_time": entry["median_ns"],
                    "cpu_time": entry["median_ns"],
                    "ratio": duel.ratio,
                    "ratio_low": duel.low,
                    "ratio_high": duel.high,
                    "ratio_confidence": duel.confidence,
                    "FLOP/s": case.flops / entry["median_ns"] * 1e9,
                    "max_error": entry["error"],
                    **common,
                }
            )
    context = {
        "date": run["date"],
        "host_name": socket.gethostname(),
        "executable": "tools/peers/main.py",
        "num_cpus": os.cpu_count(),
        "mhz_per_cpu": machine.mhz(),
        "cpu_scaling_enabled": machine.scaling(),
        "caches": machine.caches(run["cpus"][0]),
        "load_avg": run["load"],
        "library_build_type": "release",
        "json_schema_version": 1,
        "cpu_model": run["cpu"],
        "command": run["command"],
        "flops_convention": "4*B*Hq*pairs*D; of a causal square the visible pairs only",
        "cpu_time_is": "wall time: the peers' thread pools have no CPU time of their own to read",
        **{f"version_{name}": peer["version"] for name, peer in run["peers"].items()},
        **{f"missing_{name}": reason for name, reason in run["missing"].items()},
    }
    return json.dumps({"context": context, "benchmarks": benchmarks}, indent=1, allow_nan=False) + "\n"


def replace_file(path, text):
    """Written beside its place and renamed: never half a file."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
