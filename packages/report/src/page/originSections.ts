import { formatBytes, formatMs, formatNumber } from "../format.ts";
import { lossLimit, originsOf } from "../repairWords.ts";
import { html, type Markup, type Part, proseMarkup } from "./html.ts";
import type { ReportData } from "./reportData.ts";
import { factsMarkup, type Section, tableMarkup } from "./section.ts";

type Recipe = Readonly<Record<string, string | number>>;

/** Models, data, hashes, recipe, engine. */
export function originsSection({ repairs, trainings }: ReportData): Section | undefined {
  const [repair] = repairs;
  if (repair) {
    const facts = originsOf(repair).map(([label, text]) => [label, proseMarkup(text)] as const);
    const body = [factsMarkup(facts), recipeTable(repair.recipe), fileHashes(repair.files)];
    return { id: "origins", title: "Where it comes from", body };
  }
  const [training] = trainings;
  if (!training) return undefined;
  const { model, data, engine, licence } = training;
  const facts: (readonly [string, Part])[] = [
    ["model", html`<code>${model.spec}</code>, <code>${model.hash}</code>`],
    [
      "data",
      html`<code>${data.file}</code>, <code>${data.sha256}</code>; ${formatNumber(data.nExamples)} conversations`,
    ],
    ["engine", `${engine.name} ${engine.version} (${engine.description})`],
    ["licence", licence ?? "not stated by the model"],
  ];
  const body = [factsMarkup(facts), recipeTable(training.recipe), fileHashes(training.files)];
  return { id: "origins", title: "Where it comes from", body };
}

function recipeTable(recipe: Recipe): Markup {
  const rows = Object.entries(recipe).map(([key, value]) => [html`<code>${key}</code>`, html`<code>${value}</code>`]);
  return html`<details><summary>Recipe: every option of the run</summary>${tableMarkup("Options, defaults included", ["option", "value"], rows, "words")}</details>`;
}

function fileHashes(files: Readonly<Record<string, string>>): Markup {
  const rows = Object.entries(files).map(([name, hash]) => [html`<code>${name}</code>`, html`<code>${hash}</code>`]);
  return html`<details><summary>Hashes of the files beside the weights</summary>${tableMarkup("SHA-256; those of the tensors stand in safedelta.json or training.json", ["file", "sha256"], rows, "words")}</details>`;
}

/** Time and memory by stage, where the run told them. */
export function timeSection({ run, repairs }: ReportData): Section | undefined {
  if (!run)
    return repairs.length === 0
      ? undefined
      : { id: "time", title: "Time and memory", body: html`<p class="note">${noTimes}</p>` };
  const rows = run.stages.map(({ name, ms, peakMemoryBytes }) => [name, formatMs(ms), formatBytes(peakMemoryBytes)]);
  const all = ["all", formatMs(run.ms), formatBytes(run.peakMemoryBytes)];
  const body = tableMarkup(
    "By stage; memory is the peak of the process until then",
    ["stage", "time", "memory"],
    [...rows, all],
  );
  return { id: "time", title: "Time and memory", body };
}

const noTimes =
  "Not in this page: what apply writes is the same, byte for byte, after an interrupted and an uninterrupted run. " +
  "“safedelta apply … --json > run.json”, then “safedelta report … --run run.json” shows both by stage.";

/** The commands that make the same again. */
export function reproduceSection({ repairs, trainings, toolVersion }: ReportData): Section | undefined {
  const [made] = [...repairs, ...trainings];
  if (!made) return undefined;
  const version = made.toolVersion === toolVersion ? toolVersion : `${made.toolVersion} (this page: ${toolVersion})`;
  return {
    id: "reproduce",
    title: "How to reproduce",
    body: html`<p>With safedelta ${version}:</p><pre><code>${made.command}</code></pre>`,
  };
}

/** What the numbers do not say. */
export function limitsSection({ repairs, evaluations, trainings }: ReportData): Section {
  const [repair] = repairs;
  const limits = [
    ...(repair ? [lossLimit(repair)] : []),
    ...(repair && evaluations.length === 0 ? [unmeasured] : []),
    ...(evaluations.length > 0 ? [sampled] : []),
    ...(trainings.length > 0 ? [trained] : []),
    "A refusal is not safety, and an answer is not harm: read answers before you publish a model.",
  ];
  return { id: "limits", title: "Limits", body: html`<ul>${limits.map((text) => html`<li>${text}</li>\n`)}</ul>` };
}

const unmeasured =
  "No answer was measured. Whether the model refuses what it should, and does its task, has to be evaluated before it is relied on.";
const sampled =
  "Rates are of the prompts that were asked, answered greedily; their intervals are of chance alone, and say nothing of other prompts, other templates or a wrong judge.";
const trained =
  "The loss is that on the data that were trained on. Fine-tuning takes safety away even where the data are harmless.";
