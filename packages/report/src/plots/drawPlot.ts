import { html, Markup, type Part as Markups } from "../page/html.ts";
import {
  type AxisFormat,
  colors,
  dashes,
  type PlotRow,
  type PlotSpec,
  type ScaleType,
  seriesOf,
  shapes,
} from "./plotSpec.ts";
import { fileStyle } from "./plotStyle.ts";

const margin = { left: 64, right: 16, top: 12, bottom: 48 };
const tickLength = 5;
const nColors = colors.length;

/** Where a value lies on an axis, in units of the picture. */
type Place = (value: number) => number;

/**
 * Draw a plot as SVG for a page. Colours are classes (`s0`, `s1`, …) of the page's style sheet, so that they follow light and dark; each
 * series has a mark and a dash of its own besides. The same specification, the same bytes.
 */
export function drawPlot(spec: PlotSpec): Markup {
  const { width, height } = sizeOf(spec);
  return html`<svg class="plot" viewBox="0 0 ${width} ${height}" role="img" aria-label="${spec.title}. ${spec.description}">
${bodyOf(spec)}
</svg>`;
}

const rowHeight = 20;

/** The series that have rows, each with the place in all series that gives it its colour and mark. */
function drawnSeries({ data, encoding }: PlotSpec): { readonly name: string; readonly index: number }[] {
  const drawn = new Set(seriesOf(data.values));
  return encoding.color.scale.domain.flatMap((name, index) => (drawn.has(name) ? [{ name, index }] : []));
}

/** What the legend says, in its order: the series, and the ring. */
function keysOf(spec: PlotSpec): { readonly name: string; readonly key: Markup; readonly color?: string }[] {
  const ring = spec.usermeta?.ring;
  const series = drawnSeries(spec).map(({ name, index }) => ({
    ...{ name, key: keyOf(index, spec.mark.point), color: `s${index % nColors}` },
  }));
  return ring === undefined ? series : [...series, { name: ring, key: ringAt(14, 8, 7) }];
}

/** A plot as an SVG file: on white, its legend beside it. The same specification, the same bytes. */
export function plotSvg(spec: PlotSpec): string {
  const { width, height } = sizeOf(spec);
  const keys = keysOf(spec);
  const longest = Math.max(0, ...keys.map(({ name }) => name.length));
  const legendWidth = keys.length > 1 ? 56 + 8 * longest : 0;
  const size = { width: width + legendWidth, height: Math.max(height, 2 * margin.top + rowHeight * keys.length) };
  const legend = keys.map(({ name, key, color }, i) => {
    const at = html`translate(${width} ${margin.top + rowHeight * i})`;
    return html`<g transform="${at}"><g class="${color}">${key}</g><text x="36" y="13">${name}</text></g>\n`;
  });
  return html`<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 ${size.width} ${size.height}">
<title>${spec.title}</title><desc>${spec.description}</desc>
<style>${new Markup(fileStyle)}</style>
<rect class="paper" width="${size.width}" height="${size.height}"/>
${bodyOf(spec)}
${legendWidth > 0 ? legend : undefined}</svg>
`.text;
}

function sizeOf({ width, height }: PlotSpec) {
  return { width: margin.left + width + margin.right, height: margin.top + height + margin.bottom };
}

function bodyOf(spec: PlotSpec): Markup {
  const { width, height, encoding, data } = spec;
  const { x, y } = placesOf(spec);
  const series = drawnSeries(spec);
  return html`<rect class="ground" x="${margin.left}" y="${margin.top}" width="${width}" height="${height}"/>
${encoding.x.axis.values.map((value) => verticalTick(x(value), height, labelOf(value, encoding.x.axis.format)))}
${encoding.y.axis.values.map((value) => horizontalTick(y(value), width, labelOf(value, encoding.y.axis.format)))}
<text class="axis" x="${margin.left + width / 2}" y="${sizeOf(spec).height - 8}" text-anchor="middle">${encoding.x.title}</text>
<text class="axis" transform="translate(14 ${margin.top + height / 2}) rotate(-90)" text-anchor="middle">${encoding.y.title}</text>
${series.map(({ name, index }) => drawSeries(rowsOf(data.values, name), index, spec, x, y)).reverse()}`;
}

/** Where values lie in the picture. */
export function placesOf({ width, height, encoding }: PlotSpec): { readonly x: Place; readonly y: Place } {
  return {
    x: placed(encoding.x.scale, margin.left, margin.left + width),
    y: placed(encoding.y.scale, margin.top + height, margin.top),
  };
}

