"use strict";
// The table of all cases: sorted by any column, filtered by text and by choice.

const share = (fraction) => {
  const bar = el("span", {class: "gauge", "aria-hidden": "true"}, el("span", {}));
  bar.firstChild.style.width = `${Math.max(0, Math.min(1, fraction)) * 100}%`;
  return el("span", {class: "share"}, bar, number(100 * fraction, 1));
};

// title, value to sort by, cell; left: a text column. Columns without any value are not shown.
const COLUMNS = [
  {title: "machine", value: (c) => c.machine.name, left: true, shown: () => machines.length > 1},
  {title: "case", value: (c) => c.label, left: true, cell: (c) => el("span", {title: c.name}, c.label)},
  {title: "kernel", value: (c) => c.kernel, left: true, cell: (c) => (c.kernel ? el("code", {}, c.kernel) : "–")},
  {title: "shape", value: (c) => (c.kernel ? shapeText(c) : undefined), left: true},
  {title: "T", value: (c) => c.T},
  {title: "median", value: (c) => c.time, cell: (c) => timeText(c.time), hint: "of the repetitions"},
  {title: "± %", value: (c) => c.cv, cell: (c) => number(100 * c.cv, 1), hint: "coefficient of variation of the repetitions"},
  {title: "GFLOP/s", value: (c) => c.gflops, cell: (c) => significant(c.gflops)},
  {title: "% FMA roof", value: (c) => c.fmaFraction, cell: (c) => (finite(c.fmaFraction) ? share(c.fmaFraction) : "–"), hint: "of the multiply-adds that as many cores reached beside the case"},
  {title: "GB/s", value: (c) => c.gbytes, cell: (c) => significant(c.gbytes), hint: "Q, K, V, mask and O once each"},
  {title: "% lower roof", value: (c) => c.roofFraction, cell: (c) => number(100 * c.roofFraction, 1), hint: "of the most that memory and multiply-adds together allow",
    shown: () => attnCases.some((c) => Math.abs(c.roofFraction - c.fmaFraction) > 0.001)},
  {title: "tokens/s", value: (c) => c.tokensPerS, cell: (c) => significant(c.tokensPerS)},
  {title: "x scalar", value: (c) => c.xScalar, cell: (c) => number(c.xScalar, 1), hint: "times as fast as the scalar reference on as many threads"},
  {title: "x autovec", value: (c) => c.xAutovec, cell: (c) => number(c.xAutovec, 1), hint: "times as fast as what the compiler vectorises"},
  {title: "max error", value: (c) => c.maxError, cell: (c) => (finite(c.maxError) ? c.maxError.toExponential(1) : "–"), hint: "of max|O|, against a float64 oracle"},
];

function casesSection() {
  const node = section("cases", "All cases");
  const has = (column) => allCases.some((c) => (column.left ? column.value(c) : finite(column.value(c))));
  const columns = COLUMNS.filter((column) => (column.shown ? column.shown() : has(column)));
  const rows = allCases.map((c) => ({c, row: el("tr", {}, columns.map((column) => el("td", {class: column.left ? "left" : null},
    column.cell ? column.cell(c) : column.value(c) === undefined ? "–" : String(column.value(c))))), text: `${c.name} ${c.label} ${c.kernel ? shapeText(c) : ""} ${c.machine.name}`.toLowerCase()}));
  const state = {text: "", machine: "", kernel: "", threads: "", column: null, up: true};
  const count = el("p", {class: "muted", role: "status", "aria-live": "polite"}), body = el("tbody");
  const choices = (label, key, values, text = String) => values.length < 2 ? "" : select(label, [["", "all"], ...values.map((v) => [v, text(v)])], "", (v) => {
    state[key] = v;
    show();
  });
  const compare = (a, b) => {
    const x = state.column.value(a.c), y = state.column.value(b.c);
    const missing = (v) => v === undefined || (typeof v === "number" && !isFinite(v));
    if (missing(x) || missing(y)) return missing(x) - missing(y); // last in either direction
    return (state.column.left ? byText(x, y) : x - y) * (state.up ? 1 : -1);
  };
  const show = () => {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = rows.filter((r) => words.every((w) => r.text.includes(w)) && (!state.machine || r.c.machine.index === Number(state.machine)) &&
      (!state.kernel || r.c.kernel === state.kernel) && (!state.threads || r.c.T === Number(state.threads)));
    if (state.column) chosen.sort(compare);
    body.replaceChildren(...chosen.map((r) => r.row));
    count.textContent = chosen.length === rows.length ? counted(rows.length, "case") : `${chosen.length} of ${rows.length} cases`;
  };
  const heads = columns.map((column) => {
    const th = el("th", {scope: "col", class: column.left ? "left" : null, "aria-sort": "none"}, el("button", {type: "button", title: column.hint, onclick: () => {
      state.up = state.column === column ? !state.up : column.left || column.title === "median";
      state.column = column;
      for (const other of heads) other.setAttribute("aria-sort", "none");
      th.setAttribute("aria-sort", state.up ? "ascending" : "descending");
      show();
    }}, column.title));
    return th;
  });
  const id = nextId("filter");
  node.append(el("div", {class: "choices filters"}, el("span", {class: "choice grow"}, el("label", {for: id}, "Filter"),
    el("input", {id, type: "search", placeholder: "words of the name, such as causal D128", oninput: (e) => {
      state.text = e.target.value;
      show();
    }})), machines.length > 1 ? choices("Machine", "machine", machines.map((m) => String(m.index)), (i) => machines[i].name) : "",
    choices("Kernel", "kernel", kernelsOf(attnCases)), choices("Threads", "threads", unique(attnCases.map((c) => c.T)).sort((a, b) => a - b))),
  count, el("div", {class: "scroll tall", tabindex: 0, role: "region", "aria-label": "All cases"},
    el("table", {id: "table"}, el("caption", {}, "A heading sorts by its column, a second time in the other direction."), el("thead", {}, el("tr", {}, heads)), body)));
  show();
}

function leftOutSection() {
  const rows = machines.flatMap((m) => m.leftOut.map((e) => [e.name || "–", e.state || "–", e.reason || "–", m.name]));
  if (!rows.length) return;
  const node = section("left-out", "Left out", "Cases without a time, and why.");
  node.append(plainTable("Cases without a time", ["<case", "<state", "<reason", "<machine"], rows));
}
