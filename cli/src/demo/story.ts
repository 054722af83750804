import { join } from "node:path";
import type { ApplyOptions, DataOptions } from "@safedelta/pipeline";

/** The demo's two checkpoints and its data, as they lie in the repository. */
export const demoFolder = join(import.meta.dir, "..", "..", "demo");

/** Names of the five models of the story. */
export type DemoModel = "aligned" | "tuned" | "reference" | "optimal" | "optimal-task";

type Recipe = Pick<ApplyOptions, "mode" | "budget"> & { readonly task: boolean };
type RepairName = Exclude<DemoModel, "aligned" | "tuned">;

/** The repair shown in the table for each method; the sweep shows others. */
export const shownRepairs: Readonly<Record<RepairName, Recipe>> = {
  // At this scale the official rule keeps all that it ever keeps (85 % of the entries).
  reference: { mode: "reference", budget: { kind: "scale", value: 100 }, task: false },
  optimal: { mode: "optimal", budget: { kind: "loss", share: 0.2 }, task: false },
  "optimal-task": { mode: "optimal", budget: { kind: "loss", share: 0.1 }, task: true },
};

/** The budgets along each curve of the plot. */
export const sweptBudgets: Readonly<Record<RepairName, readonly ApplyOptions["budget"][]>> = {
  reference: [0.1, 1, 3, 10].map((value) => ({ kind: "scale", value })),
  optimal: [0.003, 0.03, 0.3, 0.6, 0.9].map((share) => ({ kind: "loss", share })),
  "optimal-task": [0.003, 0.03, 0.3, 0.6, 0.9].map((share) => ({ kind: "loss", share })),
};

/** A data file of the demo. */
export function demoData(file: "safe" | "task"): DataOptions {
  return { file: join(demoFolder, `${file}.jsonl`), samples: 128, seed: 42, maxTokens: 64, systemPrompts: "none" };
}
