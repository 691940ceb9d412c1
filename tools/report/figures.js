"use strict";
// The charts, each from the cases alone.

const byText = (a, b) => String(a).localeCompare(String(b), undefined, {numeric: true});
const machineChoice = (of) => ({key: "machine", label: "Machine", value: of[0].index, options: of.map((m) => [m.index, m.name])});
const threadsText = (t) => counted(Number(t), "thread");
const threadChoice = (cases, value) => {
  const counts = unique(cases.map((c) => c.T)).sort((a, b) => a - b);
  return {key: "threads", label: "Threads", value: value || counts[counts.length - 1], options: counts.map((t) => [t, threadsText(t)])};
};
const casesOn = (index, first) => (index === undefined ? first : machines[index]).attn;
const kernelsOf = (cases) => unique(cases.map((c) => c.kernel)).sort(kernelOrder);
const pointTitle = (items) => (items[0].raw.c ? items[0].raw.c.label : items[0].dataset.label);
const pointLines = (item) => {
  const c = item.raw.c;
  return !c ? `${item.dataset.label}: ${significant(item.parsed.y)}` : [`${c.kernel}, ${threadsText(c.T)}`,
    `${significant(c.gflops)} GFLOP/s, ${percent(c.roofFraction)} of the roof`, `${timeText(c.time)}, ${shapeText(c)}`];
};
const pointTooltip = {callbacks: {title: pointTitle, label: pointLines}};

function rooflineSection() {
  const of = machines.filter((m) => m.attn.some((c) => c.intensity > 0));
  const node = section("roofline", "Roofline", "Every case against the roofs that were measured beside it: how near does it come to the most that this machine allows?");
  if (!of.length) return missing(node, "No case says how many bytes and operations it needs.");
  figure(node, {
    title: "Throughput over arithmetic intensity", height: 460,
    describe: "Throughput in GFLOP/s over arithmetic intensity in FLOP per byte, both logarithmic, with the measured roofs as lines.",
    choices: ({machine}) => [machineChoice(of), threadChoice(casesOn(machine, of[0]))],
    draw(choice) {
      const machine = machines[choice.machine];
      const cases = machine.attn.filter((c) => c.T === Number(choice.threads) && c.intensity > 0);
      const roofs = ISAS.filter((isa) => machine.roofs.fma[isa] && machine.roofs.fma[isa][choice.threads] && cases.some((c) => c.isa === isa));
      const read = machine.roofs.read[choice.threads], xs = cases.map((c) => c.intensity);
      const ridge = (isa) => machine.roofs.fma[isa][choice.threads] / read;
      const left = Math.min(...xs, ...(read ? roofs.map((r) => ridge(r) / 3) : [])) / 1.6, right = most(xs) * 1.8;
      const line = (isa) => {
        const roof = machine.roofs.fma[isa][choice.threads];
        const points = [{x: right, y: roof}]; // roofs that coincide: the thinner line lies on the wider one
        if (read && ridge(isa) > left) points.unshift({x: left, y: left * read}, {x: ridge(isa), y: roof});
        else points.unshift({x: left, y: roof});
        return {label: `${isa} roof ${significant(roof)} GFLOP/s`, data: points, showLine: true, borderColor: withAlpha(colour(ISA_COLOURS[isa]), 0.7),
          borderWidth: 1.5 + ISAS.indexOf(isa) / 2, borderDash: [7, 4], pointRadius: 0, pointHitRadius: 6, pointStyle: "line", order: 2};
      };
      const lowest = Math.min(...cases.map((c) => c.gflops)) / 2, highest = most([...roofs.map((r) => machine.roofs.fma[r][choice.threads]), ...cases.map((c) => c.gflops)]) * 1.5;
      const points = kernelsOf(cases).map((kernel) => Object.assign({label: kernel, order: 1,
        data: cases.filter((c) => c.kernel === kernel).map((c) => ({x: c.intensity, y: c.gflops, c}))}, kernelStyle(kernel)));
      return {
        config: {type: "scatter", data: {datasets: [...points, ...roofs.map(line)]},
          options: {plugins: {tooltip: pointTooltip}, scales: {x: logAxis("arithmetic intensity (FLOP per byte)", {min: left, max: right}), y: logAxis("GFLOP/s", {min: lowest, max: highest})}}},
        note: read ? `Sloped: what ${threadsText(choice.threads)} read from beyond the caches, ${significant(read)} GB/s. Level: multiply-adds of each instruction set, the best of the run; a case's own roof, sampled beside it, stands in the table. Bytes are the least that any algorithm moves.`
          : "This file has no measured roofs.",
        head: ["<case", "<kernel", "FLOP/byte", "GFLOP/s", "FMA roof", "% of FMA roof", "GB/s", "% of the lower roof"],
        rows: cases.map((c) => [c.label, c.kernel, significant(c.intensity), significant(c.gflops), significant(c.fmaRoof / 1e9),
          number(100 * c.fmaFraction, 1), significant(c.gbytes), number(100 * c.roofFraction, 1)]),
      };
    },
  });
}

