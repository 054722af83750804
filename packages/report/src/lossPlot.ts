import { formatNumber } from "./format.ts";
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

const [width, height, margin] = [720, 400, 56];
const nTicks = 5;

/** The loss of every update as an SVG picture; the same log, the same bytes. */
export function lossSvg(log: readonly LossPoint[]): string {
  const last = log.at(-1)?.update ?? 1;
  const top = Math.max(...log.map(({ loss }) => loss), Number.MIN_VALUE);
  const x = (update: number) => margin + ((width - 2 * margin) * (update - 1)) / Math.max(1, last - 1);
  const y = (loss: number) => height - margin - ((height - 2 * margin) * loss) / top;
  const path = log.map(({ update, loss }) => `${x(update).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const shares = Array.from({ length: nTicks }, (_, i) => i / (nTicks - 1));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>Loss of ${log.length} updates</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...shares.map((share) => yTick(y(share * top), share * top)),
    ...shares.map((share) => xTick(x(1 + share * (last - 1)), 1 + share * (last - 1))),
    `<polyline fill="none" stroke="#1f5fa8" stroke-width="1.5" points="${path}"/>`,
    `<text x="${width / 2}" y="${height - 12}" text-anchor="middle">update</text>`,
    `<text x="${margin}" y="${margin - 20}">loss (nats a token)</text>`,
    "</svg>\n",
  ].join("\n");
}

function yTick(y: number, value: number): string {
  const line = `<line x1="${margin}" x2="${width - margin}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="#ddd"/>`;
  return `${line}<text x="${margin - 6}" y="${(y + 4).toFixed(1)}" text-anchor="end">${formatNumber(value)}</text>`;
}

function xTick(x: number, value: number): string {
  return `<text x="${x.toFixed(1)}" y="${height - margin + 18}" text-anchor="middle">${value.toFixed(0)}</text>`;
}
