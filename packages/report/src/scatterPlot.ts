import { ReportError } from "./errors.ts";
import { formatPercent } from "./format.ts";

/** A point in the units of the axes. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Points under one name, drawn with one mark. */
export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/** One axis: shares from 0 to 1 shown in per cent, unless said otherwise. */
export interface Axis {
  readonly label: string;
  readonly min?: number;
  readonly max?: number;
  readonly format?: (value: number) => string;
}

/** What stands on the axes, and how the plot is drawn. */
export interface PlotOptions {
  readonly x: Axis;
  readonly y: Axis;
  /** Characters inside the axes; 61 x 17 puts the ticks of the quarters on whole cells. */
  readonly width?: number;
  readonly height?: number;
  readonly ascii?: boolean;
}

interface Style {
  readonly marks: readonly string[];
  /** Where points of different series meet. */
  readonly shared: string;
  readonly wall: string;
  readonly wallTick: string;
  readonly floor: string;
  readonly floorTick: string;
  readonly corner: string;
}

const unicodeStyle: Style = {
  marks: ["●", "○", "■", "□", "▲", "△", "◆", "◇"],
  shared: "✶",
  wall: "│",
  wallTick: "┤",
  floor: "─",
  floorTick: "┴",
  corner: "└",
};

const asciiStyle: Style = {
  marks: ["o", "x", "#", "@", "%", "=", "v", "^"],
  shared: "*",
  wall: "|",
  wallTick: "+",
  floor: "-",
  floorTick: "+",
  corner: "+",
};

const nTicks = 5;

type ScaledAxis = Required<Axis> & { readonly nCells: number };

interface Cell {
  readonly col: number;
  readonly row: number;
  /** Number of points by series index. */
  readonly counts: Map<number, number>;
}

/**
 * A scatter plot for a terminal: axes with ticks, one mark a series, a legend, and a note for every cell that holds several points,
 * so that no point disappears unsaid. No colours, no blanks at line ends, no final newline.
 *
 * Throws ReportError when a point is not finite or lies off the axes, an axis is empty, or there are more series than marks (8).
 */
export function scatterPlot(series: readonly Series[], options: PlotOptions): string {
  const style = options.ascii ? asciiStyle : unicodeStyle;
  const x = scaled(options.x, options.width ?? 61);
  const y = scaled(options.y, options.height ?? 17);
  if (series.length > style.marks.length) {
    throw new ReportError(`scatterPlot: ${series.length} series, but only ${style.marks.length} different marks`);
  }
  const cells = cellsOf(series, x, y);
  const lines = [...body(cells, x, y, style), "", ...legend(series, style), ...notes(cells, series, x, y, style)];
  return lines.map((line) => line.trimEnd()).join("\n");
}

function scaled(
  { label, min = 0, max = 1, format = (share) => formatPercent(share, 0) }: Axis,
  nCells: number,
): ScaledAxis {
  if (max > min && Number.isFinite(max - min) && nCells >= nTicks) return { label, min, max, format, nCells };
  throw new ReportError(`scatterPlot: axis "${label}" from ${min} to ${max} on ${nCells} characters is too small`);
}

/** Cells with at least one point, from the top line down and from left to right. */
function cellsOf(series: readonly Series[], x: ScaledAxis, y: ScaledAxis): Cell[] {
  const cells = new Map<number, Cell>();
  series.forEach(({ name, points }, index) => {
    for (const point of points) {
      const col = position(point.x, x, name);
      const row = y.nCells - 1 - position(point.y, y, name);
      const cell = cells.get(row * x.nCells + col) ?? { col, row, counts: new Map() };
      cell.counts.set(index, (cell.counts.get(index) ?? 0) + 1);
      cells.set(row * x.nCells + col, cell);
    }
  });
  return [...cells].sort(([a], [b]) => a - b).map(([, cell]) => cell);
}

function position(value: number, axis: ScaledAxis, name: string): number {
  if (value >= axis.min && value <= axis.max) {
    return Math.round(((value - axis.min) / (axis.max - axis.min)) * (axis.nCells - 1));
  }
  throw new ReportError(`scatterPlot: a point of "${name}" has ${axis.label} ${value}, off the axis`);
}

/** The plot's area with both axes and their labels. */
function body(cells: readonly Cell[], x: ScaledAxis, y: ScaledAxis, style: Style): string[] {
  const grid = Array.from({ length: y.nCells }, () => new Array<string>(x.nCells).fill(" "));
  for (const { col, row, counts } of cells) grid[row][col] = markOf(counts, style);
  const yTicks = new Map(ticks(y).map(({ cell, text }) => [y.nCells - 1 - cell, text]));
  const margin = Math.max(...[...yTicks.values()].map((text) => text.length));
  const walls = grid.map((line, row) => {
    const text = yTicks.get(row);
    return `${(text ?? "").padStart(margin)} ${text === undefined ? style.wall : style.wallTick}${line.join("")}`;
  });
  return [`${" ".repeat(margin + 2)}${y.label}`, ...walls, ...floorLines(x, margin, style)];
}

function markOf(counts: ReadonlyMap<number, number>, style: Style): string {
  const [first] = counts.keys();
  return counts.size > 1 ? style.shared : style.marks[first];
}

function ticks(axis: ScaledAxis): { cell: number; text: string }[] {
  return Array.from({ length: nTicks }, (_, i) => {
    const share = i / (nTicks - 1);
    return { cell: Math.round(share * (axis.nCells - 1)), text: axis.format(axis.min + share * (axis.max - axis.min)) };
  });
}

function floorLines(x: ScaledAxis, margin: number, style: Style): string[] {
  const floor = new Array<string>(x.nCells).fill(style.floor);
  let numbers = "";
  for (const { cell, text } of ticks(x)) {
    floor[cell] = style.floorTick;
    // Centred under its tick; never over the number before it.
    const start = Math.max(margin + 2 + cell - Math.floor(text.length / 2), numbers.length + 1);
    numbers = numbers.padEnd(start) + text;
  }
  const label = " ".repeat(Math.max(0, margin + 2 + Math.floor((x.nCells - x.label.length) / 2))) + x.label;
  return [`${" ".repeat(margin + 1)}${style.corner}${floor.join("")}`, numbers, label];
}

function legend(series: readonly Series[], style: Style): string[] {
  return series.map(({ name, points }, i) => {
    const count = points.length === 1 ? "" : ` (${points.length} points)`;
    return `  ${style.marks[i]} ${name}${count}`;
  });
}

function notes(
  cells: readonly Cell[],
  series: readonly Series[],
  x: ScaledAxis,
  y: ScaledAxis,
  style: Style,
): string[] {
  const crowded = cells.filter(({ counts }) => [...counts.values()].reduce((a, b) => a + b, 0) > 1);
  if (crowded.length === 0) return [];
  const lines = crowded.map(({ col, row, counts }) => {
    const names = [...counts].map(([i, n]) => (n === 1 ? series[i].name : `${series[i].name} x${n}`));
    return `  ${markOf(counts, style)} near (${valueAt(col, x)}, ${valueAt(y.nCells - 1 - row, y)}): ${names.join(", ")}`;
  });
  return ["Several points in one place:", ...lines];
}

function valueAt(cell: number, axis: ScaledAxis): string {
  return axis.format(axis.min + (cell / (axis.nCells - 1)) * (axis.max - axis.min));
}
