"use strict";
// A card for each machine: what it is, what it reached, what speaks against its times.

function keyFigure(value, unit, what, hint) {
  return el("div", {class: "key"}, el("div", {class: "value"}, value, unit ? el("small", {}, ` ${unit}`) : ""),
    el("div", {class: "what"}, what), hint ? el("div", {class: "hint muted", title: hint}, hint) : "");
}

function keyFigures(m) {
  const fastest = m.attn.length && m.attn.reduce((a, b) => (b.gflops > a.gflops ? b : a));
  const withRoof = m.attn.filter((c) => finite(c.roofFraction) && c.family !== "scalar");
  const nearest = withRoof.length && withRoof.reduce((a, b) => (b.roofFraction > a.roofFraction ? b : a));
  const ratios = m.attn.filter((c) => finite(c.xScalar) && (c.family === "streaming" || c.family === "decode")).map((c) => c.xScalar);
  const errors = m.attn.map((c) => c.maxError).filter(finite);
  const wrong = m.leftOut.filter((e) => e.state === "wrong").length;
  return el("div", {class: "keys"},
    fastest ? keyFigure(significant(fastest.gflops), "GFLOP/s", "highest throughput", `${fastest.kernel}, ${fastest.label}, T ${fastest.T}`) : "",
    nearest ? keyFigure(number(100 * nearest.roofFraction, 1), "%", "of the roof, at best", `${nearest.kernel}, ${nearest.label}, T ${nearest.T}`) : "",
    ratios.length ? keyFigure(number(geometricMean(ratios), 1), "×", "the scalar reference", `geometric mean of ${ratios.length} hand-written cases`) : "",
    errors.length ? keyFigure(most(errors).toExponential(1), "", "largest error", "of max|O|, against a float64 oracle") : "",
    keyFigure(String(m.cases.length), "", m.cases.length === 1 ? "case timed" : "cases timed",
      wrong ? `${wrong} WRONG` : m.leftOut.length ? `${m.leftOut.length} left out` : "none left out"));
}

function cachesText(context, topology) {
  const kib = (key) => (topology[key] > 0 ? bytesText(topology[key]) : null);
  const sizes = [["L1d", kib("l1d_bytes")], ["L2", kib("l2_bytes")], ["L3", kib("l3_bytes")]].filter(([, s]) => s);
  if (sizes.length) return sizes.map(([name, s]) => `${name} ${s}`).join(", ");
  const told = /L1d .*? KiB.*?(?=;|$)/.exec(context.topology || "");
  return told ? told[0] : null;
}

function coresText(context, topology) {
  if (topology.cores > 0)
    return [counted(topology.cores, "core"), counted(topology.hardware_threads, "hardware thread"),
      topology.packages > 1 ? `${topology.packages} packages` : "", topology.numa_nodes > 1 ? `${topology.numa_nodes} NUMA nodes` : "",
      topology.kinds > 1 ? `${topology.kinds} kinds of cores` : "", topology.quota > 0 ? `quota ${topology.quota} CPUs` : ""].filter(Boolean).join(", ");
  return context.num_cpus ? counted(context.num_cpus, "CPU") : null;
}

function facts(m) {
  const c = m.context;
  const compiler = c.compiler ? el("span", {title: c.compiler_flags}, c.compiler) : null;
  const list = [["Cores", coresText(c, m.topology)], ["Caches", cachesText(c, m.topology)],
    ["Clock", c.mhz_per_cpu > 0 ? `${(c.mhz_per_cpu / 1000).toFixed(2)} GHz (as the system tells)` : null], ["Features", c.cpu_features], ["Host", c.host_name], ["Measured", c.date],
    ["Commit", c.commit ? el("code", {}, c.commit) : null], ["Compiler", compiler],
    ["Versions", [c.attnbench_version ? `attnbench ${c.attnbench_version}` : "", c.method_version ? `method ${c.method_version}` : ""].filter(Boolean).join(", ")],
    ["File", m.file]];
  return el("dl", {class: "facts"}, list.filter(([, value]) => value).map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

function roofTable(m) {
  const counts = unique([...Object.values(m.roofs.fma).flatMap(Object.keys), ...Object.keys(m.roofs.read)]).sort((a, b) => a - b);
  if (!counts.length) return "";
  const isas = ISAS.filter((isa) => m.roofs.fma[isa]);
  const rows = isas.map((isa) => [`${isa}, GFLOP/s`, ...counts.map((t) => (m.roofs.fma[isa][t] ? significant(m.roofs.fma[isa][t]) : "–"))]);
  if (Object.keys(m.roofs.read).length) rows.push(["reads, GB/s", ...counts.map((t) => (m.roofs.read[t] ? significant(m.roofs.read[t]) : "–"))]);
  return el("div", {}, el("h4", {}, "Roofs"), plainTable(`Roofs of ${m.name}, the best of the run, by threads`, ["<", ...counts.map(threadsText)], rows));
}

function findings(m) {
  if (!m.findings.length) return "";
  const order = ["warning", "note", "unknown", "ok"], rank = (f) => (order.indexOf(f.level) + 4) % 4;
  const sorted = [...m.findings].sort((a, b) => rank(a) - rank(b));
  const item = (f) => el("li", {}, badge(f.level), el("span", {}, el("b", {}, f.check), ` ${f.text}${f.remedy ? "." : ""}`, f.remedy ? el("span", {class: "remedy muted"}, ` To mend it: ${f.remedy}.`) : ""));
  const loud = sorted.filter((f) => f.level === "warning"), quiet = sorted.filter((f) => f.level !== "warning");
  return el("div", {}, el("h4", {}, "Doctor"), loud.length ? el("ul", {class: "findings"}, loud.map(item)) : el("p", {class: "muted"}, "Nothing to warn of."),
    quiet.length ? el("details", {}, el("summary", {}, counted(quiet.length, "more finding")), el("ul", {class: "findings"}, quiet.map(item))) : "");
}

function machineCards() {
  const node = section("machine", machines.length > 1 ? "Machines" : "Machine");
  node.append(el("div", {class: "cards"}, machines.map((m) => el("article", {class: "card", "aria-label": m.name},
    el("h3", {}, machines.length > 1 ? el("span", {class: "swatch", "data-machine": m.index}) : "", m.name), keyFigures(m),
    el("div", {class: "columns"}, facts(m), el("div", {}, roofTable(m), findings(m)))))));
}
