"""Files of results as `attnbench run --json` writes them, made up: many cases, other machines, hostile texts.

usage: report_data.py FILE CASES [--cpu NAME] [--isa LIST] [--threads LIST] [--speed X] [--hostile] [--method V]
"""
import argparse
import json
import random

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)> \u2028 "\' &amp; <!-- ${x}'
SHAPES = [("bert-base", 12, 12, 512, 512, 64, "none"), ("vit-l-16", 16, 16, 577, 577, 64, "none"),
          ("whisper-large cross", 20, 20, 448, 1500, 64, "none"), ("llama-3.1-8b prefill", 32, 8, 2048, 2048, 128, "causal"),
          ("long 16k", 1, 1, 16384, 16384, 128, "none"), ("decode 16k", 32, 8, 1, 16384, 128, "causal")]
SHAPES += [(f"{s} keys, D {d}", h, h, s, s, d, m) for d in (64, 80, 128) for h in (4, 8, 16) for m in ("none", "causal", "bool", "window1024")
           for s in (128, 256, 512, 1024, 2048, 4096, 8192)]


def case(rng, shape, kernel, threads, a):
    label, hq, hkv, sq, skv, d, mask = shape
    flops = 4 * sq * skv * d * hq * (0.5 if mask == "causal" and sq > 1 else 1)
    size = 4 * d * (hq * sq * 2 + hkv * skv * 2)
    fma = {"scalar": 13e9, "avx2": 110e9, "avx512": 190e9, "neon": 90e9}[kernel.split("_")[-1]] * threads * a.speed
    read = 30e9 * min(threads, 3) ** 0.5 * a.speed
    part = 0.4 if "scalar" in kernel else 0.2 if "autovec" in kernel else 0.5 if "naive" in kernel else 0.75 + 0.2 * skv / (skv + 900)
    seconds = max(flops / fma / part, size / read) * rng.uniform(1, 1.08) * threads ** 0.03
    name = f"attn/{kernel}/f32/B:1/Hq:{hq}/Hkv:{hkv}/Sq:{sq}/Skv:{skv}/Dqk:{d}/Dv:{d}/{mask}/T:{threads}"
    rows = []
    for i in range(a.repetitions):
        s = seconds * rng.lognormvariate(0, 0.02)
        row = {"name": name + "/real_time", "run_name": name + "/real_time", "run_type": "iteration", "repetition_index": i,
               "threads": threads, "iterations": 3, "real_time": s * 1e9, "cpu_time": s * 1e9 * threads, "time_unit": "ns",
               "gflops": flops / s / 1e9, "roof_fraction": flops / s / fma, "gbytes_per_s": size / s / 1e9,
               "bandwidth_fraction": size / s / read, "roofline_fraction": max(flops / fma, size / read) / s,
               "speedup_vs_scalar": flops / s / (5e9 * threads * a.speed), "speedup_vs_autovec": flops / s / (22e9 * threads * a.speed),
               "max_error": rng.uniform(1, 9) * 1e-7, "fma_roof_gflops": fma / 1e9, "read_roof_gbytes_per_s": read / 1e9,
               "label": HOSTILE if a.hostile else label}
        if sq == 1:
            row["tokens_per_s"] = 1 / s
        rows.append(row)
    return rows


def main():
    p = argparse.ArgumentParser()
    p.add_argument("file")
    p.add_argument("cases", type=int)
    p.add_argument("--cpu", default="AMD EPYC 9654")
    p.add_argument("--isa", default="avx2,avx512")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--speed", type=float, default=1)
    p.add_argument("--repetitions", type=int, default=7)
    p.add_argument("--method", default="1")
    p.add_argument("--hostile", action="store_true")
    a = p.parse_args()
    rng = random.Random(a.cpu)
    threads, isas = [int(t) for t in a.threads.split(",")], a.isa.split(",")
    kernels = [f"fwd_f32_{i}" for i in isas] + ["fwd_f32_scalar"] + [f"fwd_f32_autovec_{i}" for i in isas] + [f"naive_f32_{i}" for i in isas]
    todo = [(s, k, t) for s in SHAPES for k in kernels for t in threads][:a.cases]
    assert len(todo) == a.cases, "too few shapes"
    context = {"date": "2026-11-22T10:38:04+00:00", "host_name": "node7", "num_cpus": max(threads), "mhz_per_cpu": 2600,
               "json_schema_version": 1, "attnbench_version": "0.1.0", "method_version": a.method, "commit": "0123456789ab",
               "compiler": "cc (Debian 12.2.0-14) 12.2.0", "compiler_flags": "-O2 -g", "cpu_model": HOSTILE if a.hostile else a.cpu,
               "cpu_features": " ".join(isas), "doctor_governor": "warning: 'powersave' on 2 of 2 CPUs", "doctor_smt": "ok: off"}
    for t in threads:
        context[f"read_roof_gbytes_per_s_T{t}"] = 30 * min(t, 3) ** 0.5 * a.speed
        for isa, gflops in (("scalar", 13), ("avx2", 110), ("avx512", 190), ("neon", 90)):
            if isa in isas + ["scalar"]:
                context[f"fma_roof_gflops_{isa}_T{t}"] = gflops * t * a.speed
    if a.hostile:
        context["doctor_load"] = "warning: " + HOSTILE
        context[HOSTILE] = HOSTILE
    left_out = [{"name": "attn/naive_f32_avx2/f32/B:1", "state": "left out", "reason": HOSTILE if a.hostile else "too large"}]
    root = {"context": context, "benchmarks": [row for t in todo for row in case(rng, *t, a)], "left_out": left_out}
    with open(a.file, "w", encoding="utf-8") as f:
        json.dump(root, f, ensure_ascii=False)


if __name__ == "__main__":
    main()