// Cases that differ in the length only, or in the heads as well.
const lengthFamily = (c) => [c.Sq < c.Skv && c.Sq <= 8 ? "decode" : c.Sq === c.Skv ? "prefill" : "cross", c.dtype, headSizeText(c), c.mask].join(" · ");

function lengthSection() {
  const node = section("lengths", "Sequence length", "Throughput over the number of keys.");
  const family = (name, cases) => ({name, cases, lengths: unique(cases.map((c) => c.Skv)).length});
  const families = [...groupBy(attnCases, lengthFamily)].map(([name, cases]) => family(name, cases))
    .filter((f) => f.lengths > 1).sort((a, b) => b.lengths - a.lengths || b.cases.length - a.cases.length);
  const all = family("all problems", attnCases);
  if (all.lengths < 2) return missing(node, "All cases have the same number of keys. More lengths come with", "attnbench run --preset full");
  if (!families.length || families[0].lengths < 3) families.unshift(all);
  else if (families.length > 1) families.push(all);
  figure(node, {
    title: "Throughput by number of keys",
    describe: "GFLOP/s over the number of keys, one line for each kernel.",
    choices: ({family, machine}) => [{key: "family", label: "Problems", value: 0, options: families.map((f, i) => [i, f.name])},
      machineChoice(machines.filter((m) => families[family || 0].cases.some((c) => c.machine === m))),
      threadChoice(families[family || 0].cases.filter((c) => c.machine.index === Number(machine)))],
    draw(choice) {
      const cases = families[choice.family].cases.filter((c) => c.machine === machines[choice.machine] && c.T === Number(choice.threads))
        .sort((a, b) => a.Skv - b.Skv);
      const lines = kernelsOf(cases).map((kernel) => Object.assign({label: kernel, showLine: true,
        data: cases.filter((c) => c.kernel === kernel).map((c) => ({x: c.Skv, y: c.gflops, c}))}, kernelStyle(kernel)));
      const xs = unique(cases.map((c) => c.Skv)), range = {min: Math.min(...xs) / 1.2, max: most(xs) * 1.2};
      const powers = Array.from({length: 40}, (_, i) => 2 ** i).filter((v) => v >= range.min && v <= range.max);
      const apart = xs.filter((x, i) => i === 0 || x > 1.25 * xs[i - 1]);
      const ticks = xs.length <= 12 ? apart : powers;
      return {
        config: {type: "scatter", data: {datasets: lines}, options: {plugins: {tooltip: pointTooltip}, scales: {
          x: axis("keys (Skv)", Object.assign({type: "logarithmic", ticks: {callback: lengthTick, autoSkip: false, maxRotation: 0},
            afterBuildTicks: (scale) => { scale.ticks = ticks.map((value) => ({value})); }}, range)),
          y: axis("GFLOP/s", {beginAtZero: true})}}},
        note: cases.length ? "Heads, batches and masks may differ from point to point; hover, or open the table." : "No such case on this machine with this number of threads.",
        head: ["<case", "<kernel", "queries", "keys", "heads", "GFLOP/s", "% of the roof"],
        rows: cases.map((c) => [c.label, c.kernel, c.Sq, c.Skv, headsText(c), significant(c.gflops), number(100 * c.roofFraction, 1)]),
      };
    },
  });
}

