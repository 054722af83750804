import type { Engine, Matrix } from "@safedelta/engine";
import { type Budget, checkBudget } from "./budget.ts";
import { CoreError } from "./errors.ts";
import { type DampedHessian, optimalFactorOf, type PreparedGroup, type Spectrum } from "./factor.ts";
import { colsOf } from "./filter.ts";
import { checkShape, copyOf, diagonalOf, mean, product } from "./matrix.ts";
import { repairOptimal } from "./optimal.ts";
import { checkWeights, type Repair, type Weights } from "./repair.ts";

/**
 * Both Hessians of a group in one basis: H = T Tᵀ and H_u = T diag(ratios) Tᵀ, T = forward, T⁻ᵀ = backward. Made once for a
 * group and request, it serves all linears of the group and every strength. Disposing it disposes both matrices.
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

/** Both damped Hessians of a group as they are, for one Cholesky each λ. It owns neither: all three matrices must outlive it. */
export interface TaskHessians extends DampedHessian {
  /** H_u, cols x cols, both triangles. */
  readonly task: Matrix;
  /** mean(diag H) / mean(diag H_u): the unit of `strength`. */
  readonly unit: number;
}

/** What `optimal` with task data works from; both give the same repairs, within rounding. */
export type TaskFactor = TaskSpectrum | TaskHessians;

/** Ratios below this share of the largest are f32 rounding: they are raised to it, as "the task hardly cares". */
const leastRatioShare = 2 ** -24;

/**
 * What a group's linears need of the task data, from what the state keeps of H: with its spectrum one eigendecomposition of the pair for all
 * strengths, else both Hessians as they are.
 * @param prepared the group's state, with `spectrum` or `hessian`; that and the task's Hessian must outlive the result
 * @param taskHessian H_u after `finishHessian`, cols x cols; left as it is
 * @throws CoreError `missingFactor`, `shape`, or `notPositiveDefinite` when H_u has no positive direction
 */
export function taskFactor(engine: Engine, prepared: PreparedGroup, taskHessian: Matrix): TaskFactor {
  const { cols } = prepared;
  const factor = optimalFactorOf(prepared);
  checkShape("The task Hessian", taskHessian, cols, cols);
  if ("vectors" in factor) return taskSpectrum(engine, factor, taskHessian);
  const unit = factor.unit / mean(diagonalOf(engine, taskHessian));
  return { h: factor.h, r: factor.r, task: taskHessian, unit, [Symbol.dispose]: () => {} };
}

/** From H = Q diag(σ) Qᵀ: the eigenvectors P of σ^-½ Qᵀ H_u Q σ^-½ give T = Q σ^½ P, and losses are sums. */
function taskSpectrum(engine: Engine, { values, vectors }: Spectrum, taskHessian: Matrix): TaskSpectrum {
  using whitener = scaledCols(engine, vectors, (j) => values[j] ** -0.5); // Q σ^-½
  using colourer = scaledCols(engine, vectors, (j) => values[j] ** 0.5); // Q σ^½
  const { values: found, vectors: pair } = whitenedPair(engine, whitener, taskHessian);
  using turn = pair;
  const ratios = positiveRatios(found);
  const unit = mean(values) / mean(diagonalOf(engine, taskHessian));
  using made = new DisposableStack();
  const forward = made.use(product(engine, colourer, turn));
  const backward = made.use(product(engine, whitener, turn));
  const held = made.move();
  return { ratios, forward, backward, unit, [Symbol.dispose]: () => held.dispose() };
}

/**
 * `optimal` with task data: D = Δ H_u (H_u + λH)⁻¹, closest to the tuned linear's outputs on the task data within the budget.
 * The inputs stay as they are.
 * @param budget as in mode `optimal`
 * @throws CoreError `shape`, `notFinite`, `budget`
 */
export function taskRepair(engine: Engine, weights: Weights, task: TaskFactor, budget: Budget): Repair {
  checkBudget("optimal", budget);
  checkWeights(engine, weights, colsOf(task));
  return repairOptimal(engine, weights, task, budget);
}

function scaledCols(engine: Engine, m: Matrix, factor: (j: number) => number): Matrix {
  const factors = Float32Array.from({ length: m.cols }, (_, j) => factor(j));
  return copyOf(engine, m, (copy) => engine.scaleCols(copy, factors));
}

/** Eigendecomposition of whitenerᵀ · H_u · whitener. */
function whitenedPair(engine: Engine, whitener: Matrix, taskHessian: Matrix) {
  using half = product(engine, taskHessian, whitener);
  using whitened = engine.alloc(whitener.cols, whitener.cols);
  engine.gemm(1, whitener, true, half, false, 0, whitened);
  return engine.eigh(whitened);
}

function positiveRatios(values: Float64Array): Float64Array {
  const largest = values[values.length - 1];
  if (largest > 0) return values.map((value) => Math.max(value, largest * leastRatioShare));
  throw new CoreError(
    "notPositiveDefinite",
    `The task Hessian's largest eigenvalue is ${largest}. Check the task data.`,
  );
}
