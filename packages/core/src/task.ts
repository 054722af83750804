import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import type { PreparedGroup } from "./factor.ts";
import type { Repair, Weights } from "./repair.ts";

/**
 * Both Hessians of a group in one basis: H = T Tᵀ and H_u = T diag(ratios) Tᵀ, T = forward, T⁻ᵀ = backward. Made once for a
 * group and request, it serves all linears of the group and every strength.
 */
export interface TaskSpectrum extends Disposable {
  /** ν_j > 0, ascending. */
  readonly ratios: Float64Array;
  /** T, cols x cols. */
  readonly forward: Matrix;
  /** T⁻ᵀ, cols x cols. */
  readonly backward: Matrix;
  /** mean(diag H) / mean(diag H_u): the unit of `strength`. */
  readonly unit: number;
}

/**
 * Solve the pair (H_u, H) from the prepared spectrum of H.
 * @param prepared the group's state, with `spectrum`
 * @param taskHessian H_u after `finishHessian`, cols x cols; left as it is
 * @throws CoreError `missingFactor`, `shape`, `notPositiveDefinite`
 */
export declare function taskSpectrum(engine: Engine, prepared: PreparedGroup, taskHessian: Matrix): TaskSpectrum;

/**
 * `optimal` with task data: D = Δ H_u (H_u + λH)⁻¹, closest to the tuned linear's outputs on the task within the budget.
 * Budget as in `optimal`. @throws CoreError
 */
export declare function taskRepair(engine: Engine, weights: Weights, task: TaskSpectrum, budget: Budget): Repair;
