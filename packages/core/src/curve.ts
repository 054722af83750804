import type { Engine, Matrix } from "@safedelta/engine";
import type { Budget } from "./budget.ts";
import type { OrderedFactor, Spectrum } from "./factor.ts";
import type { RepairNumbers } from "./numbers.ts";
import type { TaskSpectrum } from "./task.ts";

/** Loss and gap of one linear for every strength, as scalars (`optimal`, with or without task data). */
export interface OptimalCurve {
  readonly mode: "optimal";
  /** λ = strength / unit: mean(diag H), with task data mean(diag H)/mean(diag H_u). */
  readonly unit: number;
  /** Energy of Δ along each direction, in units of the safety loss: with z these, the full safety loss is ½ Σ z. */
  readonly energies: Float64Array;
  /** Utility over safety curvature of each direction: ν_j = 1/σ_j, with task data the eigenvalues of the pair (H_u, H). */
  readonly ratios: Float64Array;
  /** True with task data: then ‖D‖ and ‖D − Δ‖ are not functions of these scalars. */
  readonly task: boolean;
}

/** Loss and gap of one linear for every number of kept columns, as scalars (`exact`). Index k = 0 … cols. */
export interface ExactCurve {
  readonly mode: "exact";
  /** 1/[H⁻¹]_jj of the column at place k (cols values). */
  readonly sensitivity: Float64Array;
  /** Safety loss of keeping the first k columns (cols + 1 values, from 0). */
  readonly losses: Float64Array;
  /** ‖D‖² and ‖D − Δ‖² at k (cols + 1 values). */
  readonly norms: Float64Array;
  readonly gaps: Float64Array;
}

export type Curve = OptimalCurve | ExactCurve;

/** The curve of `optimal` for delta (rows x cols): one product with the eigenvectors. @throws CoreError `shape`, `notFinite` */
export declare function optimalCurve(engine: Engine, delta: Matrix, basis: Spectrum | TaskSpectrum): OptimalCurve;

/** The curve of `exact` for delta (rows x cols). @throws CoreError `shape`, `notFinite` */
export declare function exactCurve(engine: Engine, delta: Matrix, ordered: OrderedFactor): ExactCurve;

/**
 * One budget for each linear of a pool whose summed safety loss is `share` of the pool's full one: one λ for all (`optimal`),
 * or one sensitivity threshold for all (`exact`). Every curve has the same mode.
 * @throws CoreError `budget`
 */
export declare function solvePool(curves: readonly Curve[], share: number): Budget[];

/** The numbers of a repair with this budget, from scalars alone. @throws CoreError `budget`; for a curve with task data */
export declare function numbersAt(curve: Curve, budget: Budget): RepairNumbers;
