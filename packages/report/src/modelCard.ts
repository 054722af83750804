import { ReportError } from "./errors.ts";
import { formatNumber, formatPercent, formatRate } from "./format.ts";
import { frontMatter } from "./frontMatter.ts";
import { code, codeBlock, markdownTable } from "./markdown.ts";
import {
  type DataSource,
  type RepairReport,
  type ReportBudget,
  type RivalReport,
  ratio,
  type Totals,
  totalsOf,
} from "./repairReport.ts";
import { dialsText, rivalText } from "./rivalText.ts";

/** Models with more layers are shown in bands of consecutive layers, so that the table stays readable. */
const maxLayerRows = 40;

const modeText: Record<NonNullable<RepairReport["mode"]>, string> = {
  optimal:
    "every weight's change is shrunk in the directions the safe examples depend on and kept in the others: " +
    "no change to the aligned weights is both safer, by this estimate, and closer to the fine-tuned model",
  exact:
    "whole input columns keep the fine-tuned weights bit for bit, and the other columns are set to their joint optimum",
  reference: "the selection and compensation of the official implementation, step by step",
  paper: "the selection and compensation as the paper's equations state them",
  none: "the selection of the official implementation without compensation (the paper's ablation)",
};

const budgetText: Record<ReportBudget["kind"], string> = {
  loss: "share of the full fine-tuning's safety loss allowed to each linear",
  "global-loss": "share of the full fine-tuning's safety loss allowed to all linears together",
  strength: "weight of safety against closeness, in units of 1/mean(diag H)",
  keep: "share of input columns kept",
  scale: "the paper's s",
};

const citation = `@inproceedings{lu2025safe,
  title={Safe Delta: Consistently Preserving Safety when Fine-Tuning {LLM}s on Diverse Datasets},
  author={Ning Lu and Shengcai Liu and Jiahao Wu and Weiyu Chen and Zhirui Zhang and Yew-Soon Ong and Qi Wang and Ke Tang},
  booktitle={Forty-second International Conference on Machine Learning},
  year={2025},
  url={https://arxiv.org/abs/2505.12038}
}`;

/** README.md of a repaired model: Hugging Face header, what was done, numbers by layer, limits. The same report, the same text. */
export function modelCard(report: RepairReport): string {
  const sections = [
    `${header(report)}\n\n# ${title(report)}`,
    whatWasDone(report),
    origins(report),
    layerSection(report),
    behaviour(report),
    `## How to reproduce\n\nWith safedelta ${report.toolVersion}:\n\n${codeBlock(report.command, "sh")}`,
    `## Reference\n\n${report.rival ? rivalText[report.rival.method].paper : codeBlock(citation, "bibtex")}`,
  ];
  return `${sections.join("\n\n")}\n`;
}

function title({ rival, tuned }: RepairReport): string {
  return `${rival ? `${rivalText[rival.method].name} applied to` : "Safe Delta repair of"} ${code(tuned.name)}`;
}

/** `org/name`: what the Hub can link. A local model has no page there, so `base_model` leaves it out. */
const hubName = /^[\w.-]+\/[\w.-]+$/;

function header({ tuned, aligned, licence, outFormat, rival }: RepairReport): string {
  const isAdapter = outFormat === "lora";
  const names = (isAdapter ? [aligned] : [tuned, aligned]).map(({ name }) => name);
  const bases = names.filter((name) => hubName.test(name));
  const relation = bases.length > 1 ? "merge" : "finetune";
  return frontMatter({
    base_model: bases.length > 1 ? bases : bases[0],
    base_model_relation: bases.length === 0 ? undefined : isAdapter ? "adapter" : relation,
    library_name: isAdapter ? "peft" : "transformers",
    pipeline_tag: "text-generation",
    tags: [rival?.method ?? "safe-delta", "safety"],
    license: licence,
  });
}

function whatWasDone(report: RepairReport): string {
  if (report.rival) return whatRivalDid(report.rival, report);
  return whatRepairDid(report);
}

function whatRivalDid(rival: RivalReport, { aligned, tuned, safeData, totals }: RepairReport): string {
  const { name, what } = rivalText[rival.method];
  return `## What was done

Fine-tuning turned the aligned model ${code(aligned.spec)} into ${code(tuned.spec)}. ${name}, with ${dialsText(rival)}, was applied to
${formatNumber(totals.nLinears)} linear layers (${formatNumber(totals.nWeights)} weights): ${what}.
It asks for no safe examples; the losses below are measured on ${formatNumber(safeData.nExamples)}, as those of Safe Delta repairs are.`;
}

