import type { Engine, Matrix } from "@safedelta/engine";
import { type Budget, checkBudget, type Mode } from "./budget.ts";
import { CoreError } from "./errors.ts";
import { repairExact } from "./exact.ts";
import { optimalFactorOf, type PreparedGroup } from "./factor.ts";
import { checkFinite, checkShape } from "./matrix.ts";
import type { UnstoredNumbers } from "./numbers.ts";
import { repairOptimal } from "./optimal.ts";
import { repairByPrefix } from "./prefix.ts";

/** One linear of both models, rows x cols, f32. */
export interface Weights {
  readonly aligned: Matrix;
  readonly tuned: Matrix;
}

/** The repaired linear. */
export interface Repair {
  /** aligned + D, rows x cols, f32, not rounded to any storage type. The caller disposes it. */
  readonly weight: Matrix;
  readonly numbers: UnstoredNumbers;
}

/**
 * Repair one linear. The inputs stay as they are.
 * @param prepared holds the factor of the mode: `inverse` for reference, none and paper; `ordered` for exact; `spectrum` or `hessian` for optimal
 * @param budget any dial of the mode but `globalLoss`, which `solvePool` turns into these first
 * @throws CoreError `shape`, `notFinite` (naming the column), `budget`, `missingFactor`
 */
export function repair(engine: Engine, mode: Mode, weights: Weights, prepared: PreparedGroup, budget: Budget): Repair {
  checkBudget(mode, budget);
  checkWeights(engine, weights, prepared.cols);
  switch (mode) {
    case "optimal":
      return repairOptimal(engine, weights, optimalFactorOf(prepared), budget);
    case "exact":
      return repairExact(engine, weights, factorFor(mode, prepared.ordered), budget);
    default:
      return repairByPrefix(engine, mode, weights, factorFor(mode, prepared.inverse), budget);
  }
}

function factorFor<T>(mode: Mode, factor: T | undefined): T {
  if (factor !== undefined) return factor;
  throw new CoreError("missingFactor", `The state holds no factor for mode "${mode}": prepare again with this mode.`);
}

/** @throws CoreError `shape`, `notFinite` */
export function checkWeights(engine: Engine, { aligned, tuned }: Weights, cols: number): void {
  checkShape("The aligned weight", aligned, aligned.rows, cols);
  checkShape("The tuned weight", tuned, aligned.rows, cols);
  checkFinite(engine, "The aligned weight", aligned);
  checkFinite(engine, "The tuned weight", tuned);
}
