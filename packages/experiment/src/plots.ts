import { casePlots, plotSvg, scatterPlot, seriesOf } from "@safedelta/report";
import type { ResultCase } from "./results.ts";

/** One plot of a case. */
export interface Plot {
  /** File name without its ending. */
  readonly name: string;
  readonly svg: string;
}

/** The safety-utility plane of a case, and utility over safety loss, as pictures. */
export function plotsOf(result: ResultCase): Plot[] {
  const { plane, loss } = casePlots(result);
  return Object.entries({ plane, loss }).flatMap(([kind, spec]) =>
    spec ? [{ name: `${kind}-${result.name}`, svg: plotSvg(spec) }] : [],
  );
}

/** Most series that a terminal's plot tells apart. */
const mostMarks = 8;

/** The safety-utility plane for a terminal; undefined without both axes, and for too many methods. */
export function terminalPlot(result: ResultCase): string | undefined {
  const { plane } = casePlots(result);
  if (plane === undefined) return undefined;
  const { values } = plane.data;
  const series = seriesOf(values).map((name) => ({ name, points: values.filter((row) => row.series === name) }));
  if (series.length > mostMarks) return undefined;
  const { x, y } = plane.encoding;
  return scatterPlot(series, {
    x: axisOf(
      x.title,
      values.map((row) => row.x),
    ),
    y: axisOf(
      y.title,
      values.map((row) => row.y),
    ),
  });
}

/** From 0 to 1 where all values are shares, else what they span. */
function axisOf(label: string, values: readonly number[]) {
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  const max = high > 0 && high <= 1 && low >= 0 ? 1 : Math.max(high, low + 1);
  return { label, min: low, max, format: (value: number) => value.toFixed(2) };
}
