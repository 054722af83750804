import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { type Adapter, type Checkpoint, decodeF32, workName, writeAdapter } from "@safedelta/checkpoint";
import {
  adapterCurve,
  adapterLosses,
  adapterNumbersAsWritten,
  type Adapter as LowRank,
  optimalFactorOf,
  repairAdapter,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import {
  adapterConfig,
  adapterPart,
  adapterPartOf,
  hashAdapter,
  publishAdapter,
  requireNoModel,
} from "./adapterFiles.ts";
import {
  type ApplyPlan,
  checkOptions,
  type Describe,
  type EstimateOf,
  planWork,
  requireFreeRepair,
  stateOf,
  workFolder,
} from "./apply.ts";
import { hashFiles } from "./applyFacts.ts";
import type { ApplyFacts, ApplyOptions, LinearFacts } from "./applyOptions.ts";
import { at, PipelineError } from "./errors.ts";
import { estimateAdapter } from "./estimate.ts";
import { removeQuietly } from "./files.ts";
import { lockFolder } from "./lock.ts";
import { hashModel } from "./models.ts";
import { overspent, unchanged, warnOf } from "./oddities.ts";
import { linearsOf, type Models, openPair, type Pair } from "./pair.ts";
import { type PoolLinear, poolStart, solveOptimalPool } from "./pool.ts";
import type { Progress } from "./progress.ts";
import { type BudgetOf, jsonSafe } from "./repairLinear.ts";
import { type LoadedGroup, planOf, type State } from "./state.ts";
import { downloadAs, requireWritableType } from "./upload.ts";
import { stampOf, toolVersion } from "./version.ts";
import { removeLeftover, repairedOutput, writeDurably } from "./workFolder.ts";

/** Plan only: every check that needs no computing. @throws as `applyAdapter` before its work */
export async function planApplyAdapter(engine: Engine, options: ApplyOptions, progress: Progress): Promise<ApplyPlan> {
  checkOptions(options);
  await requireFreeAdapter(options);
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const { tensors } = repairable(pair, options);
  await requireOnAligned(pair, options.tuned);
  return await planWork(engine, options, pair, adapterEstimate(pair, tensors), progress);
}

/**
 * Repair a LoRA adapter of the aligned model and write it as an adapter: A′ = A M, same rank, keys, types and config. The
 * whole takes seconds, so an interrupted run simply starts again; nothing that looks finished stands in --out before the end.
 * @throws PipelineError `usage` when the mode is not optimal or the adapter holds more than low-rank pairs
 */
export async function applyAdapter(
  engine: Engine,
  options: ApplyOptions,
  describe: Describe,
  progress: Progress,
): Promise<ApplyFacts> {
  checkOptions(options);
  if (!options.overwrite) await removeLeftover(options.out, repairedOutput);
  await requireFreeAdapter(options);
  await using _lock = await lockFolder(options.out);
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const adapter = repairable(pair, options);
  await requireOnAligned(pair, options.tuned);
  await planWork(engine, options, pair, adapterEstimate(pair, adapter.tensors), progress);
  const state = await stateOf(engine, options, progress);
  await checkAligned(pair, state);
  const budgets = await poolBudgets(engine, pair, adapter, state, options, progress);
  const { newA, linears } = await repairPairs(engine, pair, adapter, state, budgets, progress);
  const part = adapterPartOf(options.out);
  await removeQuietly(part);
  await writeAdapter(part, adapter, newA);
  const config = new Map([[adapterConfig, new Uint8Array(await Bun.file(join(part, adapterConfig)).arrayBuffer())]]);
  const hashes = { tensors: await hashAdapter(part), files: hashFiles(config) };
  const facts = await factsOf(engine, pair, state, options, linears, hashes);
  warnOf(progress, overspent(options, facts), unchanged(facts));
  const extra = describe(facts);
  for (const [name, bytes] of extra) await writeDurably(join(part, name), new TextDecoder().decode(bytes));
  await publishAdapter(part, options.out, [...extra.keys()], workFolder(options));
  return facts;
}

function adapterEstimate({ aligned: { config, checkpoint } }: Pair, tensors: Adapter["tensors"]): EstimateOf {
  return (parts) => estimateAdapter(config, checkpoint.tensors, tensors, parts);
}

/**
 * @throws PipelineError `usage` as `requireFreeOutput`, when a whole model stands there, which would hide the adapter, and when
 * the unfinished work of one would be lost
 */
async function requireFreeAdapter(options: ApplyOptions): Promise<void> {
  await requireFreeRepair(options);
  await requireNoModel(options.out);
  const work = await readdir(join(options.out, workName)).catch((): string[] => []);
  if (options.overwrite || work.every((name) => name === adapterPart)) return;
  const next = "Repeat that run to finish it, add --overwrite to discard it, or choose another --out.";
  throw new PipelineError("usage", `${options.out}: holds unfinished work on a whole model. ${next}`);
}

function repairable({ tuned, aligned }: Pair, { tuned: spec, mode, taskData, rest }: ApplyOptions): Adapter {
  const { adapter } = tuned.checkpoint;
  const refuse = (why: string) => new PipelineError("usage", `--out-format lora: ${why}`);
  if (!adapter) throw refuse(`${spec} is not a LoRA adapter; leave --out-format away to write the whole model.`);
  if (mode !== "optimal") throw refuse(`works with --mode optimal only; ${mode} does not keep a delta of low rank.`);
  if (taskData) throw refuse("does not take --task-data yet; leave --out-format away to write the whole model.");
  const others = [...adapter.otherTensors.keys()];
  if (others.length > 0 && rest === "aligned")
    throw refuse(`the adapter also replaces ${others[0]}; add --rest tuned to keep that.`);
  const linears = new Set([...linearsOf(aligned.config)].map(({ linear }) => linear.name));
  const beside = [...adapter.pairs.keys()].find((name) => !linears.has(name));
  if (beside !== undefined && rest === "aligned") {
    throw refuse(`the adapter also changes ${beside}, which is not repaired; add --rest tuned to keep that change.`);
  }
  const turned = [...adapter.pairs.values()].find(({ transposed }) => transposed);
  if (turned) throw refuse(`${turned.weight} is stored transposed (fan_in_fan_out), which no linear of this model is.`);
  for (const { a } of adapter.pairs.values()) requireWritableType(a, adapter.folder);
  if (adapter.config.use_dora === true) throw refuse("a DoRA adapter is not low-rank; leave --out-format away.");
  return adapter;
}

/**
 * B·A is the whole delta only when the adapter lies on the aligned model itself, whatever that is made of.
 * @throws PipelineError `usage` when it lies on another model
 */
async function requireOnAligned({ aligned, tuned }: Pair, spec: string): Promise<void> {
  const { base } = tuned.checkpoint;
  if (!base || base === aligned.checkpoint) return;
  const other = await firstDifference(aligned.checkpoint, base);
  if (other === undefined) return;
  throw new PipelineError(
    "usage",
    `--out-format lora: the adapter of ${spec} lies on ${base.spec}, whose ${other} is not the aligned model's, so the adapter is not ` +
      "all of the fine-tuning. Leave --out-format away to write the whole model, or give as --aligned what the adapter lies on.",
  );
}

/** The first tensor that two models do not have in the same bytes; undefined when there is none. */
async function firstDifference(a: Checkpoint, b: Checkpoint): Promise<string | undefined> {
  for (const name of a.tensors.keys()) {
    if (!b.tensors.has(name)) return name;
    const [first, second] = [await a.read(name), await b.read(name)];
    if (first.dtype !== second.dtype || Buffer.compare(first.bytes, second.bytes) !== 0) return name;
  }
  return undefined;
}

/** @throws PipelineError `incompatible` when an aligned weight is not the one the state was made from */
async function checkAligned({ aligned }: Pair, state: State): Promise<void> {
  const { tensors } = await hashModel(aligned);
  for (const { layer, linear } of linearsOf(aligned.config)) {
    if (tensors[linear.name] === state.manifest.layers[layer]?.linears[linear.name]) continue;
    throw new PipelineError(
      "incompatible",
      `${state.folder}: was prepared from another model (${linear.name} differs).`,
    );
  }
}

/** B with the scale folded in, and A, in engine memory. */
export async function uploadPair(engine: Engine, adapter: Adapter, name: string): Promise<LowRank & Disposable> {
  const { a, b, r, rows, cols, scale } = await adapter.readPair(name);
  using made = new DisposableStack();
  const [first, second] = [made.use(engine.alloc(r, cols)), made.use(engine.alloc(rows, r))];
  engine.write(first, a);
  engine.write(
    second,
    b.map((value) => value * scale),
  );
  const held = made.move();
  return { a: first, b: second, [Symbol.dispose]: () => held.dispose() };
}

/** The budget of each adapted linear; a pooled one is solved first. */
export async function poolBudgets(
  engine: Engine,
  pair: Models,
  adapter: Adapter,
  state: State,
  { budget }: Pick<ApplyOptions, "budget">,
  progress: Progress,
): Promise<BudgetOf> {
  if (budget.kind !== "globalLoss") return () => budget;
  const each = async <T>(
    stage: string,
    names: (name: string) => boolean,
    look: (linear: PoolLinear, name: string) => T,
  ) => {
    const linears = adaptedLinears(pair, adapter).filter(({ linear }) => names(linear.name));
    progress.stage(stage, linears.length);
    const found = new Map<string, T>();
    for (const { layer, group, linear } of linears) {
      using prepared = await state.load(engine, layer, group.name, "optimal");
      using factors = await uploadPair(engine, adapter, linear.name);
      found.set(
        linear.name,
        at(linear.name, () => look(adapterInPool(engine, factors, prepared), linear.name)),
      );
      progress.step(linear.name);
    }
    return found;
  };
  const budgets = await solveOptimalPool(budget.share, {
    start: () => each("measuring the pool", () => true, poolStart),
    lossesAt: (stage, strengths) =>
      each(
        stage,
        (name) => name in strengths,
        ({ lossesAt }, name) => lossesAt(strengths[name]),
      ),
  });
  return (name) => budgets.get(name) ?? budget;
}

function adapterInPool(engine: Engine, factors: LowRank, prepared: LoadedGroup): PoolLinear {
  const factor = optimalFactorOf(prepared);
  return {
    factor,
    curve: (spectrum) => adapterCurve(engine, factors, spectrum),
    lossesAt: (strength) => adapterLosses(engine, factors, factor, strength),
  };
}

function adaptedLinears({ aligned }: Models, { pairs }: Adapter) {
  return [...linearsOf(aligned.config)].filter(({ linear }) => pairs.has(linear.name));
}

async function repairPairs(
  engine: Engine,
  pair: Pair,
  adapter: Adapter,
  state: State,
  budgets: BudgetOf,
  progress: Progress,
) {
  const newA = new Map<string, Float32Array>();
  const linears: (LinearFacts & { layer: number })[] = [];
  progress.stage("repairing the adapter", adapter.pairs.size);
  for (const { layer, group, linear } of adaptedLinears(pair, adapter)) {
    using prepared = await state.load(engine, layer, group.name, "optimal");
    using factors = await uploadPair(engine, adapter, linear.name);
    const factor = at(linear.name, () => optimalFactorOf(prepared));
    const { a, numbers } = at(linear.name, () => repairAdapter(engine, factors, factor, budgets(linear.name)));
    using repaired = a;
    const stored = storedA(engine, adapter, linear.name, repaired);
    engine.write(repaired, stored);
    newA.set(linear.name, stored);
    const told = adapterNumbersAsWritten(engine, numbers, factors, repaired, factor);
    linears.push({ ...linear, ...jsonSafe(told), layer });
    progress.step(linear.name);
  }
  return { newA, linears };
}

/** The values of A′ as the adapter's storage type holds them. @throws PipelineError as `encodeFinite` */
function storedA(engine: Engine, { pairs, folder }: Adapter, name: string, a: Matrix): Float32Array {
  const info = pairs.get(name)?.a;
  if (!info) throw new PipelineError("failed", `${folder}: ${name} was there and is gone.`);
  return decodeF32({ ...info, bytes: downloadAs(engine, a, info.dtype, info.name) });
}

async function factsOf(
  engine: Engine,
  { aligned, tuned }: Pair,
  state: State,
  options: ApplyOptions,
  linears: readonly (LinearFacts & { layer: number })[],
  hashes: Pick<ApplyFacts, "tensors" | "files">,
): Promise<ApplyFacts> {
  return {
    toolVersion,
    engine: stampOf(engine.info),
    aligned: { spec: options.aligned, name: aligned.name, hash: (await hashModel(aligned)).sha256 },
    tuned: { spec: options.tuned, name: tuned.name, hash: (await hashModel(tuned, aligned.checkpoint)).sha256 },
    licence: aligned.licence,
    stateHash: state.sha256,
    statePlan: planOf(state),
    safeData: state.manifest.safeData,
    dtype: String([...(tuned.checkpoint.adapter?.tensors.values() ?? [])][0]?.dtype),
    layers: Array.from({ length: aligned.config.nLayers }, (_, layer) => ({
      layer,
      linears: linears.filter((linear) => linear.layer === layer).map(({ layer: _layer, ...facts }) => facts),
    })),
    ...hashes,
  };
}
