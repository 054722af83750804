import { dirname, join, resolve } from "node:path";
import { CheckpointError, type CheckpointWriter, createWriter, workName } from "@safedelta/checkpoint";
import { checkBudget } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { collectFacts } from "./applyFacts.ts";
import type { ApplyFacts, ApplyOptions } from "./applyOptions.ts";
import { changedSince, copyRest, repairLayers, repairWithTask } from "./applyRun.ts";
import { at, PipelineError } from "./errors.ts";
import { type ApplyEstimate, estimateApply } from "./estimate.ts";
import { removeAtOnce, removeQuietly, requireDisk, requirePlace, sha256, stableJson } from "./files.ts";
import { resolveBudgets } from "./linears.ts";
import { lockFolder } from "./lock.ts";
import { requireMemory } from "./memory.ts";
import type { OpenedModel } from "./models.ts";
import { leftOut, overspent, unchanged, warnOf } from "./oddities.ts";
import { checkState, linearsOf, openPair, type Pair, requireSameHead, requireWritable, restNames } from "./pair.ts";
import { type Parts, planParts } from "./parts.ts";
import { type PreparePlan, planPrepare, prepare } from "./prepare.ts";
import type { Progress } from "./progress.ts";
import type { BudgetOf } from "./repairLinear.ts";
import { readSequences, type Sequences } from "./sequences.ts";
import { openState, requireMode, type State } from "./state.ts";
import { stampOf, toolVersion } from "./version.ts";
import { besideOf, removeLeftover, repairedOutput, requireFreeOutput, requireOutside } from "./workFolder.ts";

/** Makes the further files of the output folder (model card, safedelta.json) out of the facts. */
export type Describe = (facts: ApplyFacts) => ReadonlyMap<string, Uint8Array>;

/** What would be done. */
export interface ApplyPlan {
  readonly estimate: ApplyEstimate;
  /** When the state would be made on the way. */
  readonly prepare?: PreparePlan;
}

/** Plan only: every check that needs no computing and no weights but those of the first layer. @throws as `apply` before its work */
export async function planApply(engine: Engine, options: ApplyOptions, progress: Progress): Promise<ApplyPlan> {
  checkOptions(options);
  await requireFreeRepair(options);
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const task = await readTask(options, pair, progress);
  return await planWork(engine, options, pair, repairEstimate(pair, task), progress);
}

/**
 * Repair a fine-tuned model and write it beside its description. One linear of both models is in memory at a time. An
 * interrupted run goes on where it stopped and ends with the same bytes.
 * @throws PipelineError, CheckpointError; nothing that looks finished remains after an error
 */
export async function apply(
  engine: Engine,
  options: ApplyOptions,
  describe: Describe,
  progress: Progress,
): Promise<ApplyFacts> {
  checkOptions(options);
  if (!options.overwrite) await removeLeftover(options.out, repairedOutput);
  await requireFreeRepair(options);
  await using _lock = await lockFolder(options.out);
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const task = await readTask(options, pair, progress);
  await planWork(engine, options, pair, repairEstimate(pair, task), progress);
  const state = await stateOf(engine, options, progress);
  await using opened = new AsyncDisposableStack();
  const budgets = await resolveBudgets(engine, pair, state, options, progress);
  const fingerprint = await fingerprintOf(engine, options, pair, state, budgets, task);
  const writer = await resumeWriter(options, pair, fingerprint, progress);
  opened.defer(() => writer.abort());
  const run = { engine, options, pair, state, writer, budgets, progress };
  if (task) await repairWithTask(run, task, join(besideOf(options.out), `task-${fingerprint.slice(0, 16)}`));
  else await repairLayers(run);
  await copyRest(run);
  const companions = await companionFiles(pair);
  const facts = collectFacts(run, companions, task?.facts);
  const rest = restNames(pair.aligned.config, pair.aligned.checkpoint);
  warnOf(progress, overspent(options, facts), unchanged(facts), leftOut(options, rest, writer.done));
  await writer.finish(new Map([...companions, ...describe(facts)]), () => removeAtOnce(besideOf(options.out)));
  return facts;
}

/** @throws PipelineError `usage` as `requireFreeOutput` */
export function requireFreeRepair({ out, aligned, tuned, overwrite }: ApplyOptions): Promise<void> {
  return requireFreeOutput({ out, inputs: [aligned, tuned], overwrite, kind: repairedOutput });
}

export function checkOptions({ mode, budget, taskData }: ApplyOptions): void {
  at(`--mode ${mode}`, () => checkBudget(mode, budget));
  if (!taskData) return;
  if (mode !== "optimal") throw new PipelineError("usage", `--task-data works with --mode optimal, not with ${mode}.`);
  if (budget.kind !== "globalLoss") return;
  throw new PipelineError(
    "usage",
    "--task-data works with --loss or --strength: a pooled budget would need the task statistics of every layer at once.",
  );
}

async function readTask(
  { taskData }: ApplyOptions,
  { aligned }: Pair,
  progress: Progress,
): Promise<Sequences | undefined> {
  return taskData && (await readSequences(taskData, aligned, progress));
}

/** What an apply needs from a state with such parts. */
export type EstimateOf = (parts: Parts) => ApplyEstimate;

function repairEstimate({ aligned: { config, checkpoint } }: Pair, task?: Sequences): EstimateOf {
  return (parts) => estimateApply(config, checkpoint.tensors, parts, task?.facts);
}

