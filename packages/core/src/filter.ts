import type { Engine, Matrix } from "@safedelta/engine";
import { directionsOf } from "./basis.ts";
import type { Budget } from "./budget.ts";
import type { OptimalFactor } from "./factor.ts";
import { FilterByHessian } from "./filterByHessian.ts";
import { filterBySpectrum } from "./filterBySpectrum.ts";
import { checkFinite, checkShape } from "./matrix.ts";
import type { TaskFactor } from "./task.ts";

/** Losses of a repair by `optimal`. */
export interface Losses {
  /** ½ tr(D H Dᵀ) and ½ tr(Δ H Δᵀ). */
  readonly safetyLoss: number;
  readonly fullSafetyLoss: number;
  /** tr((D − Δ) H_u (D − Δ)ᵀ), only with task data. */
  readonly taskGap?: number;
}

/** One delta under `optimal`: what D = Δ M(λ) loses, and D itself, for any strength. Disposing it leaves the delta and the factor. */
export interface Filter extends Disposable {
  /** ½ tr(Δ H Δᵀ). */
  readonly fullLoss: number;
  /** The strength that a budget stands for. @throws CoreError `budget` */
  strengthFor(budget: Budget): number;
  lossesAt(strength: number): Losses;
  /** D, new; Δ itself at strength 0 and zero at Infinity, without rounding. */
  deltaAt(strength: number): Matrix;
}

/** ‖m_j‖² for each column j of what a matrix stands for: m itself, or B m where the delta is B A and only A is at hand. */
export type ColumnSquares = (m: Matrix) => Float64Array;

/**
 * The filter of a delta by the factor that its group keeps: sums over eigenvalues, or one Cholesky for each strength.
 * @param delta Δ (rows x cols), or the A of an adapter with `squares` of B A; lives as long as the filter
 */
export function filterOf(
  engine: Engine,
  delta: Matrix,
  factor: OptimalFactor | TaskFactor,
  squares: ColumnSquares = (m) => engine.columnSquares(m),
): Filter {
  return "r" in factor
    ? new FilterByHessian(engine, delta, factor, squares)
    : filterBySpectrum(engine, delta, factor, squares);
}

/**
 * The losses of one linear at one strength: what a pool is made of where no curve of scalars is to be had.
 * @param delta Δ, rows x cols
 * @throws CoreError `shape`, `notFinite`
 */
export function optimalLosses(engine: Engine, delta: Matrix, factor: OptimalFactor, strength: number): Losses {
  checkShape("The delta", delta, delta.rows, colsOf(factor));
  checkFinite(engine, "The delta", delta);
  using filter = filterOf(engine, delta, factor);
  return filter.lossesAt(strength);
}

/** Inputs of the linears that a factor is for. */
export function colsOf(factor: OptimalFactor | TaskFactor): number {
  return "r" in factor ? factor.r.rows : directionsOf(factor).forward.rows;
}