function whatRepairDid({ aligned, tuned, mode, budget, safeData, taskData, totals }: RepairReport): string {
  if (!mode || !budget) throw new ReportError("modelCard: the report names neither a mode with its budget nor a rival");
  const task = taskData
    ? ` Closeness was measured by the outputs on ${formatNumber(taskData.nExamples)} examples of the task.`
    : "";
  return `## What was done

Fine-tuning turned the aligned model ${code(aligned.spec)} into ${code(tuned.spec)}. Safe Delta took back the part of that change
which, by a second-order estimate on ${formatNumber(safeData.nExamples)} safe examples, harms the aligned model's safe behaviour most,
in ${formatNumber(totals.nLinears)} linear layers (${formatNumber(totals.nWeights)} weights).
Mode ${code(mode)}: ${modeText[mode]}.${task}
Budget ${code(`--${budget.kind} ${budget.value}`)}: ${budgetText[budget.kind]}.`;
}

function origins(report: RepairReport): string {
  const { aligned, tuned, third, rival, state, safeData, taskData, engine, dtype, licence } = report;
  return [
    "## Where it comes from",
    "",
    `- aligned model: ${code(aligned.spec)}, ${code(aligned.hash)}`,
    `- fine-tuned model: ${code(tuned.spec)}, ${code(tuned.hash)}`,
    ...(third
      ? [`- ${rival?.method === "negation" ? "harmful" : "unaligned"} model: ${code(third.spec)}, ${code(third.hash)}`]
      : []),
    ...(state ? [`- prepared state: ${code(state.hash)}`] : []),
    `- safe data: ${dataText(safeData)}`,
    ...(taskData ? [`- task data: ${dataText(taskData)}`] : []),
    `- repaired tensors: the linears of the table below, stored as ${dtype}`,
    `- all other tensors (embeddings, norms, lm_head): ${restText(report)}`,
    `- engine: ${engine.name} ${engine.version} (${engine.description})`,
    `- licence: ${licence ? code(licence) : "not stated by the aligned model"}`,
  ].join("\n");
}

function restText({ outFormat, rest }: RepairReport): string {
  if (outFormat === "lora") return "the base model's, or the adapter's own where it brings some";
  return `unchanged from the ${rest === "aligned" ? "aligned" : "fine-tuned"} model`;
}

function dataText({ source, hash, nExamples, nTokens, seed }: DataSource): string {
  const counts = `${formatNumber(nExamples)} examples, ${formatNumber(nTokens)} tokens, seed ${seed}`;
  return `${code(source)}, ${code(hash)}; ${counts}`;
}

function layerSection(report: RepairReport): string {
  const rows = [...bandsOf(report), layerRow("all", report.totals)];
  if (report.rival) return rivalLayers(rows);
  const columns = [...ownColumns.slice(0, 2), "Budget spent", ...ownColumns.slice(2)];
  return `## By layer

Kept: share of weights equal to the fine-tuned ones. Budget spent: of what the layer was allowed. Safety loss: share of the full
fine-tuning's. Delta norm: size of the change left in the weights, compensation included, which may make it
larger than the fine-tuning's (above 100 %). Every linear's numbers are in ${code("safedelta.json")}.

${markdownTable(columns, rows)}`;
}

const ownColumns = ["Layer", "Kept", "Safety loss", "Delta norm", "of fine-tuning's"];

/** A rival has no budget to spend. */
function rivalLayers(rows: readonly (readonly string[])[]): string {
  return `## By layer

Kept: share of weights equal to the fine-tuned ones. Safety loss: share of the full fine-tuning's, above 100 % where the weights went farther from
the aligned ones. Delta norm: distance from the aligned weights. Every linear's numbers are in ${code("safedelta.json")}.

${markdownTable(
  ownColumns,
  rows.map((row) => row.filter((_, i) => i !== 2)),
)}`;
}

function bandsOf({ layers }: RepairReport): string[][] {
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

function behaviour({ evaluation, safeData }: RepairReport): string {
  const measured = `- Measured: weights. The safety loss is a second-order estimate on ${formatNumber(safeData.nExamples)} safe
  examples through the aligned model, of the weights as they are stored; it says nothing of requests unlike them.`;
  const answers = evaluation?.length
    ? `- Measured: answers, greedy, in the table below and nowhere else; the intervals are 95 %.\n\n${evaluationTable(evaluation)}`
    : `- Not measured: behaviour. No prompt was answered to make this card. Whether the model refuses what it should, and does its
  task, has to be evaluated before it is relied on.`;
  return `## What was measured, and what was not\n\n${measured}\n${answers}`;
}

function evaluationTable(rows: NonNullable<RepairReport["evaluation"]>): string {
  return markdownTable(
    ["Task", "Metric", "Model", "Value", "n"],
    rows.map(({ task, metric, model, n, ...interval }) => [task, metric, model, formatRate(interval), formatNumber(n)]),
  );
}