function scalingLines(speedups, threads, highest) {
  const lines = speedups.map((s) => Object.assign({label: s.kernel, showLine: true, data: s.points}, kernelStyle(s.kernel)));
  const ideal = {label: "ideal", data: [{x: 1, y: 1}, {x: highest, y: highest}], showLine: true, borderColor: colour("muted"), borderDash: [4, 4],
    borderWidth: 1.5, pointRadius: 0, pointStyle: "line"};
  const tooltip = {callbacks: {title: (items) => threadsText(items[0].parsed.x),
    label: (i) => `${i.dataset.label}: ${number(i.parsed.y, 2)} x, efficiency ${percent(i.parsed.y / i.parsed.x, 0)}`}};
  return {type: "scatter", data: {datasets: [...lines, ideal]}, options: {plugins: {tooltip}, scales: {
    x: axis("threads", {min: 1, max: highest, ticks: {callback: (v) => (threads.includes(v) ? v : ""), stepSize: 1, autoSkip: highest > 24, maxRotation: 0}}),
    y: axis("speed-up", {min: 0})}}};
}

// Of two thread counts a line would say no more than its end does.
function scalingBars(speedups, highest) {
  const last = speedups.map((s) => s.points[s.points.length - 1].y), styles = speedups.map((s) => kernelStyle(s.kernel));
  const tooltip = {callbacks: {label: (i) => `${number(last[i.dataIndex], 2)} x on ${highest} threads, efficiency ${percent(last[i.dataIndex] / highest, 0)}`}};
  return {type: "bar", data: {labels: speedups.map((s) => s.kernel), datasets: [{label: "speed-up", data: last, backgroundColor: styles.map((s) => s.backgroundColor),
    borderColor: styles.map((s) => s.borderColor), borderWidth: 1.5, borderRadius: 4, barPercentage: 0.7}]},
    options: {indexAxis: "y", layout: roomForEnds, plugins: {legend: {display: false}, tooltip, ends: {texts: [last.map((v) => number(v, 2))]}},
      scales: {x: axis(`speed-up of ${highest} threads (ideal: ${highest})`, {min: 0, suggestedMax: highest}),
      y: axis("", {title: {display: false}, ticks: labelTicks(), grid: {display: false}})}}};
}

function scalingSection() {
  const node = section("scaling", "Thread scaling", "How much faster more threads are than one, over the cases that ran on both.");
  const pairs = attnCases.map((c) => ({c, one: c.machine.attn.find((o) => o.T === 1 && o.kernel === c.kernel && shapeKey(o) === shapeKey(c))}))
    .filter((p) => p.one);
  if (!pairs.some((p) => p.c.T > 1)) return missing(node, "No case ran on one thread and on more. A sweep comes with", "attnbench run --scaling");
  const of = machines.filter((m) => pairs.some((p) => p.c.machine === m && p.c.T > 1));
  figure(node, {
    title: "Speed-up over one thread", describe: "Speed-up over the number of threads, one line for each kernel, beside the ideal.",
    choices: ({machine}) => [machineChoice(of), {key: "label", label: "Case", value: "", options: [["", "all, geometric mean"],
      ...unique(pairs.filter((p) => p.c.machine.index === Number(machine) && p.c.T > 1).map((p) => p.c.label)).map((l) => [l, l])]}],
    draw(choice) {
      const mine = pairs.filter((p) => p.c.machine === machines[choice.machine] && (!choice.label || p.c.label === choice.label));
      const threads = unique(mine.map((p) => p.c.T)).sort((a, b) => a - b), highest = threads[threads.length - 1];
      const ratio = (p) => p.one.time / p.c.time;
      const speedups = kernelsOf(mine.map((p) => p.c)).map((kernel) => {
        const byThreads = groupBy(mine.filter((p) => p.c.kernel === kernel), (p) => p.c.T);
        return {kernel, points: [...byThreads].sort((a, b) => a[0] - b[0]).map(([t, group]) => ({x: t, y: geometricMean(group.map(ratio))}))};
      }).filter((s) => s.points.length > 1);
      return {
        config: threads.length > 2 ? scalingLines(speedups, threads, highest) : scalingBars(speedups, highest),
        height: threads.length > 2 ? 380 : 100 + 34 * speedups.length,
        head: ["<case", "<kernel", "threads", "GFLOP/s", "speed-up", "efficiency"],
        rows: mine.filter((p) => p.c.T > 1).map((p) => [p.c.label, p.c.kernel, p.c.T, significant(p.c.gflops), number(ratio(p), 2), percent(ratio(p) / p.c.T, 0)]),
      };
    },
  });
}

