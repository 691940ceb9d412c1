"""Documents of results that a history is fed with: attnbench's JSON, of times that the caller chooses."""

import datetime
import json
import random

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def date_of(number):
    """One run an hour."""
    return (START + datetime.timedelta(hours=number)).isoformat()


def document(number, times, machine="alpha", commit=None, binary="b0", method="1", counters=None):
    """Run `number`: times is {case: [nanoseconds of each repetition]}."""
    rows = []
    for name, values in times.items():
        for index, value in enumerate(values):
            rows.append(
                {
                    "name": name,
                    "run_name": name,
                    "run_type": "iteration",
                    "repetitions": len(values),
                    "repetition_index": index,
                    "threads": 1,
                    "iterations": 10 + index,
                    "real_time": value,
                    "cpu_time": value * 1.01,
                    "time_unit": "ns",
                    **(counters or {}),
                }
            )
    context = {
        "date": date_of(number),
        "host_name": machine,
        "num_cpus": 2,
        "cpu_model": "a cpu",
        "cpu_features": "avx2 fma",
        "method_version": method,
        "attnbench_version": "0.1.0",
        "commit": commit or f"{number:012x}",
        "binary_hash": binary,
        "compiler": "cc 12",
        "json_schema_version": 1,
        "doctor_load": "ok: quiet",
    }
    return {"context": context, "benchmarks": rows, "left_out": [{"name": "x", "state": "wrong", "reason": "error 1"}]}


def case_name(number, kernel="fwd_f32_avx2"):
    return f"attn/{kernel}/f32/B:1/Hq:1/Hkv:1/Sq:{64 + number}/Skv:64/Dqk:16/Dv:16/none/T:1/real_time"


def noisy(center, count, seed, spread=0.01):
    """Repetitions about a centre."""
    draw = random.Random(seed)
    return [center * (1 + draw.gauss(0, spread)) for _ in range(count)]


def write(path, *documents):
    with open(path, "w", encoding="utf-8") as file:
        for one in documents:
            file.write(json.dumps(one) + "\n")
    return path
