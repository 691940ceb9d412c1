"use strict";
// Elements. Text from files only ever becomes text nodes.

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes))
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== ""));
  return node;
}

let ids = 0;
const nextId = (stem) => `${stem}-${++ids}`;

// A labelled <select>. options: [value, text]; changed(value) is called on each change.
function select(label, options, value, changed) {
  const id = nextId("choice");
  const box = el("select", {id, onchange: (e) => changed(e.target.value)},
    options.map(([v, text]) => el("option", {value: v, selected: String(v) === String(value)}, text)));
  return el("span", {class: "choice"}, el("label", {for: id}, label), box);
}

// head: texts, those that begin with "<" stand left. rows: arrays of texts.
function plainTable(caption, head, rows) {
  const left = head.map((h) => h.startsWith("<"));
  const title = (h) => h.replace(/^</, "");
  const cell = (text, i) => el(i === 0 ? "th" : "td", i === 0 ? {scope: "row", class: "left"} : {class: left[i] ? "left" : null}, text);
  return el("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
    el("table", {}, el("caption", {}, caption),
      el("thead", {}, el("tr", {}, head.map((h, i) => el("th", {scope: "col", class: left[i] ? "left" : null}, title(h))))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
}

// A section of the page with its entry in the navigation.
function section(id, title, lead) {
  const node = el("section", {id, "aria-labelledby": `${id}-title`}, el("h2", {id: `${id}-title`}, title),
    lead ? el("p", {class: "lead muted"}, lead) : "");
  document.getElementById("main").append(node);
  document.getElementById("nav").append(el("a", {href: `#${id}`}, title));
  return node;
}

const badge = (level) => el("span", {class: `badge ${/^\w+$/.test(level) ? level : ""}`}, level);

// Colours as the theme in force has them: canvases know no CSS.
const probe = el("span", {hidden: true});
document.body.append(probe);
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}
const withAlpha = (rgb, alpha) => rgb.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);
