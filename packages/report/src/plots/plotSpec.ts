/** How an axis is laid out; `sqrt` spreads small shares and still has a place for 0. */
export type ScaleType = "linear" | "sqrt" | "log";

/** Number formats of d3 that the axes use: per cent without decimals, shortest, power of ten. */
export type AxisFormat = "~%" | "~g" | "~e";

/** One axis. */
export interface PlotAxis {
  readonly title: string;
  readonly type: ScaleType;
  readonly domain: readonly [low: number, high: number];
  readonly format: AxisFormat;
}

/** A point of a plot, in the units of the axes; a line joins the points of a series from left to right. */
export interface PlotRow {
  readonly series: string;
  readonly x: number;
  readonly y: number;
  /** What the point is called. */
  readonly label?: string;
  /** Drawn larger and in a ring: what the plot is about. */
  readonly isMarked?: boolean;
}

/** What a plot shows. */
export interface LinePlot {
  readonly title: string;
  /** What a reader would see, for those who do not. */
  readonly description: string;
  readonly x: PlotAxis;
  readonly y: PlotAxis;
  readonly rows: readonly PlotRow[];
  /** Draw the points, and not the line alone. */
  readonly points: boolean;
  /** What the ring around a marked point says. */
  readonly ring?: string;
  /** All that have a colour and a mark of their own, those without a row here too, so that plots of the same series agree. Those of the rows unless given. */
  readonly series?: readonly string[];
}

const schema = "https://vega.github.io/schema/vega-lite/v6.json";
const [width, height] = [480, 300];

/** Marks by series, in turn: no two neighbours share one, so that colour is never the only sign. */
export const shapes = ["circle", "diamond", "square", "triangle-up", "cross", "triangle-down"] as const;
export const dashes: readonly (readonly number[])[] = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
/** After Okabe and Ito, whose colours people with any colour vision tell apart; darkened to stand out on white. */
export const colors = ["#c2410c", "#0072b2", "#00795a", "#a3447f", "#3b6f92", "#8a6100", "#6b6800", "#666666"] as const;

/** A vega-lite specification of lines, with or without points; `drawPlot` draws it, and every vega-lite does. */
export type PlotSpec = ReturnType<typeof linePlot>;

/** Lay out a plot of lines as a vega-lite specification. Rows off the axes are the caller's mistake, and drawn off them. */
export function linePlot({ title, description, x, y, rows, points, ring, series = seriesOf(rows) }: LinePlot) {
  const scaled = <T>(range: readonly T[]) => ({
    domain: series,
    range: series.map((_, i) => range[i % range.length]),
  });
  return {
    $schema: schema,
    title,
    description,
    width,
    height,
    ...(ring === undefined ? {} : { usermeta: { ring } }),
    data: { values: rows },
    mark: { type: "line" as const, point: points },
    encoding: {
      x: channel("x", x),
      y: channel("y", y),
      color: { field: "series", type: "nominal" as const, title: null, scale: scaled(colors) },
      strokeDash: { field: "series", type: "nominal" as const, title: null, scale: scaled(dashes) },
      ...(points ? { shape: { field: "series", type: "nominal" as const, title: null, scale: scaled(shapes) } } : {}),
    },
  };
}

/** Names of the series in the order in which they come. */
export function seriesOf(rows: readonly PlotRow[]): string[] {
  return [...new Set(rows.map(({ series }) => series))];
}

function channel(field: "x" | "y", { title, type, domain, format }: PlotAxis) {
  const axis = { format, values: ticksOf(type, domain) };
  return { field, type: "quantitative" as const, title, scale: { type, domain, nice: false }, axis };
}

const mostTicks = 6;
const squareTicks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1];

/** Round values along an axis, at most about six. */
export function ticksOf(type: ScaleType, [low, high]: PlotAxis["domain"]): number[] {
  if (type === "log") return decades(low, high);
  if (type === "sqrt" && high <= 1.25) return squareTicks.filter((share) => share <= high);
  const step = niceStep((high - low) / mostTicks);
  const first = Math.ceil(low / step - 1e-9);
  const n = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: n }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The least of 1, 2, 5 times a power of ten that is no smaller. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * (1 - 1e-9)) ?? 10 * power;
}

function decades(low: number, high: number): number[] {
  const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
  const step = Math.max(1, Math.ceil((last - first + 1) / mostTicks));
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => Number(`1e${first + i * step}`));
}
