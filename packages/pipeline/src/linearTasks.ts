import type { TensorInfo } from "@safedelta/checkpoint";
import {
  type Budget,
  type Curve,
  difference,
  type Losses,
  type Mode,
  numbersAsWritten,
  optimalCurve,
  optimalFactorOf,
  optimalLosses,
  type Repair,
  type RepairNumbers,
  type Rival,
  repair,
  type TaskFactor,
} from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import type { Note } from "./applyRun.ts";
import { at, PipelineError } from "./errors.ts";
import { sha256Aside } from "./files.ts";
import type { OpenedModel } from "./models.ts";
import type { Models, PairWeights } from "./pair.ts";
import { type PoolLinear, type PoolStart, poolStart } from "./pool.ts";
import { jsonSafe, measureCurve, repairLinear, writtenNumbers } from "./repairLinear.ts";
import { projectionCosine, rivalRepair } from "./rivalLinear.ts";
import type { LoadedGroup } from "./state.ts";
import { downloadAs, uploadF32 } from "./upload.ts";

/** The models that linears are read from. */
export interface Sources extends Models {
  /** Of `again` alone: what is verified. */
  readonly repaired?: OpenedModel;
}

/** One linear with its weights and prepared group in engine memory. */
export interface LoadedLinear {
  readonly engine: Engine;
  readonly models: Sources;
  readonly name: string;
  readonly weights: PairWeights;
  readonly prepared: LoadedGroup;
}

/** The budget of each linear by name: plain values. */
export type Budgets = Readonly<Record<string, Budget>>;

/** A mode with the budget of each linear. */
export interface RepairSettings {
  readonly mode: Mode;
  readonly budgets: Budgets;
}

/** A rival, and the mode whose factors measure what it loses. */
export interface RivalSettings {
  readonly mode: Mode;
  readonly rival: Rival;
  readonly seed: number;
}

/** How linears are made, settled before the first of them. */
export type MethodSettings = RepairSettings | RivalSettings;

/** One strength for each linear by name. */
export type Strengths = Readonly<Record<string, number>>;

/** A repaired linear as it is to be written. */
export interface Repaired {
  readonly bytes: Uint8Array;
  readonly note: Note;
}

/**
 * What is computed of each linear, by name, so that a worker can be told. Settings and results are plain values.
 * - `repair`: the repaired tensor, by Safe Delta or a rival. `cosine`: of the projection of Safe LoRA. `curve`: for a pool of `exact` or a sweep. `poolStart`, `losses`: for a pool of `optimal`. `repairs`: the
 *   numbers of some budgets. `again`: those of what is written.
 */
export const linearTasks = {
  repair: async (linear: LoadedLinear, settings: MethodSettings): Promise<Repaired> =>
    toStore(linear, await repairBy(linear, settings)),

  cosine: (linear: LoadedLinear, _: { mode: Mode }): Promise<{ readonly cosine?: number }> => projectionCosine(linear),

  curve: (linear: LoadedLinear, { mode, withNorms }: { mode: "exact" | "optimal"; withNorms: boolean }): Curve =>
    measureCurve(linear.engine, mode, linear.weights, linear.prepared, withNorms),

  poolStart: (linear: LoadedLinear, _: { mode: "optimal" }): PoolStart => inPool(linear, poolStart),

  losses: (linear: LoadedLinear, { strengths }: { mode: "optimal"; strengths: Strengths }): Losses =>
    inPool(linear, ({ lossesAt }) => lossesAt(strengths[linear.name])),

  repairs: (linear: LoadedLinear, { mode, each }: { mode: Mode; each: readonly Budgets[] }): RepairNumbers[] =>
    each.map((budgets) => {
      const { weight, numbers } = repair(linear.engine, mode, linear.weights, linear.prepared, budgets[linear.name]);
      weight[Symbol.dispose]();
      const { kept: _kept, ...told } = numbers;
      return told;
    }),

  again: async (linear: LoadedLinear, settings: MethodSettings): Promise<RepairNumbers> => {
    const { engine, models, name, weights, prepared } = linear;
    const { checkpoint } = models.repaired as OpenedModel;
    using written = uploadF32(engine, await checkpoint.read(name), checkpoint.spec);
    const { weight, numbers } = await repairBy(linear, settings);
    using _again = weight;
    return numbersAsWritten(engine, numbers, weights, written, prepared);
  },
};

export type TaskName = keyof typeof linearTasks;
export type SettingsOf<T extends TaskName> = Parameters<(typeof linearTasks)[T]>[1];
export type ResultOf<T extends TaskName> = Awaited<ReturnType<(typeof linearTasks)[T]>>;

/** See one linear as a pool of `optimal` does. */
function inPool<T>({ engine, weights, prepared }: LoadedLinear, look: (linear: PoolLinear) => T): T {
  const factor = optimalFactorOf(prepared);
  using delta = difference(engine, weights.tuned, weights.aligned);
  return look({
    factor,
    curve: (spectrum) => optimalCurve(engine, delta, spectrum),
    lossesAt: (strength) => optimalLosses(engine, delta, factor, strength),
  });
}

/** Make one linear as the settings say. */
async function repairBy(linear: LoadedLinear, settings: MethodSettings): Promise<Repair> {
  if ("rival" in settings) return rivalRepair(linear, settings);
  return repairLoaded(linear, settings);
}

/** Repair one linear by Safe Delta; with task data when their factor is given. */
export function repairLoaded(
  { engine, name, weights, prepared }: LoadedLinear,
  { mode, budgets }: RepairSettings,
  task?: TaskFactor,
): Repair {
  return at(name, () => repairLinear(engine, mode, weights, prepared, budgets[name], task));
}

/** A made linear in the aligned model's storage type, with the numbers of what is stored. Disposes its weight. */
export async function toStore(
  { engine, models, name, weights, prepared }: LoadedLinear,
  { weight, numbers }: Repair,
  task?: TaskFactor,
): Promise<Repaired> {
  using repaired = weight;
  const info = infoOf(models, name);
  const bytes = downloadAs(engine, repaired, info.dtype, name);
  const hashed = sha256Aside(bytes);
  const told = writtenNumbers(engine, numbers, weights, { ...info, bytes }, prepared, task);
  const { alignedSha256, tunedSha256 } = weights;
  return { bytes, note: { alignedSha256, tunedSha256, sha256: await hashed, numbers: jsonSafe(told) } };
}

function infoOf({ aligned }: Models, name: string): TensorInfo {
  const info = aligned.checkpoint.tensors.get(name);
  if (!info) throw new PipelineError("failed", `${aligned.checkpoint.spec}: ${name} was there and is gone.`);
  return info;
}
