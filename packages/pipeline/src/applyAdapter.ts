import { rename } from "node:fs/promises";
import { type Adapter, writeAdapter } from "@safedelta/checkpoint";
import { adapterCurve, type Adapter as LowRank, type OptimalCurve, repairAdapter, solvePool } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { checkOptions, type Describe, stateOf, workFolder } from "./apply.ts";
import type { ApplyFacts, ApplyOptions, LinearFacts } from "./applyOptions.ts";
import { PipelineError } from "./errors.ts";
import { removeQuietly } from "./files.ts";
import { hashModel } from "./models.ts";
import { checkState, linearsOf, openPair, type Pair } from "./pair.ts";
import type { Progress } from "./progress.ts";
import type { BudgetOf } from "./repairLinear.ts";
import type { State } from "./state.ts";
import { toolVersion } from "./version.ts";
import { requireFreeOutput, writeDurably } from "./workFolder.ts";

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
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const adapter = repairable(pair, options);
  await requireFreeOutput(options);
  const state = await stateOf(engine, options, progress);
  checkState(state, pair.aligned);
  await checkAligned(pair, state);
  const budgets = await poolBudgets(engine, pair, adapter, state, options, progress);
  const { newA, linears } = await repairPairs(engine, pair, adapter, state, budgets, progress);
  const facts = await factsOf(engine, pair, state, options, linears);
  const part = `${workFolder(options)}/adapter`;
  await removeQuietly(part);
  await writeAdapter(part, adapter, newA);
  for (const [name, bytes] of describe(facts)) await writeDurably(`${part}/${name}`, new TextDecoder().decode(bytes));
  await removeQuietly(options.out);
  await rename(part, options.out);
  await removeQuietly(workFolder(options));
  return facts;
}

function repairable({ tuned }: Pair, { tuned: spec, mode, taskData, rest }: ApplyOptions): Adapter {
  const { adapter } = tuned.checkpoint;
  const refuse = (why: string) => new PipelineError("usage", `--out-format lora: ${why}`);
  if (!adapter) throw refuse(`${spec} is not a LoRA adapter; leave --out-format away to write the whole model.`);
  if (mode !== "optimal") throw refuse(`works with --mode optimal only; ${mode} does not keep a delta of low rank.`);
  if (taskData) throw refuse("does not take --task-data yet; leave --out-format away to write the whole model.");
  const others = [...adapter.otherTensors.keys()];
  if (others.length > 0 && rest === "aligned")
    throw refuse(`the adapter also replaces ${others[0]}; add --rest tuned to keep that.`);
  if (adapter.config.use_dora === true) throw refuse("a DoRA adapter is not low-rank; leave --out-format away.");
  return adapter;
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
async function uploadPair(engine: Engine, adapter: Adapter, name: string): Promise<LowRank & Disposable> {
  const { a, b, r, rows, cols, scale } = await adapter.readPair(name);
  const [first, second] = [engine.alloc(r, cols), engine.alloc(rows, r)];
  engine.write(first, a);
  engine.write(
    second,
    b.map((value) => value * scale),
  );
  return {
    a: first,
    b: second,
    [Symbol.dispose]() {
      first[Symbol.dispose]();
      second[Symbol.dispose]();
    },
  };
}

async function poolBudgets(
  engine: Engine,
  pair: Pair,
  adapter: Adapter,
  state: State,
  { budget }: ApplyOptions,
  progress: Progress,
): Promise<BudgetOf> {
  if (budget.kind !== "globalLoss") return () => budget;
  const curves = new Map<string, OptimalCurve>();
  progress.stage("measuring the pool", adapter.pairs.size);
  for (const { layer, group, linear } of linearsOf(pair.aligned.config)) {
    if (!adapter.pairs.has(linear.name)) continue;
    using prepared = await state.load(engine, layer, group.name, "spectrum");
    using factors = await uploadPair(engine, adapter, linear.name);
    if (prepared.spectrum) curves.set(linear.name, adapterCurve(engine, factors, prepared.spectrum));
    progress.step(linear.name);
  }
  const budgets = solvePool([...curves.values()], budget.share);
  const byName = new Map([...curves.keys()].map((name, i) => [name, budgets[i]]));
  return (name) => byName.get(name) ?? budget;
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
  for (const { layer, group, linear } of linearsOf(pair.aligned.config)) {
    if (!adapter.pairs.has(linear.name)) continue;
    using prepared = await state.load(engine, layer, group.name, "spectrum");
    using factors = await uploadPair(engine, adapter, linear.name);
    if (!prepared.spectrum) throw new PipelineError("incompatible", `${state.folder}: holds nothing for mode optimal.`);
    const { a, numbers } = repairAdapter(engine, factors, prepared.spectrum, budgets(linear.name));
    using repaired = a;
    newA.set(linear.name, engine.read(repaired) as Float32Array);
    linears.push({ ...linear, ...numbers, layer });
    progress.step(linear.name);
  }
  return { newA, linears };
}

async function factsOf(
  engine: Engine,
  { aligned, tuned }: Pair,
  state: State,
  options: ApplyOptions,
  linears: readonly (LinearFacts & { layer: number })[],
): Promise<ApplyFacts> {
  return {
    toolVersion,
    engine: engine.info,
    aligned: { spec: options.aligned, hash: (await hashModel(aligned)).sha256 },
    tuned: { spec: options.tuned, hash: (await hashModel(tuned)).sha256 },
    stateHash: state.sha256,
    safeData: state.manifest.safeData,
    dtype: String([...(tuned.checkpoint.adapter?.tensors.values() ?? [])][0]?.dtype),
    layers: Array.from({ length: aligned.config.nLayers }, (_, layer) => ({
      layer,
      linears: linears.filter((linear) => linear.layer === layer).map(({ layer: _layer, ...facts }) => facts),
    })),
    tensors: {},
  };
}
