import {
  type AnyOptions,
  type ApplyFacts,
  type DataFacts,
  type DataOptions,
  type Describe,
  shellLine,
  type TokenCounting,
  toolVersion,
} from "@safedelta/pipeline";
import {
  modelCard,
  type RepairReport,
  type ReportBudget,
  reportData,
  reportJson,
  reportPage,
  totalsOf,
} from "@safedelta/report";
import { amountOf } from "./budget.ts";
import { kebab } from "./recipe.ts";
import { drawsMask, rivalFlags } from "./rival.ts";

/** README.md, report.html and safedelta.json of a repaired model; each tells the hashes of those before it. */
export function describeRepair(options: AnyOptions, outFormat: "model" | "lora"): Describe {
  return (facts) => {
    const report = reportOf(options, facts, outFormat);
    const text = new TextEncoder();
    const card = text.encode(modelCard(report));
    const withCard = { ...report.files, "README.md": sha256(card) };
    const data = reportData({ toolVersion, repairs: [{ ...report, files: withCard }] });
    const page = text.encode(reportPage(data));
    const files = { ...withCard, "report.html": sha256(page) };
    return new Map([
      ["README.md", card],
      ["report.html", page],
      ["safedelta.json", text.encode(reportJson({ ...report, files }))],
    ]);
  };
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

function reportOf(options: AnyOptions, facts: ApplyFacts, outFormat: "model" | "lora"): RepairReport {
  const { stateHash, statePlan, safeData, taskData, ...told } = facts;
  return {
    ...told,
    command: commandOf(options, facts, outFormat),
    recipe: recipeOf(options, facts.engine.name, outFormat),
    outFormat,
    ...reportedMethod(options),
    state: { hash: stateHash, damping: statePlan.damping },
    safeData: sourceOf(safeData),
    taskData: taskData && sourceOf(taskData),
    rest: options.rest,
    totals: totalsOf(facts.layers.flatMap((layer) => layer.linears)),
  };
}

/** A mode with its budget, or a rival with its dials, as safedelta.json has it. */
function reportedMethod(options: AnyOptions): Pick<RepairReport, "mode" | "budget" | "rival"> {
  if ("rival" in options) {
    const { rival, seed } = options;
    return { rival: drawsMask(rival) ? { ...rival, seed } : rival };
  }
  const { mode, budget } = options;
  return { mode, budget: { kind: kebab(budget.kind) as ReportBudget["kind"], value: amountOf(budget) } };
}

function sourceOf({
  file,
  sha256,
  nExamples,
  nTokens,
  seed,
  nSkipped,
  keyWeight,
}: DataFacts): RepairReport["safeData"] {
  return { source: file, hash: sha256, nExamples, nTokens, seed, nSkipped, keyWeight };
}

/** Every option of the run under the keys of the command line, the engine that was found included; `--recipe` takes it back. */
export function recipeOf(options: AnyOptions, engine: string, outFormat: "model" | "lora"): RepairReport["recipe"] {
  const { aligned, tuned, source, rest, maxShardBytes, out } = options;
  const { taskData, taskThrough, third } = "mode" in options ? options : {};
  const data = "state" in source ? taskData : source.safeData;
  return {
    aligned,
    tuned,
    ...("state" in source ? { state: source.state } : { "safe-data": source.safeData.file }),
    ...(taskData ? { "task-data": taskData.file, "task-through": third ?? taskThrough ?? "tuned" } : {}),
    ...(data ? { samples: data.samples, seed: data.seed, "max-tokens": data.maxTokens } : {}),
    ...("state" in source ? {} : safeFlags({ ...source.safeData, damping: source.damping })),
    ...methodFlags(options),
    rest,
    "out-format": outFormat,
    ...(outFormat === "model" ? { "max-shard-size": maxShardBytes } : {}),
    engine,
    out,
  };
}

/** How safe examples become statistics, as far as it was said. */
function safeFlags({
  systemPrompts,
  skipTokens,
  keyWeight,
  damping,
}: Pick<DataOptions, "systemPrompts"> & TokenCounting & { readonly damping?: number }): RepairReport["recipe"] {
  return {
    "system-prompts": systemPrompts,
    ...(skipTokens === undefined ? {} : { "skip-tokens": skipTokens }),
    ...(keyWeight === undefined ? {} : { "key-weight": keyWeight }),
    ...(damping === undefined ? {} : { damping }),
  };
}

function methodFlags(options: AnyOptions): RepairReport["recipe"] {
  if ("rival" in options) return rivalFlags(options);
  return { mode: options.mode, [kebab(options.budget.kind)]: amountOf(options.budget) };
}

/** The recipe as a command line; a state that was given may be gone, so the command that makes it stands before. */
function commandOf(options: AnyOptions, facts: ApplyFacts, outFormat: "model" | "lora"): string {
  const apply = safedelta("apply", recipeOf(options, facts.engine.name, outFormat));
  if (!("state" in options.source)) return apply;
  const { file, nExamples, seed, maxTokens, systemPrompts, nSkipped, keyWeight } = facts.safeData;
  const { engine, modes, damping } = facts.statePlan;
  const data = {
    "safe-data": file,
    samples: nExamples,
    seed,
    "max-tokens": maxTokens,
    ...safeFlags({ systemPrompts, skipTokens: nSkipped, keyWeight, damping }),
  };
  const flags = { ...data, modes: modes.join(), engine, out: options.source.state };
  return `${safedelta("prepare", flags, options.aligned)}\n${apply}`;
}

function safedelta(command: string, flags: RepairReport["recipe"], ...args: readonly string[]): string {
  const words = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, String(value)]);
  return shellLine(["bun", "run", "safedelta", command, ...args, ...words]);
}
