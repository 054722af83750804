import { type Adapter, decodeF32, type LoraFactors } from "@safedelta/checkpoint";
import { adapterNumbersAsWritten, type Budget, type RepairNumbers, repairAdapter } from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import { type AdapterPlace, eachAdapted, uploadPair } from "./adaptedLinears.ts";
import { adapterBudgets } from "./adapterPool.ts";
import { at, PipelineError } from "./errors.ts";
import { measureLinears } from "./linears.ts";
import type { OpenedModel } from "./models.ts";
import { linearsOf } from "./pair.ts";
import type { Progress } from "./progress.ts";
import { type BudgetOf, jsonSafe, type Method } from "./repairLinear.ts";
import { type RivalMethod, settle } from "./rivals.ts";
import type { State } from "./state.ts";
import type { Recorded } from "./verify.ts";

/** Numbers of safedelta.json by name, and the words between them. */
export type Numbers = Readonly<Record<string, unknown>>;

/** The models of a repair, opened. */
export interface Inputs {
  readonly aligned: OpenedModel;
  readonly tuned: OpenedModel;
  readonly third?: OpenedModel;
  readonly repaired: OpenedModel;
}

/** How many numbers were computed again, and which are wrong. */
export interface NumberCheck {
  readonly n: number;
  readonly problems: readonly string[];
  /** What could not be computed again. */
  readonly unchecked?: string;
}

/** Both sides are sums over the stored weights: only the order of the arithmetic differs. */
const distanceTolerance = 1e-4;
/** Losses and dials go through f32 products with the state's factors, maybe on another engine. */
const estimateTolerance = 1e-3;

/** A linear as safedelta.json has it. */
interface Saved {
  readonly layer: number;
  readonly linear: Numbers;
}

function savedOf({ layers }: Recorded): Saved[] {
  return layers.flatMap(({ layer, linears }) => linears.map((linear) => ({ layer, linear })));
}

function repairedLinears({ aligned, tuned, repaired }: Inputs) {
  const pairs = repaired.checkpoint.adapter && tuned.checkpoint.adapter?.pairs;
  return [...linearsOf(aligned.config)].filter(({ linear }) => !pairs || pairs.has(linear.name));
}

/** The linears that are recorded must be those that the models have, in their order and sizes. */
export function checkLinears(recorded: Recorded, inputs: Inputs): string[] {
  const found = repairedLinears(inputs).map(({ layer, linear: { name, rows, cols } }) => ({ layer, name, rows, cols }));
  const saved = savedOf(recorded);
  const wrong = found.filter(({ layer, ...linear }, i) => {
    const known = saved[i];
    return known?.layer !== layer || Object.entries(linear).some(([key, value]) => known.linear[key] !== value);
  });
  const count =
    saved.length === found.length ? [] : [`safedelta.json has ${saved.length} linears, not ${found.length}.`];
  return [...wrong.map(({ name, layer }) => `${name}: layer ${layer} of safedelta.json has it otherwise.`), ...count];
}

/** ‖repaired − aligned‖, ‖tuned − aligned‖ and ‖repaired − tuned‖² of each linear, from the files alone. */
export async function checkDistances(recorded: Recorded, inputs: Inputs, progress: Progress): Promise<NumberCheck> {
  const problems: string[] = [];
  const saved = savedOf(recorded);
  progress.stage("checking the numbers", saved.length);
  for (const { linear } of saved) {
    const name = String(linear.name);
    const found = await distancesOf(inputs, name);
    problems.push(...differences(name, found, linear, distanceTolerance));
    progress.step(name);
  }
  return { n: 3 * saved.length, problems };
}

async function distancesOf({ aligned, tuned, repaired }: Inputs, name: string) {
  const [before, after] = [tuned.checkpoint.adapter, repaired.checkpoint.adapter];
  if (before && after) return lowRankDistances(await before.readPair(name), await after.readPair(name));
  const read = async ({ checkpoint }: OpenedModel) => decodeF32(await checkpoint.read(name));
  const [w, t, r] = [await read(aligned), await read(tuned), await read(repaired)];
  return distances(squaredDistance(r, w), squaredDistance(t, w), squaredDistance(r, t));
}

function distances(delta: number, tunedDelta: number, utilityGap: number) {
  return { deltaNorm: Math.sqrt(delta), tunedDeltaNorm: Math.sqrt(tunedDelta), utilityGap };
}

function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum;
}

/** The same of scale·B·A′ and scale·B·A, by ‖B X‖² = ⟨BᵀB, X Xᵀ⟩. */
function lowRankDistances(before: LoraFactors, after: LoraFactors) {
  const { b, rows, r, cols, scale } = before;
  const gram = gramOfRows(transposed(b, rows, r), r, rows);
  const squared = (x: Float32Array) =>
    scale ** 2 * gramOfRows(x, r, cols).reduce((sum, value, i) => sum + value * gram[i], 0);
  const change = after.a.map((value, i) => value - before.a[i]);
  return distances(squared(after.a), squared(before.a), squared(change));
}

