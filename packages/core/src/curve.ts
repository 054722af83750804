import type { Engine, Matrix } from "@safedelta/engine";
import { type Basis, basisOf, directionsOf } from "./basis.ts";
import { exactNorms } from "./exactNorms.ts";
import type { OrderedFactor, Spectrum } from "./factor.ts";
import { checkFinite, checkShape, columnsOf, product } from "./matrix.ts";
import type { TaskSpectrum } from "./task.ts";

/** Loss and gap of one linear for every strength, as scalars (`optimal`, with or without task data). */
export interface OptimalCurve {
  readonly mode: "optimal";
  /** λ = strength / unit: mean(diag H), with task data mean(diag H)/mean(diag H_u). */
  readonly unit: number;
  /** z_j, the safety loss of Δ along each direction: ½ Σ z_j is the full one. */
  readonly energies: Float64Array;
  /** ν_j, utility over safety curvature: 1/σ_j; with task data the eigenvalues of the pair (H_u, H). */
  readonly ratios: Float64Array;
  /** True with task data: then ‖D‖ and ‖D − Δ‖ are not functions of these scalars. */
  readonly task: boolean;
}

/** Loss and gap of one linear for every number k = 0 … cols of kept columns, as scalars (`exact`). */
export interface ExactCurve {
  readonly mode: "exact";
  /** 1/[H⁻¹]_jj of the column at place k (cols values). */
  readonly sensitivity: Float64Array;
  /** Safety loss of keeping the first k columns (cols + 1 values, the first is 0). */
  readonly losses: Float64Array;
  /** ‖D‖² and ‖D − Δ‖² for each k (cols + 1 values each), where they were asked for. */
  readonly norms?: { readonly kept: Float64Array; readonly gap: Float64Array };
}

export type Curve = OptimalCurve | ExactCurve;

/**
 * The curve of `optimal`: one product with the directions.
 * @param delta Δ, rows x cols
 * @throws CoreError `shape`, `notFinite`
 */
export function optimalCurve(engine: Engine, delta: Matrix, factor: Spectrum | TaskSpectrum): OptimalCurve {
  const { forward } = directionsOf(factor);
  checkShape("The delta", delta, delta.rows, forward.rows);
  checkFinite(engine, "The delta", delta);
  using turned = product(engine, delta, forward);
  return curveFrom(basisOf(factor), engine.columnSquares(turned));
}

/** @param squares ‖(Δ · forward)_j‖² for each direction j */
export function curveFrom({ curvatures, ratios, unit, task }: Basis, squares: Float64Array): OptimalCurve {
  return { mode: "optimal", unit, energies: squares.map((square, j) => square * curvatures[j]), ratios, task };
}

/**
 * The curve of `exact`: one triangular product; with `withNorms` also ‖D‖ and ‖D − Δ‖ for each k, for about 3 n³ + rows·n² flops more.
 * @param delta Δ, rows x cols
 * @throws CoreError `shape`, `notFinite`
 */
export function exactCurve(engine: Engine, delta: Matrix, ordered: OrderedFactor, withNorms = false): ExactCurve {
  checkShape("The delta", delta, delta.rows, ordered.r.rows);
  checkFinite(engine, "The delta", delta);
  using whitened = columnsOf(engine, delta, ordered.order);
  engine.trmm(whitened, ordered.r, false);
  const curve = exactCurveOf(engine, whitened, ordered);
  return withNorms ? { ...curve, norms: exactNorms(engine, whitened, ordered.r) } : curve;
}

/** @param whitened E = Δ R, rows x cols, columns in order */
export function exactCurveOf(engine: Engine, whitened: Matrix, { sensitivity }: OrderedFactor): ExactCurve {
  const losses = new Float64Array(whitened.cols + 1);
  engine.columnSquares(whitened).forEach((square, j) => {
    losses[j + 1] = losses[j] + square / 2;
  });
  return { mode: "exact", sensitivity, losses };
}
