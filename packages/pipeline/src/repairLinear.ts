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
  type PreparedGroup,
  type Repair,
  type RepairNumbers,
  repair,
  type TaskFactor,
  taskFactor,
  taskRepair,
  type UnstoredNumbers,
  type Weights,
} from "@safedelta/core";
import type { Engine, Matrix } from "@safedelta/engine";
import { PipelineError } from "./errors.ts";
import type { PairWeights } from "./pair.ts";
import type { LoadedGroup } from "./state.ts";
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

/** The task factor of a group from the Hessian of its task inputs (which is damped in place by a share of its mean diagonal, and lives as long). */
export function taskFactorOf(engine: Engine, prepared: LoadedGroup, hessian: Matrix, damping: number): TaskFactor {
  finishHessian(engine, hessian, damping);
  return taskFactor(engine, prepared, hessian);
}
