import { formatNumber, formatPercent } from "./format.ts";
import { type LinearReport, ratio, type Totals, totalsOf } from "./repairReport.ts";

/** Models with more layers are shown in bands of consecutive layers, so that the table stays readable. */
const maxLayerRows = 40;

/** Layers with their linears, and all of them together. */
interface Layered {
  readonly layers: readonly { readonly layer: number; readonly linears: readonly LinearReport[] }[];
  readonly totals: Totals;
  /** A rival has no budget to spend. */
  readonly rival?: unknown;
}

/** The table of layers in words: a header and rows, the last one of all layers. */
export function layerTable({ layers, totals, rival }: Layered): { columns: string[]; rows: string[][] } {
  const columns = ["Layer", "Kept", "Budget spent", "Safety loss", "Delta norm", "of fine-tuning's"];
  const table = [columns, ...bandsOf(layers), layerRow("all", totals)];
  const [head, ...rows] = rival ? table.map((row) => row.filter((_, i) => i !== 2)) : table;
  return { columns: head, rows };
}

function bandsOf(layers: Layered["layers"]): string[][] {
  const size = Math.ceil(layers.length / maxLayerRows);
  const nBands = size === 0 ? 0 : Math.ceil(layers.length / size);
  return Array.from({ length: nBands }, (_, i) => {
    const band = layers.slice(i * size, (i + 1) * size);
    const [first, last] = [band[0].layer, band[band.length - 1].layer];
    return layerRow(first === last ? `${first}` : `${first}–${last}`, totalsOf(band.flatMap(({ linears }) => linears)));
  });
}

function layerRow(name: string, totals: Totals): string[] {
  return [
    name,
    formatPercent(totals.keptShare),
    totals.budget === 0 ? "no budget" : formatPercent(totals.spent / totals.budget),
    formatPercent(totals.safetyLossShare, 2),
    formatNumber(totals.deltaNorm),
    formatPercent(ratio(totals.deltaNorm, totals.tunedDeltaNorm)),
  ];
}
