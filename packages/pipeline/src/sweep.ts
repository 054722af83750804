import {
  type Budget,
  type Curve,
  checkBudget,
  hasDial,
  type Mode,
  numbersAt,
  type RepairNumbers,
  solvePool,
} from "@safedelta/core";
import type { Engine } from "@safedelta/engine";
import type { Linear } from "@safedelta/model";
import { at, PipelineError } from "./errors.ts";
import { estimateApply } from "./estimate.ts";
import { measureLinears, type Place, resolveBudgets } from "./linears.ts";
import type { Budgets } from "./linearTasks.ts";
import { requireMemory } from "./memory.ts";
import { hashModel, type OpenedModel } from "./models.ts";
import { noChange, warnOf } from "./oddities.ts";
import { checkState, linearsOf, openPair, type Pair } from "./pair.ts";
import { hessianGroups, modesOf } from "./parts.ts";
import type { Progress } from "./progress.ts";
import { jsonSafe } from "./repairLinear.ts";
import { openState, type State } from "./state.ts";

/** What `sweep` is asked to do: every budget in every mode that has its dial. */
export interface SweepOptions {
  readonly aligned: string;
  readonly tuned: string;
  readonly state: string;
  /** Empty: every mode that the state can serve. */
  readonly modes: readonly Mode[];
  readonly budgets: readonly Budget[];
  readonly offline: boolean;
  readonly maxMemoryBytes?: number;
}

/** One point of the sweep: a whole model repaired with one budget, in sums over its linears. */
export interface SweepPoint {
  readonly mode: Mode;
  readonly budget: Budget;
  readonly safetyLoss: number;
  readonly safetyLossShare: number;
  readonly fullSafetyLoss: number;
  readonly utilityGap: number;
  readonly deltaNorm: number;
  readonly tunedDeltaNorm: number;
  /** Share of all entries of the linears. */
  readonly keptShare: number;
  readonly linears: readonly SweepLinear[];
}

/** One linear at one point; an infinite strength is left out. */
export interface SweepLinear extends RepairNumbers {
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
}

const allModes: readonly Mode[] = ["reference", "none", "paper", "exact", "optimal"];

/**
 * The numbers of every budget and mode from a prepared state; no model is written. Modes with a curve (exact, and optimal from
 * spectra) cost one product a linear for all their budgets; else each costs a repair.
 * @throws PipelineError `usage` for a budget out of its range or one that no mode asked for has; `resources` before the work
 */
export async function sweep(engine: Engine, options: SweepOptions, progress: Progress): Promise<SweepPoint[]> {
  await using pair = await openPair(options.aligned, options.tuned, options.offline, progress);
  const state = await openState(options.state);
  await checkState(state, pair.aligned);
  const { config, checkpoint } = pair.aligned;
  const { memoryBytes } = estimateApply(config, checkpoint.tensors, state.manifest.parts);
  requireMemory(options.maxMemoryBytes, memoryBytes, "sweep");
  const points: SweepPoint[] = [];
  for (const { mode, budgets } of budgetsByMode(options, state)) {
    const rows = await sweepMode(engine, pair, state, mode, budgets, progress);
    points.push(...budgets.map((budget, i) => total(mode, budget, rows[i])));
  }
  warnOf(progress, noChange(points.flatMap(({ linears }) => linears)));
  return points;
}

/** Hashes of what a repair is made from, as safedelta.json holds them. */
export interface InputHashes {
  readonly aligned: string;
  readonly tuned: string;
  readonly state: string;
}

/** Read both models and the state's manifest for their hashes. @throws as `openPair` and `openState` */
export async function hashInputs(
  { aligned, tuned, state, offline }: Pick<SweepOptions, "aligned" | "tuned" | "state" | "offline">,
  progress: Progress,
): Promise<InputHashes> {
  await using pair = await openPair(aligned, tuned, offline, progress);
  progress.stage("hashing the inputs", 2);
  const hashOf = async (model: OpenedModel) => (await hashModel(model, pair.aligned.checkpoint)).sha256;
  return {
    aligned: await hashOf(pair.aligned),
    tuned: await hashOf(pair.tuned),
    state: (await openState(state)).sha256,
  };
}

/** The points that a sweep will have, before any work. @throws as `sweep` */
export async function planSweep(options: SweepOptions): Promise<Pick<SweepPoint, "mode" | "budget">[]> {
  const plan = budgetsByMode(options, await openState(options.state));
  return plan.flatMap(({ mode, budgets }) => budgets.map((budget) => ({ mode, budget })));
}