function transposed(values: Float32Array, rows: number, cols: number): Float32Array {
  return values.map((_, at) => values[(at % rows) * cols + Math.floor(at / rows)]);
}

/** X Xᵀ of X (n x cols), in f64. */
function gramOfRows(x: Float32Array, n: number, cols: number): Float64Array {
  const gram = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < cols; k++) gram[i * n + j] += x[i * cols + k] * x[j * cols + k];
    }
  }
  return gram;
}

/**
 * Every number of each linear, by repairing it again and measuring what is written; and the safe data's, which the state tells.
 * With task data, which is not read here, only those that do not depend on it.
 */
export async function checkEstimates(
  engine: Engine,
  recorded: Recorded,
  inputs: Inputs,
  state: State,
  progress: Progress,
): Promise<NumberCheck> {
  const { sha256: hash, nExamples, nTokens, seed } = state.manifest.safeData;
  const problems = differences("safeData", { hash, nExamples, nTokens, seed }, recorded.safeData, 0);
  const saved = new Map(savedOf(recorded).map(({ linear }) => [linear.name, linear]));
  let n = 0;
  for (const [name, numbers] of await measureAll(engine, recorded, inputs, state, progress)) {
    const found = onlyKnown(recorded, jsonSafe(numbers));
    n += Object.keys(found).length;
    problems.push(...differences(name, found, saved.get(name) ?? {}, estimateTolerance));
  }
  const unchecked = recorded.taskData ? "the task data, so dials and task gaps were not computed again" : undefined;
  return { n, problems, unchecked };
}

const stage = "checking the numbers";

async function measureAll(
  engine: Engine,
  recorded: Recorded,
  inputs: Inputs,
  state: State,
  progress: Progress,
): Promise<Map<string, RepairNumbers>> {
  const method = methodOf(recorded);
  const [before, after] = [inputs.tuned.checkpoint.adapter, inputs.repaired.checkpoint.adapter];
  if (before && after && "budget" in method) {
    const place = { engine, models: inputs, adapter: before, state, progress };
    return measureAdapters(place, after, await adapterBudgets(place, method));
  }
  const place = { engine, models: inputs, state };
  const settings = await settle(place, method, progress);
  return measureLinears(place, stage, progress, { task: "again", settings });
}

async function measureAdapters(
  place: AdapterPlace,
  after: Adapter,
  budgets: BudgetOf,
): Promise<Map<string, RepairNumbers>> {
  const { engine } = place;
  return eachAdapted(place, stage, async ({ linear: { name }, factors, factor }) => {
    const { a, numbers } = at(name, () => repairAdapter(engine, factors, factor, budgets(name)));
    using _again = a;
    using written = await uploadPair(engine, after, name);
    return adapterNumbersAsWritten(engine, numbers, factors, written.a, factor);
  });
}

/** @throws PipelineError `incompatible` for a dial that is none */
function methodOf({ mode, budget, rival }: Recorded): Method | RivalMethod {
  if (rival) {
    const { seed = 0, ...choice } = rival; // only masks have one
    return { rival: choice, seed };
  }
  if (mode && budget) return { mode, budget: budgetOf(budget) };
  throw new PipelineError("incompatible", "safedelta.json: names neither a mode nor a rival. Make the model again.");
}

function budgetOf({ kind, value }: NonNullable<Recorded["budget"]>): Budget {
  if (kind === "loss" || kind === "keep") return { kind, share: value };
  if (kind === "global-loss") return { kind: "globalLoss", share: value };
  if (kind === "strength" || kind === "scale") return { kind, value };
  throw new PipelineError("incompatible", `safedelta.json: "${kind}" is no budget. Make the model again.`);
}

function onlyKnown({ taskData, budget }: Recorded, numbers: RepairNumbers): Partial<RepairNumbers> {
  if (!taskData) return numbers;
  const { keptShare: _kept, strength: _strength, budget: limit, ...measured } = numbers;
  return budget?.kind === "loss" ? { ...measured, budget: limit } : measured;
}

/** One line for each number of `found` that is another in `saved`, or is not there. */
function differences(place: string, found: object, saved: unknown, tolerance: number): string[] {
  return Object.entries(found).flatMap(([key, value]) => {
    const known = (saved as Record<string, unknown> | undefined)?.[key];
    if (value !== null && typeof value === "object") return differences(`${place}: ${key}`, value, known, tolerance);
    if (value === known || (typeof value === "number" && isNear(value, Number(known), tolerance))) return [];
    return [`${place}: ${key} is ${value}, but safedelta.json says ${known}.`];
  });
}

function isNear(a: number, b: number, tolerance: number): boolean {
  return Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b));
}
