import { drawPlot, plotLegend } from "../plots/drawPlot.ts";
import { type PlotSpec, seriesOf } from "../plots/plotSpec.ts";
import { html, type Markup } from "./html.ts";

/** A plot with its caption, and a legend where it has several series. */
export function figure(spec: PlotSpec): Markup {
  const several = seriesOf(spec.data.values).length > 1;
  return html`<figure><figcaption>${spec.title}</figcaption>${several ? plotLegend(spec) : undefined}
<div class="scroll" tabindex="0" role="region" aria-label="Plot: ${spec.title}">${drawPlot(spec)}</div>
</figure>`;
}
