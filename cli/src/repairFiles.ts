import type { ApplyFacts, ApplyOptions, DataFacts, Describe } from "@safedelta/pipeline";
import { modelCard, type RepairReport, reportJson, totalsOf } from "@safedelta/report";
import { amountOf, budgetFlag } from "./budget.ts";
import { kebab } from "./recipe.ts";
import { shellLine } from "./words.ts";

/** README.md and safedelta.json of a repaired model. */
export function describeRepair(options: ApplyOptions, outFormat: "model" | "lora"): Describe {
  return (facts) => {
    const report = reportOf(options, facts, outFormat);
    const text = new TextEncoder();
    return new Map([
      ["README.md", text.encode(modelCard(report))],
      ["safedelta.json", text.encode(reportJson(report))],
    ]);
  };
}

function reportOf(options: ApplyOptions, facts: ApplyFacts, outFormat: "model" | "lora"): RepairReport {
  const { stateHash, safeData, taskData, ...told } = facts;
  return {
    ...told,
    command: commandOf(options, outFormat, safeData),
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

/** The command that makes the same model again, from the safe data rather than from a state that may be gone. */
function commandOf(options: ApplyOptions, outFormat: "model" | "lora", safe: DataFacts): string {
  const words = ["bun", "run", "safedelta", "apply", "--aligned", options.aligned, "--tuned", options.tuned];
  words.push("--safe-data", safe.file, "--samples", String(safe.nExamples), "--seed", String(safe.seed));
  words.push("--max-tokens", String(safe.maxTokens), "--system-prompts", safe.systemPrompts, "--mode", options.mode);
  words.push(...budgetFlag(options.budget).split(" "), "--rest", options.rest);
  if (options.taskData) words.push("--task-data", options.taskData.file);
  if (outFormat === "lora") words.push("--out-format", "lora");
  return shellLine([...words, "--out", options.out]);
}