/** Check memory, disk and state (or the safe data) before the work. */
export async function planWork(
  engine: Engine,
  options: ApplyOptions,
  pair: Pair,
  estimateOf: EstimateOf,
  progress: Progress,
): Promise<ApplyPlan> {
  const { aligned } = pair;
  const { source, out, maxMemoryBytes, rest, mode } = options;
  requireWritable(aligned);
  if (rest === "tuned") requireSameHead(pair);
  const state = "state" in source ? await openState(source.state) : undefined;
  const parts = state?.manifest.parts ?? planParts(aligned.config, [mode], engine.info.name);
  if (state) requireMode(state, mode);
  const estimate = estimateOf(parts);
  requireMemory(maxMemoryBytes, estimate.memoryBytes, "apply");
  await requirePlace(out);
  if (!("state" in source) || options.taskData) await requirePlace(dirname(resolve(out)));
  if (state) {
    await requireOutside(out, state.folder);
    await checkState(state, aligned);
  }
  const prepare = "state" in source ? undefined : await planPrepare(engine, prepareOptions(options, source), progress);
  const stateBytes = prepare ? prepare.estimate.stateBytes + prepare.estimate.workBytes : 0;
  const totalBytes = estimate.outputBytes + estimate.workBytes + stateBytes;
  await requireDisk(out, totalBytes, "apply", [join(out, workName), besideOf(options.out)]);
  return { estimate, prepare };
}

function prepareOptions(options: ApplyOptions, source: { safeData: Parameters<typeof readSequences>[0] }) {
  const { aligned, mode, offline, maxMemoryBytes } = options;
  const out = join(besideOf(options.out), "state");
  return { model: aligned, data: source.safeData, out, modes: [mode], offline, overwrite: true, maxMemoryBytes };
}

export async function stateOf(engine: Engine, options: ApplyOptions, progress: Progress): Promise<State> {
  const { source } = options;
  return "state" in source ? openState(source.state) : prepare(engine, prepareOptions(options, source), progress);
}

/**
 * Names everything that decides the output's bytes but the weights, whose hashes the journal keeps. A pooled budget depends on all
 * weights, those not yet repaired too: what it came to for each linear is named.
 */
async function fingerprintOf(
  engine: Engine,
  options: ApplyOptions,
  { aligned, tuned }: Pair,
  state: State,
  budgets: BudgetOf,
  task?: Sequences,
) {
  const { mode, budget, rest } = options;
  const inputs = { aligned: options.aligned, tuned: options.tuned, state: state.sha256 };
  const each = [...linearsOf(aligned.config)].map(({ linear }) => Object.values(budgets(linear.name)).map(String));
  // Sums over the examples depend on the number of devices, a repair does not.
  const { info } = task ? engine : (engine.peers?.[0] ?? engine);
  const job = { toolVersion, engine: stampOf(info), ...inputs, mode, budget, rest, each };
  if (!task) return sha256(stableJson({ ...job, task: {} }));
  const { file: _, ...facts } = task.facts;
  return sha256(stableJson({ ...job, task: facts, tunedRest: await hashRest(tuned) }));
}

/** Of what no journal line checks and yet decides the task's hidden states: the tuned model's config, embeddings and norms. */
async function hashRest({ checkpoint, config, configSha256 }: OpenedModel): Promise<string> {
  const hashes = [configSha256];
  for (const name of restNames(config, checkpoint)) hashes.push(sha256((await checkpoint.read(name)).bytes));
  return sha256(hashes.join());
}

/**
 * The writer, with what an interrupted run has finished; --overwrite starts anew when an input changed since.
 * @throws PipelineError `usage` when unfinished work of another run is in the way, `incompatible` when an input changed
 */
async function resumeWriter(options: ApplyOptions, pair: Pair, fingerprint: string, progress: Progress) {
  const { aligned, tuned, out, overwrite } = options;
  await using opened = new AsyncDisposableStack();
  const writer = await openWriter(options, pair, fingerprint);
  opened.defer(() => writer.abort());
  const name = await changedSince(pair, writer, progress);
  if (name === undefined) {
    opened.move();
    return writer;
  }
  if (!overwrite) {
    const what = `${name} changed in ${aligned} or ${tuned} since the interrupted run`;
    throw new PipelineError("incompatible", `${what}. Start anew with --overwrite.`);
  }
  await removeQuietly(join(out, workName));
  return openWriter(options, pair, fingerprint);
}

async function openWriter(
  { out, maxShardBytes, overwrite }: ApplyOptions,
  { aligned }: Pair,
  fingerprint: string,
): Promise<CheckpointWriter> {
  try {
    const tensors = [...aligned.checkpoint.tensors.values()];
    return await createWriter(out, { tensors, maxShardBytes, fingerprint, overwrite });
  } catch (error) {
    if (!(error instanceof CheckpointError) || error.kind !== "incompatible") throw error;
    throw new PipelineError("usage", error.message, error);
  }
}

/** The aligned model's config, tokenizer, template, generation settings and licence, verbatim; the model card is the output's own. */
async function companionFiles({ aligned }: Pair): Promise<Map<string, Uint8Array>> {
  const companions = [...aligned.checkpoint.companions].filter(([name]) => name !== "README.md");
  const read = companions.map(async ([name, file]) => [name, await file.bytes()] as const);
  return new Map(await Promise.all(read));
}
