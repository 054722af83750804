import type { Spectrum } from "./factor.ts";
import { mean } from "./matrix.ts";
import type { TaskSpectrum } from "./task.ts";

/**
 * Directions along which `optimal` shrinks the delta: D = Δ · forward · diag(gain) · backwardᵀ, gain_j = ν_j/(ν_j + λ). They are
 * orthogonal for both losses, so that either is a sum over j. The plain form has H = Q diag(σ) Qᵀ, forward = backward = Q and
 * ν = 1/σ; the form with task data has its pair of Hessians (see `TaskSpectrum`).
 */
export interface Basis {
  readonly factor: Spectrum | TaskSpectrum;
  /** Safety curvature along direction j: ½ Σ_j curvature_j · ‖(D · forward)_j‖² is the safety loss of D. */
  readonly curvatures: Float64Array;
  /** ν_j, utility curvature over safety curvature. */
  readonly ratios: Float64Array;
  /** λ = strength / unit. */
  readonly unit: number;
  readonly task: boolean;
}

export function basisOf(factor: Spectrum | TaskSpectrum): Basis {
  if ("forward" in factor) {
    const { ratios, unit } = factor;
    return { factor, curvatures: new Float64Array(ratios.length).fill(1), ratios, unit, task: true };
  }
  const { values } = factor;
  return { factor, curvatures: values, ratios: values.map((value) => 1 / value), unit: mean(values), task: false };
}

/** The n x n matrices that lead into the directions and back. */
export function directionsOf(factor: Spectrum | TaskSpectrum) {
  if ("forward" in factor) return factor;
  return { forward: factor.vectors, backward: factor.vectors };
}

/** gain_j = ν_j/(ν_j + λ) at a strength: 1 everywhere at 0, 0 everywhere at Infinity. */
export function gainsAt(ratios: Float64Array, unit: number, strength: number): Float64Array {
  const lambda = strength / unit;
  return ratios.map((ratio) => ratio / (ratio + lambda));
}
