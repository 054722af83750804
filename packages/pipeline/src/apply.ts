import { dirname, join, resolve } from "node:path";
import { workName } from "@safedelta/checkpoint";
import { checkBudget, type Mode } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { collectFacts } from "./applyFacts.ts";
import { fingerprintOf, thirdFacts } from "./applyJob.ts";
import type { AnyOptions, ApplyFacts, SafeExamples, SafeSource } from "./applyOptions.ts";
import { changedSince, copyRest, repairLayers, repairWithTask } from "./applyRun.ts";
import { at, PipelineError } from "./errors.ts";
import { type ApplyEstimate, estimateApply, estimateRival } from "./estimate.ts";
import { removeAtOnce, removeQuietly, requireDisk, requirePlace } from "./files.ts";
import { lockFolder } from "./lock.ts";
import { requireMemory } from "./memory.ts";
import { companionFiles, openWriter } from "./modelOutput.ts";
import { leftOut, overspent, unchanged, unspent, warnOf } from "./oddities.ts";
import { checkState, openPair, type Pair, requireSameHead, requireWritable, restNames } from "./pair.ts";
import { type Parts, planParts } from "./parts.ts";
import { type PrepareOptions, type PreparePlan, planPrepare, prepare } from "./prepare.ts";
import type { Progress } from "./progress.ts";
import { checkRivalMethod, settle } from "./rivals.ts";
import { type DataOptions, readSequences, type Sequences } from "./sequences.ts";
import { openState, requireMode, type State } from "./state.ts";
import {
  besideOf,
  removeLeftover,
  repairedOutput,
  requireFreeOutput,
  requireOutside,
  requireOwnBeside,
} from "./workFolder.ts";

/** Makes the further files of the output folder (model card, safedelta.json) out of the facts. */
export type Describe = (facts: ApplyFacts) => ReadonlyMap<string, Uint8Array>;

/** What would be done. */
export interface ApplyPlan {
  readonly estimate: ApplyEstimate;
  /** When the state would be made on the way. */
  readonly prepare?: PreparePlan;
}

/** Plan only: every check that needs no computing and no weights but those of the first layer. @throws as `apply` before its work */
export async function planApply(engine: Engine, options: AnyOptions, progress: Progress): Promise<ApplyPlan> {
  checkOptions(options);
  await requireFreeRepair(options);
  await using pair = await openModels(options, progress);
  const task = await readTask(options, pair, progress);
  return await planWork(engine, options, pair, estimateFor(options, pair, task), progress);
}

/**
 * Repair a fine-tuned model, by Safe Delta or a rival, and write it beside its description. One linear of both models is in memory at a time. An
 * interrupted run goes on where it stopped and ends with the same bytes.
 * @throws PipelineError, CheckpointError; nothing that looks finished remains after an error
 */
export async function apply(
  engine: Engine,
  options: AnyOptions,
  describe: Describe,
  progress: Progress,
): Promise<ApplyFacts> {
  checkOptions(options);
  if (!options.overwrite) await removeLeftover(options.out, repairedOutput);
  await requireFreeRepair(options);
  await using _lock = await lockFolder(options.out);
  await using pair = await openModels(options, progress);
  const task = await readTask(options, pair, progress);
  await planWork(engine, options, pair, estimateFor(options, pair, task), progress);
  const state = await stateOf(engine, options, progress);
  await using opened = new AsyncDisposableStack();
  const third = await thirdFacts(options, pair, progress);
  const settings = await settle({ engine, models: pair, state }, options, progress);
  const job = { ...settings, third: third?.hash };
  const fingerprint = await fingerprintOf(engine, options, pair, state, job, task);
  const writer = await resumeWriter(options, pair, fingerprint, progress);
  opened.defer(() => writer.abort());
  const run = { engine, options, pair, state, writer, progress };
  if (task && "budgets" in settings)
    await repairWithTask(run, settings, task, join(besideOf(options.out), `task-${fingerprint.slice(0, 16)}`));
  else await repairLayers(run, settings);
  await copyRest(run);
  const companions = await companionFiles(pair.aligned);
  const facts = collectFacts(run, companions, { third, taskData: task?.facts });
  const rest = restNames(pair.aligned.config, pair.aligned.checkpoint);
  warnOf(
    progress,
    overspent(options, facts),
    unspent(options, facts),
    unchanged(facts),
    leftOut(options, rest, writer.done),
  );
  await writer.finish(new Map([...companions, ...describe(facts)]), () => removeAtOnce(besideOf(options.out)));
  return facts;
}

/** What an apply keeps beside its output. */
const ofApply = /^(state|task-[0-9a-f]{16})$/;

/** @throws PipelineError `usage` as `requireFreeOutput` and `requireOwnBeside` */
export async function requireFreeRepair(options: AnyOptions): Promise<void> {
  const { out, aligned, tuned, third, overwrite } = options;
  const inputs = [aligned, tuned, ...(third === undefined ? [] : [third])];
  await requireFreeOutput({ out, inputs, overwrite, kind: repairedOutput });
  await requireOwnBeside(out, (name) => ofApply.test(name));
}

