"use strict";
// Charts: what is common to all of them. Each is a figure with its choices above, the canvas, and the same as a table.

const hasCharts = typeof Chart !== "undefined";
const drawn = []; // redraw functions, for a change of theme
if (hasCharts) {
  Chart.defaults.animation = false;
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  Chart.defaults.font.size = 12;
  Chart.defaults.maintainAspectRatio = false;
  Chart.defaults.plugins.tooltip.padding = 10;
  Chart.defaults.plugins.tooltip.cornerRadius = 6;
  Chart.defaults.plugins.legend.labels.usePointStyle = true;
  Chart.defaults.plugins.legend.labels.boxWidth = 8;
  Chart.defaults.plugins.legend.labels.boxHeight = 8;
  Chart.defaults.plugins.legend.labels.padding = 14;
}

const ISA_COLOURS = {scalar: "c-grey", neon: "c-purple", avx2: "c-teal", avx512: "c-blue", avx512bf16: "c-orange", other: "c-red"};
const FAMILY_POINTS = {streaming: "circle", decode: "triangle", naive: "rectRot", autovec: "rect", scalar: "crossRot"};
const MACHINE_COLOURS = ["c-blue", "c-orange", "c-teal", "c-purple", "c-red", "c-yellow", "c-cyan", "c-grey"];
const machineColour = (m) => colour(MACHINE_COLOURS[m.index % MACHINE_COLOURS.length]);

// How a kernel looks in every chart: colour by instruction set, lighter where the compiler or the naive algorithm is at work.
function kernelStyle(kernel) {
  const family = familyOf(kernel), base = colour(ISA_COLOURS[isaOf(kernel)]);
  const faint = family === "autovec" || family === "naive";
  return {
    borderColor: base, backgroundColor: faint ? withAlpha(base, 0.35) : base, pointStyle: FAMILY_POINTS[family],
    borderDash: family === "autovec" ? [2, 3] : family === "naive" ? [6, 4] : [], borderWidth: 2, pointRadius: 5,
    pointHoverRadius: 7, pointBorderWidth: 1.5, pointBackgroundColor: faint ? withAlpha(base, 0.15) : withAlpha(base, 0.75),
    pointBorderColor: base,
  };
}

const kernelOrder = (a, b) =>
  ISAS.indexOf(isaOf(a)) - ISAS.indexOf(isaOf(b)) || familyOf(a).localeCompare(familyOf(b)) || a.localeCompare(b);

function axis(title, more = {}) {
  const {ticks, ...rest} = more;
  return Object.assign({
    title: {display: true, text: title, color: colour("muted"), font: {weight: "500"}},
    grid: {color: colour("grid"), borderColor: colour("line"), tickLength: 4},
    ticks: Object.assign({color: colour("muted")}, ticks),
  }, rest);
}

// 1, 2 and 5 of each decade, or only the decades where many are in sight.
function logAxis(title, more = {}) {
  const tick = (value, index, ticks) => {
    const decades = Math.log10(ticks[ticks.length - 1].value / ticks[0].value);
    const lead = Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9));
    return lead === 1 || (decades < 3.2 && (lead === 2 || lead === 5)) ? String(+value.toPrecision(3)) : "";
  };
  return axis(title, Object.assign({type: "logarithmic", ticks: {callback: tick, autoSkip: false, maxRotation: 0}}, more));
}

function lengthTick(value) {
  return Number.isInteger(Math.log2(value)) ? (value >= 1024 ? `${value / 1024}k` : String(value)) : "";
}

// options: title, describe (for who cannot see it), height, choices: [{key, label, options: [[value, text]], value}],
// draw(choice) -> {config, head, rows, note}. config: Chart.js; head and rows: the same figures as a table.
function figure(parent, options) {
  const choice = Object.fromEntries((options.choices || []).map((c) => [c.key, String(c.value)]));
  const canvas = el("canvas", {role: "img", "aria-label": `${options.title}. ${options.describe} The table below has the same figures.`});
  const holder = el("div", {class: "canvas"}, canvas);
  const note = el("p", {class: "note muted"}), table = el("div");
  const details = el("details", {ontoggle: () => fill()}, el("summary", {}, `${options.title} as a table`), table);
  let chart = null, last = null;
  const fill = () => {
    if (details.open) table.replaceChildren(plainTable(options.title, last.head, last.rows));
  };
  const redraw = () => {
    last = options.draw(choice);
    note.replaceChildren(last.note || "");
    fill();
    if (chart) chart.destroy();
    chart = null;
    if (!hasCharts) return;
    holder.style.height = `${last.height || options.height || 380}px`;
    last.config.options = Object.assign({responsive: true}, last.config.options);
    const plugins = last.config.options.plugins = last.config.options.plugins || {};
    const label = {color: colour("ink")};
    plugins.legend = Object.assign({position: "bottom"}, plugins.legend);
    plugins.legend.labels = Object.assign(label, plugins.legend.labels);
    plugins.tooltip = Object.assign({backgroundColor: colour("tip"), titleColor: colour("tip-ink"), bodyColor: colour("tip-ink")}, plugins.tooltip);
    chart = new Chart(canvas, last.config);
  };
  const controls = (options.choices || []).filter((c) => c.options.length > 1).map((c) => select(c.label, c.options, c.value, (v) => {
    choice[c.key] = v;
    redraw();
  }));
  details.open = !hasCharts;
  parent.append(el("figure", {}, el("figcaption", {}, el("span", {class: "figure-title"}, options.title),
    el("span", {class: "choices"}, controls)), hasCharts ? holder : "", note, details));
  redraw();
  drawn.push({redraw, resize: (w, h) => chart && (w ? chart.resize(w, h) : chart.resize())});
}

const missing = (parent, text, command) =>
  parent.append(el("p", {class: "empty muted"}, text, command ? " " : "", command ? el("code", {}, command) : ""));
