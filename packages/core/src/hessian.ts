import type { Engine, Matrix } from "@safedelta/engine";

/** What was done to a Hessian before it is factored. */
export interface Damping {
  /** Columns whose inputs were always zero. */
  readonly nDead: number;
  /** Mean of the diagonal of the damped Hessian: the unit of `strength`. */
  readonly meanDiagonal: number;
  /** What was added to the diagonal. */
  readonly damping: number;
}

/**
 * hessian += (2/nExamples) XᵀX, upper triangle only (the strictly lower part is unspecified until `finishHessian`).
 * @param hessian cols x cols, zero before the first example
 * @param activations X, tokens x cols: inputs of the group on one safe example, through the untouched aligned model
 * @param nExamples number of all examples that will be accumulated (sequences, not tokens)
 * @throws CoreError `shape`
 */
export declare function accumulate(engine: Engine, hessian: Matrix, activations: Matrix, nExamples: number): void;

/**
 * In place: diagonal zeros (dead columns) become 1, then 0.01 · mean(diag), those ones included, is added to the diagonal, as
 * the official code does. Both triangles are valid afterwards.
 * @param hessian cols x cols, upper triangle read
 * @throws CoreError `notFinite` when it holds NaN or Inf, naming the column
 */
export declare function finishHessian(engine: Engine, hessian: Matrix): Damping;
