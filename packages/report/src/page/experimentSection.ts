import { formatNumber } from "../format.ts";
import type { ExperimentReport, ExperimentRow } from "./experiments.ts";
import { html, type Part } from "./html.ts";
import type { ReportData } from "./reportData.ts";
import { type Section, tableMarkup } from "./section.ts";

/** Methods over seeds, each experiment a table. */
export function experimentsSection({ experiments }: ReportData): Section | undefined {
  if (experiments.length === 0) return undefined;
  return { id: "experiments", title: "Experiments", body: experiments.map(experimentMarkup) };
}

function experimentMarkup({ name, question, rows }: ExperimentReport): Part {
  const keys = rows.flatMap(({ values }) => values.map(({ task, metric }) => JSON.stringify([task, metric])));
  const columns = [...new Set(keys)].map((key): readonly [string, string] => JSON.parse(key));
  const heads = ["method", "setting", "seeds", ...columns.map(([task, metric]) => `${task}, ${metric}`)];
  const body = rows.map((row) => [
    row.method,
    row.setting,
    String(row.nSeeds),
    ...columns.map(([task, metric]) => valueCell(row, task, metric)),
  ]);
  return html`<h3>${name}</h3>${question === undefined ? undefined : html`<p>${question}</p>`}${tableMarkup(`${name}, with 95 % intervals`, heads, body)}`;
}

function valueCell({ values }: ExperimentRow, task: string, metric: string): Part {
  const found = values.find((value) => value.task === task && value.metric === metric);
  if (!found) return "–";
  const { value, low, high, published } = found;
  const interval = low === undefined || high === undefined ? undefined : `${formatNumber(low)} … ${formatNumber(high)}`;
  const paper = published === undefined ? undefined : `published: ${formatNumber(published)}`;
  return html`<span class="value">${formatNumber(value)}</span><span class="n">${interval}</span><span class="n">${paper}</span>`;
}
