import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError, type Tensor } from "@safedelta/checkpoint";
import {
  dampedHessian,
  dampingShare,
  finishHessian,
  inverseFactor,
  type Mode,
  orderedFactor,
  spectrum,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { groupsOfLayer, linearNames, type ModelConfig } from "@safedelta/model";
import { calibrate, nBatches } from "./calibrate.ts";
import { at, PipelineError } from "./errors.ts";
import { estimatePrepare, type PrepareEstimate } from "./estimate.ts";
import { readJson, removeQuietly, requireDisk, requirePlace, stableJson } from "./files.ts";
import { resumableLayer } from "./hiddenStates.ts";
import type { PrepareJob } from "./job.ts";
import { lockFolder } from "./lock.ts";
import { requireMemory } from "./memory.ts";
import { hashModel, type ModelHash, openModelFiles } from "./models.ts";
import { requireWritable, restNames } from "./pair.ts";
import { type OptimalPart, type Parts, planParts, type StatePart } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { type DataFacts, type DataOptions, readSequences } from "./sequences.ts";
import { claimWork, findWhole, isThere } from "./standing.ts";
import {
  checkLayer,
  type GroupManifest,
  type LayerManifest,
  layerFolder,
  openState,
  type State,
  sealed,
  stateFormat,
  type Unsealed,
  writeGroup,
} from "./state.ts";
import { packTriangle } from "./triangle.ts";
import { bytesOf } from "./upload.ts";
import { stampOf, toolVersion } from "./version.ts";
import { findStanding, publishState, workOf, writeDurably } from "./workFolder.ts";

/** What `prepare` is asked to do. */
export interface PrepareOptions {
  readonly model: string;
  readonly data: DataOptions;
  /** Folder of the state. */
  readonly out: string;
  readonly modes: readonly Mode[];
  /** What `optimal` keeps of a group with so many inputs, instead of what `optimalPart` says. */
  readonly optimalPart?: (cols: number) => OptimalPart;
  /** Share of the mean diagonal that is added to each Hessian's diagonal [0.01]. */
  readonly damping?: number;
  readonly offline: boolean;
  readonly overwrite: boolean;
  readonly maxMemoryBytes?: number;
}

/** What would be read, written and computed. */
export interface PreparePlan {
  readonly safeData: DataFacts;
  readonly parts: Parts;
  readonly estimate: PrepareEstimate;
  /** Whether the state is there already; undefined when that was not asked. */
  readonly wasThere?: boolean;
}

/** A state, and whether it was whole before. */
export interface PreparedState extends State {
  readonly wasThere: boolean;
}

/** Everything known before the work; nothing is written. */
async function gather(engine: Engine, options: PrepareOptions, progress: Progress) {
  await using opened = new AsyncDisposableStack();
  const model = opened.use(await openModelFiles(options.model, options.offline, progress));
  requireWritable(model);
  const sequences = await readSequences(options.data, model, options.offline, progress);
  warnOfFewTokens(model.config, sequences.facts, progress);
  const parts = planParts(model.config, options.modes, engine.info.name, options.optimalPart);
  const estimate = estimatePrepare(model.config, model.checkpoint.tensors, sequences.facts, parts);
  requireMemory(options.maxMemoryBytes, estimate.memoryBytes, "prepare");
  const held = opened.move();
  return { model, sequences, parts, estimate, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Fewer tokens than inputs leave directions that no safe example moves: there the damping alone decides. */
function warnOfFewTokens(config: ModelConfig, facts: DataFacts, progress: Progress): void {
  const nTokens = facts.nTokens - facts.nExamples * (facts.nSkipped ?? 0);
  const widest = Math.max(...groupsOfLayer(config, 0).map(({ cols }) => cols));
  if (nTokens >= widest) return;
  progress.warn(
    `the safe examples have ${nTokens} tokens that count, fewer than the ${widest} inputs of the widest linear: most directions of its Hessian rest on the damping alone. Give more examples.`,
  );
}

/**
 * Plan only: check everything that can be checked without computing.
 * @param compares what stands at `out` is compared with what is asked for, which takes a hash of the model
 * @throws as `prepare` before its work
 */
export async function planPrepare(
  engine: Engine,
  options: PrepareOptions,
  progress: Progress,
  compares = false,
): Promise<PreparePlan> {
  const standing = await findStanding(options.out);
  await requirePlace(options.out);
  await using gathered = await gather(engine, options, progress);
  const { sequences, parts, estimate } = gathered;
  const isEmpty = standing.state === undefined && standing.job === undefined;
  const isWhole = async () =>
    isThere(options, jobOf(engine, options, gathered, await hashed(gathered, progress)), progress);
  const wasThere = compares ? !isEmpty && (await isWhole()) : undefined;
  if (wasThere === false || standing.state === undefined)
    await requireDisk(options.out, diskBytes(estimate), "prepare", [workOf(options.out)]);
  return { safeData: sequences.facts, parts, estimate, wasThere };
}

function hashed({ model }: Gathered, progress: Progress): Promise<ModelHash> {
  progress.stage("hashing the model", 1);
  return hashModel(model);
}

/**
 * Prepare an aligned model once: the Hessians of its linears' inputs on safe examples, damped, and factored as the modes need.
 * An interrupted run goes on with the layer it had in hand and ends with the same bytes; a finished one is returned as it is.
 * @throws PipelineError `resources` before the work when memory or disk are short, `usage` when --out holds something else
 */
export async function prepare(engine: Engine, options: PrepareOptions, progress: Progress): Promise<PreparedState> {
  await using gathered = await gather(engine, options, progress);
  const hash = await hashed(gathered, progress);
  const job = jobOf(engine, options, gathered, hash);
  await using _lock = await lockFolder(options.out);
  const standing = await findWhole(options, job, progress);
  if (standing) return { ...standing, wasThere: true };
  await claimWork(options, job, gathered.model.config.nLayers);
  const work = workOf(options.out);
  await requireDisk(options.out, diskBytes(gathered.estimate), "prepare", [work]);
  await dropDamaged(work, progress);
  await prepareLayers(engine, options, gathered, hash, progress);
  await writeDurably(join(work, "state.json"), stableJson(sealed(await manifestOf(options, gathered, job, hash))));
  await publishState(options.out);
  return { ...(await openState(options.out)), wasThere: false };
}

type Gathered = Awaited<ReturnType<typeof gather>>;

function jobOf(
  engine: Engine,
  { damping = dampingShare }: PrepareOptions,
  { sequences, parts }: Gathered,
  { sha256: model }: ModelHash,
): PrepareJob {
  const { file: _, ...data } = sequences.facts;
  return { toolVersion, engine: stampOf(engine.info), model, data, damping, parts };
}

/** Write every layer that an interrupted run has not finished. */
async function prepareLayers(
  engine: Engine,
  options: PrepareOptions,
  { model, sequences: { ids, weights }, parts }: Gathered,
  hash: ModelHash,
  progress: Progress,
): Promise<void> {
  const { checkpoint, config } = model;
  const work = workOf(options.out);
  progress.stage("preparing", config.nLayers * nBatches(ids));
  const source = { checkpoint, config, sequences: ids, weights };
  const input = { engine, ...source, workFolder: work, neededLayer: config.nLayers, progress };
  for await (const { layer, hessians } of calibrate(input)) {
    const folder = layerFolder(work, layer);
    const groups: GroupManifest[] = [];
    for (const group of groupsOfLayer(config, layer)) {
      const where = `${options.model}, layer ${layer} ${group.name}`;
      const hessian = hessians.get(group.name) as Matrix;
      const damped = at(where, () => finishHessian(engine, hessian, options.damping));
      const tensors = at(where, () => parts[group.name].flatMap((part) => partTensors[part](engine, hessian)));
      const { name, cols } = group;
      groups.push({ name, cols, ...damped, tensors: await writeGroup(folder, name, tensors) });
    }
    const linears = Object.fromEntries(linearNames(config, layer).map((name) => [name, hash.tensors[name]]));
    await writeDurably(join(folder, "layer.json"), stableJson({ groups, linears } satisfies LayerManifest));
  }
}

async function manifestOf(
  { model: spec, out }: PrepareOptions,
  { model, sequences, parts }: Gathered,
  { engine, damping }: PrepareJob,
  hash: ModelHash,
): Promise<Unsealed> {
  const { checkpoint, config, configSha256 } = model;
  const rest = Object.fromEntries(restNames(config, checkpoint).map((name) => [name, hash.tensors[name]]));
  return {
    format: stateFormat,
    toolVersion,
    engine,
    model: { spec, sha256: hash.sha256, configSha256, rest },
    safeData: sequences.facts,
    damping,
    parts,
    layers: await readLayers(workOf(out), config.nLayers),
  };
}

function diskBytes({ stateBytes, workBytes }: PrepareEstimate): number {
  return stateBytes + workBytes;
}

/** Begin anew, and say so, where a finished layer of an interrupted run is not what was written. */
async function dropDamaged(work: string, progress: Progress): Promise<void> {
  const layer = await resumableLayer(work);
  try {
    const finished = layer === undefined ? [] : await readLayers(work, layer);
    progress.stage("checking the finished layers", finished.length);
    for (const [at, { groups }] of finished.entries()) await checkLayer(work, at, groups);
  } catch (error) {
    if (!(error instanceof CheckpointError || error instanceof PipelineError)) throw error;
    progress.warn(`a finished piece was damaged, so all are made again (${error.message})`);
    for (const name of await readdir(work)) if (name !== "job.json") await removeQuietly(join(work, name));
  }
}

/** What the modes need of a damped Hessian. */
const partTensors: Readonly<Record<StatePart, (engine: Engine, damped: Matrix) => Tensor[]>> = {
  inverse: (engine, damped) => {
    using factor = inverseFactor(engine, damped);
    return [packed("inverse_factor", engine, factor.u)];
  },
  ordered: (engine, damped) => {
    using factor = orderedFactor(engine, damped);
    const n = damped.cols;
    return [
      { name: "order", dtype: "I32", shape: [n], bytes: bytesOf(factor.order) },
      { name: "sensitivity", dtype: "F64", shape: [n], bytes: bytesOf(factor.sensitivity) },
      packed("ordered_factor", engine, factor.r),
    ];
  },
  spectrum: (engine, damped) => {
    using factor = spectrum(engine, damped);
    const n = damped.cols;
    return [
      { name: "eigenvalues", dtype: "F64", shape: [n], bytes: bytesOf(factor.values) },
      { name: "eigenvectors", dtype: "F32", shape: [n, n], bytes: bytesOf(engine.read(factor.vectors)) },
    ];
  },
  hessian: (engine, damped) => {
    using factor = dampedHessian(engine, damped); // refused here rather than in every apply when it is not definite
    return [packed("hessian", engine, factor.h)];
  },
};

function packed(name: string, engine: Engine, triangle: Matrix): Tensor {
  const bytes = packTriangle(engine, triangle);
  return { name, dtype: "F32", shape: [bytes.length / 4], bytes };
}

async function readLayers(state: string, nLayers: number): Promise<LayerManifest[]> {
  const paths = Array.from({ length: nLayers }, (_, layer) => join(layerFolder(state, layer), "layer.json"));
  return Promise.all(paths.map((path) => readJson<LayerManifest>(path)));
}