function ladderSection() {
  const node = section("ladder", "Kernel ladder", "What each step brings: from the scalar reference over the compiler's vectoriser to the hand-written kernels.");
  const shapes = [...groupBy(attnCases, (c) => `${c.machine.index}|${shapeKey(c)}|${c.T}`)].map(([, cases]) => cases).filter((cases) => cases.length > 1);
  if (!shapes.length) return missing(node, "No problem was solved by more than one kernel. All of them come with", "attnbench run --preset models");
  shapes.sort((a, b) => b.length - a.length);
  const of = machines.filter((m) => shapes.some((s) => s[0].machine === m));
  const on = (machine, label) => shapes.filter((s) => s[0].machine.index === Number(machine) && (label === undefined || s[0].label === label));
  figure(node, {
    title: "Throughput of each kernel", describe: "Throughput of each kernel on one problem, as bars.",
    choices: ({machine = of[0].index, label}) => [machineChoice(of),
      {key: "label", label: "Problem", value: on(machine)[0][0].label, options: unique(on(machine).map((s) => s[0].label)).map((l) => [l, l])},
      threadChoice(on(machine, label).flat())],
    draw(choice) {
      const cases = (shapes.find((s) => s[0].label === choice.label && s[0].machine.index === Number(choice.machine) && s[0].T === Number(choice.threads)) || [])
        .slice().sort((a, b) => a.gflops - b.gflops);
      const styles = cases.map((c) => kernelStyle(c.kernel)), slowest = cases[0];
      const reference = cases.find((c) => c.family === "scalar") || slowest;
      const tooltip = {callbacks: {label: (i) => `${significant(cases[i.dataIndex].gflops)} GFLOP/s, ${number(reference.time / cases[i.dataIndex].time, 1)} x ${reference.kernel}`}};
      return {
        height: 90 + 44 * Math.max(cases.length, 2),
        config: {type: "bar", data: {labels: cases.map((c) => c.kernel), datasets: [{label: "GFLOP/s", data: cases.map((c) => c.gflops),
          backgroundColor: styles.map((s) => s.backgroundColor), borderColor: styles.map((s) => s.borderColor), borderWidth: 1.5, borderRadius: 4, barPercentage: 0.8, categoryPercentage: 0.9}]},
          options: {indexAxis: "y", layout: roomForEnds, plugins: {legend: {display: false}, tooltip, ends: {texts: [cases.map((c) => `${number(reference.time / c.time, 1)} ×`)]}},
            scales: {x: axis("GFLOP/s", {beginAtZero: true}), y: axis("", {title: {display: false}, ticks: labelTicks(), grid: {display: false}})}}},
        note: cases.length ? `${shapeText(cases[0])}, ${threadsText(choice.threads)}. × ${reference.kernel}.` : "No such cases.",
        head: ["<kernel", "median", "GFLOP/s", `x ${reference ? reference.kernel : "slowest"}`, "% of the roof", "max error"],
        rows: cases.map((c) => [c.kernel, timeText(c.time), significant(c.gflops), number(reference.time / c.time, 1), number(100 * c.roofFraction, 1), finite(c.maxError) ? c.maxError.toExponential(1) : "–"]),
      };
    },
  });
}

