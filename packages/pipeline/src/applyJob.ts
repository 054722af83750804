import type { Engine } from "@safedelta/engine";
import type { AnyOptions, ModelFacts, TaskThrough } from "./applyOptions.ts";
import { sha256, stableJson } from "./files.ts";
import type { MethodSettings } from "./linearTasks.ts";
import { hashModel, type OpenedModel } from "./models.ts";
import { type Pair, restNames } from "./pair.ts";
import type { Progress } from "./progress.ts";
import type { Sequences } from "./sequences.ts";
import type { State } from "./state.ts";
import { stampOf, toolVersion } from "./version.ts";

/** The third model with the hash of its content, read once, which its part in an interrupted run is known by. */
export async function thirdFacts(
  options: AnyOptions,
  { aligned, third }: Pair,
  progress: Progress,
): Promise<ModelFacts | undefined> {
  if (!third || options.third === undefined) return undefined;
  progress.stage("hashing the third model", 1);
  const { sha256: hash } = await hashModel(third, aligned.checkpoint);
  progress.step(options.third);
  return { spec: options.third, name: third.name, hash };
}

/**
 * Names everything that decides the output's bytes but the weights of the pair, whose hashes the journal keeps. A pooled budget and a
 * number of linears to project depend on all weights, those not yet repaired too: what they came to is named.
 * @param settings with the hash of the third model, if there is one
 */
export async function fingerprintOf(
  engine: Engine,
  options: AnyOptions,
  pair: Pair,
  state: State,
  settings: MethodSettings & { readonly third?: string },
  task?: Sequences,
) {
  const { rest } = options;
  const inputs = { aligned: options.aligned, tuned: options.tuned, state: state.sha256 };
  // Sums over the examples depend on the number of devices, a repair does not.
  const { info } = task ? engine : (engine.peers?.[0] ?? engine);
  const job = { toolVersion, engine: stampOf(info), ...inputs, rest, settings: inWords(settings) };
  if (!task) return sha256(stableJson({ ...job, task: {} }));
  const { file: _, ...facts } = task.facts;
  const through = taskThrough(options);
  const throughRest = pair.third ? undefined : await hashRest(pair[through]); // all of a third one is in the settings' hash
  return sha256(stableJson({ ...job, task: facts, through, throughRest }));
}

/** The model that the task data go through. */
export function throughOf(pair: Pair, options: AnyOptions): OpenedModel {
  return pair.third ?? pair[taskThrough(options)];
}

function taskThrough(options: AnyOptions): TaskThrough {
  return ("taskThrough" in options && options.taskThrough) || "tuned";
}

/** An infinite strength is no JSON. */
function inWords(settings: MethodSettings) {
  if ("rival" in settings) return settings;
  const each = Object.entries(settings.budgets).map(([name, budget]) => [name, ...Object.values(budget).map(String)]);
  return { ...settings, budgets: each };
}

/** Of what no journal line checks and yet decides the task's hidden states: the config, embeddings and norms of the model that the task data go through. */
async function hashRest({ checkpoint, config, configSha256 }: OpenedModel): Promise<string> {
  const hashes = [configSha256];
  for (const name of restNames(config, checkpoint)) hashes.push(sha256((await checkpoint.read(name)).bytes));
  return sha256(hashes.join());
}
