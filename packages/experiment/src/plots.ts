import { type DrawnSeries, scatterPlot, scatterSvg } from "@safedelta/report";
import { type Column, planeOf, type ResultCase, type ResultRow } from "./results.ts";

/** One plot of a case. */
export interface Plot {
  /** File name without its ending. */
  readonly name: string;
  readonly svg: string;
}

/** What a plot has on one of its axes. */
interface PlotAxis {
  readonly label: string;
  valueOf(row: ResultRow): number | undefined;
}

/** The safety-utility plane of a case, and utility over safety loss; a line joins the settings of a method, and the legend names the best. */
export function plotsOf({ name, columns, rows }: ResultCase): Plot[] {
  const found = planeOf(columns);
  if (found === undefined) return [];
  const { safety, utility } = found;
  const loss: PlotAxis = { label: "safety loss (share of the fine-tuning's)", valueOf: (row) => row.safetyLoss?.value };
  const planes = { plane: axisOf(safety), loss };
  return Object.entries(planes).flatMap(([kind, x]) => {
    const y = axisOf(utility);
    const series = seriesOf(rows, x, y);
    if (series.length === 0) return [];
    const title = `${utility.name} over ${kind === "loss" ? "safety loss" : safety.name}`;
    const svg = scatterSvg(series, { title, x: boundsOf(series, "x", x), y: boundsOf(series, "y", y) });
    return [{ name: `${kind}-${name}`, svg }];
  });
}

/** Most series that a terminal's plot tells apart. */
const mostMarks = 8;

/** The safety-utility plane for a terminal: the rows without settings, and of the others those that `best` marks; undefined for too many. */
export function terminalPlot({ columns, rows }: ResultCase): string | undefined {
  const plane = planeOf(columns);
  const methods = new Set(rows.map(({ method }) => method));
  if (plane === undefined || methods.size > mostMarks) return undefined;
  const [x, y] = [axisOf(plane.safety), axisOf(plane.utility)];
  const series = seriesOf(rows, x, y);
  if (series.length === 0) return undefined;
  const format = (value: number) => value.toFixed(2);
  return scatterPlot(series, {
    x: { ...boundsOf(series, "x", x), format },
    y: { ...boundsOf(series, "y", y), format },
  });
}

function axisOf({ name, better }: Column): PlotAxis {
  return { label: `${name} (${better} is better)`, valueOf: (row) => row.entries[name]?.value };
}

function seriesOf(rows: readonly ResultRow[], x: PlotAxis, y: PlotAxis): DrawnSeries[] {
  return [...new Set(rows.map(({ method }) => method))].flatMap((name) => {
    const own = rows.filter(({ method }) => method === name);
    const points = own.flatMap((row) => {
      const place = [x.valueOf(row), y.valueOf(row)];
      if (place[0] === undefined || place[1] === undefined) return [];
      const setting = row.label.slice(name.length).trim();
      return [{ x: place[0], y: place[1], title: setting === "" ? name : setting, isMarked: row.isBest }];
    });
    const best = points.find(({ isMarked }) => isMarked);
    return points.length > 0 ? [{ name: best ? `${name}: ${best.title}` : name, points }] : [];
  });
}

/** From 0 to 1 where all points are shares, else what they span. */
function boundsOf(series: readonly DrawnSeries[], key: "x" | "y", { label }: PlotAxis) {
  const values = series.flatMap(({ points }) => points.map((point) => point[key]));
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  return { label, min: low, max: high > 0 && high <= 1 && low >= 0 ? 1 : Math.max(high, low + 1) };
}
