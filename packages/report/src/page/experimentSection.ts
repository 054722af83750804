import { chosenMark, digits, experimentNotes } from "../experimentTable.ts";
import { formatNumber, formatShare } from "../format.ts";
import type { PlotSpec } from "../plots/plotSpec.ts";
import { type ExperimentReport, type ExperimentRow, incompleteNote } from "./experiments.ts";
import { figure } from "./figure.ts";
import { html, type Part } from "./html.ts";
import { pText } from "./measuredTexts.ts";
import type { ReportData } from "./reportData.ts";
import { type Section, tableMarkup } from "./section.ts";

/** Methods over seeds, each experiment a table and a plane. */
export function experimentsSection({ experiments, plots }: ReportData): Section | undefined {
  if (experiments.length === 0) return undefined;
  const body = experiments.map((experiment, e) => {
    const { title, cases, missing } = experiment;
    const plotsOf = (c: number) => ["plane", "safety-loss"].map((name) => plots[`${name}-${e}-${c}`]);
    const parts = cases.map((_, c) => caseMarkup(experiment, c, plotsOf(c)));
    const heading = experiments.length > 1 ? html`<h3>${title}</h3>` : undefined;
    const notes = [...incompleteNote(missing), ...experimentNotes(experiment)];
    return html`${heading}${notes.map((note) => html`<p class="note">${note}</p>`)}${parts}`;
  });
  return { id: "experiments", title: "Experiments", body };
}

function caseMarkup({ title, cases }: ExperimentReport, index: number, plots: readonly (PlotSpec | undefined)[]): Part {
  const { name, columns, rows } = cases[index];
  const withLoss = rows.some(({ safetyLoss }) => safetyLoss !== undefined);
  const heads = columns.map(({ name: column, better }) => `${column} (${better} is better)`);
  const body = rows.map((row) => [
    html`${row.label}<span class="n">${row.isBest ? `${chosenMark} chosen setting` : undefined}</span>`,
    ...columns.map((column) => entryCell(row.entries[column.name])),
    ...(withLoss ? [row.safetyLoss ? formatShare(row.safetyLoss.value) : "–"] : []),
  ]);
  const caption = cases.length > 1 ? `${title}: ${name}` : title;
  const all = ["row", ...heads, ...(withLoss ? ["safety loss"] : [])];
  const drawn = plots.filter((plot) => plot !== undefined);
  return html`<div class="plots">${drawn.map(figure)}</div>${tableMarkup(caption, all, body)}`;
}

function entryCell(entry: ExperimentRow["entries"][string] | undefined): Part {
  if (!entry) return "–";
  const { value, low, high, paper, test } = entry;
  const difference = test && `Δ ${digits(test.value)} (${digits(test.low)} … ${digits(test.high)})`;
  const p = test?.p === undefined ? undefined : `p ${pText(test.p)}`;
  return html`<span class="value">${digits(value)}</span><span class="n">${digits(low)} … ${digits(high)}</span><span class="n">${difference}</span><span class="n">${p}</span><span class="n">${paper === undefined ? undefined : `paper: ${formatNumber(paper)}`}</span>`;
}
