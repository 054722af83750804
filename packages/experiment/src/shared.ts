import { modelMetrics } from "@safedelta/evaluation";
import type { Scalar } from "./recipe.ts";

/** Flags of eval that the answers do not depend on: what judges and compares them, and how long they are waited for. */
export const judgingFlags: readonly string[] = [
  ...["metric", "pattern", "refusal-opening", "aligned", "tuned"],
  ...["judge-endpoint", "judge-model", "judge-prompt", "judge-system", "judge-verdict"],
  ...["safe-data", "against", "fail-if", "timeout"],
];

/** The flags that decide the answers of an evaluation: two that are alike in these answer alike. */
export function answeringFlags(options: Readonly<Record<string, Scalar>>): Record<string, Scalar> {
  return Object.fromEntries(Object.entries(options).filter(([key]) => !judgingFlags.includes(key)));
}

/** Whether an evaluation may end without results though its answers are there: a judge that is down, a gate that is missed. It then gives none to others. */
export function mayFailByItself(options: Readonly<Record<string, Scalar>>): boolean {
  return Object.keys(options).some((key) => key === "fail-if" || key.startsWith("judge-"));
}

/** Whether an evaluation of these metrics, separated by commas, needs answers: some look at the model itself. */
export function needsAnswers(metric: string): boolean {
  const ofModel: readonly string[] = modelMetrics;
  return metric.split(",").some((name) => !ofModel.includes(name.trim()));
}
