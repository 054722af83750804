import { scatterPlot } from "./scatterPlot.ts";
import type { TrainingUpdate } from "./trainingReport.ts";

type LossPoint = Pick<TrainingUpdate, "update" | "loss">;

/** Characters inside the axes of the terminal's plot. */
const nColumns = 61;

/** The loss of a training for a terminal; where updates share a column, their mean. */
export function lossPlot(log: readonly LossPoint[]): string {
  const points = columnsOf(log);
  const last = log.at(-1)?.update ?? 1;
  const top = Math.max(...points.map(({ y }) => y), Number.MIN_VALUE);
  return scatterPlot([{ name: "loss", points }], {
    x: { label: "update", min: Math.min(1, last - 1), max: last, format: (value) => value.toFixed(0) },
    y: { label: "loss (nats a token)", max: top, format: (value) => value.toPrecision(3) },
    width: nColumns,
    height: 13,
  });
}

/** One point a column, so that the plot needs no notes on points in one place. */
function columnsOf(log: readonly LossPoint[]): { x: number; y: number }[] {
  const size = Math.ceil(log.length / nColumns);
  return Array.from({ length: Math.ceil(log.length / size) }, (_, i) => {
    const column = log.slice(i * size, (i + 1) * size);
    const mean = (value: (point: LossPoint) => number) => column.reduce((sum, p) => sum + value(p), 0) / column.length;
    return { x: mean(({ update }) => update), y: mean(({ loss }) => loss) };
  });
}