/** A list of the series with their marks, and what a ring says. */
export function plotLegend(spec: PlotSpec): Markup {
  const items = keysOf(spec).map(
    ({ name, key, color }) =>
      html`<li><svg class="key ${color}" viewBox="0 0 28 16" aria-hidden="true">${key}</svg> ${name}</li>`,
  );
  return html`<ul class="legend">${items}</ul>`;
}

function keyOf(index: number, withPoint: boolean): Markup {
  return html`<path class="line" d="M0 8H28"${dashOf(index)}/>${withPoint ? markAt(14, 8, index) : undefined}`;
}

function rowsOf(rows: readonly PlotRow[], name: string): PlotRow[] {
  return rows.filter(({ series }) => series === name).sort((a, b) => a.x - b.x);
}

function drawSeries(rows: readonly PlotRow[], index: number, { mark, usermeta }: PlotSpec, x: Place, y: Place): Markup {
  const path = rows.map((row, i) => `${i === 0 ? "M" : "L"}${fixed(x(row.x))} ${fixed(y(row.y))}`).join("");
  const line = rows.length > 1 ? html`<path class="line" d="${path}"${dashOf(index)}/>` : undefined;
  const marks = rows.map((row) => {
    const ring = usermeta && row.isMarked ? ringAt(x(row.x), y(row.y), 10) : undefined;
    return html`<g>${titleOf(row)}${markAt(x(row.x), y(row.y), index, row.isMarked ? 1.4 : 1)}${ring}</g>`;
  });
  return html`<g class="s${index % nColors}">${line}${mark.point ? marks : undefined}</g>`;
}

function titleOf({ series, label }: PlotRow): Markup {
  return html`<title>${label ?? series}</title>`;
}

function dashOf(index: number): Markups {
  const dash = dashes[index % dashes.length];
  return dash.length > 0 ? html` stroke-dasharray="${dash.join(" ")}"` : undefined;
}

const outlines: Readonly<Record<(typeof shapes)[number], string>> = {
  circle: "M-5 0A5 5 0 1 1 5 0A5 5 0 1 1 -5 0Z",
  diamond: "M0 -7L7 0L0 7L-7 0Z",
  square: "M-4.5 -4.5H4.5V4.5H-4.5Z",
  "triangle-up": "M0 -6L6 5H-6Z",
  cross: "M-6 -2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z",
  "triangle-down": "M0 6L6 -5H-6Z",
};

function markAt(x: number, y: number, index: number, size = 1): Markup {
  const outline = outlines[shapes[index % shapes.length]];
  return html`<path class="mark" transform="translate(${fixed(x)} ${fixed(y)}) scale(${size})" d="${outline}"/>`;
}

function ringAt(x: number, y: number, radius: number): Markup {
  return html`<circle class="ring" cx="${fixed(x)}" cy="${fixed(y)}" r="${radius}"/>`;
}

function verticalTick(x: number, height: number, label: string): Markup {
  const bottom = margin.top + height;
  const line = html`<path class="grid" d="M${fixed(x)} ${margin.top}V${bottom + tickLength}"/>`;
  return html`${line}<text class="tick" x="${fixed(x)}" y="${bottom + 18}" text-anchor="middle">${label}</text>`;
}

function horizontalTick(y: number, width: number, label: string): Markup {
  const line = html`<path class="grid" d="M${margin.left - tickLength} ${fixed(y)}H${margin.left + width}"/>`;
  return html`${line}<text class="tick" x="${margin.left - 8}" y="${fixed(y + 4)}" text-anchor="end">${label}</text>`;
}

const transforms: Readonly<Record<ScaleType, (value: number) => number>> = {
  linear: (value) => value,
  sqrt: Math.sqrt,
  log: Math.log10,
};

function placed({ type, domain }: PlotSpec["encoding"]["x"]["scale"], from: number, to: number): Place {
  const [low, high] = domain.map(transforms[type]);
  return (value) => from + ((transforms[type](value) - low) / (high - low)) * (to - from);
}

const writers: Readonly<Record<AxisFormat, (value: number) => string>> = {
  "~%": (share) => `${Number((100 * share).toPrecision(6))}%`,
  "~g": (value) => String(Number(value.toPrecision(6))),
  "~e": (value) => value.toExponential().replace("+", ""),
};

/** Where a point lies, as the axes write it: `(3%, 0.98)`. */
export function placeText({ encoding: { x, y } }: PlotSpec, row: PlotRow): string {
  const short = (value: number) => Number(value.toPrecision(2));
  return `(${labelOf(short(row.x), x.axis.format)}, ${labelOf(short(row.y), y.axis.format)})`;
}

function labelOf(value: number, format: AxisFormat): string {
  return writers[format](value);
}

function fixed(value: number): string {
  return String(Number(value.toFixed(2)));
}