/** The modes with the budgets that each takes. */
function budgetsByMode(options: SweepOptions, state: State): { mode: Mode; budgets: readonly Budget[] }[] {
  const each = modesToSweep(options, state).map((mode) => ({
    mode,
    budgets: options.budgets.filter(({ kind }) => hasDial(mode, kind)),
  }));
  return each.filter(({ budgets }) => budgets.length > 0);
}

/** The modes to sweep: those asked for, else all that the state serves. Each needs a budget, and each budget a mode. */
function modesToSweep({ modes, budgets }: SweepOptions, state: State): readonly Mode[] {
  const chosen = modes.length > 0 ? modes : modesOf(state.manifest.parts);
  for (const budget of budgets) {
    at("sweep", () => checkBudget(allModes.find((mode) => hasDial(mode, budget.kind)) ?? "optimal", budget));
    if (!chosen.some((mode) => hasDial(mode, budget.kind)))
      throw new PipelineError("usage", `None of the modes ${chosen.join(", ")} takes ${flagOf(budget)}.`);
  }
  const idle = modes.find((mode) => !budgets.some(({ kind }) => hasDial(mode, kind)));
  if (idle === undefined) return chosen;
  throw new PipelineError("usage", `Mode ${idle} has none of the budgets given. Add one of its own (see --help).`);
}

/** The flag that gives a budget of this kind. */
function flagOf({ kind }: Budget): string {
  return `--${kind.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Rows of linears by budget. */
async function sweepMode(
  engine: Engine,
  pair: Pair,
  state: State,
  mode: Mode,
  budgets: readonly Budget[],
  progress: Progress,
): Promise<SweepLinear[][]> {
  const place = { engine, models: pair, state };
  const hasCurve = mode === "exact" || (mode === "optimal" && hessianGroups(state.manifest.parts).length === 0);
  const numbers = hasCurve
    ? await sweepCurves(place, mode, budgets, progress)
    : await sweepRepairs(place, mode, budgets, progress);
  const linears = [...linearsOf(pair.aligned.config)].map(({ linear }) => linear);
  return numbers.map((row) => row.map((told, i) => ({ ...sizeOf(linears[i]), ...told })));
}

function sizeOf({ name, rows, cols }: Linear) {
  return { name, rows, cols };
}

/** One curve a linear gives the numbers of all budgets. */
async function sweepCurves(
  place: Place,
  mode: "exact" | "optimal",
  budgets: readonly Budget[],
  progress: Progress,
): Promise<RepairNumbers[][]> {
  const work = { task: "curve", settings: { mode, withNorms: true } } as const;
  const curves: Curve[] = [...(await measureLinears(place, `sweeping ${mode}`, progress, work)).values()];
  return budgets.map((budget) => {
    const own = budget.kind === "globalLoss" ? solvePool(curves, budget.share) : curves.map(() => budget);
    return curves.map((curve, i) => jsonSafe(numbersAt(curve, own[i])));
  });
}

/** One repair for each linear and budget. */
async function sweepRepairs(
  place: Place,
  mode: Mode,
  budgets: readonly Budget[],
  progress: Progress,
): Promise<RepairNumbers[][]> {
  const each: Budgets[] = [];
  for (const budget of budgets) {
    each.push(await resolveBudgets(place, { mode, budget }, progress));
  }
  const work = { task: "repairs", settings: { mode, each } } as const;
  const found = [...(await measureLinears(place, `sweeping ${mode}`, progress, work)).values()];
  return budgets.map((_, i) => found.map((numbers) => jsonSafe(numbers[i])));
}

function total(mode: Mode, budget: Budget, linears: readonly SweepLinear[]): SweepPoint {
  const sum = (value: (linear: SweepLinear) => number) => linears.reduce((all, linear) => all + value(linear), 0);
  const [safetyLoss, fullSafetyLoss] = [sum((l) => l.safetyLoss), sum((l) => l.fullSafetyLoss)];
  const size = sum((l) => l.rows * l.cols);
  return {
    mode,
    budget,
    safetyLoss,
    safetyLossShare: fullSafetyLoss === 0 ? 0 : safetyLoss / fullSafetyLoss,
    fullSafetyLoss,
    utilityGap: sum((l) => l.utilityGap),
    deltaNorm: Math.sqrt(sum((l) => l.deltaNorm ** 2)),
    tunedDeltaNorm: Math.sqrt(sum((l) => l.tunedDeltaNorm ** 2)),
    keptShare: size === 0 ? 0 : sum((l) => l.keptShare * l.rows * l.cols) / size,
    linears,
  };
}
