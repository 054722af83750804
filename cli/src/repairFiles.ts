import { type ApplyFacts, type ApplyOptions, type DataFacts, type Describe, shellLine } from "@safedelta/pipeline";
import { modelCard, type RepairReport, reportJson, totalsOf } from "@safedelta/report";
import { amountOf } from "./budget.ts";
import { kebab } from "./recipe.ts";

/** README.md and safedelta.json of a repaired model. */
export function describeRepair(options: ApplyOptions, outFormat: "model" | "lora"): Describe {
  return (facts) => {
    const report = reportOf(options, facts, outFormat);
    const text = new TextEncoder();
    const card = text.encode(modelCard(report));
    const files = { ...report.files, "README.md": new Bun.CryptoHasher("sha256").update(card).digest("hex") };
    return new Map([
      ["README.md", card],
      ["safedelta.json", text.encode(reportJson({ ...report, files }))],
    ]);
  };
}

function reportOf(options: ApplyOptions, facts: ApplyFacts, outFormat: "model" | "lora"): RepairReport {
  const { stateHash, statePlan: _, safeData, taskData, ...told } = facts;
  return {
    ...told,
    command: commandOf(options, facts, outFormat),
    recipe: recipeOf(options, facts.engine.name, outFormat),
    outFormat,
    mode: options.mode,
    budget: { kind: kebab(options.budget.kind) as RepairReport["budget"]["kind"], value: amountOf(options.budget) },
    state: { hash: stateHash },
    safeData: sourceOf(safeData),
    taskData: taskData && sourceOf(taskData),
    rest: options.rest,
    totals: totalsOf(facts.layers.flatMap((layer) => layer.linears)),
  };
}

function sourceOf({ file, sha256, nExamples, nTokens, seed }: DataFacts): RepairReport["safeData"] {
  return { source: file, hash: sha256, nExamples, nTokens, seed };
}

/** Every option of the run under the keys of the command line, the engine that was found included; `--recipe` takes it back. */
export function recipeOf(options: ApplyOptions, engine: string, outFormat: "model" | "lora"): RepairReport["recipe"] {
  const { aligned, tuned, source, taskData, mode, budget, rest, maxShardBytes, out } = options;
  const data = "state" in source ? taskData : source.safeData;
  return {
    aligned,
    tuned,
    ...("state" in source ? { state: source.state } : { "safe-data": source.safeData.file }),
    ...(taskData ? { "task-data": taskData.file } : {}),
    ...(data ? { samples: data.samples, seed: data.seed, "max-tokens": data.maxTokens } : {}),
    ...("state" in source ? {} : { "system-prompts": source.safeData.systemPrompts }),
    mode,
    [kebab(budget.kind)]: amountOf(budget),
    rest,
    "out-format": outFormat,
    ...(outFormat === "model" ? { "max-shard-size": maxShardBytes } : {}),
    engine,
    out,
  };
}

/** The recipe as a command line; a state that was given may be gone, so the command that makes it stands before. */
function commandOf(options: ApplyOptions, facts: ApplyFacts, outFormat: "model" | "lora"): string {
  const apply = safedelta("apply", recipeOf(options, facts.engine.name, outFormat));
  if (!("state" in options.source)) return apply;
  const { file, nExamples, seed, maxTokens, systemPrompts } = facts.safeData;
  const { engine, modes } = facts.statePlan;
  const data = {
    "safe-data": file,
    samples: nExamples,
    seed,
    "max-tokens": maxTokens,
    "system-prompts": systemPrompts,
  };
  const flags = { ...data, modes: modes.join(), engine, out: options.source.state };
  return `${safedelta("prepare", flags, options.aligned)}\n${apply}`;
}

function safedelta(command: string, flags: RepairReport["recipe"], ...args: readonly string[]): string {
  const words = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, String(value)]);
  return shellLine(["bun", "run", "safedelta", command, ...args, ...words]);
}
