import { formatNumber, formatShare } from "../format.ts";
import { ratio } from "../repairReport.ts";
import { repairTitle, whatWasDone } from "../repairWords.ts";
import { nameOf } from "./evaluations.ts";
import { experimentsSection } from "./experimentSection.ts";
import { html, jsonMarkup, Markup, type Part, plainText, proseMarkup } from "./html.ts";
import { answersSection, samplesSection } from "./measuredSections.ts";
import { limitsSection, originsSection, reproduceSection, timeSection } from "./originSections.ts";
import { finite, type PageRepair, type ReportData } from "./reportData.ts";
import { type Section, sectionMarkup } from "./section.ts";
import { style } from "./style.ts";
import { curveSection, mapsSection, spectraSection, trainingSection } from "./weightSections.ts";

/** The element of a page that holds its data. */
export const pageDataId = "safedelta-report";

/**
 * A page that stands by itself: one HTML file without scripts, network or inline styles, whose own policy allows nothing but its style
 * sheet. All that comes from files is escaped. The same data, the same bytes.
 */
export function reportPage(data: ReportData): string {
  const sections = sectionsOf(data);
  const title = titleOf(data);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="safedelta ${data.toolVersion}">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<p class="made">Safe Delta report, safedelta ${data.toolVersion}</p>
<h1>${title}</h1>
${headOf(data)}
<nav aria-label="Contents"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>\n`)}</ul></nav>
</header>
<main id="content">
${sections.map(sectionMarkup)}</main>
<footer><p>All numbers of this page, and its plots as vega-lite specifications, are in its source as JSON, in the element <code>${pageDataId}</code>.</p></footer>
<script type="application/json" id="${pageDataId}">${jsonMarkup(JSON.parse(JSON.stringify(data, finite)))}</script>
</body>
</html>
`;
  return page.text;
}

function policy(): string {
  const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
  return `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
}

function sectionsOf(data: ReportData): Section[] {
  return [
    answersSection(data),
    curveSection(data),
    mapsSection(data),
    spectraSection(data),
    samplesSection(data),
    experimentsSection(data),
    trainingSection(data),
    originsSection(data),
    timeSection(data),
    reproduceSection(data),
    limitsSection(data),
  ].filter((section) => section !== undefined);
}

/** What a page is called. */
export function titleOf({ repairs, trainings, evaluations, experiments }: ReportData): string {
  const [repair] = repairs;
  if (repair) return plainText(repairTitle(repair));
  if (experiments.length > 0) return `Experiment ${experiments[0].title}`;
  if (trainings.length > 0) return `Fine-tune of ${trainings[0].model.name}`;
  return `Evaluation of ${[...new Set(evaluations.map(nameOf))].join(", ")}`;
}

function headOf({ repairs }: ReportData): Part {
  const [repair] = repairs;
  if (!repair) return undefined;
  return html`<p>${proseMarkup(whatWasDone(repair))}</p>
${tiles(repair)}`;
}

function tiles({ totals }: PageRepair): Markup {
  const { safetyLossShare, deltaNorm, tunedDeltaNorm, utilityGap, keptShare, nLinears } = totals;
  const facts: readonly (readonly [string, string])[] = [
    [formatShare(safetyLossShare), "of the fine-tuning's safety loss is left (estimate)"],
    [
      formatShare(ratio(Math.sqrt(utilityGap), tunedDeltaNorm)),
      "of the fine-tuning's size lies between this model and the fine-tuned one",
    ],
    [
      formatShare(ratio(deltaNorm, tunedDeltaNorm)),
      "of the fine-tuning's size lies between this model and the aligned one",
    ],
    [formatShare(keptShare), "of the weights are the fine-tuned ones bit for bit"],
    [formatNumber(nLinears), "linear layers were repaired"],
  ];
  return html`<dl class="tiles">${facts.map(([value, what]) => html`<div><dt>${what}</dt><dd>${value}</dd></div>\n`)}</dl>`;
}
