import { drawPlot, placeText, plotLegend } from "../plots/drawPlot.ts";
import { type PlotSpec, seriesOf } from "../plots/plotSpec.ts";
import { pointsTogether } from "../plots/together.ts";
import { html, type Markup, type Part } from "./html.ts";

/** A plot with its caption, a legend where it has several series, and the points that hide each other. */
export function figure(spec: PlotSpec): Markup {
  const several = seriesOf(spec.data.values).length > 1;
  return html`<figure><figcaption>${spec.title}</figcaption>${several ? plotLegend(spec) : undefined}
<div class="scroll" tabindex="0" role="region" aria-label="Plot: ${spec.title}">${drawPlot(spec)}</div>
${togetherList(spec)}</figure>`;
}

/** Most places that are listed in sight; more are folded. */
const mostInSight = 3;

function togetherList(spec: PlotSpec): Part {
  const groups = pointsTogether(spec);
  if (groups.length === 0) return undefined;
  const items = groups.map((rows) => {
    const names = rows.map(({ label, series }) => label ?? series);
    return html`<li>${placeText(spec, rows[0])}: ${names.join(", ")}</li>\n`;
  });
  const list = html`<ul>${items}</ul>`;
  if (groups.length <= mostInSight) return html`<div class="note together">Points in one place:${list}</div>`;
  return html`<details class="note together"><summary>${groups.length} places hold several points</summary>${list}</details>`;
}
