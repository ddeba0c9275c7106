// Plots from the tables behind them. Without this the tables are what there is.

const css = getComputedStyle(document.documentElement);
const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
const COLOURS = { light: ["#0b6558", "#a3262a"], dark: ["#74d0c0", "#ff9d98"] };
const INK = { light: "#645d52", dark: "#aba69c" };
const GRID = { light: "#e2dcd1", dark: "#33363b" };

/** Seconds in their largest unit. */
function span(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.round((seconds / length) * 10) / 10} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

/** What is counted has no halves: the axis goes in whole steps. */
const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];

/** Steps of an axis of time: seconds that are whole in some unit. */
const SPANS = [1, 5, 15, 30, 60, 300, 900, 1800, ...[1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 672, 1344, 2688].map((hours) => hours * 3600)];

const TELL = { time: span, share: (share) => `${Math.round(share * 100)} %` };

/** A table's columns: moments in seconds, then values (null where there is none). */
function columnsOf(table) {
  const columns = [...table.tHead.rows[0].cells].map(() => []);
  for (const row of table.tBodies[0].rows) {
    columns[0].push(Date.parse(row.querySelector("time").dateTime) / 1000);
    [...row.querySelectorAll("td")].forEach((cell, at) => {
      columns[at + 1].push(cell.dataset.value === "" ? null : Number(cell.dataset.value));
    });
  }
  return columns;
}

/** Days as pages say them; of long times, months. */
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
const MONTH = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric", timeZone: "UTC" });

function draw(figure) {
  const canvas = figure.querySelector(".canvas");
  const table = figure.querySelector("details table"); // the plot itself has one, for its legend
  const kind = figure.dataset.plot;
  const data = columnsOf(table);
  if (data[0].length < 2) return;
  const names = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
  const { bars, stepped, linear } = window.uPlot.paths;
  const path = { bars: bars({ size: [0.7, 48] }), steps: stepped({ align: 1 }) }[kind] ?? linear();
  const axis = { stroke: INK[theme()], grid: { stroke: GRID[theme()], width: 1 }, ticks: { show: false }, font: `12px ${css.getPropertyValue("--sans")}` };
  const tell = TELL[kind] ?? ((value) => String(value));
  canvas.hidden = false;
  canvas.replaceChildren();
  const plot = new window.uPlot(
    {
      width: canvas.clientWidth,
      height: 200,
      tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "UTC"),
      legend: { live: true },
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_, low, high) => [0, kind === "share" ? 1 : Math.max(high ?? 1, 1) * 1.08] } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map((at) => (data[0].at(-1) - data[0][0] < 300 * 86400 ? DAY : MONTH).format(at * 1000)) }, { ...axis, size: 62, values: (_, ticks) => ticks.map(tell), ...(kind === "share" ? {} : { incrs: kind === "time" ? SPANS : WHOLE }) }],
      series: [
        { label: table.tHead.rows[0].cells[0].textContent, value: (_, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(0, 10)) },
        ...names.map((label, at) => ({
          label,
          stroke: COLOURS[theme()][at],
          fill: kind === "bars" ? `${COLOURS[theme()][at]}55` : undefined,
          dash: at === 1 ? [5, 4] : undefined,
          width: 2,
          spanGaps: kind === "time" || kind === "share",
          paths: path,
          points: { show: kind === "time" || kind === "share", size: 6 },
          value: (_, number) => (number === null || number === undefined ? "–" : tell(number)),
        })),
      ],
    },
    data,
    canvas,
  );
  new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: 200 })).observe(canvas);
}

/** The tables that somebody opened: they stay open when the figures are fetched anew. */
const opened = new Set();
document.addEventListener("click", (event) => {
  const table = event.target.closest("figure.plot summary")?.parentElement;
  if (table) opened[table.open ? "delete" : "add"](table.closest("figure").id); // it opens or closes after this
});

function drawAll() {
  for (const figure of document.querySelectorAll("figure.plot")) {
    figure.querySelector("details").open = opened.has(figure.id);
    draw(figure);
  }
}

drawAll();
dark.addEventListener("change", drawAll);
document.addEventListener("verso:shown", drawAll);
