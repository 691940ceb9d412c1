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

const ISA_COLOURS = {scalar: "c-grey", neon: "c-purple", neonbf16: "c-red", avx2: "c-teal", avx512: "c-blue", avx512bf16: "c-orange", amx: "c-yellow", other: "c-cyan"};
const FAMILY_POINTS = {streaming: "circle", decode: "triangle", naive: "rectRot", autovec: "rect", scalar: "crossRot"};
const MACHINE_COLOURS = ["c-blue", "c-orange", "c-teal", "c-purple", "c-red", "c-yellow", "c-cyan", "c-grey"];
const machineColour = (m) => colour(MACHINE_COLOURS[m.index % MACHINE_COLOURS.length]);

// Text behind the end of each bar: plugins.ends = {texts}, by dataset and bar.
if (hasCharts) Chart.register({id: "ends", afterDatasetsDraw(chart, args, options) {
  const context = chart.ctx;
  context.save();
  context.font = `500 12px ${Chart.defaults.font.family}`;
  context.fillStyle = colour("ink");
  context.textBaseline = "middle";
  (options.texts || []).forEach((texts, dataset) => chart.getDatasetMeta(dataset).data.forEach((bar, i) => {
    if (chart.isDatasetVisible(dataset) && texts[i]) context.fillText(texts[i], bar.x + 7, bar.y + 0.5);
  }));
  context.restore();
}});
const roomForEnds = {padding: {right: 64}};

// How a kernel looks in every chart: colour by instruction set, lighter where the compiler or the naive algorithm is at work.
function kernelStyle(kernel) {
  const family = familyOf(kernel), base = colour(ISA_COLOURS[isaOf(kernel)]);
  const faint = family === "autovec" || family === "naive";
  const radius = family === "scalar" ? 5 : 3.2 + ISAS.indexOf(isaOf(kernel)) * 0.9; // of two that coincide, the smaller one lies on top
  return {
    borderColor: base, backgroundColor: faint ? withAlpha(base, 0.35) : base, pointStyle: FAMILY_POINTS[family],
    borderDash: family === "autovec" ? [2, 3] : family === "naive" ? [6, 4] : [], borderWidth: 2, pointRadius: radius,
    pointHoverRadius: radius + 2, pointBorderWidth: 1.5, pointBackgroundColor: faint ? withAlpha(base, 0.15) : withAlpha(base, 0.6),
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
    const lead = +(value / 10 ** Math.floor(Math.log10(value) + 1e-9)).toPrecision(6);
    return lead === 1 || (decades < 3.2 && (lead === 2 || lead === 5)) ? String(+value.toPrecision(3)) : "";
  };
  return axis(title, Object.assign({type: "logarithmic", ticks: {callback: tick, autoSkip: false, maxRotation: 0}}, more));
}

const labelTicks = () => ({color: colour("ink"), font: {size: innerWidth < 600 ? 10 : 12}}); // names of kernels must fit
const lengthTick = (value) => (value >= 1024 && value % 1024 === 0 ? `${value / 1024}k` : String(value));

// options: title, describe (for who cannot see it), height, choices(choice) -> [{key, label, options: [[value, text]], value}],
// which may depend on what is chosen so far, draw(choice) -> {config, head, rows, note, height}. config: Chart.js; head and
// rows: the same figures as a table.
function figure(parent, options) {
  const choice = {}, controls = el("span", {class: "choices"});
  const canvas = el("canvas", {role: "img", "aria-label": `${options.title}. ${options.describe} The table below has the same figures.`});
  const holder = el("div", {class: "canvas"}, canvas), note = el("p", {class: "note muted"}), table = el("div");
  const details = el("details", {ontoggle: () => fill()}, el("summary", {}, `${options.title} as a table`), table);
  let chart = null, last = null;
  const fill = () => {
    if (details.open) table.replaceChildren(plainTable(options.title, last.head, last.rows));
  };
  // A choice stays where it is still to be had, otherwise it falls back to the default.
  const choose = (focused) => {
    const offered = [];
    for (let i = 0; ; i++) {
      const c = options.choices(choice)[i];
      if (!c) break;
      if (!c.options.some(([v]) => String(v) === choice[c.key])) choice[c.key] = String(c.value);
      offered.push(c);
    }
    controls.replaceChildren(...offered.filter((c) => c.options.length > 1).map((c) => select(c.label, c.options, choice[c.key], (v) => {
      choice[c.key] = v;
      choose(c.label);
      redraw();
    })));
    const label = [...controls.querySelectorAll("label")].find((l) => l.textContent === focused);
    if (label) document.getElementById(label.htmlFor).focus();
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
    plugins.legend = Object.assign({position: "bottom"}, plugins.legend);
    plugins.legend.labels = Object.assign({color: colour("ink")}, plugins.legend.labels);
    plugins.tooltip = Object.assign({backgroundColor: colour("tip"), titleColor: colour("tip-ink"), bodyColor: colour("tip-ink")}, plugins.tooltip);
    chart = new Chart(canvas, last.config);
  };
  details.open = !hasCharts;
  parent.append(el("figure", {}, el("figcaption", {}, el("span", {class: "figure-title"}, options.title), controls),
    hasCharts ? holder : "", note, details));
  choose(null);
  redraw();
  drawn.push({redraw, resize: (w, h) => chart && (w ? chart.resize(w, h) : chart.resize())});
}

const missing = (parent, text, command) =>
  parent.append(el("p", {class: "empty muted"}, text, command ? " " : "", command ? el("code", {}, command) : ""));
