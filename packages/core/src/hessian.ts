import type { Engine, Matrix } from "@safedelta/engine";
import { CoreError } from "./errors.ts";
import { checkFinite, checkShape, diagonalOf, mean } from "./matrix.ts";

/** What was done to a Hessian before it is factored. */
export interface Damping {
  /** Columns whose inputs were always zero. */
  readonly nDead: number;
  /** Mean of the diagonal of the damped Hessian: the unit of `strength`. */
  readonly meanDiagonal: number;
  /** What was added to the diagonal. */
  readonly damping: number;
}

/** Share of the mean diagonal that is added to the diagonal unless another is wanted (SparseGPT's `percdamp`, kept by the official code). */
export const dampingShare = 0.01;

/**
 * hessian += weight · (2/nExamples) XᵀX, upper triangle only (the strictly lower part is unspecified until `finishHessian`).
 * @param hessian cols x cols, zero before the first example
 * @param activations X, tokens x cols: inputs of the group on one safe example, through the untouched aligned model
 * @param nExamples number of all examples that will be accumulated (sequences, not tokens)
 * @param weight how often these tokens count
 * @throws CoreError `shape`
 */
export function accumulate(engine: Engine, hessian: Matrix, activations: Matrix, nExamples: number, weight = 1): void {
  checkShape("The Hessian", hessian, activations.cols, activations.cols);
  if (!(nExamples >= 1)) throw new CoreError("shape", `A Hessian needs at least one example, but got ${nExamples}.`);
  engine.syrk((2 * weight) / nExamples, activations, 1, hessian);
}

/**
 * In place: diagonal zeros (dead columns) become 1, then share · mean(diag), those ones included, is added to the diagonal, as
 * the official code does with 0.01. Both triangles are valid afterwards.
 * @param hessian cols x cols, upper triangle read
 * @throws CoreError `shape`; `notFinite` when it holds NaN or Inf, naming the column; `notPositiveDefinite` when every column is dead
 */
export function finishHessian(engine: Engine, hessian: Matrix, share = dampingShare): Damping {
  checkShape("The Hessian", hessian, hessian.cols, hessian.cols);
  engine.mirror(hessian);
  checkFinite(engine, "The Hessian", hessian);
  const diagonal = diagonalOf(engine, hessian);
  const alive = diagonal.filter((value) => value > 0);
  const nDead = diagonal.length - alive.length;
  if (alive.length === 0)
    throw new CoreError(
      "notPositiveDefinite",
      "The Hessian is zero: every input was zero on all examples, so nothing is known of what to keep safe. Check the model and the safe examples.",
    );
  const undamped = mean(diagonal.map((value) => value || 1));
  const damping = share * undamped;
  using one = engine.alloc(1, 1);
  engine.fill(one, 1);
  diagonal.forEach((value, j) => {
    engine.add(value === 0 ? 1 + damping : damping, one, hessian.view(j, j, 1, 1));
  });
  return { nDead, meanDiagonal: undamped + damping, damping };
}
