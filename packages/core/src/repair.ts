import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget, Mode } from "./budget.ts";
import type { PreparedGroup } from "./factor.ts";
import type { Kept } from "./kept.ts";
import type { RepairNumbers } from "./numbers.ts";

/** One linear of both models, rows x cols, f32. */
export interface Weights {
  readonly aligned: Matrix;
  readonly tuned: Matrix;
}

/** The repaired linear. */
export interface Repair {
  /** aligned + D, rows x cols, f32, not rounded to any storage type. The caller disposes it. */
  readonly weight: Matrix;
  /** Entries that equal the tuned weight bit for bit (not in `optimal`). */
  readonly kept?: Kept;
  readonly numbers: RepairNumbers;
}

/**
 * Repair one linear. The inputs stay as they are.
 * @param prepared holds the factor of the mode: `inverse` for reference, none and paper; `ordered` for exact; `spectrum` for optimal
 * @param budget any dial of the mode but `globalLoss`, which `solvePool` turns into these first
 * @throws CoreError `shape`, `notFinite` (naming the column), `budget`, `missingFactor`
 */
export declare function repair(
  engine: Engine,
  mode: Mode,
  weights: Weights,
  prepared: PreparedGroup,
  budget: Budget,
): Repair;
