import type { Tensor } from "@safedelta/checkpoint";
import {
  type Budget,
  type Curve,
  difference,
  exactCurve,
  finishHessian,
  type Mode,
  numbersAsWritten,
  optimalCurve,
  optimalFactorOf,
  optimalLosses,
  type PreparedGroup,
  type Repair,
  type RepairNumbers,
  repair,
  solvePool,
  type TaskFactor,
  taskFactor,
  taskRepair,
  type UnstoredNumbers,
  type Weights,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { at, PipelineError } from "./errors.ts";
import { linearsOf, type Models, type PairWeights, readPair } from "./pair.ts";
import { type PoolPass, solveOptimalPool } from "./pool.ts";
import type { Progress } from "./progress.ts";
import type { LoadedGroup, State } from "./state.ts";
import { uploadF32 } from "./upload.ts";

/** How linears are repaired. */
export interface Method {
  readonly mode: Mode;
  readonly budget: Budget;
}

/** The budget of each linear by name. */
export type BudgetOf = (name: string) => Budget;

/** The curve of one linear in a mode that has one; `withNorms` when more than the losses is wanted of it. */
export function measureCurve(
  engine: Engine,
  mode: "exact" | "optimal",
  weights: PairWeights,
  prepared: LoadedGroup,
  withNorms = false,
): Curve {
  using delta = difference(engine, weights.tuned, weights.aligned);
  if (mode === "exact" && prepared.ordered) return exactCurve(engine, delta, prepared.ordered, withNorms);
  if (mode === "optimal" && prepared.spectrum) return optimalCurve(engine, delta, prepared.spectrum);
  throw new PipelineError(
    "incompatible",
    `The state holds nothing for mode ${mode}; prepare again with --modes ${mode}.`,
  );
}

/** Turn the user's budget into one for each linear; a pooled one costs a pass over all linears. */
export async function resolveBudgets(
  engine: Engine,
  pair: Models,
  state: State,
  { mode, budget }: Method,
  progress: Progress,
): Promise<BudgetOf> {
  if (budget.kind !== "globalLoss") return () => budget;
  const each: EachLinear = (stage, visit, wanted) =>
    eachLinear(engine, pair, state, mode, stage, progress, visit, wanted);
  const solve = mode === "optimal" ? poolByOptimal : poolByExact;
  const budgets = await solve(engine, budget.share, each);
  return (name) => budgets.get(name) ?? budget;
}

/** `eachLinear` of one engine, pair, state and mode. */
type EachLinear = (stage: string, visit: Visit, wanted?: (name: string) => boolean) => Promise<void>;

async function poolByExact(engine: Engine, share: number, each: EachLinear): Promise<Map<string, Budget>> {
  const curves = new Map<string, Curve>();
  await each("measuring the pool", (name, weights, prepared) => {
    curves.set(name, measureCurve(engine, "exact", weights, prepared));
  });
  const budgets = solvePool([...curves.values()], share);
  return new Map([...curves.keys()].map((name, i) => [name, budgets[i]]));
}

function poolByOptimal(engine: Engine, share: number, each: EachLinear): Promise<Map<string, Budget>> {
  const pass: PoolPass = (stage, wanted, visit) => {
    const onWeights: Visit = (name, { tuned, aligned }, prepared) => {
      const factor = optimalFactorOf(prepared);
      using delta = difference(engine, tuned, aligned);
      visit(name, {
        factor,
        curve: (spectrum) => optimalCurve(engine, delta, spectrum),
        lossesAt: (strength) => optimalLosses(engine, delta, factor, strength),
      });
    };
    return each(stage, onWeights, wanted);
  };
  return solveOptimalPool(share, pass);
}

/** What is done with one linear. */
type Visit = (name: string, weights: PairWeights, prepared: LoadedGroup, layer: number) => void;

/** Visit every wanted linear with its weights and prepared group in memory, one group at a time. */
export async function eachLinear(
  engine: Engine,
  pair: Models,
  state: State,
  mode: Mode,
  stage: string,
  progress: Progress,
  visit: Visit,
  wanted: (name: string) => boolean = () => true,
): Promise<void> {
  const all = [...linearsOf(pair.aligned.config)].filter(({ linear }) => wanted(linear.name));
  progress.stage(stage, all.length);
  let held: { key: string; prepared: LoadedGroup } | undefined;
  try {
    for (const { layer, group, linear } of all) {
      const key = `${layer}/${group.name}`;
      if (held?.key !== key) {
        held?.prepared[Symbol.dispose]();
        held = undefined;
        held = { key, prepared: await state.load(engine, layer, group.name, mode) };
      }
      using weights = await readPair(engine, pair, state, layer, linear.name);
      const { prepared } = held;
      at(linear.name, () => visit(linear.name, weights, prepared, layer));
      progress.step(linear.name);
    }
  } finally {
    held?.prepared[Symbol.dispose]();
  }
}

/** Repair one linear, with task data when their factor is given. */
export function repairLinear(
  engine: Engine,
  mode: Mode,
  weights: PairWeights,
  prepared: LoadedGroup,
  budget: Budget,
  task?: TaskFactor,
): Repair {
  return task ? taskRepair(engine, weights, task, budget) : repair(engine, mode, weights, prepared, budget);
}

/** The numbers of what is written, so that whoever has the files and the state can measure them again. */
export function writtenNumbers(
  engine: Engine,
  numbers: UnstoredNumbers,
  weights: Weights,
  written: Tensor,
  prepared: PreparedGroup,
  task?: TaskFactor,
): RepairNumbers {
  using rounded = uploadF32(engine, written, "the repaired weight");
  return numbersAsWritten(engine, numbers, weights, rounded, prepared, task);
}

/** Numbers that JSON can hold: an infinite strength (zero budget, the aligned weights) is left out. */
export function jsonSafe({ strength, ...numbers }: RepairNumbers): RepairNumbers {
  return Number.isFinite(strength) ? { ...numbers, strength } : numbers;
}

/** The task factor of a group from the Hessian of its task inputs (which is damped in place, and lives as long). */
export function taskFactorOf(engine: Engine, prepared: LoadedGroup, hessian: Matrix): TaskFactor {
  finishHessian(engine, hessian);
  return taskFactor(engine, prepared, hessian);
}
