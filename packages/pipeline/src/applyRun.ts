import { type CheckpointWriter, decodeF32, requireFinite, type Tensor, type TensorNote } from "@safedelta/checkpoint";
import type { RepairNumbers } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { groupsOfLayer, type LayerGroup } from "@safedelta/model";
import { throughOf } from "./applyJob.ts";
import type { AnyOptions } from "./applyOptions.ts";
import { calibrate, nBatches } from "./calibrate.ts";
import { at } from "./errors.ts";
import { removeQuietly, sha256 } from "./files.ts";
import { jobsOf, runGroups } from "./linears.ts";
import { type MethodSettings, type RepairSettings, repairLoaded, toStore } from "./linearTasks.ts";
import { linearsOf, type Pair, readPair, restNames } from "./pair.ts";
import type { Progress } from "./progress.ts";
import { taskFactorOf } from "./repairLinear.ts";
import type { Sequences } from "./sequences.ts";
import type { State } from "./state.ts";
import { encodeFinite } from "./upload.ts";

/** Everything that the steps of one apply share. */
export interface Run {
  readonly engine: Engine;
  readonly options: AnyOptions;
  readonly pair: Pair;
  readonly state: State;
  readonly writer: CheckpointWriter;
  readonly progress: Progress;
}

/** What the writer's journal keeps with each tensor, so that a resumed run can tell all about it. */
export interface Note extends TensorNote {
  /** Of the bytes read from both models. */
  readonly alignedSha256: string;
  readonly tunedSha256: string;
  /** Of a linear; an infinite strength is left out, since JSON has none. */
  readonly numbers?: RepairNumbers;
}

/** The first finished tensor whose inputs are no longer those that an interrupted run read; undefined when all are. */
export async function changedSince(
  pair: Pair,
  { done }: CheckpointWriter,
  progress: Progress,
): Promise<string | undefined> {
  progress.stage("checking the finished pieces", done.size);
  for (const [name, note] of done) {
    const [a, t] = await readBoth(pair, name);
    const { alignedSha256, tunedSha256 } = note as Note;
    if (sha256(a.bytes) !== alignedSha256 || hashOf(t) !== tunedSha256) return name;
    progress.step(name);
  }
  return undefined;
}

/** Repair every linear from the prepared state. */
export async function repairLayers(run: Run, settings: MethodSettings): Promise<void> {
  const { engine, pair, state, writer, progress } = run;
  const { config } = pair.aligned;
  const open = jobsOf(config, (name) => !writer.done.has(name));
  const nGroups = config.nLayers * groupsOfLayer(config, 0).length;
  progress.stage("repairing", nGroups);
  for (let done = open.length; done < nGroups; done++) progress.step();
  await runGroups(
    { engine, models: pair, state },
    open,
    { task: "repair", settings },
    (name, { bytes, note }) => writer.write(name, bytes, note),
    ({ layer, group }) => progress.step(`layer ${layer} ${group}`),
  );
}

/** The task Hessians come layer by layer from the model that the task data go through, and each layer is repaired while they are there. */
export async function repairWithTask(
  run: Run,
  settings: RepairSettings,
  task: Sequences,
  workFolder: string,
): Promise<void> {
  const { engine, options, pair, progress, writer } = run;
  const { checkpoint, config } = throughOf(pair, options);
  if (writer.done.size === 0) await removeQuietly(workFolder);
  const open = [...linearsOf(config)].find(({ linear }) => !writer.done.has(linear.name));
  const neededLayer = open?.layer ?? config.nLayers;
  progress.stage("repairing with task data", config.nLayers * nBatches(task.ids));
  const input = {
    engine,
    checkpoint,
    config,
    sequences: task.ids,
    weights: task.weights,
    workFolder,
    neededLayer,
    progress,
  };
  for await (const { layer, hessians } of calibrate(input)) {
    for (const group of groupsOfLayer(config, layer))
      await repairGroup(run, settings, layer, group, hessians.get(group.name) as Matrix);
  }
}

async function repairGroup(
  run: Run,
  settings: RepairSettings,
  layer: number,
  group: LayerGroup,
  taskHessian: Matrix,
): Promise<void> {
  const { engine, pair, state, writer } = run;
  const open = group.linears.map(({ name }) => name).filter((name) => !writer.done.has(name));
  if (open.length === 0) return;
  using prepared = await state.load(engine, layer, group.name, settings.mode);
  const { damping } = state.manifest;
  using task = at(`task data, layer ${layer} ${group.name}`, () =>
    taskFactorOf(engine, prepared, taskHessian, damping),
  );
  for (const name of open) {
    using weights = await readPair(engine, pair, state, layer, name);
    const linear = { engine, models: pair, name, weights, prepared };
    const { bytes, note } = await toStore(linear, repairLoaded(linear, settings, task), task);
    await writer.write(name, bytes, note);
  }
}

/** What transformers ignores (stored rotary frequencies, a tied head) may be absent in the tuned model. */
function readBoth({ aligned, tuned }: Pair, name: string): Promise<[Tensor, Tensor | undefined]> {
  const inTuned = tuned.checkpoint.tensors.has(name);
  return Promise.all([aligned.checkpoint.read(name), inTuned ? tuned.checkpoint.read(name) : undefined]);
}

/** Empty for a tensor that is not there. */
function hashOf(tensor: Tensor | undefined): string {
  return tensor ? sha256(tensor.bytes) : "";
}

/** Copy every tensor that is no linear of a block from the model that `--rest` names, in the aligned model's type. */
export async function copyRest(run: Run): Promise<void> {
  const { pair, writer, progress } = run;
  const names = restNames(pair.aligned.config, pair.aligned.checkpoint);
  progress.stage("copying the rest", names.length);
  for (const name of names) {
    if (!writer.done.has(name)) await copyOne(run, name);
    progress.step(name);
  }
}

async function copyOne({ pair, options, writer }: Run, name: string): Promise<void> {
  const [a, t] = await readBoth(pair, name);
  const source = options.rest === "aligned" || !t ? a : t;
  requireFinite(source, options[options.rest]);
  const bytes = source.dtype === a.dtype ? source.bytes : encodeFinite(decodeF32(source), a.dtype, name);
  const [alignedSha256, tunedSha256] = [sha256(a.bytes), hashOf(t)];
  const written = bytes === a.bytes ? alignedSha256 : bytes === t?.bytes ? tunedSha256 : sha256(bytes);
  const note: Note = { alignedSha256, tunedSha256, sha256: written };
  await writer.write(name, bytes, note);
}
