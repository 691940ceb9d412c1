"use strict";
// Puts the page together, and looks after its theme and its print.

const themes = ["auto", "light", "dark"], themeNames = {auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark"};
const storage = { // a page from a file may have none
  get: () => { try { return localStorage.getItem("attnbench-theme"); } catch { return null; } },
  set: (value) => { try { localStorage.setItem("attnbench-theme", value); } catch { /* it lasts as long as the page */ } },
};

function paintSwatches() {
  for (const swatch of document.querySelectorAll(".swatch")) swatch.style.background = machineColour(machines[swatch.dataset.machine]);
}

function redrawAll() {
  for (const d of drawn) d.redraw();
  paintSwatches();
}

function setTheme(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = theme;
  document.getElementById("theme").textContent = themeNames[theme];
  redrawAll();
}

function notices() {
  const box = document.getElementById("notices");
  const add = (level, text) => box.append(el("p", {class: `notice ${level}`, role: "note"}, text));
  for (const line of data.warnings.split("\n").filter(Boolean)) add("warning", line);
  if (!hasCharts) add("warning", "This page was made by a build without Chart.js: every chart is shown as its table.");
  for (const m of machines) {
    const wrong = m.leftOut.filter((e) => e.state === "wrong").length, warnings = m.findings.filter((f) => f.level === "warning");
    if (wrong) add("wrong", `${m.name}: ${counted(wrong, "wrong result")}, not timed; see “Left out”.`);
    if (warnings.length) add("warning", `${m.name}: its times are not fully to be trusted: ${warnings.map((f) => `${f.check} (${f.text})`).join("; ")}.`);
  }
}

const began = performance.now();
let theme = themes.includes(storage.get()) ? storage.get() : "auto";
if (theme !== "auto") document.documentElement.dataset.theme = theme;
document.getElementById("theme").textContent = themeNames[theme];
const title = data.title || (machines.length === 1 ? machines[0].cpu : `${machines.length} results side by side`);
document.title = `${title} · attnbench`;
document.getElementById("title").textContent = title;
document.getElementById("subtitle").textContent = [counted(allCases.length, "case"), machines.length > 1 ? unique(machines.map((m) => m.cpu)).join(", ")
  : machines[0].context.date ? `measured ${machines[0].context.date}` : "", data.made ? `page made ${data.made}` : ""].filter(Boolean).join(" · ");
notices();
machineCards();
if (attnCases.length) { // other programs' cases say nothing that these could show
  rooflineSection();
  lengthSection();
  scalingSection();
  ladderSection();
  machinesSection();
}
trendSection();
casesSection();
leftOutSection();
paintSwatches();
document.getElementById("footer").append(el("p", {}, `attnbench ${data.version}. FLOPs = 2·B·Hq·Sq·Skv·(Dqk+Dv), of causal and windowed cases the visible pairs only; the softmax is not counted. Times are medians of the repetitions. docs/methodology.md of the project says how each figure is measured.`));

document.getElementById("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  storage.set(theme);
  setTheme(theme);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
document.getElementById("print").addEventListener("click", () => print());
addEventListener("beforeprint", () => {
  setTheme("light");
  for (const d of drawn) d.resize(660, 340);
});
addEventListener("afterprint", () => {
  setTheme(theme);
  for (const d of drawn) d.resize();
});
document.documentElement.dataset.ready = Math.round(performance.now() - began);
