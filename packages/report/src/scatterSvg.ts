import { ReportError } from "./errors.ts";
import { formatNumber } from "./format.ts";
import { escaped } from "./page/html.ts";

/** A point of a picture; its title is shown by browsers that point at it. */
export interface MarkedPoint {
  readonly x: number;
  readonly y: number;
  readonly title: string;
  /** Drawn larger. */
  readonly isMarked?: boolean;
}

/** Points under one name and colour, joined by a line in their order where there are several. */
export interface DrawnSeries {
  readonly name: string;
  readonly points: readonly MarkedPoint[];
}

/** What stands on the axes, and where they end; points beyond are an error. */
export interface PictureOptions {
  readonly title: string;
  readonly x: { readonly label: string; readonly min: number; readonly max: number };
  readonly y: { readonly label: string; readonly min: number; readonly max: number };
}

const [width, height, margin, legendWidth] = [900, 520, 60, 220];
const nTicks = 5;
/** Told apart by most of those who see some colours less well, too (Okabe and Ito), then by shape. */
const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];
const shapes = ["circle", "square", "diamond", "triangle"] as const;

/**
 * A scatter plot as an SVG picture; the same points, the same bytes.
 * @throws ReportError for a point that is not finite or lies off the axes, and an axis of no length
 */
export function scatterSvg(series: readonly DrawnSeries[], { title, x, y }: PictureOptions): string {
  const toX = scale(x, margin, width - legendWidth - margin);
  const toY = scale(y, height - margin, margin);
  const drawn = series.map((one, i) => drawSeries(one, i, toX, toY));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...ticks(x).map((value) => xTick(toX(value, ""), value)),
    ...ticks(y).map((value) => yTick(toY(value, ""), value)),
    `<text x="${(width - legendWidth) / 2}" y="${height - 14}" text-anchor="middle">${escaped(x.label)}</text>`,
    `<text x="${margin}" y="${margin - 22}">${escaped(y.label)}</text>`,
    ...drawn,
    ...series.map(({ name }, i) => legendLine(name, i)),
    "</svg>\n",
  ].join("\n");
}

type Scale = (value: number, name: string) => number;

function scale({ label, min, max }: PictureOptions["x"], from: number, to: number): Scale {
  if (!(max > min && Number.isFinite(max - min)))
    throw new ReportError(`scatterSvg: axis "${label}" from ${min} to ${max} has no length`);
  return (value, name) => {
    if (value >= min && value <= max) return from + ((to - from) * (value - min)) / (max - min);
    throw new ReportError(`scatterSvg: a point of "${name}" has ${label} ${value}, off the axis`);
  };
}

function ticks({ min, max }: PictureOptions["x"]): number[] {
  return Array.from({ length: nTicks }, (_, i) => min + ((max - min) * i) / (nTicks - 1));
}

function drawSeries({ name, points }: DrawnSeries, index: number, toX: Scale, toY: Scale): string {
  const places = points.map((point) => ({ ...point, px: toX(point.x, name), py: toY(point.y, name) }));
  const colour = colours[index % colours.length];
  const path = places.map(({ px, py }) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" ");
  const line = `<polyline fill="none" stroke="${colour}" stroke-opacity="0.5" points="${path}"/>`;
  const marks = places.map(({ px, py, title, isMarked = false }) => {
    return `<g><title>${escaped(`${name}: ${title}`)}</title>${mark(px, py, isMarked ? 7 : 4, index)}</g>`;
  });
  return [...(points.length > 1 ? [line] : []), ...marks].join("\n");
}

/** A shape about a place: after eight series, the colours begin again with another one. */
function mark(x: number, y: number, r: number, index: number): string {
  const colour = colours[index % colours.length];
  const shape = shapes[Math.floor(index / colours.length) % shapes.length];
  if (shape === "circle") return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${r}" fill="${colour}"/>`;
  const corners = {
    square: [
      [-r, -r],
      [r, -r],
      [r, r],
      [-r, r],
    ],
    diamond: [
      [0, -1.4 * r],
      [1.4 * r, 0],
      [0, 1.4 * r],
      [-1.4 * r, 0],
    ],
    triangle: [
      [0, -1.2 * r],
      [1.2 * r, r],
      [-1.2 * r, r],
    ],
  }[shape];
  const points = corners.map(([dx, dy]) => `${(x + dx).toFixed(1)},${(y + dy).toFixed(1)}`).join(" ");
  return `<polygon points="${points}" fill="${colour}"/>`;
}

function legendLine(name: string, index: number): string {
  const [x, y] = [width - legendWidth, margin + 18 * index];
  return `${mark(x, y, 5, index)}<text x="${x + 12}" y="${y + 4}">${escaped(name)}</text>`;
}

function xTick(x: number, value: number): string {
  const line = `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${margin}" y2="${height - margin}" stroke="#ddd"/>`;
  return `${line}<text x="${x.toFixed(1)}" y="${height - margin + 18}" text-anchor="middle">${formatNumber(value)}</text>`;
}

function yTick(y: number, value: number): string {
  const line = `<line x1="${margin}" x2="${width - legendWidth - margin}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="#ddd"/>`;
  return `${line}<text x="${margin - 6}" y="${(y + 4).toFixed(1)}" text-anchor="end">${formatNumber(value)}</text>`;
}
