import { type Plan, planExperiment, type Recipe } from "@safedelta/experiment";
import { assumedDevice, type Device, stampOf, stateFormat, toolVersion } from "@safedelta/pipeline";
import { UsageError } from "../exitCode.ts";
import type { Io } from "../io.ts";
import { type EngineOptions, openTold } from "../openTold.ts";
import { readNamed } from "../readNamed.ts";
import { hashInputs, type KnownHashes, readHashes } from "./hashInputs.ts";
import type { Stamp } from "./outFolder.ts";

/** What the flags say of a plan. */
export interface PlanFlags extends EngineOptions {
  readonly out: string;
  readonly set?: string;
  readonly seeds?: readonly number[];
  readonly methods?: readonly string[];
}

/** A plan before anything of this machine was hashed: its steps are those to come, but not their fingerprints. */
export interface Draft {
  readonly plan: Plan;
  /** Part of every fingerprint. */
  readonly stamp: Stamp;
  /** What time guesses assume of the engine. */
  readonly device: Device;
  /** The plan with the hashes of what lies on this machine, and these, to be remembered. */
  finish(): Promise<{ readonly plan: Plan; readonly known: KnownHashes }>;
}

/** Plan for the engine that opens, whose name every step is told. @throws as `planExperiment`; UsageError for --set */
export async function draftFor(recipe: Recipe, flags: PlanFlags, io: Io): Promise<Draft> {
  const { out, set, seeds, methods, ...engineOptions } = flags;
  using engine = await openTold(engineOptions, io);
  const stamp = { version: toolVersion, engine: stampOf(engine.info) };
  const asked = { set: await valuesOf(set), seeds, methods };
  const settings = { out, stamp: JSON.stringify([stamp.version, stamp.engine, stateFormat]), ...asked };
  const words = new Set<string>();
  const plan = planExperiment(recipe, { ...settings, hashOf: (word) => void words.add(word) });
  const finish = async () => {
    const known = await readHashes(out);
    const hashes = await hashInputs(words, known);
    return { known, plan: planExperiment(recipe, { ...settings, hashOf: (word) => hashes.get(word) }) };
  };
  return { plan, stamp, device: assumedDevice(engine.info), finish };
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
