import { join } from "node:path";
import { type Adapter, decodeF32, writeAdapter } from "@safedelta/checkpoint";
import { adapterNumbersAsWritten, repairAdapter } from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { type AdapterPlace, eachAdapted } from "./adaptedLinears.ts";
import { checkAligned, repairable, requireFreeAdapter, requireOnAligned } from "./adapterChecks.ts";
import { adapterConfig, hashAdapter, newAdapterPart, publishAdapter } from "./adapterFiles.ts";
import { adapterBudgets } from "./adapterPool.ts";
import { type ApplyPlan, checkOptions, type Describe, type EstimateOf, planWork, stateOf } from "./apply.ts";
import { hashFiles } from "./applyFacts.ts";
import type { ApplyFacts, ApplyOptions, LinearFacts } from "./applyOptions.ts";
import { PipelineError } from "./errors.ts";
import { estimateAdapter } from "./estimate.ts";
import { lockFolder } from "./lock.ts";
import { hashModel } from "./models.ts";
import { overspent, unchanged, unspent, warnOf } from "./oddities.ts";
import { openPair, type Pair } from "./pair.ts";
import type { Progress } from "./progress.ts";
import { type BudgetOf, jsonSafe } from "./repairLinear.ts";
import { planOf } from "./state.ts";
import { downloadAs } from "./upload.ts";
import { stampOf, toolVersion } from "./version.ts";
import { removeLeftover, repairedOutput } from "./workFolder.ts";

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
  const alignedHash = await checkAligned(pair, state);
  const place = { engine, models: pair, adapter, state, progress };
  const { newA, linears } = await repairPairs(place, await adapterBudgets(place, options));
  const part = await newAdapterPart(options.out);
  await writeAdapter(part, adapter, newA);
  const config = new Map([[adapterConfig, new Uint8Array(await Bun.file(join(part, adapterConfig)).arrayBuffer())]]);
  const hashes = { tensors: await hashAdapter(part), files: hashFiles(config) };
  const facts = await factsOf(place, pair, alignedHash, options, linears, hashes);
  warnOf(progress, overspent(options, facts), unspent(options, facts), unchanged(facts));
  await publishAdapter(options.out, describe(facts));
  return facts;
}

function adapterEstimate({ aligned: { config, checkpoint } }: Pair, tensors: Adapter["tensors"]): EstimateOf {
  return (parts) => estimateAdapter(config, checkpoint.tensors, tensors, parts);
}

async function repairPairs(place: AdapterPlace, budgets: BudgetOf) {
  const { engine, adapter } = place;
  const newA = new Map<string, Float32Array>();
  const repaired = await eachAdapted(place, "repairing the adapter", ({ layer, linear, factors, factor }) => {
    const { a, numbers } = repairAdapter(engine, factors, factor, budgets(linear.name));
    using written = a;
    const stored = storedA(engine, adapter, linear.name, written);
    engine.write(written, stored);
    newA.set(linear.name, stored);
    const told = adapterNumbersAsWritten(engine, numbers, factors, written, factor);
    return { ...linear, ...jsonSafe(told), layer };
  });
  return { newA, linears: [...repaired.values()] };
}

/** The values of A′ as the adapter's storage type holds them. @throws PipelineError as `encodeFinite` */
function storedA(engine: Engine, { pairs, folder }: Adapter, name: string, a: Matrix): Float32Array {
  const info = pairs.get(name)?.a;
  if (!info) throw new PipelineError("failed", `${folder}: ${name} was there and is gone.`);
  return decodeF32({ ...info, bytes: downloadAs(engine, a, info.dtype, info.name) });
}

async function factsOf(
  { engine, state }: AdapterPlace,
  { aligned, tuned }: Pair,
  alignedHash: string,
  options: ApplyOptions,
  linears: readonly (LinearFacts & { layer: number })[],
  hashes: Pick<ApplyFacts, "tensors" | "files">,
): Promise<ApplyFacts> {
  return {
    toolVersion,
    engine: stampOf(engine.info),
    aligned: { spec: options.aligned, name: aligned.name, hash: alignedHash },
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
