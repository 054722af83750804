import { formatNumber } from "../format.ts";
import { type LinearReport, ratio } from "../repairReport.ts";
import { html, type Markup } from "./html.ts";

/** A number for each linear of each layer; undefined where a layer has no such linear. */
export interface HeatMap {
  /** Name in the page's data, and what its caption says. */
  readonly name: string;
  readonly caption: string;
  readonly columns: readonly string[];
  readonly rows: readonly { readonly layer: number; readonly shares: readonly (number | undefined)[] }[];
  /** The lightest and the darkest colour's share. */
  readonly least: number;
  readonly most: number;
}

/** The numbers of a linear that heat maps show. */
export type HeatLinear = Pick<
  LinearReport,
  "name" | "keptShare" | "safetyLoss" | "fullSafetyLoss" | "deltaNorm" | "tunedDeltaNorm"
>;

/** What heat maps are made of. */
export interface HeatSource {
  readonly layers: readonly { readonly layer: number; readonly linears: readonly HeatLinear[] }[];
}

interface Quantity {
  readonly name: string;
  readonly caption: string;
  /** `total`: of the whole fine-tuning's safety loss. */
  readonly share: (linear: HeatLinear, total: number) => number;
}

const quantities: readonly Quantity[] = [
  {
    name: "tuned-loss",
    caption: "What fine-tuning did: each linear's part of its safety loss",
    share: ({ fullSafetyLoss }, total) => ratio(fullSafetyLoss, total),
  },
  {
    name: "safety-loss",
    caption: "Safety loss left, share of the whole fine-tuning's",
    share: ({ safetyLoss }, total) => ratio(safetyLoss, total),
  },
  {
    name: "delta-norm",
    caption: "Size of the change left, ‖D‖/‖Δ‖",
    share: ({ deltaNorm, tunedDeltaNorm }) => ratio(deltaNorm, tunedDeltaNorm),
  },
  { name: "kept", caption: "Weights kept bit for bit, share of all", share: ({ keptShare }) => keptShare },
];

/** The heat maps of a repair. */
export function heatMapsOf({ layers }: HeatSource): HeatMap[] {
  const all = layers.flatMap(({ linears }) => linears);
  const total = all.reduce((sum, { fullSafetyLoss }) => sum + fullSafetyLoss, 0);
  const columns = [...new Set(all.map(({ name }) => shortName(name)))];
  return quantities.map(({ name, caption, share }) => {
    const rows = layers.map(({ layer, linears }) => {
      const found = new Map(linears.map((linear) => [shortName(linear.name), share(linear, total)]));
      return { layer, shares: columns.map((column) => found.get(column)) };
    });
    return { name, caption, columns, rows, ...rangeOf(rows.flatMap(({ shares }) => shares)) };
  });
}

/** Colours begin at nothing, but where all shares are large and so would be of one colour. */
function rangeOf(shares: readonly (number | undefined)[]): Pick<HeatMap, "least" | "most"> {
  const known = shares.filter((share) => share !== undefined);
  const [least, most] = [Math.min(...known), Math.max(0, ...known)];
  return { least: least > most / 2 && least < most ? least : 0, most };
}

/** `model.layers.3.self_attn.q_proj.weight` -> `q_proj`. */
function shortName(name: string): string {
  const parts = name.split(".");
  return parts.at(-1) === "weight" ? (parts.at(-2) ?? name) : name;
}

const nHeats = 8;

/** A heat map as a table: the numbers can be read and copied, and colour only repeats them. */
export function heatTable({ caption, columns, rows, least, most }: HeatMap): Markup {
  const head = columns.map((column) => html`<th scope="col">${column.replace(/_proj$/, "")}</th>`);
  const body = rows.map(
    ({ layer, shares }) =>
      html`<tr><th scope="row">${layer}</th>${shares.map((share) => heatCell(share, least, most))}</tr>\n`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
<table class="heat"><caption><span>${caption} (%${least > 0 ? `; colours from ${percentOf(least)} on` : ""})</span></caption>
<thead><tr><th scope="col">layer</th>${head}</tr></thead>
<tbody>
${body}</tbody></table></div>`;
}

/** Colours go with the root of the share: a few linears hold most of a loss, and the rest would be one shade. */
function heatCell(share: number | undefined, least: number, most: number): Markup {
  if (share === undefined) return html`<td>–</td>`;
  const heat = Math.min(nHeats - 1, Math.floor(nHeats * Math.sqrt(Math.max(0, ratio(share - least, most - least)))));
  return html`<td class="h${heat}">${percentOf(share)}</td>`;
}

/** Per cent in at most four characters where it can be: 0.0123 -> "1.2". */
function percentOf(share: number): string {
  const percent = 100 * share;
  if (percent === 0) return "0";
  if (percent >= 99.95) return formatNumber(Math.round(percent));
  return percent < 0.01 ? "<0.01" : percent.toFixed(percent < 1 ? 2 : 1);
}

/** A heat map as a vega-lite specification. */
export type HeatSpec = ReturnType<typeof heatSpec>;

/** The same as a vega-lite specification. */
export function heatSpec({ caption, columns, rows }: HeatMap) {
  const values = rows.flatMap(({ layer, shares }) => columns.map((linear, i) => ({ layer, linear, share: shares[i] })));
  return {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    title: caption,
    data: { values: values.filter(({ share }) => share !== undefined) },
    mark: "rect",
    encoding: {
      x: { field: "linear", type: "nominal", sort: null, title: "linear" },
      y: { field: "layer", type: "ordinal", title: "layer" },
      color: { field: "share", type: "quantitative", title: "share", scale: { type: "sqrt" } },
    },
  };
}
