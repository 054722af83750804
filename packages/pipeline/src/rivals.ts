import { checkRival, type Rival } from "@safedelta/core";
import { at, PipelineError } from "./errors.ts";
import { measureLinears, type Place, resolveBudgets } from "./linears.ts";
import type { MethodSettings, RivalSettings } from "./linearTasks.ts";
import { modesOf } from "./parts.ts";
import type { Progress } from "./progress.ts";
import type { Method } from "./repairLinear.ts";

/** A rival as it is asked for: Safe LoRA may be given how many linears to project, as its code does, in place of a threshold. */
export type RivalChoice = Rival | { readonly method: "safe-lora"; readonly nProjected: number };

/** A rival with all that it works from. */
export interface RivalMethod {
  readonly rival: RivalChoice;
  /** The third model, of the methods that `thirdModel` has one for; a bare adapter lies on the aligned model. */
  readonly third?: string;
  /** Of the masks; other methods draw nothing. */
  readonly seed: number;
}

/** What the third model of a method is. */
export const thirdModel: { readonly [M in Rival["method"]]?: "unaligned" | "harmful" } = {
  "safe-lora": "unaligned",
  resta: "unaligned",
  negation: "harmful",
};

/** @throws PipelineError `usage` for a dial out of its range, and for a third model that is missing or one too many */
export function checkRivalMethod({ rival, third }: RivalMethod): void {
  const { method } = rival;
  if ("nProjected" in rival) {
    if (!(Number.isSafeInteger(rival.nProjected) && rival.nProjected >= 1))
      throw new PipelineError("usage", `${method} projects 1 linear or more, not ${rival.nProjected}.`);
  } else at("apply", () => checkRival(rival));
  const role = thirdModel[method];
  if (role !== undefined && third === undefined)
    throw new PipelineError("usage", `${method} needs the ${role} model: add --${role} MODEL.`);
  if (role === undefined && third !== undefined)
    throw new PipelineError("usage", `${method} works from the aligned and the tuned model alone, not from ${third}.`);
}

/** A rival in plain values; a number of linears becomes a threshold, for which all that fine-tuning changed are measured. */
async function settleRival(place: Place, { rival, seed }: RivalMethod, progress: Progress): Promise<RivalSettings> {
  const [mode] = modesOf(place.state.manifest.parts); // whose factors measure the losses
  if (!("nProjected" in rival)) return { mode, rival, seed };
  const work = { task: "cosine", settings: { mode } } as const;
  const found = await measureLinears(place, "measuring the projections", progress, work);
  const cosines = [...found.values()].map(({ cosine }) => cosine).filter((cosine) => cosine !== undefined);
  const threshold = lowest(cosines, rival.nProjected);
  return { mode, rival: { method: "safe-lora", threshold }, seed };
}

/** The n-th lowest of some cosines, or the highest of fewer; of none the least there can be. */
function lowest(cosines: readonly number[], n: number): number {
  const sorted = cosines.toSorted((a, b) => a - b);
  return sorted[Math.min(n, sorted.length) - 1] ?? -1;
}

/** How each linear is made: all that has to be known of the others. */
export async function settle(place: Place, method: Method | RivalMethod, progress: Progress): Promise<MethodSettings> {
  if ("rival" in method) return settleRival(place, method, progress);
  return { mode: method.mode, budgets: await resolveBudgets(place, method, progress) };
}
