"use strict";
// How cases went over the runs of a history, and where they changed for good (E-divisive, by `attnbench history`).

const changeText = (change) => {
  const by = Math.abs(change.ratio - 1) * 100;
  const what = `${by.toFixed(1)} % ${change.ratio > 1 ? "slower" : "faster"}`;
  const where = [change.commit_before, change.commit_after].filter(Boolean).map((c) => String(c).slice(0, 12)).join(" → ");
  return change.binary_unchanged ? `${what}, with the same program: something else changed` : where ? `${what}, ${where}` : what;
};
const size = (series) => most([0, ...series.changes.map((c) => Math.abs(Math.log(c.ratio)))]);

function seriesTitle(series) {
  const c = Object.assign({}, parseName(series.name));
  return c.kernel ? `${c.kernel} ${shapeText(c)} T${c.T}` : series.name;
}

// The median of the points between two changes, at each of them.
function levels(series) {
  const cuts = [0, ...series.changes.map((c) => c.at), series.points.length];
  return cuts.slice(1).flatMap((end, i) => {
    const part = series.points.slice(cuts[i], end), level = median(part.map((p) => p.median_ns));
    return part.map(() => level);
  });
}

function trendSection() {
  if (!Array.isArray(data.history)) return;
  const node = section("trend", "Trend", "Times over the runs of the history. Steps are changes that lasted.");
  const all = data.history.filter((s) => s.points.length > 1).sort((a, b) => size(b) - size(a) || byText(a.name, b.name));
  if (!all.length) return missing(node, "No case of this page has two runs in the history. A run is added with", "attnbench history add FILE.json");
  const changed = all.filter((s) => s.changes.length);
  figure(node, {
    title: "Median time of each run", height: 340, describe: "Median time of each run with its interval, the level between changes, and the changes.",
    choices: () => [{key: "series", label: "Case", value: 0, options: all.map((s, i) =>
      [i, `${s.changes.length ? "● " : ""}${seriesTitle(s)}${unique(all.map((o) => o.machine)).length > 1 ? ` on ${s.machine}` : ""}`])}],
    draw(choice) {
      const series = all[choice.series], points = series.points, scale = most(points.map((p) => p.median_ns)) >= 1e6 ? 1e6 : 1e3;
      const unit = scale === 1e6 ? "ms" : "µs", at = (value) => (finite(value) ? value / scale : null);
      const blue = colour("c-blue"), orange = colour("c-orange");
      const changes = points.map((p, i) => (series.changes.some((c) => c.at === i) ? at(p.median_ns) : null));
      const band = {borderWidth: 0, pointRadius: 0, pointHitRadius: 0, backgroundColor: withAlpha(blue, 0.15), spanGaps: true};
      const tooltip = {filter: (i) => i.datasetIndex < 2, callbacks: {
        title: (items) => (items.length ? `${points[items[0].dataIndex].date}, ${String(points[items[0].dataIndex].commit || "no commit").slice(0, 12)}` : ""),
        label: (i) => {
          const change = series.changes.find((c) => c.at === i.dataIndex);
          return i.datasetIndex === 0 ? (change ? changeText(change) : "") : timeText(points[i.dataIndex].median_ns);
        }}};
      return {
        config: {type: "line", data: {labels: points.map((p) => String(p.date || "").slice(0, 10)), datasets: [
          {label: "change", data: changes, showLine: false, pointStyle: "triangle", pointRadius: 9, borderColor: orange, backgroundColor: orange, pointHoverRadius: 10},
          {label: "median of a run", data: points.map((p) => at(p.median_ns)), borderColor: blue, backgroundColor: blue, borderWidth: 1, pointRadius: 3, pointStyle: "circle"},
          {label: "level", data: levels(series).map(at), borderColor: orange, backgroundColor: orange, borderWidth: 2, pointRadius: 0, stepped: "middle", pointStyle: "line"},
          ...(points.some((p) => finite(p.low_ns)) ? [
            Object.assign({label: "95 % interval", data: points.map((p) => at(p.high_ns)), fill: "+1", pointStyle: "rect"}, band),
            Object.assign({label: "", data: points.map((p) => at(p.low_ns))}, band)] : [])]},
          options: {interaction: {mode: "index", intersect: false}, plugins: {tooltip, legend: {labels: {filter: (item) => item.text !== ""}}},
            scales: {x: axis("run", {ticks: {maxRotation: 0, autoSkipPadding: 24}, grid: {display: false}}), y: axis(`time (${unit})`)}}},
        note: series.changes.length ? `${series.changes.map(changeText).join("; ")}.` : `No change beyond the noise of ${percent(series.noise)} in ${points.length} runs.`,
        head: ["<date", "<commit", "median", "from", "to", "<change"],
        rows: points.map((p, i) => [p.date || "–", String(p.commit || "–").slice(0, 12), timeText(p.median_ns), timeText(p.low_ns), timeText(p.high_ns),
          series.changes.filter((c) => c.at === i).map(changeText).join("; ")]),
      };
    },
  });
  if (changed.length) node.append(el("details", {class: "changes"}, el("summary", {}, `All changes: ${changed.reduce((n, s) => n + s.changes.length, 0)} in ${changed.length} of ${all.length} cases`),
    plainTable("Changes, the largest first", ["<case", "<machine", "<change", "noise", "p"], changed.flatMap((s) => s.changes.map((c) =>
      [seriesTitle(s), s.machine, changeText(c), percent(s.noise), finite(c.p) ? c.p.toExponential(1) : "–"])))));
}
