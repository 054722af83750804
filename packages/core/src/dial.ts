import { gainsAt } from "./basis.ts";
import { type Budget, checkBudget } from "./budget.ts";
import type { Curve, ExactCurve, OptimalCurve } from "./curve.ts";
import { CoreError } from "./errors.ts";
import type { Losses } from "./filter.ts";
import { sum } from "./matrix.ts";

/** Safety loss at a strength: ½ Σ z_j gain_j². */
export function safetyLossAt({ energies, ratios, unit }: OptimalCurve, strength: number): number {
  const gains = gainsAt(ratios, unit, strength);
  return energies.reduce((total, energy, j) => total + energy * gains[j] ** 2, 0) / 2;
}

/** tr((D − Δ) H_u (D − Δ)ᵀ) at a strength, where H_u is the identity without task data: Σ z_j ν_j (1 − gain_j)². */
export function gapAt({ energies, ratios, unit }: OptimalCurve, strength: number): number {
  const gains = gainsAt(ratios, unit, strength);
  return energies.reduce((total, energy, j) => total + energy * ratios[j] * (1 - gains[j]) ** 2, 0);
}

/** ½ tr(Δ H Δᵀ). */
export function fullLossOf(curve: Curve): number {
  return curve.mode === "optimal" ? sum(curve.energies) / 2 : curve.losses[curve.losses.length - 1];
}

/** The strength that a budget stands for. @param lambdaOf λ for a share of the full safety loss @throws CoreError `budget` */
export function strengthBy(budget: Budget, unit: number, lambdaOf: (share: number) => number): number {
  checkBudget("optimal", budget);
  if (budget.kind === "strength") return budget.value;
  if (budget.kind === "loss") return lambdaOf(budget.share) * unit;
  throw poolFirst();
}

/** The strength that a budget stands for on this curve. @throws CoreError `budget` */
export function strengthFor(curve: OptimalCurve, budget: Budget): number {
  return strengthBy(budget, curve.unit, (share) => lambdaFor([curve], share));
}

/** The losses at a strength. */
export function lossesAt(curve: OptimalCurve, strength: number): Losses {
  const losses = { safetyLoss: safetyLossAt(curve, strength), fullSafetyLoss: fullLossOf(curve) };
  return curve.task ? { ...losses, taskGap: gapAt(curve, strength) } : losses;
}

/** The number of columns that a budget keeps on this curve. @throws CoreError `budget` */
export function nKeptFor({ losses }: ExactCurve, budget: Budget): number {
  checkBudget("exact", budget);
  const n = losses.length - 1;
  if (budget.kind === "keep") return Math.round(budget.share * n);
  if (budget.kind !== "loss") throw poolFirst();
  if (budget.share === 0) return 0; // also where nothing changed and every column would fit
  const beyond = losses.findIndex((loss) => loss > budget.share * losses[n]);
  return beyond < 0 ? n : beyond - 1;
}

function poolFirst(): CoreError {
  return new CoreError(
    "budget",
    "A globalLoss budget is for a pool of linears: let solvePool turn it into one for each.",
  );
}

/**
 * One budget for each linear of a pool whose summed safety loss is `share` of the pool's full one: one λ for all (`optimal`),
 * or the longest common prefix by sensitivity (`exact`). Every curve has the same mode.
 * @throws CoreError `budget`
 */
export function solvePool(curves: readonly Curve[], share: number): Budget[] {
  const optimal = curves.filter((curve) => curve.mode === "optimal");
  const exact = curves.filter((curve) => curve.mode === "exact");
  if (optimal.length > 0 && exact.length > 0)
    throw new CoreError("budget", "A pool cannot mix curves of exact and optimal.");
  checkBudget("optimal", { kind: "globalLoss", share });
  return exact.length > 0 ? poolByThreshold(exact, share) : poolByLambda(optimal, share);
}

function poolByLambda(curves: readonly OptimalCurve[], share: number): Budget[] {
  const lambda = lambdaFor(curves, share);
  return curves.map(({ unit }) => ({ kind: "strength", value: lambda * unit }));
}

/** Walk all columns of the pool by ascending sensitivity, as far as the summed loss allows. */
function poolByThreshold(curves: readonly ExactCurve[], share: number): Budget[] {
  const limit = share * curves.reduce((total, curve) => total + fullLossOf(curve), 0);
  const columns = curves.flatMap(({ sensitivity }, linear) => Array.from(sensitivity, (value) => ({ linear, value })));
  columns.sort((a, b) => a.value - b.value); // stable: within a linear the places stay in order
  const nKept = curves.map(() => 0);
  let spent = 0;
  for (const { linear } of columns) {
    const { losses } = curves[linear];
    spent += losses[nKept[linear] + 1] - losses[nKept[linear]];
    if (share === 0 || (share < 1 && spent > limit)) break;
    nKept[linear]++;
  }
  return curves.map(({ sensitivity }, linear) => ({ kind: "keep", share: nKept[linear] / sensitivity.length }));
}

/** How far beyond the extreme ratios λ is sought, as a factor: there the gains differ from 0 and 1 by less than f64 resolves. */
const reach = 2 ** 60;

/**
 * The least λ at which the summed safety loss is `share` of the full one, or below by the last bit, by bisection on log λ: the
 * loss falls as λ grows. 0 for the full share (or a zero delta), Infinity for a share of 0 (or one too small to resolve).
 */
function lambdaFor(curves: readonly OptimalCurve[], share: number): number {
  const full = curves.reduce((total, curve) => total + fullLossOf(curve), 0);
  if (share === 0) return Number.POSITIVE_INFINITY;
  if (share === 1 || full === 0) return 0;
  const fits = (logLambda: number) => {
    const lambda = Math.exp(logLambda);
    return curves.reduce((total, curve) => total + safetyLossAt(curve, lambda * curve.unit), 0) <= share * full;
  };
  let low = Math.log(Math.min(...curves.map(({ ratios }) => extreme(ratios, Math.min))) / reach);
  let high = Math.log(Math.max(...curves.map(({ ratios }) => extreme(ratios, Math.max))) * reach);
  if (!fits(high)) return Number.POSITIVE_INFINITY;
  for (let mid = (low + high) / 2; low < mid && mid < high; mid = (low + high) / 2) {
    if (fits(mid)) high = mid;
    else low = mid;
  }
  return Math.exp(high);
}

function extreme(values: Float64Array, pick: (a: number, b: number) => number): number {
  return values.reduce((a, b) => pick(a, b));
}
