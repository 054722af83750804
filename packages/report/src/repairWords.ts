import { ReportError } from "./errors.ts";
import { formatNumber } from "./format.ts";
import { type Prose, prose, verbatim } from "./prose.ts";
import type { DataSource, RepairReport, ReportBudget, RivalReport } from "./repairReport.ts";
import { dialsOf, rivalText } from "./rivalText.ts";

/** A report without its numbers by linear and its hashes by tensor. */
export type DescribedRepair = Omit<RepairReport, "layers" | "tensors">;

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

/** `Safe Delta repair of NAME`: what the output is. */
export function repairTitle({ rival, tuned }: DescribedRepair): Prose {
  const what = rival ? `${rivalText[rival.method].name} applied to` : "Safe Delta repair of";
  return prose`${what} ${verbatim(tuned.name)}`;
}

/** `optimal --loss 0.03, task data`, or a rival with its dials: the setting in a few words. */
export function settingOf(report: Pick<RepairReport, "mode" | "budget" | "rival" | "taskData" | "third">): string {
  const { mode, budget, rival } = report;
  if (rival) return [rivalText[rival.method].name, ...dialsOf(rival)].join(", ");
  const dial = budget ? ` --${budget.kind} ${budget.value}` : "";
  return [`${mode}${dial}`, ...taskWords(report)].join(", ");
}

/** `task data`, or which way they went, in a list; nothing without them. */
export function taskWords({ taskData, third }: Pick<RepairReport, "taskData" | "third">): string[] {
  if (!taskData) return [];
  return [third ? "task data through an earlier repair" : "task data"];
}

/** What was done, in one paragraph. @throws ReportError for a report without a method */
export function whatWasDone(report: DescribedRepair): Prose {
  return report.rival ? whatRivalDid(report.rival, report) : whatRepairDid(report);
}

function whatRivalDid(rival: RivalReport, { aligned, tuned, safeData, totals }: DescribedRepair): Prose {
  const { name, what } = rivalText[rival.method];
  const dials = dialsOf(rival).flatMap((dial, i): Prose => [...(i > 0 ? [", "] : []), verbatim(dial)]);
  return prose`Fine-tuning turned the aligned model ${verbatim(aligned.spec)} into ${verbatim(tuned.spec)}. ${name}, with ${dials}, was applied to
${formatNumber(totals.nLinears)} linear layers (${formatNumber(totals.nWeights)} weights): ${what}.
It asks for no safe examples; the losses below are measured on ${formatNumber(safeData.nExamples)}, as those of Safe Delta repairs are.`;
}

function whatRepairDid({ aligned, tuned, third, mode, budget, safeData, taskData, totals }: DescribedRepair): Prose {
  if (!mode || !budget) throw new ReportError("the report names neither a mode with its budget nor a rival");
  const task = taskData
    ? ` Closeness was measured by the outputs on ${formatNumber(taskData.nExamples)} examples of the task${third ? ", which went through an earlier repair" : ""}.`
    : "";
  return prose`Fine-tuning turned the aligned model ${verbatim(aligned.spec)} into ${verbatim(tuned.spec)}. Safe Delta took back the part of that change
which, by a second-order estimate on ${formatNumber(safeData.nExamples)} safe examples, harms the aligned model's safe behaviour most,
in ${formatNumber(totals.nLinears)} linear layers (${formatNumber(totals.nWeights)} weights).
Mode ${verbatim(mode)}: ${modeText[mode]}.${task}
Budget ${verbatim(`--${budget.kind} ${budget.value}`)}: ${budgetText[budget.kind]}.`;
}

/** What a model was to its repair. */
export type Role = "aligned" | "tuned" | "repaired";

/** The models of a repair as other commands take them; an adapter speaks through the model that it belongs to. */
function spellingsOf({ aligned, tuned, recipe, outFormat }: DescribedRepair): Readonly<Record<Role, string>> {
  const out = String(recipe.out ?? "OUT");
  return { aligned: aligned.spec, tuned: tuned.spec, repaired: outFormat === "lora" ? `${aligned.spec}+${out}` : out };
}

/** How numbers are had of models that were not measured; `measureCommands` stand behind it. */
export function howToMeasure(repair: DescribedRepair, missing: readonly Role[]): Prose {
  const spellings = spellingsOf(repair);
  const models = missing.flatMap((role, i): Prose => [...(i > 0 ? [", "] : []), role, " ", verbatim(spellings[role])]);
  return prose`Not measured: ${models}. Ask each such MODEL what the others are asked, with a metric that suits the prompts
(${verbatim("asr-keywords")} counts answers without a refusal, ${verbatim("exact")} those equal to the reference), then make the page again; OUT is the repaired model:`;
}

export const measureCommands = [
  "bun run safedelta eval MODEL --prompts guarded.jsonl --metric asr-keywords --out eval",
  "bun run safedelta eval MODEL --prompts task.jsonl --metric exact --out eval",
  "bun run safedelta report OUT eval --out page.html",
].join("\n");

/** Models, data and engine with their hashes, each under its label. */
export function originsOf(report: DescribedRepair): readonly (readonly [label: string, text: Prose])[] {
  const { aligned, tuned, third, rival, state, safeData, taskData, engine, dtype, licence } = report;
  const role = taskData ? "task data through" : rival?.method === "negation" ? "harmful model" : "unaligned model";
  const model = ({ spec, hash }: RepairReport["aligned"]) => prose`${verbatim(spec)}, ${verbatim(hash)}`;
  return [
    ["aligned model", model(aligned)],
    ["fine-tuned model", model(tuned)],
    ...(third ? [[role, model(third)] as const] : []),
    ...(state ? [["prepared state", stateText(state)] as const] : []),
    ["safe data", dataText(safeData)],
    ...(taskData ? [["task data", dataText(taskData)] as const] : []),
    ["repaired tensors", prose`the linears of the table by layer, stored as ${dtype}`],
    ["all other tensors (embeddings, norms, lm_head)", [restText(report)]],
    ["engine", prose`${engine.name} ${engine.version} (${engine.description})`],
    ["licence", licence ? prose`${verbatim(licence)}` : ["not stated by the aligned model"]],
  ];
}

function restText({ outFormat, rest }: DescribedRepair): string {
  if (outFormat === "lora") return "the base model's, or the adapter's own where it brings some";
  return `unchanged from the ${rest === "aligned" ? "aligned" : "fine-tuned"} model`;
}

function stateText({ hash, damping }: NonNullable<RepairReport["state"]>): Prose {
  return prose`${verbatim(hash)}${damping === undefined ? "" : `; damping ${damping} of the mean diagonal`}`;
}

function dataText({ source, hash, nExamples, nTokens, seed, nSkipped, keyWeight }: DataSource): Prose {
  const skipped = nSkipped === undefined ? "" : `, the first ${nSkipped} of each left out`;
  const keys = keyWeight === undefined ? "" : `, key tokens ${keyWeight} times`;
  const counts = `${formatNumber(nExamples)} examples, ${formatNumber(nTokens)} tokens${skipped}${keys}, seed ${seed}`;
  return prose`${verbatim(source)}, ${verbatim(hash)}; ${counts}`;
}

/** What the safety loss is, and is not. */
export function lossLimit({ safeData }: DescribedRepair): string {
  return `The safety loss is a second-order estimate on ${formatNumber(safeData.nExamples)} safe
  examples through the aligned model, of the weights as they are stored; it says nothing of requests unlike them.`;
}
