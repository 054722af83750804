import { formatNumber } from "../format.ts";
import { figure } from "./figure.ts";
import { heatMapsOf, heatTable } from "./heatMap.ts";
import { html, type Markup } from "./html.ts";
import { pointTable } from "./pointTable.ts";
import type { ReportData } from "./reportData.ts";
import { type Section, tableMarkup } from "./section.ts";

/** Safety against closeness: this model, other budgets, and both ends. */
export function curveSection({ plots, repairs, sweep }: ReportData): Section | undefined {
  const { curve } = plots;
  if (!curve) return undefined;
  const others = sweep.length === 0 && repairs.length < 2 ? noSweep() : undefined;
  const { columns, rows } = pointTable(repairs, sweep);
  const numbers = tableMarkup("The points in numbers, shares of the fine-tuning's", columns, rows);
  const body = html`<p>Left is safer by the estimate, down is closer to the fine-tuned model. Neither axis is behaviour: both are taken from the weights.</p>
${besideOrBelow(figure(curve), numbers, rows.length)}${others}`;
  return { id: "curve", title: "Safety against usefulness", body };
}

/** Most rows of a table that stands beside its plot; longer ones are folded below it. */
const mostBeside = 10;

function besideOrBelow(plot: Markup, numbers: Markup, nRows: number): Markup {
  if (nRows <= mostBeside) return html`<div class="beside">${plot}${numbers}</div>`;
  return html`${plot}<details><summary>The points in numbers</summary>${numbers}</details>`;
}

function noSweep(): Markup {
  return html`<p class="note">What other budgets would give is not at hand. <code>safedelta sweep … --json &gt; sweep.json</code>, then
<code>safedelta report … --sweep sweep.json</code> draws their curve.</p>`;
}

/** Where the numbers lie: a table of layers and linears for each quantity. */
export function mapsSection({ repairs }: ReportData): Section | undefined {
  const [repair] = repairs;
  if (!repair) return undefined;
  const maps = heatMapsOf(repair);
  const told = maps.filter(({ most }) => most > 0);
  const empty = maps
    .filter(({ most }) => most === 0)
    .map(({ caption }) => html`<p class="note">${caption}: 0 everywhere.</p>`);
  const body = html`<p>W are the aligned weights, Δ is the change by fine-tuning, D the change that is left. The darker (on a dark page, the
lighter) a cell, the more; the shades go with the square root.</p>
<div class="maps">${told.map(heatTable)}</div>${empty}`;
  return { id: "maps", title: "By layer and linear", body };
}

/** How unevenly safe behaviour depends on the inputs of each group. */
export function spectraSection({ plots, spectra, noSpectra, repairs }: ReportData): Section | undefined {
  const specs = Object.entries(plots).filter(([name]) => name.startsWith("spectrum-"));
  if (specs.length === 0) {
    if (repairs.length === 0) return undefined;
    return { id: "spectra", title: "Sensitivity", body: html`<p>${noSpectra ?? withoutState}</p>` };
  }
  const kinds = new Set(spectra.map(({ kind }) => kind));
  const what = kinds.has("eigenvalues") ? "Eigenvalues of the damped Hessian" : "Sensitivities 1/[H⁻¹] of the columns";
  const body = html`<p>${what} of the safe examples' inputs, in ascending order: the steeper the end, the fewer directions hold the safe behaviour, and
the more of the fine-tuning can stay. The first, the middle and the last layer are drawn; the page's data hold all.</p>
<div class="plots">${specs.map(([, spec]) => figure(spec))}</div>`;
  return { id: "spectra", title: "Sensitivity", body };
}

const withoutState =
  "The spectra of the safe statistics lie in the prepared state, which this page was made without. " +
  "“safedelta report” draws them where the state is at hand.";

/** What fine-tunings did. */
export function trainingSection({ trainings, plots }: ReportData): Section | undefined {
  if (trainings.length === 0) return undefined;
  const each = trainings.map(({ model, data, nTrained, nUpdates, outFormat }, i) => {
    const plot = plots[`loss-${i}`];
    const what = outFormat === "lora" ? "A low-rank adapter was trained on" : "Fine-tuning changed";
    return html`<p>${what} <code>${model.spec}</code>: ${formatNumber(nTrained)} numbers, ${formatNumber(nUpdates)} updates on ${formatNumber(data.nExamples)} conversations of
<code>${data.file}</code>. Only the tokens of the answers count in the loss.</p>${plot && figure(plot)}`;
  });
  return { id: "training", title: "Fine-tuning", body: each };
}
