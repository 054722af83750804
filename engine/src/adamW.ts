import type { AdamWStep } from "./engine.ts";

/** The numbers of one step that do not depend on the element, in the order in which kernels take them. */
export interface AdamWFactors {
  /** 1 − lr · weightDecay. */
  readonly decay: number;
  /** 1 − beta1. */
  readonly rate1: number;
  readonly beta2: number;
  /** 1 − beta2. */
  readonly rate2: number;
  /** lr / (1 − beta1ᵗ). */
  readonly stepSize: number;
  /** √(1 − beta2ᵗ). */
  readonly correction: number;
  readonly eps: number;
  readonly scale: number;
}

/** Worked out in f64, as PyTorch does, before f32 kernels see them: 1 − beta2 has few digits left otherwise. */
export function adamWFactors({ lr, beta1, beta2, eps, weightDecay, step, scale }: AdamWStep): AdamWFactors {
  return {
    decay: 1 - lr * weightDecay,
    rate1: 1 - beta1,
    beta2,
    rate2: 1 - beta2,
    stepSize: lr / (1 - beta1 ** step),
    correction: Math.sqrt(1 - beta2 ** step),
    eps,
    scale,
  };
}