const METRICS = {
  gflops: ["GFLOP/s", (c) => c.gflops],
  core: ["GFLOP/s per thread", (c) => c.gflops / c.T],
  ghz: ["GFLOP/s per thread and GHz", (c) => c.gflops / c.T / (c.machine.context.mhz_per_cpu / 1000)],
  roof: ["% of the lower roof", (c) => 100 * c.roofFraction],
  gbytes: ["GB/s", (c) => c.gbytes],
  tokens: ["tokens/s", (c) => c.tokensPerS],
  time: ["time (µs)", (c) => c.time / 1e3],
};

// The best kernel of each machine for each problem: kernels of different instruction sets have different names.
function machinesSection() {
  if (machines.length < 2) return;
  const node = section("machines", "Side by side", "The fastest kernel of each machine on the problems that all of them solved.");
  const of = machines.filter((m) => m.attn.length);
  const threadsOf = (m, all) => (all ? most(m.attn.map((c) => c.T)) : 1);
  const best = (m, all) => new Map([...groupBy(m.attn.filter((c) => c.T === threadsOf(m, all)), shapeKey)]
    .map(([key, cases]) => [key, cases.reduce((a, b) => (b.time < a.time ? b : a))]));
  const common = (all) => {
    const maps = of.map((m) => best(m, all));
    return of.length < 2 ? [] : [...maps[0].keys()].filter((key) => maps.every((map) => map.has(key))).map((key) => maps.map((map) => map.get(key)));
  };
  const scopes = [["all", "all threads of each"], ["one", "one thread"]].filter(([scope]) => common(scope === "all").length);
  if (!scopes.length) return missing(node, "No problem was solved by all of them with the same number of threads, or with all threads of each.");
  figure(node, {
    title: "Fastest kernel of each machine", describe: "Bars for each problem, one for each machine.",
    choices: () => [{key: "metric", label: "Figure", value: "gflops", options: Object.entries(METRICS).map(([k, [text]]) => [k, text])},
      {key: "scope", label: "On", value: scopes[0][0], options: scopes}],
    draw(choice) {
      const [name, value] = METRICS[choice.metric], rows = common(choice.scope === "all").filter((row) => row.some((c) => finite(value(c))));
      const shown = rows.slice(0, 24);
      const tooltip = {callbacks: {label: (i) => {
        const c = shown[i.dataIndex][i.datasetIndex];
        return `${c.machine.name}: ${significant(value(c))} (${c.kernel}, ${threadsText(c.T)})`;
      }}};
      return {
        height: 110 + shown.length * (14 + 20 * of.length),
        config: {type: "bar", data: {labels: shown.map((row) => row[0].label), datasets: of.map((m, i) => ({label: m.name, data: shown.map((row) => value(row[i])),
          backgroundColor: withAlpha(machineColour(m), 0.85), borderColor: machineColour(m), borderWidth: 1, borderRadius: 3, pointStyle: "rectRounded"}))},
          options: {indexAxis: "y", layout: roomForEnds, plugins: {tooltip, legend: {position: "top", align: "start"}, ends: {texts: of.map((m, i) => shown.map((row) => significant(value(row[i]))))}}, scales: {x: axis(name, {beginAtZero: true}), y: axis("", {title: {display: false}, ticks: labelTicks(), grid: {display: false}})}}},
        note: [rows.length > shown.length ? `The first ${shown.length} of ${rows.length} problems; the table has all. ` : "",
          choice.metric === "ghz" ? "GHz as the system tells it, which need not be the clock under this load. " : "",
          ...of.map((m, i) => `${m.name}: ${significant(geometricMean(rows.map((row) => value(row[i])).filter(finite)))}`).join(", "),
          ` ${name}, geometric mean of ${rows.length}.`].join(""),
        head: ["<problem", ...of.map((m) => m.name), ...of.slice(1).map((m) => `${m.name} / ${of[0].name}`)],
        rows: rows.map((row) => [`${row[0].label} (${shapeText(row[0])})`, ...row.map((c) => significant(value(c))), ...row.slice(1).map((c) => number(value(c) / value(row[0]), 2))]),
      };
    },
  });
}