function openModels(options: AnyOptions, progress: Progress): Promise<Pair> {
  const { aligned, tuned, third, offline } = options;
  const beside = third === undefined ? undefined : { spec: third, isRun: !("rival" in options) };
  return openPair(aligned, tuned, offline, progress, beside);
}

export function checkOptions(options: AnyOptions): void {
  if ("rival" in options) {
    checkRivalMethod(options);
    return;
  }
  const { mode, budget, taskData, third } = options;
  at(`--mode ${mode}`, () => checkBudget(mode, budget));
  if (!taskData && third !== undefined)
    throw new PipelineError("usage", `No task data go through ${third}: add --task-data, or leave --task-through out.`);
  if (!taskData) return;
  if (mode !== "optimal") throw new PipelineError("usage", `--task-data works with --mode optimal, not with ${mode}.`);
  if (budget.kind !== "globalLoss") return;
  throw new PipelineError(
    "usage",
    "--task-data works with --loss or --strength: a pooled budget would need the task statistics of every layer at once.",
  );
}

/** Tokens that the safe statistics leave out are left out of the task data too, so that both Hessians speak of the same ones. */
async function readTask(options: AnyOptions, { aligned }: Pair, progress: Progress): Promise<Sequences | undefined> {
  if ("rival" in options || !options.taskData) return undefined;
  const { source, taskData, offline } = options;
  const skipTokens = await skippedBySafe(source, (data) => readSequences(data, aligned, offline, progress));
  return await readSequences({ ...taskData, skipTokens }, aligned, offline, progress);
}

/** How many tokens at the start of each example the safe statistics leave out; `shared` ones are known when the examples are read. */
async function skippedBySafe(source: SafeSource, read: (data: DataOptions) => Promise<Sequences>) {
  if ("state" in source) return (await openState(source.state)).manifest.safeData.nSkipped;
  const { safeData } = source;
  return safeData.skipTokens === "shared" ? (await read(safeData)).facts.nSkipped : safeData.skipTokens;
}

/** What an apply needs from a state with such parts. */
export type EstimateOf = (parts: Parts) => ApplyEstimate;

function estimateFor(options: AnyOptions, { aligned: { config, checkpoint } }: Pair, task?: Sequences): EstimateOf {
  if ("rival" in options) return (parts) => estimateRival(config, checkpoint.tensors, parts, options.rival.method);
  return (parts) => estimateApply(config, checkpoint.tensors, parts, task?.facts);
}

/** Check memory, disk and state (or the safe data) before the work. */
export async function planWork(
  engine: Engine,
  options: AnyOptions,
  pair: Pair,
  estimateOf: EstimateOf,
  progress: Progress,
): Promise<ApplyPlan> {
  const { aligned } = pair;
  const { source, out, maxMemoryBytes, rest } = options;
  requireWritable(aligned);
  if (rest === "tuned") requireSameHead(pair);
  const state = "state" in source ? await openState(source.state) : undefined;
  const parts = state?.manifest.parts ?? planParts(aligned.config, [modeFor(options)], engine.info.name);
  if (state && "mode" in options) requireMode(state, options.mode);
  const estimate = estimateOf(parts);
  requireMemory(maxMemoryBytes, estimate.memoryBytes, "apply");
  await requirePlace(out);
  if (!("state" in source) || ("taskData" in options && options.taskData)) await requirePlace(dirname(resolve(out)));
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

/** The mode that is prepared for on the way; any serves to measure a rival. */
function modeFor(options: AnyOptions): Mode {
  return "mode" in options ? options.mode : "optimal";
}

function prepareOptions(options: AnyOptions, { safeData, damping }: SafeExamples): PrepareOptions {
  const { aligned, offline, maxMemoryBytes } = options;
  const out = join(besideOf(options.out), "state");
  return {
    model: aligned,
    data: safeData,
    damping,
    out,
    modes: [modeFor(options)],
    offline,
    overwrite: true,
    maxMemoryBytes,
  };
}

export async function stateOf(engine: Engine, options: AnyOptions, progress: Progress): Promise<State> {
  const { source } = options;
  return "state" in source ? openState(source.state) : prepare(engine, prepareOptions(options, source), progress);
}

/**
 * The writer, with what an interrupted run has finished; --overwrite starts anew when an input changed since.
 * @throws PipelineError `usage` when unfinished work of another run is in the way, `incompatible` when an input changed
 */
async function resumeWriter(options: AnyOptions, pair: Pair, fingerprint: string, progress: Progress) {
  const { aligned, tuned, out, overwrite, maxShardBytes } = options;
  const plan = { tensors: [...pair.aligned.checkpoint.tensors.values()], maxShardBytes, fingerprint, overwrite };
  await using opened = new AsyncDisposableStack();
  const writer = await openWriter(out, plan);
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
  return openWriter(out, plan);
}
