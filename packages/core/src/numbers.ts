import { gainsAt } from "./basis.ts";
import type { Budget } from "./budget.ts";
import type { Curve, ExactCurve, OptimalCurve } from "./curve.ts";
import { fullLossOf, gapAt, lossesAt, nKeptFor, strengthFor } from "./dial.ts";
import { CoreError } from "./errors.ts";
import type { Losses } from "./filter.ts";
import type { Kept } from "./kept.ts";
import { sum } from "./matrix.ts";

/** What a block of columns was allowed and what it spent, in the units of the official code (Δ²/U_jj², no factor 1/2). */
export interface BlockSpending {
  readonly limit: number;
  readonly spent: number;
}

/** What one repair did. H is the damped Hessian, Δ = tuned − aligned, D = repaired − aligned; sums are taken in f64. */
export interface RepairNumbers {
  /**
   * Entries that take the tuned weight bit for bit, as a share of all (in `optimal` 0, or 1 when nothing is taken back). Of a
   * written weight: those that still do, since a narrower storage type than the tuned model's rounds them.
   */
  readonly keptShare: number;
  /** ½ tr(D H Dᵀ). */
  readonly safetyLoss: number;
  /** safetyLoss / fullSafetyLoss (0 when Δ is zero). */
  readonly safetyLossShare: number;
  /** ½ tr(Δ H Δᵀ). */
  readonly fullSafetyLoss: number;
  /** ‖D − Δ‖². */
  readonly utilityGap: number;
  /** tr((D − Δ) H_u (D − Δ)ᵀ), only with task data. */
  readonly taskGap?: number;
  /** ‖D‖ (Frobenius). */
  readonly deltaNorm: number;
  /** ‖Δ‖ (Frobenius). */
  readonly tunedDeltaNorm: number;
  /**
   * The limit that was in force: a safety loss in `exact` and `optimal` (of a `strength` or a `keep`: what it spends); in the
   * other modes the sum of the blocks' limits, in the units of `BlockSpending`. A rival has none: what it spends.
   */
  readonly budget: number;
  /** `optimal`: λ in units of 1/mean(diag H); Infinity is the aligned model. */
  readonly strength?: number;
  /** `exact`: share of columns kept. */
  readonly keep?: number;
  /** `reference`, `none`, `paper`: the paper's s (when a loss was asked for: the s that was found). */
  readonly scale?: number;
  /** `reference`, `none`, `paper`: limit and spending of each block of columns. */
  readonly blocks?: readonly BlockSpending[];
  /** `safe-lora`: cos(C Δ, Δ), rounded to 5 digits. */
  readonly cosine?: number;
}

/** The numbers of a repair whose weight is not stored yet. */
export interface UnstoredNumbers extends RepairNumbers {
  /** The entries of `keptShare`: `numbersAsWritten` looks at them again in what was written. */
  readonly kept: Kept;
}

/** Squared distances of one repair: ‖D − Δ‖², ‖D‖², ‖Δ‖². */
export interface Distances {
  readonly utilityGap: number;
  readonly delta: number;
  readonly tuned: number;
}

/** The numbers that every mode has. */
export function commonNumbers(
  keptShare: number,
  safetyLoss: number,
  fullSafetyLoss: number,
  { utilityGap, delta, tuned }: Distances,
): Omit<RepairNumbers, "budget"> {
  const safetyLossShare = fullSafetyLoss === 0 ? 0 : safetyLoss / fullSafetyLoss;
  const norms = { deltaNorm: Math.sqrt(delta), tunedDeltaNorm: Math.sqrt(tuned) };
  return { keptShare, safetyLoss, safetyLossShare, fullSafetyLoss, utilityGap, ...norms };
}

/**
 * The numbers of a repair with this budget, from scalars alone.
 * @throws CoreError `budget`; also for a curve with task data and an exact one without `norms`, which lack the distances
 */
export function numbersAt(curve: Curve, budget: Budget): RepairNumbers {
  return curve.mode === "optimal" ? optimalNumbers(curve, budget) : exactNumbers(curve, budget);
}

function optimalNumbers(curve: OptimalCurve, budget: Budget): RepairNumbers {
  if (curve.task)
    throw new CoreError("budget", "With task data the distances need the repair itself: call taskRepair.");
  const strength = strengthFor(curve, budget);
  const gains = gainsAt(curve.ratios, curve.unit, strength);
  const squares = curve.energies.map((energy, j) => energy * curve.ratios[j]);
  return optimalNumbersOf(lossesAt(curve, strength), budget, strength, {
    utilityGap: gapAt(curve, strength),
    delta: squares.reduce((total, square, j) => total + square * gains[j] ** 2, 0),
    tuned: sum(squares),
  });
}

export function optimalNumbersOf(
  { safetyLoss, fullSafetyLoss, ...task }: Losses,
  budget: Budget,
  strength: number,
  distances: Distances,
): RepairNumbers {
  return {
    ...commonNumbers(strength === 0 ? 1 : 0, safetyLoss, fullSafetyLoss, distances),
    ...task,
    budget: limitOf(budget, safetyLoss, fullSafetyLoss),
    strength,
  };
}

function exactNumbers(curve: ExactCurve, budget: Budget): RepairNumbers {
  const { norms } = curve;
  if (!norms) throw new CoreError("budget", "This curve holds no distances: make it with exactCurve(…, true).");
  const k = nKeptFor(curve, budget);
  const tuned = norms.kept[norms.kept.length - 1];
  return exactNumbersOf(curve, budget, k, { utilityGap: norms.gap[k], delta: norms.kept[k], tuned });
}

export function exactNumbersOf(curve: ExactCurve, budget: Budget, k: number, distances: Distances): RepairNumbers {
  const keep = k / curve.sensitivity.length;
  const fullSafetyLoss = fullLossOf(curve);
  const limit = limitOf(budget, curve.losses[k], fullSafetyLoss);
  return { ...commonNumbers(keep, curve.losses[k], fullSafetyLoss, distances), budget: limit, keep };
}

/** The safety loss that was allowed; a dial that sets none (strength, keep) allows what it spends. */
function limitOf(budget: Budget, safetyLoss: number, fullSafetyLoss: number): number {
  return budget.kind === "loss" ? budget.share * fullSafetyLoss : safetyLoss;
}
