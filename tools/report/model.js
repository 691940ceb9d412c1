"use strict";
// The data that attnbench put into the page, and what follows from it. Nothing here touches the page.

const data = JSON.parse(document.getElementById("data").textContent);

const median = (values) => {
  const s = [...values].sort((a, b) => a - b), h = s.length >> 1;
  return s.length % 2 ? s[h] : (s[h - 1] + s[h]) / 2;
};
const geometricMean = (values) => Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
const unique = (values) => [...new Set(values)];
const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity); // of any number of values
const groupBy = (items, key) => {
  const groups = new Map();
  for (const item of items) {
    const k = key(item);
    if (!groups.has(k)) groups.set(k, []);
    groups.get(k).push(item);
  }
  return groups;
};

// attn/<kernel>/<dtype>/B:1/Hq:8/.../<mask>/T:2, with or without what Google Benchmark appends. Other names: {}. What stands
// between mask and threads, the widths of a layer or where K and V lie, stays with the mask.
function parseName(name) {
  const parts = name.split("/");
  const threads = parts.findIndex((part) => part.startsWith("T:"));
  if (parts[0] !== "attn" || threads < 11) return {};
  const fields = {kernel: parts[1], dtype: parts[2], mask: parts.slice(10, threads).join(" ")};
  for (const part of [...parts.slice(3, 10), parts[threads]]) {
    const [key, value] = part.split(":");
    if (!(Number(value) > 0)) return {};
    fields[key] = Number(value);
  }
  return fields;
}

const ISAS = ["scalar", "neon", "neonbf16", "avx2", "avx512", "avx512bf16", "amx"];
const isaOf = (kernel) => ISAS.find((isa) => kernel.split("_").includes(isa)) || "other";
const familyOf = (kernel) =>
  kernel.includes("_autovec_") ? "autovec" : kernel.startsWith("naive_") ? "naive" : kernel.startsWith("decode_") ? "decode"
    : kernel.endsWith("_scalar") ? "scalar" : "streaming";

function makeCase(raw, machine) {
  const c = Object.assign({machine}, raw, parseName(raw.name));
  const mean = c.ns.reduce((a, b) => a + b, 0) / c.ns.length;
  c.label = raw.label || (c.kernel ? shapeText(c) : raw.name);
  c.time = median(c.ns);
  c.cv = c.ns.length > 1 ? Math.sqrt(c.ns.reduce((s, v) => s + (v - mean) ** 2, 0) / (c.ns.length - 1)) / mean : NaN;
  const seconds = c.time / 1e9;
  c.gflops = c.flops / seconds / 1e9;
  c.gbytes = c.bytes / seconds / 1e9;
  c.tokensPerS = c.tokens / seconds;
  c.intensity = c.flops / c.bytes;
  c.fmaFraction = c.flops / seconds / c.fmaRoof;
  c.readFraction = c.bytes / seconds / c.readRoof;
  // The lower of both roofs: the most that the machine allows.
  c.roofFraction = Math.max(c.flops / c.fmaRoof, c.bytes / c.readRoof || 0) / seconds;
  c.xScalar = c.flops / seconds / c.scalarFlops;
  c.xAutovec = c.flops / seconds / c.autovecFlops;
  if (c.kernel) {
    c.isa = isaOf(c.kernel);
    c.family = familyOf(c.kernel);
  }
  return c;
}

const headsText = (c) => (c.Hq === c.Hkv ? `H${c.Hq}` : `H${c.Hq}/${c.Hkv}`);
const headSizeText = (c) => (c.Dqk === c.Dv ? `D${c.Dqk}` : `D${c.Dqk}/${c.Dv}`);
const lengthText = (c) => (c.Sq === c.Skv ? `S${c.Sq}` : `S${c.Sq}x${c.Skv}`);
const shapeText = (c) =>
  [`B${c.B}`, headsText(c), lengthText(c), headSizeText(c), c.dtype, c.mask === "none" ? "" : c.mask].filter(Boolean).join(" ");
// All of a case but kernel and threads.
const shapeKey = (c) => [c.dtype, c.B, c.Hq, c.Hkv, c.Sq, c.Skv, c.Dqk, c.Dv, c.mask].join("/");

// Roofs over the run: {fma: {avx2: {1: GFLOP/s}}, read: {1: GB/s}}, as context names them.
function readRoofs(context) {
  const roofs = {fma: {}, read: {}};
  for (const [key, value] of Object.entries(context)) {
    const fma = /^fma_roof_gflops_([a-z0-9]+)_T(\d+)$/.exec(key), read = /^read_roof_gbytes_per_s_T(\d+)$/.exec(key);
    if (fma && value > 0) (roofs.fma[fma[1]] = roofs.fma[fma[1]] || {})[fma[2]] = value;
    if (read && value > 0) roofs.read[read[1]] = value;
  }
  return roofs;
}

// Findings with their remedies where the file has them, otherwise as the texts of the context: "level: what was found".
function readFindings(raw) {
  if (raw.doctor.length) return raw.doctor;
  return Object.entries(raw.context).filter(([key]) => key.startsWith("doctor_")).map(([key, text]) => {
    const [, level, found] = /^(\w+): (.*)$/.exec(String(text)) || [null, "unknown", String(text)];
    return {check: key.slice("doctor_".length), level, text: found, remedy: ""};
  });
}

function makeMachine(raw, index) {
  const machine = Object.assign({index}, raw);
  machine.roofs = readRoofs(raw.context);
  machine.findings = readFindings(raw);
  machine.cpu = raw.context.cpu_model || raw.context.host_name || raw.file;
  machine.cases = raw.cases.map((c) => makeCase(c, machine));
  machine.attn = machine.cases.filter((c) => c.kernel && c.gflops > 0);
  return machine;
}

const machines = data.machines.map(makeMachine);
// Names that tell the machines apart: by CPU, then by ISA, then by file.
for (const machine of machines) {
  const same = (other) => other !== machine && other.cpu === machine.cpu;
  machine.name = machines.some(same) ? `${machine.cpu} (${machine.file.replace(/\.json$/, "")})` : machine.cpu;
}
const allCases = machines.flatMap((m) => m.cases);
const attnCases = machines.flatMap((m) => m.attn);

const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const finite = (value) => typeof value === "number" && isFinite(value);
const number = (value, digits) => (finite(value) ? value.toFixed(digits) : "–");
const significant = (value) => !finite(value) ? "–" : Math.abs(value) >= 100 ? value.toFixed(0)
  : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
const percent = (fraction, digits = 1) => (finite(fraction) ? `${(100 * fraction).toFixed(digits)} %` : "–");
const timeText = (ns) => !finite(ns) ? "–" : ns < 1e3 ? `${ns.toFixed(1)} ns` : ns < 1e6 ? `${(ns / 1e3).toFixed(2)} µs`
  : ns < 1e9 ? `${(ns / 1e6).toFixed(2)} ms` : `${(ns / 1e9).toFixed(3)} s`;
const bytesText = (bytes) => bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes / 1024} KiB`;
