import { formatNumber } from "../format.ts";
import { howToMeasure, measureCommands, type Role } from "../repairWords.ts";
import {
  type ComparisonReport,
  columnsOf,
  type EvaluationReport,
  type MetricReport,
  nameOf,
  type SampleSet,
  unmeasured,
} from "./evaluations.ts";
import { html, type Markup, type Part, proseMarkup } from "./html.ts";
import { differenceCells, differenceColumns, metricTexts } from "./measuredTexts.ts";
import type { PageRepair, ReportData } from "./reportData.ts";
import { type Section, tableMarkup } from "./section.ts";

/** Before and after, as far as answers were measured. */
export function answersSection({ evaluations, comparisons, repairs }: ReportData): Section | undefined {
  const [repair] = repairs;
  if (evaluations.length === 0 && !repair) return undefined;
  const measured =
    evaluations.length === 0
      ? html`<p>No answers were measured for this page, so it says nothing of how the models behave.</p>`
      : evaluationTable(evaluations, repair !== undefined);
  const body = [measured, repair && missing(repair, unmeasured(evaluations)), differences(comparisons)];
  return { id: "answers", title: repair ? "Before and after" : "What was measured", body };
}

function missing(repair: PageRepair, roles: readonly Role[]): Part {
  if (roles.length === 0) return undefined;
  return html`<p>${proseMarkup(howToMeasure(repair, roles))}</p><pre><code>${measureCommands}</code></pre>`;
}

function evaluationTable(evaluations: readonly EvaluationReport[], hasRepair: boolean): Markup {
  const models = columnsOf(evaluations, hasRepair);
  const keys = evaluations.flatMap(({ task, promptsSha256, metrics }) =>
    metrics.map(({ metric }) => ({ task, promptsSha256, metric })),
  );
  const rows = [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()].map((key) => [
    html`${key.task}<span class="n">${key.metric}</span>`,
    ...models.map((model) => metricCell(evaluations, model, key)),
  ]);
  const notes = evaluations.filter(({ nOverlap = 0 }) => nOverlap > 0).map(overlapNote);
  return html`${tableMarkup("Answers to the same prompts, with 95 % intervals", ["task, metric", ...models], rows)}${notes}`;
}

function overlapNote({ task, nOverlap, nAnswers }: EvaluationReport): Markup {
  return html`<p class="note">${nOverlap} of the ${nAnswers} prompts of ${task} stand in the safe examples too.</p>`;
}

function metricCell(
  evaluations: readonly EvaluationReport[],
  model: string,
  key: { readonly task: string; readonly promptsSha256: string; readonly metric: string },
): Part {
  const own = evaluations.filter(
    (e) => nameOf(e) === model && e.task === key.task && e.promptsSha256 === key.promptsSha256,
  );
  const found = own.flatMap(({ metrics }) => metrics).findLast(({ metric }) => metric === key.metric);
  return found ? valueMarkup(found) : "not measured";
}

function valueMarkup(metric: MetricReport): Markup {
  const { kind, value, low, high } = metric;
  const texts = metricTexts(metric);
  if (value === undefined) return html`${texts.value}<span class="n">n = ${texts.n}</span>`;
  const bar = kind === "rate" && low !== undefined && high !== undefined ? barMarkup(value, low, high) : undefined;
  return html`<span class="value">${texts.value}</span>${bar}<span class="n">${texts.interval}</span><span class="n">n = ${texts.n}</span>`;
}

/** A rate with its interval on a line from 0 to 100 %; the numbers stand beside it. */
function barMarkup(value: number, low: number, high: number): Markup {
  const at = (share: number) => (4 + 112 * share).toFixed(1);
  return html`<svg class="bar" viewBox="0 0 120 16" aria-hidden="true"><path class="base" d="M4 8H116M4 4V12M116 4V12"/><path d="M${at(low)} 8H${at(high)}"/><circle cx="${at(value)}" cy="8" r="4"/></svg>`;
}

function differences(comparisons: readonly ComparisonReport[]): Part {
  if (comparisons.length === 0) return undefined;
  const rows = comparisons.map((one) => [
    html`${one.task}<span class="n">${one.metric}</span>`,
    ...differenceCells(one),
  ]);
  const columns = ["task, metric", ...differenceColumns];
  return html`${tableMarkup("Differences, paired by prompt; of rates in points of 100", columns, rows)}
<p class="note">Intervals: paired bootstrap. McNemar: exact test of rates. Neither is corrected for the number of rows.</p>`;
}

/** Answers side by side; those that may do harm behind a warning, or only counted. */
export function samplesSection({ sampleSets, withheld }: ReportData): Section | undefined {
  if (sampleSets.length === 0 && withheld.length === 0) return undefined;
  const hidden = withheld.map(
    ({ task, nPrompts }) =>
      html`<p class="note">Answers to the ${nPrompts} prompts of <bdi class="text">${task}</bdi> are left out: the requests may do harm, or nothing says
that they do not. <code>safedelta report --show-harmful</code> takes them in, folded away.</p>`,
  );
  return { id: "samples", title: "Answers side by side", body: [sampleSets.map(sampleSetMarkup), hidden] };
}

function sampleSetMarkup(set: SampleSet): Markup {
  const samples = set.samples.map((sample) => sampleMarkup(set, sample));
  const heading = html`<h3>${set.task}</h3>`;
  if (!set.harmful) return html`${heading}${samples}`;
  return html`${heading}<details class="warning"><summary>Warning: requests and answers that may do harm or disturb. Open to read them.</summary>${samples}</details>`;
}

function sampleMarkup({ models }: SampleSet, { messages, answers }: SampleSet["samples"][number]): Markup {
  const asked = messages.map(({ role, content }) => html`<h4>${role}</h4><p class="said">${content}</p>`);
  const said = answers.map(({ text, values }, i) => {
    const judged = Object.entries(values).map(([metric, value]) => `${metric} ${formatNumber(value)}`);
    return html`<div><h4>${models[i]}</h4><p class="said">${text}</p><p class="note">${judged.join(", ")}</p></div>`;
  });
  return html`<article class="sample">${asked}<div class="answers">${said}</div></article>\n`;
}
