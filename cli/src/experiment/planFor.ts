import { type Plan, planExperiment, type Recipe } from "@safedelta/experiment";
import { assumedDevice, type Device, stampOf, toolVersion } from "@safedelta/pipeline";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { type EngineOptions, openTold } from "../openTold.ts";
import { readNamed } from "../readNamed.ts";
import { hashInputs, type KnownHashes, readHashes } from "./hashInputs.ts";
import type { Surroundings } from "./outFolder.ts";

/** What the flags say of a plan. */
export interface PlanFlags extends EngineOptions {
  readonly out: string;
  readonly set?: string;
  readonly seeds?: readonly number[];
}

/** A plan, and what it is for. */
export interface PlannedFor {
  readonly plan: Plan;
  /** Hashes of its inputs, to be remembered. */
  readonly known: KnownHashes;
  /** Part of the fingerprint of every step. */
  readonly surroundings: Surroundings;
  /** What time guesses assume of it. */
  readonly device: Device;
}

/** The plan with the hashes of what lies on this machine, for the engine that opens, whose name every step is told. */
export async function planFor(recipe: Recipe, flags: PlanFlags, io: Io): Promise<PlannedFor> {
  const { out, set, seeds, ...engineOptions } = flags;
  using engine = await openTold(engineOptions, io);
  const surroundings = { version: toolVersion, engine: stampOf(engine.info) };
  const stamp = JSON.stringify([surroundings.version, surroundings.engine]);
  const settings = { out, stamp, set: await valuesOf(set), seeds };
  const words = new Set<string>();
  planExperiment(recipe, { ...settings, hashOf: (word) => void words.add(word) });
  const known = await readHashes(out);
  const hashes = await hashInputs(words, known);
  const plan = planExperiment(recipe, { ...settings, hashOf: (word) => hashes.get(word) });
  return { plan, known, surroundings, device: assumedDevice(engine.info) };
}

/** Of `@FILE` the text of the file. @throws UsageError for a pair without "=", and a file that cannot be read */
async function valuesOf(set = ""): Promise<Record<string, string>> {
  const pairs = set.split(",").filter((pair) => pair !== "");
  return Object.fromEntries(await Promise.all(pairs.map(namedValue)));
}

async function namedValue(pair: string): Promise<readonly [string, string]> {
  const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
  if (name === undefined || value === undefined) throw new UsageError(`--set: "${pair}" must be NAME=VALUE.`);
  if (!value.startsWith("@")) return [name, value];
  return [name, (await readNamed(value.slice(1), `--set ${pair}`)).trim()];
}
