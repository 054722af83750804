import { type Plan, planExperiment, type Recipe } from "@safedelta/experiment";
import { stampOf, toolVersion } from "@safedelta/pipeline";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { type EngineOptions, openTold } from "../openTold.ts";
import { hashInputs } from "./hashInputs.ts";

/** What the flags say of a plan. */
export interface PlanFlags extends EngineOptions {
  readonly out: string;
  readonly set?: string;
  readonly seeds?: readonly number[];
}

/** The plan with the hashes of what lies on this machine, for the engine that opens, whose name every step is told. */
export async function planFor(recipe: Recipe, flags: PlanFlags, io: Io): Promise<{ plan: Plan; engine: string }> {
  const { out, set, seeds, ...engineOptions } = flags;
  using engine = await openTold(engineOptions, io);
  const stamp = JSON.stringify([toolVersion, stampOf(engine.info)]);
  const settings = { out, stamp, set: valuesOf(set), seeds };
  const words = new Set<string>();
  planExperiment(recipe, { ...settings, hashOf: (word) => void words.add(word) });
  const hashes = await hashInputs(words, out);
  const plan = planExperiment(recipe, { ...settings, hashOf: (word) => hashes.get(word) });
  return { plan, engine: engine.info.name };
}

/** @throws UsageError for a pair without "=" */
function valuesOf(set = ""): Record<string, string> {
  const pairs = set.split(",").filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
      if (name === undefined) throw new UsageError(`--set: "${pair}" must be NAME=VALUE.`);
      return [name, value];
    }),
  );
}
